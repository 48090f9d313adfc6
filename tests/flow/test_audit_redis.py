"""Why: an audit that overlooks what Redis has lost, or what was changed there by hand, is worse
than none: here each such fault is made in a sale at rest, and the audit must name it."""

import re

import pytest

import orders
import spike
from spikelog import confs, run_log

ORDERS, NODES = (f"{{ticket_hash_key}}:{name}" for name in ("orders", "nodes"))


def sell(site, node, count):
    load = site.load(node, connections=10, requests=count).join()
    assert load.codes == {1: count}


@pytest.fixture
def ten(site):
    """(node, the client of its Redis) after ten sales, at rest."""
    redis = site.redis()
    node = site.node(redis=redis, events={"ticket": {"total": 100}})
    sell(site, node, 10)
    spike.wait("all to be settled",
               lambda: "stream: event ticket: 10 settled changes, each exactly "
               "once" in run_log(*confs(node), "audit"))
    assert node.term() == 0
    return node, redis.client


@pytest.mark.parametrize("field, by, expected", [
    ("1:sold", 1, "BREACH P3 redis: event ticket: node 1: up to record"),
    ("1:gone", -1, "BREACH P3 redis: event ticket: ours is 10, the nodes' gone add up to 9"),
    ("ours", 1, "BREACH P3 redis: event ticket: ours is 11, the nodes' gone add up to 10"),
    ("1:pos", 1000, "BREACH P2 redis: event ticket: node 1: settled up to record"),
    (spike.SOLD, -1, "BREACH P3 redis: event ticket: 9 gone, of which 10 are ours"),
    (spike.TOTAL, -95, None),  # the journal still knows a total of 100
])
def test_audit_finds_a_changed_hash(ten, field, by, expected):
    """A change of any of spike's fields is a breach, and the line names the field."""
    node, client = ten
    run_log(*confs(node), "audit")
    client.hincrby(spike.HASH, field, by)
    text = run_log(*confs(node), "audit", code=1)
    assert (expected or "BREACH P1 redis: event ticket: 10 tickets of ours are gone, of 5") in text


def test_audit_reads_the_stream(ten):
    """An entry that contradicts the journal, or is not in its order, is a breach."""
    node, client = ten
    entries = client.xrange(ORDERS)
    for change in ({"n": "2"}, {"seq": "99999"}, {"order": entries[6][1]["order"]},
                   {"state": "cancelled"}, {"buyer": "ann"}, {"event": "seat"}):
        entry = client.xadd(ORDERS, {**entries[5][1], **change})
        text = run_log(*confs(node), "audit", code=1)
        assert "BREACH stream: event ticket: the entry of node 1, record" in text
        client.xdel(ORDERS, entry)
    run_log(*confs(node), "audit")
    client.xdel(ORDERS, entries[4][0])
    client.xadd(ORDERS, entries[4][1])  # behind the entries that came after it
    assert "BREACH stream: event ticket: 1 entries are not in order" in run_log(
        *confs(node), "audit", code=1)


def test_audit_of_a_trimmed_stream(ten):
    """Entries missing at the head may have been trimmed; a gap behind the head is a loss."""
    node, client = ten
    client.xtrim(ORDERS, maxlen=6, approximate=False)
    assert ("open: event ticket: of 10 settled changes 4 are not in the stream and 0 are in it again; "
            "it was trimmed\n") in run_log(*confs(node), "audit")
    entries = client.xrange(ORDERS)
    for lost, expected in ((entries[2:3], "1 settled change is"),
                           (entries[-1:], "2 settled changes are")):
        client.xdel(ORDERS, *(entry for entry, _ in lost))
        text = run_log(*confs(node), "audit", code=1)
        assert (f"BREACH stream: event ticket: node 1: {expected} missing behind one that is there, the "
                f"first of them record {entries[2][1]['seq']}\n") in text
        assert text.count("BREACH") == 1 and "4 are not in the stream" in text
    client.xtrim(ORDERS, maxlen=0, approximate=False)
    assert "10 are not in the stream and 0" in run_log(*confs(node), "audit")


def test_audit_of_doubled_entries(ten):
    """A change that is streamed twice is a breach, unless Redis shows that it had lost the streamed
    sequence number."""
    node, client = ten
    client.xadd(ORDERS, client.xrange(ORDERS)[3][1])
    expected = "BREACH stream: event ticket: node 1: 1 settled change is in it again, and Redis has lost "
    assert expected + "nothing\n" in run_log(*confs(node), "audit", code=1)
    streamed = client.hget(NODES, "told:1")
    for change in (lambda: client.hdel(NODES, "told:1"), lambda: client.hset(NODES, "told:1", 3),
                   lambda: client.hdel(spike.HASH, "1:rebuild")):
        was = client.hget(spike.HASH, "1:rebuild")
        change()
        assert "0 are not in the stream and 1 are in it again" in run_log(*confs(node), "audit")
        client.hset(NODES, "told:1", streamed)
        client.hset(spike.HASH, "1:rebuild", was)
    assert expected in run_log(*confs(node), "audit", code=1)


def paused(site):
    """(node, the client of its Redis) after a pause, at rest, audited."""
    redis = site.redis()
    node = site.node(redis=redis)
    assert orders.act(node, "pause").code == 1
    assert node.term() == 0
    text = run_log(*confs(node), "audit")
    assert "\nacts: event ticket: paused, total 10000, version 2, known to 1 of 1 journal\n" in text
    assert "open:" not in text
    return node, redis.client


@pytest.mark.parametrize("fields, code, expected", [
    ({"version": 1, "state": "open"}, 1,
     "BREACH acts: event ticket: the hash is open, version 1, the "
     "journal of node 1 knows version 2; acts were lost"),
    ({"version": 1, "aside": 10000}, 0, "in repair: the hash is paused, version 1, the journal"),
    ({"version": 1, "run": "0" * 40}, 0, "Redis was started again and has lost acts: the hash is"),
    ({"state": "open"}, 0, "Redis says open, total 10000, a journal of the same version paused, "
     "total 10000; somebody set it by hand"),
    ({spike.TOTAL: 9000}, 0, "Redis says paused, total 9000, a journal of the same version"),
    ({"version": 3, "state": "closed"}, 0, "closed, total 10000, version 3 is in no journal yet"),
    ({"state": ""}, 0, "the hash has lost its version or state"),
])
def test_audit_of_acts(site, fields, code, expected):
    """A hash older than a journal has lost acts: a breach, unless it is being repaired."""
    node, client = paused(site)
    client.hset(spike.HASH, mapping=fields)
    text = run_log(*confs(node), "audit", code=code)
    assert ("open: event ticket: " if code == 0 else "") + expected in text
    assert text.count("BREACH") == code


def test_audit_finds_lost_acts(site):
    """Two nodes have journaled different acts of one version: Redis has lost one of them."""
    redis = site.redis()
    nodes = orders.two_nodes(site, redis)
    assert nodes[1].term() == 0
    assert orders.act(nodes[0], "pause").code == 1
    assert nodes[0].term() == 0
    redis.client.hset(spike.HASH, mapping={"version": 1, "state": "open"})
    nodes[1].start()
    assert orders.act(nodes[1], "restock", total=12000).code == 1
    text = run_log(*confs(*nodes), "audit", code=1)
    assert ("BREACH acts: event ticket: of version 2 node 1 says paused, total 10000, and node 2 "
            "open, total 12000; acts were lost\n") in text


def test_audit_finds_sales_after_the_close(site):
    """Closed is final: sales after an opening by hand are a breach."""
    redis = site.redis()
    node = site.node(redis=redis)
    assert orders.act(node, "close").code == 1
    assert orders.buy(node).code == -3
    redis.client.hset(spike.HASH, "state", "open")
    assert orders.buy_until(node).code == 1
    text = run_log(*confs(node), "audit", code=1)
    assert re.search(r"BREACH acts: event ticket: node 1: record \d+ closed the event, and 1 order got "
                     r"tickets after it, the first with record \d+\n", text), text
