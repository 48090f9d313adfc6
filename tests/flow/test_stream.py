"""Why: other programs learn the state of every order from the stream. It must have each change,
once, in the order of the changes, whatever dies meanwhile.

SPIKE_STREAM=50000 makes it as many orders.
"""

import collections
import os
import threading
import time

import redis as redis_client

import orders
import spike
import spikelog
from faults import Faults

ORDERS = int(os.environ.get("SPIKE_STREAM", "5000"))
STREAM, GROUP = "{ticket_hash_key}:orders", "shop"
SAME = ("seq", "time_ms", "order", "event", "state", "n")


class Consumer:
    """A downstream service: reads with a consumer group, stores, acknowledges. After a broken
    connection it first reads its unacknowledged entries again; it recognizes stored ones by the
    entry's id."""

    def __init__(self, redis):
        self.redis, self.entries = redis, {}
        self.stopping, self.failed = False, None
        redis.client.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
        self.thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *exception):
        self.stopping = True
        self.thread.join()
        assert not self.failed, f"the consumer broke: {self.failed!r}"

    def _run(self):
        start = "0"
        while not self.stopping:
            try:
                start = self._read(start)
            except (redis_client.ConnectionError, redis_client.TimeoutError,
                    redis_client.BusyLoadingError):
                start = "0"
                time.sleep(0.02)  # Redis is away
            except Exception as failed:  # the end of the `with` reports it
                self.failed = failed
                return

    def _read(self, start):
        client = self.redis.client
        found = client.xreadgroup(GROUP, "one", {STREAM: start}, count=100, block=50)
        entries = found[0][1] if found else []
        for entry, fields in entries:
            assert self.entries.setdefault(entry, fields) == fields
        if entries:
            client.xack(STREAM, GROUP, *(entry for entry, _ in entries))
        return ">" if start == ">" or not entries else "0"

    def of(self, number):
        """The entries of node `number`, in the order of the stream."""
        def stream_id(entry):
            return tuple(map(int, entry.split("-")))

        return [self.entries[entry] for entry in sorted(self.entries, key=stream_id)
                if self.entries[entry]["node"] == str(number)]


def wait_for(consumer, number, missing):
    """Waits until the consumer has the missing entries, named by their seq."""

    def have_come():
        missing.difference_update(e["seq"] for e in consumer.of(number))
        return not missing

    try:
        spike.wait("the stream", have_come, step=0.1)
    except AssertionError:
        raise AssertionError(f"{len(missing)} changes of node {number} are not in the stream, as "
                             f"{sorted(missing, key=int)[:5]}") from None


def check(consumer, nodes):
    """The consumer has each change of the journals once, in the journal's order."""
    states = collections.Counter()
    for node in nodes:
        wanted = spikelog.changes(node)
        wait_for(consumer, node.number, {row["seq"] for row in wanted})
        entries = consumer.of(node.number)
        assert [e["seq"] for e in entries] == [row["seq"] for row in wanted]
        assert [[e[name] for name in SAME] for e in entries] == [
            [row[name] for name in SAME] for row in wanted]
        buyers = {row["order"]: row["buyer"] for row in wanted if row["buyer"]}
        assert all(e["buyer"] == buyers.get(e["order"], "") for e in entries)
        states.update(e["state"] for e in entries)
    return states


def shopper(nodes):
    """One buyer: buys, and then pays, pays late, cancels, or lets the hold end."""

    def work(caller, i):
        data = caller.buy(nodes[i % 2], key=f"k{i}", n=1 + i % 3, buyer=f"b{i}")
        if data.code == -8:
            return "ended"  # the answer was lost, and the hold ended before the retry
        order = data.data["order"]
        node = orders.node_of(nodes, order)
        if i % 4 < 2:
            return f"paid {caller.pay(node, order).code}"
        if i % 4 == 2:
            return f"cancelled {caller.cancel(node, order).code}"
        return "not paid"

    return work


def test_each_change_once(site):
    """Orders held, paid, cancelled and expired, while two nodes and Redis are killed in between."""
    redis = site.redis(persistence="always")
    events = {"ticket": {"total": 3 * ORDERS, "hold": "1s"}}
    nodes = orders.two_nodes(site, redis, events=events)
    with Consumer(redis) as consumer:
        began = time.monotonic()
        crowd = orders.Crowd(ORDERS, shopper(nodes), threads=16)

        def rest():
            wanted = min(ORDERS, crowd.done() + site.random.randrange(ORDERS // 6))
            spike.wait("the sale to go on", lambda: crowd.done() >= wanted)

        Faults(site, redis, nodes).run(lambda: crowd.done() < ORDERS, rest)
        print(collections.Counter(crowd.join()), f"{time.monotonic() - began:.1f} s")
        spike.wait("all holds to end", lambda: not any(n.event_stats()["node_held"] for n in nodes))
        spikelog.audit(*nodes)
        states = check(consumer, nodes)
        print(f"{states}, {len(consumer.entries)} entries")
        assert len(consumer.entries) == sum(states.values()), "more entries than changes"
        assert states["held"] >= ORDERS * 0.99 and min(states.values()) > ORDERS * 0.1
    assert redis.client.xpending(STREAM, GROUP)["pending"] == 0


def test_changes_during_an_outage_are_streamed_later(site):
    """Changes while Redis is away, also across restarts, are streamed in order when it is back."""
    redis = site.redis(persistence="always")
    node = site.node(redis=redis, events={"ticket": {"total": 2000, "hold": "5m"}})
    with Consumer(redis) as consumer:
        with orders.Sampler(redis, [1]):
            held = [answer.data["order"] for answer in orders.Crowd(
                600, lambda caller, i: caller.buy(node, buyer=f"b{i}"), threads=8).join()]
            for part in (held[:300], held[300:]):
                redis.kill()
                done = orders.Crowd(300, lambda caller, i, part=part: (
                    caller.pay if i % 2 else caller.cancel)(node, part[i]).code, threads=8).join()
                assert set(done) == {1}
                node.kill9()
                node.start(healthy=False)
                # The node is not attached: its journal may be a copy.
                assert orders.pay_once(node, held[-1]).code == -6
                redis.start()
                node.wait_healthy()
            spike.wait("the sums", lambda: orders.sample(redis, [1])["1:sold"] == 300)
        assert check(consumer, [node]) == {"held": 600, "sold": 300, "cancelled": 300}
    assert redis.figure() == 300
    spikelog.audit(node)


def test_late_payment_and_sold_outright(site):
    """With hold 0 an order has one change; a late payment is a change of its own, a refusal is
    none."""
    redis = site.redis()
    events = {"ticket": {"total": 2, "hold": "2s"}, "seat": {"total": 5}}
    node = site.node(redis=redis, events=events)
    with Consumer(redis) as consumer:
        late = orders.buy(node, buyer="ann").data["order"]
        lost = orders.buy(node, buyer="bob").data["order"]
        for order in (late, lost):
            spike.wait("the hold to end", lambda o=order: orders.state_of(node, o) == "expired")
        assert orders.pay(node, late).code == 1
        last = orders.buy(node, buyer="cid").data["order"]
        assert orders.pay(node, last).code == 1
        assert orders.pay(node, lost).code == -7
        spike.wait("the stream", lambda: len(consumer.of(1)) == 7)
        changes = [(e["order"], e["state"], e["buyer"]) for e in consumer.of(1)]
    assert changes == [(late, "held", "ann"), (lost, "held", "bob"), (late, "expired", "ann"),
                       (lost, "expired", "bob"), (late, "sold", "ann"), (last, "held", "cid"),
                       (last, "sold", "cid")]
    seat = orders.buy(node, "seat").data["order"]
    spike.wait("the other event's stream", lambda: redis.client.xlen("{seat_hash_key}:orders") == 1)
    ((_, entry),) = redis.client.xrange("{seat_hash_key}:orders")
    assert list(entry) == ["node", "seq", "order", "event", "state", "n", "buyer", "time_ms"]
    assert (entry["order"], entry["event"], entry["state"], entry["buyer"]) == (
        seat, "seat", "sold", "")
    spikelog.audit(node)


def test_a_lost_stream_is_written_again(site):
    """After a loss of Redis the new stream has every change, each once, known by (node, seq)."""
    redis = site.redis()
    nodes = orders.two_nodes(site, redis, events={"ticket": {"total": 500, "hold": "5m"}})
    orders.Crowd(200, shopper(nodes), threads=8).join()
    redis.restart_empty()
    for node in nodes:
        node.wait_healthy()
    spikelog.audit(*nodes)
    with Consumer(redis) as consumer:
        states = check(consumer, nodes)
        assert states["held"] == 200 and len(consumer.entries) == sum(states.values())


def test_a_surviving_stream_is_not_written_again(site):
    """Redis loses keys or fields beside the stream: they are settled again, and no change is
    streamed twice. (A loss of the whole hash loses the streamed position; then (node, seq) shows
    repeats.)"""
    redis = site.redis()
    nodes = orders.two_nodes(site, redis, events={"ticket": {"total": 500, "hold": "5m"}})
    with Consumer(redis) as consumer:
        orders.Crowd(100, shopper(nodes), threads=8).join()
        keys = [key for key in redis.client.keys("{*") if key != STREAM]
        assert len(keys) >= 3
        losses = [lambda key=key: redis.client.delete(key) for key in keys]
        losses += [lambda field=field: redis.client.hdel(spike.HASH, field)
                   for field in ("sale", "1:pos", "2:held", "known")]
        for i, lose in enumerate(losses):
            revision = redis.figure("turn")
            lose()
            spike.wait("the repair", lambda revision=revision: redis.figure("turn") > revision + 2)
            assert orders.buy(nodes[i % 2], key=f"after-{i}").code == 1
        spikelog.audit(*nodes)
        states = check(consumer, nodes)
        assert len(consumer.entries) == sum(states.values())
