"""Why: by spike-log operators, and all other tests, find out whether the promises were kept."""

import fcntl
import json
import re
import signal
import subprocess
import sys
import termios
import threading

import pytest

import orders
import spike
from spikelog import HEADER, LOG, audit, confs, rows_of, run_log

EXTRA = {"seat": {"total": 5}}
REQUESTS, BUYERS, GRANTS = (f"{{ticket_hash_key}}:{name}" for name in
                            ("requests", "buyers", "grants"))


def sell(site, node, count, event="ticket"):
    load = site.load(node, connections=10, requests=count, path=f"/buy/{event}").join()
    assert load.codes == {1: count}
    return load.yeses


def two_nodes(site, redis, **options):
    nodes = [site.node(n, [1, 2], redis=redis, start=False, **options) for n in (1, 2)]
    for node in nodes:
        node.start(healthy=False)
    for node in nodes:
        node.wait_healthy()
    return nodes


# -- export


def test_export_is_what_was_sold(site):
    """Every yes is one row with the order id of the answer; JSON has the same."""
    node = site.node(7, events={"ticket": {"total": 1000}, **EXTRA})
    sold = {"ticket": sell(site, node, 300), "seat": sell(site, node, 5, "seat")}
    for beside in (True, False):
        rows = rows_of(run_log(*confs(node), "export"))
        for event, yeses in sold.items():
            own = [row for row in rows if row["event"] == event]
            assert sorted(row["order"] for row in own) == sorted(yeses)
            assert {(r["state"], r["n"], r["buyer"], r["key"], r["pay_by"]) for r in own} == {
                ("sold", "1", "", "", "0")}
            seqs = [int(row["seq"]) for row in own]
            assert seqs == sorted(set(seqs))
        lines = [json.loads(line) for line in
                 run_log("export", "-f", "json", *confs(node)).splitlines()]
        assert list(lines[0]) == HEADER.split(",")
        assert [{k: str(v) for k, v in line.items()} for line in lines] == rows
        assert rows_of(run_log(*confs(node), "export", "--changes")) == rows
        if beside:
            assert node.term() == 0


# -- tail


class Tail:
    """A running spike-log tail."""

    def __init__(self, site, *arguments):
        self.path = site.dir / "tail"
        with open(self.path, "wb") as out:
            self.process = subprocess.Popen([LOG, *arguments], stdout=out, stderr=out,
                                            preexec_fn=spike.die_with_parent)

    def rows(self):
        text = self.path.read_text()
        return rows_of(text) if HEADER in text else []

    def end(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        return self.process.wait(spike.SOON_S * spike.PATIENCE)


@pytest.fixture
def tail(site):
    running = []

    def start(*arguments):
        running.append(Tail(site, *arguments))
        spike.wait("the header", lambda: HEADER in running[-1].path.read_text())
        return running[-1]

    yield start
    for one in running:
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["TERM", "INT"])
def test_tail_follows(site, tail, number):
    """Sales while tail runs are printed once, in order, also across a restart of the server."""
    node = site.node(events={"ticket": {"total": 1000}})
    sell(site, node, 20)
    follower = tail(*confs(node), "tail")
    yeses = sell(site, node, 50)
    node.kill9()
    node.start()
    yeses += sell(site, node, 30)
    spike.wait("all sales in the output", lambda: len(follower.rows()) >= 80)
    rows = follower.rows()
    assert sorted(row["order"] for row in rows) == sorted(yeses)
    seqs = [int(row["seq"]) for row in rows]
    assert seqs == sorted(seqs)
    assert follower.end(number) == 0


def test_tail_begins_with_the_last(site, tail):
    """-n: begins with that many changes; records that are no changes do not count."""
    node = site.node(events={"ticket": {"total": 1000}})
    sell(site, node, 20)
    all_rows = rows_of(run_log(*confs(node), "export"))
    for count in (7, 20, 1000):
        follower = tail(*confs(node), "tail", "-n", str(count))
        expected = all_rows[-count:]
        spike.wait(f"{len(expected)} rows", lambda f=follower, e=expected: f.rows() == e)
        assert follower.end() == 0


def unread(pipe):
    """The number of unread bytes in a pipe."""
    return int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)), sys.byteorder)


def test_tail_ends_without_a_reader(site):
    """A reader that hangs must not keep tail from ending."""
    node = site.node(events={"ticket": {"total": 3000}})
    sell(site, node, 3000)
    process = subprocess.Popen([LOG, *confs(node), "tail", "-n", "3000"], stdout=subprocess.PIPE,
                               preexec_fn=spike.die_with_parent)
    try:
        before = [0, 1]

        def is_full():
            before[:] = [before[1], unread(process.stdout)]
            return before[0] == before[1] > 20000

        spike.wait("a full pipe", is_full, step=0.1)
        process.terminate()
        assert process.wait(spike.SOON_S * spike.PATIENCE) == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


# -- stat


def test_stat(site):
    """The figures of stat are those of the sale."""
    redis = site.redis()
    node = site.node(3, redis=redis, events={"ticket": {"total": 1000}, **EXTRA})
    sell(site, node, 40)
    text = run_log(*confs(node), "stat")
    ticket = dict(re.findall(r"^  (\w+) +(.*)$", text.split("event seat")[0], re.MULTILINE))
    assert ticket["sale"] == redis.client.hget(spike.HASH, "sale")[:8] + " unified"
    assert (ticket["node"], ticket["nodes"], ticket["server"]) == ("3", "3", "running")
    assert (ticket["orders"], ticket["sold"], ticket["held"]) == ("40", "40", "0")
    assert ticket["total"] == "1000"
    assert ticket["used"].endswith(" of 67108864 bytes")
    records = [r for r in node.records() if r["event"] == "ticket"]
    assert int(ticket["records"]) == len(records)
    assert int(ticket["epoch"]) == max(r["epoch"] for r in records if r["kind"] == "epoch")
    node.term()
    assert "  server    none\n" in run_log(*confs(node), "stat")


# -- audit


def test_audit_under_load(site):
    """Beside running servers every audit is clean; at rest its sums are exact to the ticket."""
    redis = site.redis()
    nodes = two_nodes(site, redis, events={"ticket": {"total": 2000}})
    load = site.load(*nodes, connections=40, requests=6000)
    for _ in range(8):
        assert run_log(*confs(*nodes), "audit").endswith("no breach\n")
    load.join()
    assert load.codes[1] == 2000
    spike.wait("all to be settled", lambda: "not settled" not in run_log(*confs(*nodes), "audit"))
    text = run_log(*confs(*nodes), "audit")
    assert "P1 no oversell: event ticket: 2000 sold of 2000, 2 journals\n" in text
    assert "P3 no undersell: event ticket: total 2000 = 0 left + 0 held + 2000 sold + 0 foreign" in text
    assert "stream: event ticket: 2000 settled changes, each exactly once, each node's in order\n" in text
    assert "P4 exactly once: event ticket: 2000 order ids, none twice;" in text
    assert "BREACH" not in text


def test_audit_after_kill(site):
    """After kill -9 and a loss of Redis the audit reports open points but no breach; then the sale
    is repaired."""
    redis = site.redis()
    nodes = two_nodes(site, redis, events={"ticket": {"total": 100000}})
    load = site.load(*nodes, connections=40)
    spike.wait("some sales", lambda: len(load.rows) > 500)
    nodes[0].kill9()
    nodes[1].kill9()
    load.stop()
    run_log(*confs(*nodes), "audit")
    redis.restart_empty()
    assert "there is no hash; its journals alone" in run_log(*confs(*nodes), "audit")
    redis.kill()
    assert "redis: cannot be reached" in run_log(*confs(*nodes), "audit")
    redis.start()
    for node in nodes:
        node.start(healthy=False)
    for node in nodes:
        node.wait_healthy()
    spike.wait("all to be settled", lambda: "open:" not in run_log(*confs(*nodes), "audit"))
    spike.check_promises(nodes, load.yeses, 100000, redis.figure())


def test_audit_names_the_missing_node(site):
    """Without the journal of a node the sums cannot be closed, and the audit names that node."""
    redis = site.redis()
    nodes = two_nodes(site, redis)
    sell(site, nodes[1], 10)
    text = run_log(*confs(nodes[0]), "audit")
    assert "so the sums cannot be closed: 2\n" in text
    assert "BREACH" not in text


def test_audit_counts_foreign_sales(site):
    """Tickets sold by the prototype's programs are foreign, not a breach."""
    redis = site.redis()
    node = site.node(redis=redis, events={"ticket": {"total": 100}})
    sell(site, node, 10)
    redis.client.hincrby(spike.HASH, spike.SOLD, 7)
    text = run_log(*confs(node), "audit")
    assert "total 100 = 83 left + 0 held + 10 sold + 7 foreign\n" in text


def test_set_by_hand(site, tail):
    """A change by hand is journaled as an act without an origin, which every command accepts."""
    redis = site.redis()
    node = site.node(redis=redis, events={"ticket": {"total": 100}})
    sell(site, node, 3)
    follower = tail(*confs(node), "tail")
    redis.client.hset(spike.HASH, spike.TOTAL, 90)
    spike.wait("the act to be journaled", lambda: re.search(
        r"^  act +20\d\d-.*Z open, total 90, version 1, by somebody unknown$",
        run_log(*confs(node), "stat"), re.MULTILINE))
    sell(site, node, 2)
    spike.wait("the sales in the output", lambda: len(follower.rows()) == 2)
    assert follower.end() == 0
    rows = rows_of(run_log(*confs(node), "export"))
    assert len(rows) == 5 and rows[3:] == follower.rows()
    assert len(run_log(*confs(node), "export", "-f", "json", "--changes").splitlines()) == 5
    assert "acts: event ticket: open, total 90, version 1, " in audit(node)


def test_audit_finds_another_sale(site):
    """A journal of another sale beside Redis, or beside another journal, is a breach."""
    redis = site.redis()
    node = site.node(1, redis=redis)
    other = site.node(2)
    sell(site, other, 1)
    text = run_log(*confs(node, other), "audit", code=1)
    assert "BREACH sale: event ticket: 1 of 2 journals are of another sale\n" in text
    assert node.term() == 0
    redis.client.hset(spike.HASH, "sale", "0" * 32)
    text = run_log(*confs(node), "audit", code=1)
    assert "BREACH sale: event ticket: Redis holds sale 00000000" in text


def test_audit_finds_a_copy(site):
    """A journal and its copy hold the same order ids: a breach of P4."""
    node = site.node()
    sell(site, node, 10)
    assert node.term() == 0
    copy = site.node(name="copy", start=False)
    copy.journal.mkdir()
    for name in ("data.mdb", "lock"):
        (copy.journal / name).write_bytes((node.journal / name).read_bytes())
    text = run_log(*confs(node, copy), "audit", code=1)
    assert "hold the same order ids of node 1\n" in text


# -- orders that are held, with keys and buyers


HELD = {"ticket": {"total": 10, "hold": "3s", "limit": 4, "max-order": 4}}


def every_fate(node):
    """An order of each fate: {fate: (order, state, how many changes)}. All tickets are gone."""
    def order(name, n=1):
        answer = orders.buy(node, key=f"k-{name}", buyer=f"b-{name}", n=n)
        assert answer.code == 1, answer
        return answer.data["order"]

    fates = {name: order(name) for name in ("paid", "cancelled", "expired", "late", "refused")}
    assert orders.pay(node, fates["paid"]).code == 1
    assert orders.cancel(node, fates["cancelled"]).code == 1
    spike.wait("the holds to end", lambda: orders.state_of(node, fates["refused"]) == "expired")
    assert orders.pay(node, fates["late"]).code == 1
    for name, n in (("more", 4), ("rest", 4)):
        assert orders.pay(node, order(name, n)).code == 1
    assert orders.pay(node, fates["refused"]).code == -7
    states = {"paid": ("sold", 2), "cancelled": ("cancelled", 2), "expired": ("expired", 2),
              "late": ("sold", 3), "refused": ("expired", 2)}
    return {name: (fates[name], *states[name]) for name in fates}


def check_refused(node, row, changes):
    """--refused lists the order as it is, with the record and the time of the refusal."""
    refused, = rows_of(run_log(*confs(node), "export", "--refused"))
    assert {**refused, "seq": row["seq"], "time_ms": row["time_ms"]} == row
    assert refused["state"] == "expired"
    assert int(refused["seq"]) not in {int(change["seq"]) for change in changes}
    assert int(refused["time_ms"]) > int(row["time_ms"])
    line, = run_log(*confs(node), "export", "--refused", "-f", "json").splitlines()
    assert {k: str(v) for k, v in json.loads(line).items()} == refused


@pytest.mark.parametrize("standalone", [False, True], ids=["redis", "standalone"])
def test_every_fate(site, standalone):
    """Orders of each fate in export, stat and audit, beside the server and after it."""
    redis = None if standalone else site.redis()
    node = site.node(redis=redis, events=HELD)
    fates = every_fate(node)
    for beside in (True, False):
        rows = {row["order"]: row for row in rows_of(run_log(*confs(node), "export"))}
        changes = rows_of(run_log(*confs(node), "export", "--changes"))
        assert len(rows) == 7
        for name, (order, state, count) in fates.items():
            row, own = rows[order], [c for c in changes if c["order"] == order]
            assert (row["state"], row["buyer"], row["key"]) == (state, f"b-{name}", f"k-{name}")
            assert len(own) == count and own[0]["state"] == "held" and own[0]["seq"] == row["seq"]
            assert (own[-1]["state"], own[-1]["time_ms"]) == (state, row["time_ms"])
            assert {(c["buyer"], c["key"], c["pay_by"]) for c in own} == {
                (row["buyer"], row["key"], row["pay_by"])}
        check_refused(node, rows[fates["refused"][0]], changes)
        text = run_log(*confs(node), "stat")
        assert "\n  sold      4\n  cancelled 1\n  expired   2\n" in text
        assert "\n  late      1 sold again, 1 refused, to be refunded: export --refused lists them\n" in text
        text = run_log(*confs(node), "audit")
        assert ("7 orders: 0 held, 4 sold, 1 cancelled, 2 expired; paid late: 1 sold again, "
                "1 refused\n") in text
        assert "limit: event ticket: 7 buyers, none with more than 4\n" in text
        assert "7 order ids, none twice; 7 keys, one order each\n" in text
        assert "BREACH" not in text
        if beside:
            assert node.term() == 0
    if not standalone:
        assert "total 10 = 0 left + 0 held + 10 sold + 0 foreign\n" in text
        assert "P4 redis: event ticket: 7 settled keys, each with its mark and order, live or " in text
        assert "P3 redis: event ticket: 4 buyers, each counted as the journals say\n" in text
        assert f"{len(changes)} settled changes, each exactly once, each node's in order\n" in text


def test_acts_in_stat(site):
    """stat lists each pause, restock and close with its time, node and origin."""
    redis = site.redis()
    nodes = two_nodes(site, redis)
    for what, more in (("pause", {}), ("resume", {}), ("restock", {"total": 12000}), ("close", {})):
        assert orders.act(nodes[0], what, **more).code == 1
    expected = [r"paused, total 10000", r"open, total 10000", r"open, total 12000",
                r"closed, total 12000"]

    def acts(node):
        return re.findall(r"^  act  +(.*)$", run_log(*confs(node), "stat"), re.MULTILINE)

    spike.wait("the last act to be known", lambda: "closed" in " ".join(acts(nodes[1])))
    for line, words in zip(acts(nodes[0]), expected):
        assert re.fullmatch(r"20\d\d-.*Z " + words + r", version \d+, by node 1, from 127\.0\.0\.1"
                            r":\d+", line), line
    assert len(acts(nodes[0])) == len(expected)
    assert acts(nodes[1])[-1] == acts(nodes[0])[-1]


def test_audit_under_holds(site):
    """Buyers with keys hold, pay, cancel or let holds expire on two nodes: every audit meanwhile is
    clean."""
    redis = site.redis()
    events = {"ticket": {"total": 300, "hold": "200ms", "limit": 3}}
    nodes = orders.two_nodes(site, redis, events=events)
    over = threading.Event()

    def buyer(caller, i):
        for attempt in range(10**6):
            if over.is_set():
                return True
            node = nodes[(i + attempt) % 2]
            answer = caller.buy(node, key=f"{i}-{attempt}", buyer=f"b{i % 7}")
            if answer.code != 1 or attempt % 3 == 0:
                continue
            (caller.pay if attempt % 9 == 1 else caller.cancel)(node, answer.data["order"])
        return True

    crowd = orders.Crowd(12, buyer)
    try:
        for _ in range(8):
            assert run_log(*confs(*nodes), "audit").endswith("no breach\n")
    finally:
        over.set()
        crowd.join()
    spike.wait("the holds to end", lambda: all(n.event_stats()["node_held"] == 0 for n in nodes))
    spike.wait("nothing open", lambda: "open:" not in run_log(*confs(*nodes), "audit"))
    text = run_log(*confs(*nodes), "audit")
    for words in ("live or ended as that is", "each counted as the journals say",
                  "each exactly once", "none with more than 3"):
        assert words in text, text


def settled_orders(site):
    """(node, the client of its Redis) after orders of each fate, at rest."""
    redis = site.redis()
    node = site.node(redis=redis, events=HELD)
    every_fate(node)
    assert node.term() == 0
    assert "open:" not in run_log(*confs(node), "audit")
    return node, redis.client


@pytest.fixture(scope="module")
def settled(shared_site):
    """The same, shared by several tests: (node, client, dumps of all keys, and a client for raw
    bytes)."""
    node, client = settled_orders(shared_site)
    raw = spike.redis_client.Redis(unix_socket_path=shared_site.started[0].socket)
    return node, client, {key: raw.dump(key) for key in raw.keys()}, raw


@pytest.fixture
def unchanged(settled):
    """(node, client); after the test all keys are restored."""
    node, client, dump, raw = settled
    yield node, client
    raw.delete(*raw.keys())
    for key, was in dump.items():
        raw.restore(key, 0, was)


def value(client, key, old, new):
    """Changes an idempotency key's value in Redis."""
    was = client.hget(REQUESTS, key)
    assert re.search(old, was), was
    client.hset(REQUESTS, key, re.sub(old, new, was, count=1))


@pytest.mark.parametrize("change, expected", [
    (lambda c: c.hdel(REQUESTS, "k-paid"), "P4 redis: event ticket: 1 settled key not in Redis"),
    (lambda c: value(c, "k-paid", "0001:", "0002:"), "1 settled key not in Redis, or there with"),
    (lambda c: value(c, "k-paid", "b-paid$", "b-late"),
     "1 settled key not in Redis, or there with"),
    (lambda c: value(c, "k-late", "^l", "e"), "1 settled key live there though"),
    (lambda c: value(c, "k-refused", "^e", "l"), "1 settled key live there though"),
    (lambda c: c.hset(REQUESTS, "k-more-", "l0001-000000000001:1:0:"), "1 key of no order"),
    (lambda c: c.lset(GRANTS, 2, b"12345678"), "1 settled key without a mark"),
    (lambda c: c.hincrby(BUYERS, "b-late", 1), "1 buyer not counted as the journals say"),
    (lambda c: c.hdel(BUYERS, "b-paid"), "1 buyer not counted as the journals say"),
    (lambda c: c.hset(BUYERS, "b-expired", 1), "1 buyer not counted as the journals say"),
    (lambda c: c.hset(BUYERS, "b-unknown", 1), "1 buyer not counted as the journals say"),
])
def test_audit_finds_changed_names(unchanged, change, expected):
    """One changed key, buyer or key hash is a breach, for nothing would repair it."""
    node, client = unchanged
    change(client)
    text = run_log(*confs(node), "audit", code=1)
    assert expected in text and text.count("BREACH") == 1


@pytest.mark.parametrize("key", [REQUESTS, BUYERS, GRANTS])
def test_audit_of_lost_names(site, key):
    """A whole key that is lost is settled again by the next attach, and reported as open until
    then."""
    node, client = settled_orders(site)
    client.delete(key)
    assert "open: event ticket: Redis has lost keys, buyers or marks" in run_log(
        *confs(node), "audit")
    node.start()
    spike.wait("nothing open", lambda: "open:" not in run_log(*confs(node), "audit"))
    text = run_log(*confs(node), "audit")
    assert "7 settled keys, each with its mark and order, live or ended as that is\n" in text
    assert "4 buyers, each counted as the journals say\n" in text


def test_audit_finds_what_was_above_the_limit(site):
    """More tickets than the configurations' limit is a breach, also if an older configuration
    allowed them."""
    node = site.node(events={"ticket": {"total": 10}})
    for _ in range(3):
        assert orders.buy(node, buyer="ann").code == 1
    assert node.term() == 0
    node.conf.write_text(node.conf.read_text().replace("total 10;", "total 10; limit 2;"))
    text = run_log(*confs(node), "audit", code=1)
    assert "BREACH limit: event ticket: node 1: 1 time a buyer was given more than 2; record " in text
    assert "BREACH limit: event ticket: 1 of 1 buyers with more than 2, up to 3\n" in text


# -- trouble


@pytest.mark.parametrize("command", ["export", "audit", "stat", "tail"])
def test_damage_is_exit_2(site, command):
    """A damaged, cut or missing journal: exit 2, a line that names it, never a crash."""
    node = site.node()
    sell(site, node, 50)
    assert node.term() == 0
    data = node.journal / "data.mdb"
    good = data.read_bytes()
    used = good.rstrip(b"\0")  # the file is written ahead
    for broken in (used[:len(used) // 2], good[:8192] + bytes(len(good) - 8192), b"x" * len(good)):
        data.write_bytes(broken)
        assert str(node.journal) in run_log(*confs(node), command, code=2)
    data.unlink()
    assert "it held a journal" in run_log(*confs(node), command, code=2)
    (node.journal / "lock").unlink()
    assert "there is no journal yet" in run_log(*confs(node), command, code=2)


def test_wrong_usage_is_exit_2(site):
    """A wrong argument ends with the usage on standard error."""
    node = site.node()
    conf = confs(node)
    for words in ([], ["export"], conf, [*conf, "exprot"], [*conf, "export", "audit"],
                  [*conf, "stat", "--refused"], [*conf, "export", "--changes", "--refused"],
                  [*conf, "export", "-f", "xml"], [*conf, "audit", "--changes"],
                  [*conf, "stat", "-f", "csv"], [*conf, "audit", "-n", "1"],
                  [*conf, "tail", "-n", "-1"], [*conf, "tail", "-n", "x"], [*conf, "export", "-q"]):
        assert "usage: spike-log" in run_log(*words, code=2)
    assert "was named before" in run_log(*conf, *conf, "stat", code=2)
    assert "missing" in run_log("-c", site.dir / "missing", "stat", code=2)
    assert run_log("-V").startswith("spike-log ")
    assert run_log("-h").startswith("usage: spike-log -c FILE")
