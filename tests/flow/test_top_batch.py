"""Why: scripts, mails and graphs use the batch. Its figures must be those of /stats, its JSON that
of the manual, and its exit code must show whether any node answered."""

import json
import re
import signal
import subprocess
import threading
import time

import pytest

import spike
import top
from top import Console, Impostor, figure, row_of, run_top, total_of

FIELDS = ["address", "node", "state", "req_s", "sold_s", "stats"]


def test_text(site):
    """Three rounds, a second apart, in the format of the screen, at most 80 columns."""
    _, nodes = top.three_nodes(site, events={"ticket": {"total": 100000}})
    site.load(*nodes, connections=12, pause_s=0.05)
    began = time.monotonic()
    output = run_top("-b", "-n", 3, "-d", 1, *top.addresses(nodes))
    assert 2 <= time.monotonic() - began
    rounds = output.split("\n\n")
    assert len(rounds) == 3 and max(map(len, output.split("\n"))) <= 80
    for text in rounds:
        assert re.search(r"^spike-top  ticket  OPEN  3/3 up  redis ok [\d.]+ms  \d\d:\d\d:\d\d$",
                         text, re.MULTILINE)
        assert len(re.findall(r"^[123] \S+ +UP ", text, re.MULTILINE)) == 3
        assert re.search(r"^TOTAL +3/3 ", text, re.MULTILINE)
        assert re.search(r"^Left   [\d,]+ of 100,000  \d+%$", text, re.MULTILINE)
    assert re.search(r"^Req/s  -", rounds[0], re.MULTILINE)
    assert re.search(r"^Req/s  \d", rounds[2], re.MULTILINE)


def test_json(site):
    """One object a round, the fields of the manual in their order; the first has no rates."""
    _, nodes = top.three_nodes(site, events={"ticket": {"total": 100000}})
    closed = Impostor(site, b"")
    closed.close()
    output = run_top("-j", "-n", 2, "-d", 0.5, *top.addresses(nodes), closed.address)
    first, second = top.rounds_of(output)
    for one in (first, second):
        assert list(one) == ["time_ms", "nodes", "total"]
        assert [list(n) for n in one["nodes"]] == [FIELDS] * 4
        assert [n["node"] for n in one["nodes"]] == [1, 2, 3, None]
        assert [n["state"] for n in one["nodes"]] == ["up"] * 3 + ["down"]
        assert [n["address"] for n in one["nodes"]] == [*top.addresses(nodes), closed.address]
        assert one["nodes"][3]["stats"] is None
        assert one["nodes"][0]["stats"].keys() == nodes[0].stats().keys()
        assert abs(one["time_ms"] - time.time() * 1000) < 60000
        assert one["total"]["total"] == one["total"]["left"] == 100000
    assert {n["req_s"] for n in first["nodes"]} == {None} == {n["sold_s"] for n in first["nodes"]}
    assert first["total"]["req_s"] is None
    assert [n["req_s"] for n in second["nodes"]] == [0, 0, 0, None]
    assert second["time_ms"] > first["time_ms"]


class Sampler:
    """Reads /stats of the nodes continuously, beside the console."""

    def __init__(self, nodes):
        self.samples = {node.number: [] for node in nodes}  # of (time_ms, requests, tickets)
        self.ending = False
        self.threads = [threading.Thread(target=self._run, args=(n,), daemon=True) for n in nodes]
        for thread in self.threads:
            thread.start()

    def _run(self, node):
        while not self.ending:
            stats = node.stats()
            event = stats["events"][0]
            self.samples[node.number].append((stats["time_ms"], stats["http"]["requests"],
                                              event["node_sold"] + event["node_held"]))
            time.sleep(0.02)

    def stop(self):
        self.ending = True
        for thread in self.threads:
            thread.join()

    def at(self, number, time_ms, what):
        """Bounds of the counter at that time: its values in the samples before and after."""
        rows = self.samples[number]
        after = next(i for i, row in enumerate(rows) if row[0] > time_ms)
        before = max(i for i, row in enumerate(rows) if row[0] < time_ms or i == 0)
        return rows[before][1 + what], rows[after][1 + what]


def test_rates_are_those_of_stats(site):
    """REQ/S and SOLD/S are the rates of /stats over the same time, within the bounds of the
    samples."""
    _, nodes = top.three_nodes(site, events={"ticket": {"total": 1000000}})
    site.load(*nodes, connections=24, pause_s=0.03)
    site.load(*nodes, connections=12, pause_s=0.05, path="/buy/nothing")
    sampler = Sampler(nodes)
    spike.wait("samples", lambda: all(len(s) > 5 for s in sampler.samples.values()))
    rounds = top.rounds_of(run_top("-j", "-n", 7, "-d", 1, *top.addresses(nodes)))
    spike.wait("later samples", lambda: all(
        s[-1][0] > rounds[-1]["time_ms"] for s in sampler.samples.values()))
    sampler.stop()
    for before, now in zip(rounds, rounds[1:]):
        sums = {"req_s": [0, 0], "sold_s": [0, 0]}
        for old, new in zip(before["nodes"], now["nodes"]):
            assert new["state"] in ("up", "slow")
            t0, t1 = old["stats"]["time_ms"], new["stats"]["time_ms"]
            for what, name in enumerate(("req_s", "sold_s")):
                (low0, high0), (low1, high1) = (sampler.at(new["node"], t, what) for t in (t0, t1))
                sums[name][0] += (low1 - high0) / (t1 - t0) * 1000
                sums[name][1] += (high1 - low0) / (t1 - t0) * 1000
        for name, (low, high) in sums.items():
            print(f"{name}: {low:.0f} <= {now['total'][name]} <= {high:.0f}")
            assert low - 1 <= now["total"][name] <= high + 1, (name, now["total"], sums)
            assert now["total"][name] == pytest.approx(sum(n[name] for n in now["nodes"]), abs=0.2)


def test_sold_and_left_are_exact_at_rest(site):
    """Once the load has stopped: on the screen, in text and in JSON, to the ticket."""
    redis, nodes = top.three_nodes(site, events={"ticket": {"total": 5000, "local_stock": 1500}})
    console = Console(site, *top.addresses(nodes))
    load = site.load(*nodes, connections=12, requests=2000)
    load.join()
    sold = {node.number: node.event_stats()["node_sold"] for node in nodes}
    assert sum(sold.values()) == load.codes[1] == redis.figure()
    left = f"{5000 - redis.figure():,}"
    screen = console.wait_for(f"^Left   {left} of 5,000 ", f"^Sold   {redis.figure():,} ",
                              f"^ TOTAL .* {redis.figure():,} +{left} ")
    for number, count in sold.items():
        row = row_of(screen, number)
        assert figure(row["sold"]) == count
        assert figure(row["left"]) == min(1500 - count, 5000 - redis.figure())
    assert figure(total_of(screen)["sold"]) == redis.figure()
    one = top.rounds_of(run_top("-j", "-n", 1, *top.addresses(nodes)))[0]
    assert one["total"]["sold"] == redis.figure() and one["total"]["left"] == 5000 - redis.figure()
    text = run_top("-b", "-n", 1, *top.addresses(nodes))
    assert re.search(f"^Sold   {redis.figure():,} ", text, re.MULTILINE)
    load = site.load(*nodes, connections=12)
    spike.wait("the local stocks to be sold", lambda: redis.figure() == 4500)
    load.stop()
    console.wait_for("^Left   500 of 5,000 ", "^Sold   4,500 ", r"^ TOTAL .* 4,500 +500 ")
    console.quit()


def test_sold_out(site):
    """The last ticket shows as <1%, not 0%, on the screen and in text; then all are gone."""
    node = site.node(redis=site.redis(), events={"ticket": {"total": 600}})
    console = Console(site, *top.addresses([node]))
    console.wait_for("^Left   600 of 600 .* 100%$")
    site.load(node, connections=5, requests=599).join()
    console.wait_for(r"^Left   1 of 600  \[\| +\] <1%$")
    assert re.search("^Left   1 of 600  <1%$", run_top("-b", "-n", 1, *top.addresses([node])),
                     re.MULTILINE)
    site.load(node, connections=5, requests=100).join()
    console.wait_for(r"ticket  SOLD OUT +1/1 up", r"^Left   0 of 600  \[ +\] 0%$", "all gone",
                     r"^Sold   600 .* refused 99 ", r"^\S+ ticket SOLD OUT: 600 in ~\d+s$")
    assert "ticket  SOLD OUT  1/1 up" in run_top("-b", "-n", 1, *top.addresses([node]))
    console.quit()


def test_unknown_figures_are_no_zeros(site):
    """No node answers, or no node has had a request: a dash and null, never 0."""
    closed = Impostor(site, b"")
    closed.close()
    text = run_top("-b", "-n", 1, closed.address, code=1)
    assert re.search(r"^Left   -$", text, re.MULTILINE)
    assert re.search(r"^Sold   -   -/s   gone in -   held -   refused -   errors -$", text,
                     re.MULTILINE)
    assert text.splitlines()[-1].split() == ["TOTAL", "0/1"] + ["-"] * 8
    total = top.rounds_of(run_top("-j", "-n", 1, closed.address, code=1))[0]["total"]
    assert (total.pop("nodes"), total.pop("up")) == (1, 0)
    assert set(total.values()) == {None}
    node = site.node()
    text = run_top("-b", "-n", 1, *top.addresses([node]))
    assert text.splitlines()[-1].split()[-4:-2] == ["-", "-"]  # no /buy, no latency
    assert text.splitlines()[-2].split()[-4:-2] == ["-", "-"]


def test_local_stock_is_spent(site):
    """Tickets are left and no node may sell them: the console shows that, and its end."""
    node = site.node(redis=site.redis(), events={"ticket": {"total": 500, "local_stock": 100}})
    console = Console(site, *top.addresses([node]))
    console.wait_for("^Left   500 of 500 ")
    site.load(node, connections=5, requests=120).join()
    console.wait_for("^Left   400 of 500 ", r"^>1 .* 100 +0! ",
                     r"^\S+ ticket: raise local-stock \(HUP\): 400 left, all spent$")
    text = run_top("-b", "-n", 1, *top.addresses([node]))
    assert text.splitlines()[-2].split()[5:7] == ["100", "0!"]
    node.conf.write_text(node.conf.read_text().replace("local-stock 100", "local-stock 150"))
    node.process.send_signal(signal.SIGHUP)
    console.wait_for(r"^>1 .* 100 +50 ", r"^\S+ ticket: a node has local stock again, 400 left$")
    console.quit()


def test_nodes_from_the_registry(site):
    """-c FILE: all nodes that advertise are polled, whichever node's configuration it is."""
    _, nodes = top.three_nodes(site)
    found = top.addresses(nodes)
    for node in nodes:
        one = top.rounds_of(run_top("-j", "-n", 1, "-c", node.conf))[0]
        assert [n["address"] for n in one["nodes"]] == found
        assert [n["state"] for n in one["nodes"]] == ["up"] * 3
    assert len(top.rounds_of(run_top("-j", "-n", 1, "-c", nodes[0].conf,
                                     found[2]))[0]["nodes"]) == 1


def test_exit_codes(site):
    """0: a node answered; 1: none did in the last round; 2: wrong usage."""
    node = site.node()
    address = top.addresses([node])[0]
    closed = Impostor(site, b"")
    closed.close()
    run_top("-b", "-n", 1, address)
    run_top("-b", "-n", 1, address, closed.address)
    assert "connection refused" in run_top("-b", "-n", 2, "-d", 0.1, closed.address, code=1)
    batch = subprocess.Popen([top.TOP, "-j", "-n", "4", "-d", "0.3", address],
                             stdout=subprocess.PIPE, text=True, preexec_fn=spike.die_with_parent)
    assert '"state":"up"' in batch.stdout.readline()
    node.kill9()
    assert '"state":"down"' in batch.communicate(timeout=spike.SOON_S)[0].splitlines()[-1]
    assert batch.returncode == 1
    for wrong in (["-n", "1"], ["-b", "-d", "0"], ["-b", "-d", "1e3"], ["-b", "-n", "0"],
                  ["-b", "-n", "-1"], ["--nothing"], [address], ["-b", "-j", "-x"]):
        assert "spike-top: " in run_top(*wrong, code=2)
    assert "is no address" in run_top("-b", "nonsense", code=1)
    assert "No such file" in run_top("-b", "-c", site.dir / "none.conf", code=1)
    assert "usage: spike-top" in run_top("-h")
    assert re.fullmatch(r"spike-top \d+\.\d+\.\d+\n", run_top("-V"))


def test_no_answer_in_the_last_round(site):
    """After one missed answer a node is not down yet, but has no figures: exit 1, and no old rates.
    """
    node = site.node(events={"ticket": {"total": 1000}})
    batch = subprocess.Popen([top.TOP, "-j", "-n", "3", "-d", "0.5", *top.addresses([node])],
                             stdout=subprocess.PIPE, text=True, preexec_fn=spike.die_with_parent)
    for _ in range(2):
        assert '"state":"up"' in batch.stdout.readline()
    node.freeze()
    last = top.rounds_of(batch.communicate(timeout=spike.SOON_S)[0])[-1]
    node.process.send_signal(signal.SIGCONT)
    assert batch.returncode == 1
    assert last["nodes"][0]["state"] == "up" and last["nodes"][0]["stats"] is None
    assert last["nodes"][0]["req_s"] is None and last["total"]["req_s"] is None


def test_a_node_that_takes_longer_than_the_interval(site):
    """The batch waits for its answer beyond the interval."""
    output = json.dumps({"node": 7, "state": "up", "uptime_s": 5, "time_ms": 1, "events": []})

    def late():
        time.sleep(0.15)
        return top.http(output)

    impostor = Impostor(site, late)
    rounds = top.rounds_of(run_top("-j", "-n", 3, "-d", 0.1, impostor.address))
    assert [n["state"] for one in rounds for n in one["nodes"]] == ["up"] * 3


def test_a_pipe_that_closes(site):
    """As in `spike-top -b | head`: spike-top ends, without a sanitizer's report."""
    node = site.node()
    batch = subprocess.Popen([top.TOP, "-b", "-d", "0.1", *top.addresses([node])], text=True,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             preexec_fn=spike.die_with_parent)
    batch.stdout.readline()
    batch.stdout.close()
    batch.wait(spike.SOON_S)
    assert not spike.ALARM.search(batch.stderr.read())
    batch.stderr.close()
