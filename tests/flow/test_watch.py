"""Why: on sale night operators rely on /stats, /metrics, the registry and the stat log. They must
agree, also for sixteen events and 64 workers, and never cost a sale."""

import os
import pathlib
import re
import signal
import subprocess

import pytest

import orders
import spike
from spike import fetch
from test_memory import Heap

SERIES = re.compile(r"^([a-z_]+(?:\{[^{}]*\})?) (\S+)$")


def metrics(node):
    """Every series and its value; checks the format on the way."""
    answer = fetch(node.admin, "GET", "/metrics")
    assert answer.status == 200, answer
    assert answer.headers["content-type"] == "text/plain; version=0.0.4"
    found, families = {}, set()
    for line in answer.body.decode().splitlines():
        if line.startswith("# TYPE "):
            family = line.split()[2]
            assert family not in families, family
            families.add(family)
        if line.startswith("#"):
            continue
        name, value = SERIES.match(line).groups()
        assert name not in found, name
        found[name] = float(value)
    return found


def post(node, path):
    return fetch(node.admin, "POST", path)


def test_promtool_accepts_the_metrics(site):
    """The format, the names, HELP and TYPE, as Prometheus itself checks them."""
    node = site.node(redis=site.redis(), events={"ticket": {"total": 5}, "more": {"total": 1}},
                     stat_log=site.dir / "stat.log")
    node.buy()
    page = fetch(node.admin, "GET", "/metrics").body
    done = subprocess.run(["promtool", "check", "metrics"], input=page, capture_output=True,
                          timeout=spike.SOON_S, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_metrics_and_stats_say_the_same(site):
    """After a load both have the sums of the clients' answers."""
    node = site.node(redis=site.redis(), workers=3,
                     events={"ticket": {"total": 100, "hold": "5m"}, "more": {"total": 50}})
    load = site.load(node, connections=20, requests=600)
    load.join()
    node.fetch("GET", "/buy/ticket?n=0")
    node.fetch("DELETE", "/buy/ticket")
    node.fetch("GET", "/nothing")
    stats, found = node.stats(), metrics(node)
    sums = {"yes": 100, "sold_out": 500, "bad_request": 1, "method": 1}
    for verdict, count in sums.items():
        assert found[f'spike_orders_total{{event="ticket",verdict="{verdict}"}}'] == count, verdict
    assert found['spike_orders_total{event="more",verdict="yes"}'] == 0
    codes = {"200": 600, "400": 1, "404": 1, "405": 1, "503": 0}
    for code, count in codes.items():
        assert found[f'spike_http_requests_total{{code="{code}"}}'] == count, code
    assert stats["http"]["requests"] == 603
    assert stats["http"]["answers"] == {"2xx": 600, "4xx": 3, "5xx": 0}
    assert sum(worker["requests"] for worker in stats["workers"]) == 603
    assert [worker["name"] for worker in stats["workers"]] == ["worker-1", "worker-2", "worker-3"]
    assert found["spike_http_request_duration_seconds_count"] == 600
    assert found['spike_http_request_duration_seconds_bucket{le="+Inf"}'] == 600
    assert sum(count for _, count in stats["latency_us"]["buckets"]) <= 600
    edges = [edge for edge, _ in stats["latency_us"]["buckets"]]
    assert edges == sorted(set(edges)) and len(edges) <= 28
    assert found['spike_tickets_total{event="ticket"}'] == 100
    assert found['spike_tickets_left{event="ticket"}'] == 0
    assert found['spike_tickets_left{event="more"}'] == 50
    assert found['spike_node_tickets{event="ticket",state="held"}'] == 100
    assert found["spike_journal_records"] == stats["journal"]["records"]
    assert found["spike_journal_commit_seconds_count"] > 0
    assert stats["pid"] == node.process.pid
    assert found["spike_redis_up"] == 1 and found["spike_redis_rtt_seconds"] > 0
    assert found['spike_node_state{state="up"}'] == 1
    assert found["spike_connections_accepted_total"] == stats["http"]["accepted"]
    assert found["process_open_fds"] > 10 and found["process_start_time_seconds"] > 1e9
    assert found["process_open_fds"] == pytest.approx(
        len(os.listdir(f"/proc/{node.process.pid}/fd")), abs=2)
    plan = sum(pool["bytes"] for pool in stats["memory"]["plan"])
    assert plan == stats["memory"]["arena_bytes"]
    assert "stat_log" not in stats


def test_sixteen_events_and_sixty_four_workers(site):
    """The largest configuration still gets complete answers."""
    events = {f"event-{i:02}-" + "x" * 23: {"total": 5} for i in range(16)}
    node = site.node(events=events, workers=64, connections=16)
    stats, found = node.stats(), metrics(node)
    assert len(stats["workers"]) == 64 and len(stats["events"]) == 16
    assert len([name for name in found if name.startswith("spike_tickets_left")]) == 16


def test_what_a_standalone_node_remembers(site):
    """A standalone node's pools: keys stay, buyers go with their tickets; both are in the metrics
    before they are full. With Redis nodes have no such tables."""
    node = site.node(events={"ticket": {"total": 10, "stock-max": 30, "hold": "5m"},
                             "more": {"total": 5, "stock-max": 7}})

    def used():
        pools = {pool["name"]: pool for pool in node.stats()["memory"]["pools"]}
        assert pools["buyers"]["size"] == 37
        found = metrics(node)
        for name in ("keys", "buyers"):
            assert found[f'spike_pool_size{{pool="{name}"}}'] == pools[name]["size"]
        return pools["keys"]["used"], pools["buyers"]["used"]

    assert used() == (0, 0)
    order = node.buy("ticket?buyer=ann&key=k1").data["order"]
    node.buy("ticket?buyer=bob&key=k2")
    node.buy("more?buyer=ann&key=k1")
    spike.wait("three of each", lambda: used() == (3, 3))
    assert node.fetch("POST", f"/order/{order}/cancel").code == 1
    spike.wait("one buyer to be removed", lambda: used() == (3, 2))
    node.kill9()
    node.start()
    spike.wait("the same after a restart", lambda: used() == (3, 2))
    other = site.node(2, redis=site.redis())
    names = [pool["name"] for pool in other.stats()["memory"]["pools"]]
    assert names == ["connections", "orders", "buffers", "holds", "filter"]


def test_what_became_of_orders(site):
    """Orders are counted since the journal began: a restart keeps the counts."""
    node = site.node(events={"ticket": {"total": 4, "hold": "3s"}})
    held = [node.buy().data["order"] for _ in range(4)]
    assert post(node, f"/order/{held[0]}/pay").code == 1
    assert node.fetch("POST", f"/order/{held[1]}/cancel").code == 1
    spike.wait("two to expire", lambda: node.event_stats()["orders"]["expired"] == 2)
    assert post(node, f"/order/{held[2]}/pay").code == 1
    assert node.buy("ticket?n=2").code == 1
    assert post(node, f"/order/{held[3]}/pay").code == -7
    expected = {"granted": 5, "paid": 1, "cancelled": 1, "expired": 2, "late": 1, "late_refused": 1}
    assert node.event_stats()["orders"] == expected
    assert node.event_stats()["granted_tickets"] == 6
    node.kill9()
    node.start()
    counts = node.event_stats()["orders"]
    assert counts == {**expected, "expired": counts["expired"]} and counts["expired"] in (2, 3)
    assert node.event_stats()["granted_tickets"] == 6
    assert metrics(node)['spike_tickets_granted_total{event="ticket"}'] == 6


OF_THE_SALE = ("spike_tickets_total", "spike_tickets_left", "spike_repair_waits")


def of_the_sale(node):
    found = metrics(node)
    return {name: found[f'{name}{{event="ticket"}}'] for name in OF_THE_SALE
            if f'{name}{{event="ticket"}}' in found}


class AttachesOnly:
    """The attach of a connection reaches Redis, but no step, until open is set."""

    def __init__(self, proxy):
        self.stopped, self.calls, self.open = 0, {}, False
        proxy._intercept = self.intercept

    def intercept(self, conn, data):
        if self.open or b"EVALSHA" not in data[:64].upper():
            return data
        self.calls[conn] = self.calls.get(conn, 0) + 1
        if self.calls[conn] < 2:
            return data
        self.stopped += 1
        return b""


def test_no_sale_metrics_before_the_first_step(site):
    """A dashboard that takes the minimum of all nodes must not show 0 because one has never
    attached, nor the total because one has attached and not yet read the tickets gone. Figures once
    read stay."""
    redis = site.redis()
    first = site.node(1, redis=redis, events={"ticket": {"total": 5}})
    assert first.buy().code == 1
    proxy = site.proxy(redis)
    gate = AttachesOnly(proxy)
    second = site.node(2, redis=proxy, healthy=False, events={"ticket": {"total": 5}},
                       **spike.QUICK_REDIS)
    spike.wait("a step after the attach", lambda: gate.stopped >= 2)
    assert of_the_sale(second) == {}
    assert second.fetch("GET", "/stock/ticket").code == -6
    assert metrics(second)['spike_node_tickets{event="ticket",state="sold"}'] == 0
    gate.open = True
    second.wait_healthy()
    expected = dict(zip(OF_THE_SALE, (5, 4, 0)))
    assert of_the_sale(second) == expected
    redis.kill()
    spike.wait("Redis to be missed", lambda: second.stats()["redis"]["state"] == "down")
    assert of_the_sale(second) == expected


def test_drain(site):
    """A draining node sells no more and does all else; another node sells on; a restart ends the
    draining."""
    redis = site.redis()
    nodes = orders.two_nodes(site, redis, events={"ticket": {"total": 100, "hold": "5s"}})
    node = nodes[0]
    first, second, third = (node.buy().data["order"] for _ in range(3))
    for _ in range(2):
        answer = post(node, "/drain")
        assert (answer.status, answer.json) == (
            200, {"code": 1, "msg": "ok", "data": {"state": "draining"}})
    assert (node.buy().status, node.buy().code) == (503, -6)
    assert node.buy("ticket?key=k1").code == -6
    health = node.health()
    assert (health.status, health.json["msg"]) == (503, "draining")
    assert node.stats()["state"] == "draining"
    assert metrics(node)['spike_node_state{state="draining"}'] == 1
    assert node.stock()["sold"] == 3
    assert post(node, f"/order/{first}/pay").data["state"] == "sold"
    assert node.fetch("POST", f"/order/{second}/cancel").data["state"] == "cancelled"
    assert post(node, "/pause?event=ticket").data["state"] == "paused"
    assert post(node, "/resume?event=ticket").data["state"] == "open"
    spike.wait("the hold to end", lambda: node.fetch("GET", f"/order/{third}").data["state"]
               == "expired")
    spike.wait("node 2 to sell", lambda: nodes[1].buy().code == 1)
    node.process.send_signal(signal.SIGHUP)
    spike.wait("the reload", lambda: "reload: done" in node.log_text())
    assert node.buy().code == -6
    assert node.log_text().count("draining: this node sells no more") == 1
    assert node.term() == 0
    node.start()
    assert node.buy().code == 1


def test_the_registry(site):
    """Every beat writes the node's address and figures; without `advertise` the address is -."""
    redis = site.redis()
    admin = site.dir / "admin.sock"
    node = site.node(redis=redis, admin=f"unix:{admin}", advertise=f"unix:{admin}",
                     events={"ticket": {"total": 10, "hold": "5m"}})
    order = node.buy().data["order"]
    node.buy()
    assert post(node, f"/order/{order}/pay").code == 1

    def entry(number):
        return (redis.client.hget("{ticket_hash_key}:nodes", number) or "").split(" ")

    spike.wait("the figures in the registry", lambda: entry(1)[2:4] == ["1", "1"])
    address, epoch, _, _, beat = entry(1)
    assert address == f"unix:{admin}" and epoch == redis.client.hget(spike.HASH, "1:epoch")
    spike.wait("another beat", lambda: int(entry(1)[4]) > int(beat))
    seconds, micros = redis.client.time()
    assert abs(seconds * 1000 + micros // 1000 - int(entry(1)[4])) < 5000 * spike.PATIENCE
    site.node(2, redis=redis)
    spike.wait("node 2", lambda: entry(2)[0] == "-")


def lines_of(path):
    return path.read_text().splitlines() if path.exists() else []


STAT_LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
                       r" (code=-?\d+ event=(\S+) sold=(\d+|-) verdict=[a-z_]+|dropped \d+)")


def test_stat_log(site):
    """A line for each request, no more and no fewer; after a rename and USR1 the new file gets
    them."""
    path, old = site.dir / "stat.log", site.dir / "stat.log.1"
    node = site.node(events={"ticket": {"total": 30}}, stat_log=path)
    site.load(node, connections=10, requests=400).join()
    node.fetch("GET", "/stock/ticket")
    node.fetch("GET", "/nothing")
    spike.wait("402 lines", lambda: node.stats()["stat_log"]["lines"] == 402)
    lines = lines_of(path)
    assert len(lines) == 402
    assert all(STAT_LINE.fullmatch(line) for line in lines)
    assert sum(" code=1 event=ticket " in line for line in lines) == 30
    ends = {" code=-1 event=ticket sold=30 verdict=sold_out": 370,
            " code=1 event=- sold=- verdict=yes": 1,
            " code=-404 event=- sold=- verdict=not_found": 1}
    for end, count in ends.items():
        assert sum(line.endswith(end) for line in lines) == count, end
    path.rename(old)
    node.process.send_signal(signal.SIGUSR1)
    spike.wait("the new file", path.exists)
    node.buy()
    assert node.term() == 0
    assert len(lines_of(old)) == 402 and len(lines_of(path)) == 1
    assert node.start().stats()["stat_log"] == {"lines": 0, "dropped": 0}


def test_sold_out_here_has_its_own_verdict(site):
    """A node's local stock is out while tickets are left: the verdict must show that. (The two
    tickets are sold before: a refusal may come while the last commit is under way, and then its
    line rightly counts one ticket less.)"""
    path = site.dir / "stat.log"
    node = site.node(events={"ticket": {"total": 30, "local-stock": 2}}, stat_log=path)
    assert [node.buy().code for _ in range(2)] == [1, 1]
    assert site.load(node, connections=2, requests=48).join().codes == {-1: 48}
    spike.wait("50 lines", lambda: node.stats()["stat_log"]["lines"] == 50)
    here = [line for line in lines_of(path) if " code=-1 " in line]
    assert len(here) == 48
    assert all(line.endswith(" event=ticket sold=2 verdict=sold_out_here") for line in here)
    found = metrics(node)
    assert found['spike_orders_total{event="ticket",verdict="sold_out_here"}'] == 48
    assert found['spike_orders_total{event="ticket",verdict="sold_out"}'] == 0
    assert found['spike_tickets_left{event="ticket"}'] == 28


def test_stat_log_on_a_full_disk(site):
    """Lines are dropped and counted; no request waits, and the log has the error once."""
    node = site.node(events={"ticket": {"total": 30}}, stat_log="/dev/full")
    site.load(node, connections=10, requests=400).join()
    spike.wait("all to be dropped", lambda: node.stats()["stat_log"] ==
               {"lines": 0, "dropped": 400})
    assert node.event_stats()["node_sold"] == 30
    assert metrics(node)["spike_stat_log_dropped_total"] == 400
    assert node.log_text().count("No space left on device") == 1


def test_stat_log_without_a_reader(site):
    """A pipe whose reader hangs blocks only the stat log's writer: the sale goes on, and the server
    can end."""
    pipe = site.dir / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        node = site.node(events={"ticket": {"total": 30}}, stat_log=pipe)
        site.load(node, connections=10, requests=5000).join()
        assert node.buy().code == -1
        assert node.term() == 0
        assert "its last lines are lost" in node.log_text()
    finally:
        os.close(reader)


def test_stat_log_that_cannot_be_opened(site):
    """Reported at the start, before anything is sold."""
    node = site.node(start=False, stat_log=site.dir / "nowhere" / "stat.log")
    done = spike.run_server("-c", node.conf)
    assert done.code == 1
    assert "stat-log" in done.err and "No such file or directory" in done.err


def test_stat_log_allocates_nothing(site, preload):
    """P6 holds with the stat log, too."""
    path = site.dir / "heap"
    node = site.node(events={"ticket": {"total": 30}}, stat_log=site.dir / "stat.log",
                     preload=preload("heapwatch"), env={"SPIKE_HEAP": str(path)})
    site.load(node, connections=10, requests=200).join()
    before = Heap(path)
    site.load(node, connections=10, requests=20000).join()
    for _ in range(20):
        metrics(node)
    after = Heap(path)
    assert after.worker == before.worker
    assert after.in_use == before.in_use


def test_the_log_names_the_state_after_a_start(site):
    """An operator relies on the start's line about each event: it must have the true state."""
    later = {"total": 4, "open": "2099-01-01T00:00:00Z"}
    node = site.node(redis=site.redis(), events={"ticket": {"total": 3}, "later": later})

    def check(*expected):
        for event, word in zip(("ticket", "later"), expected):
            found = re.findall(rf"info event {event}: (.*) left$", node.log_text(), re.MULTILINE)
            assert found == [word], (event, found)

    check("selling, 3 of 3", "waiting, 4 of 4")
    assert post(node, "/pause?event=ticket").code == 1
    node.term()
    node.start()
    check("paused, 3 of 3", "waiting, 4 of 4")
    assert post(node, "/resume?event=ticket").code == 1
    spike.wait("the node to sell", lambda: node.buy("ticket?n=3").code == 1)
    node.term()
    node.start()
    check("soldout, 0 of 3", "waiting, 4 of 4")
    assert post(node, "/close?event=ticket").code == 1
    node.term()
    node.start()
    check("closed, 0 of 3", "waiting, 4 of 4")


def sleeps(node):
    """How often the main thread, which takes the signals, has gone to sleep."""
    status = pathlib.Path(f"/proc/{node.process.pid}/status").read_text()
    return int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", status, re.MULTILINE)[1])


def test_the_log_counts_what_it_would_repeat(site):
    """A repeated line is logged once, and at the end with the number of repeats."""
    node = site.node()
    for _ in range(5):
        slept = sleeps(node)
        node.process.send_signal(signal.SIGHUP)
        spike.wait("the signal to be taken", lambda slept=slept: sleeps(node) > slept)
    spike.wait("the reload", lambda: "reload: done" in node.log_text())
    assert node.term() == 0
    found = [line for line in node.log_text().splitlines() if "reload: done" in line]
    assert re.search(r"info reload: done$", found[0])
    assert re.search(r"info reload: done \(repeated [1-4] times\)$", found[1])
    assert len(found) == 2
