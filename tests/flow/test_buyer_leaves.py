"""Why: a buyer who is gone before his answer cannot know of his order. Without a key it is cancelled,
and tickets and limit come back; with a key it stands, because he will ask again (P3, P4)."""

import pytest

import orders
import spike
import spikelog

HOLD = {"total": 10, "hold": "5m", "limit": 2}


def leave(site, redis, path, **event):
    """A node whose buyer was granted an order and hung up before he could be told. (Who only closes
    may still be reading, for all the server knows: he is told.)"""
    proxy = site.proxy(redis)
    node = site.node(redis=proxy, events={"ticket": {**HOLD, **event}})
    proxy.hold_replies()
    wire = spike.Wire(node.address)
    wire.send(spike.request("GET", path))
    spike.wait("the order to be deducted", lambda: redis.figure() == 2)
    wire.reset()
    spike.wait("it to be seen", lambda: node.stats()["http"]["connections"] == 0)
    proxy.release_replies()
    return node


@pytest.mark.parametrize("hold", ["5m", "0"])
def test_without_a_key(site, hold):
    """The order is cancelled, held or sold outright: all is as if he had never come."""
    redis = site.redis()
    node = leave(site, redis, "/buy/ticket?buyer=ann&n=2", hold=hold)
    spike.wait("the tickets to come back", lambda: redis.figure() == 0)
    assert orders.buy_until(node, buyer="ann", n=2).data["n"] == 2, "the limit came back too"
    assert orders.buy(node, buyer="ann").code == -5
    first = "held" if hold != "0" else "sold"
    told = [(r["kind"], r["state"]) for r in node.records() if "order" in r]
    assert told == [("grant", first), ("change", "cancelled"), ("grant", first)]
    assert node.stock()["sold"] == 2
    spikelog.audit(node)


def test_with_a_key(site):
    """The order stands: he asks again with his key and gets it; then he may pay."""
    redis = site.redis()
    node = leave(site, redis, "/buy/ticket?buyer=ann&n=2&key=k")
    data = orders.buy_until(node, buyer="ann", n=2, key="k").data
    assert node.stock()["sold"] == 2
    assert orders.buy(node, buyer="ann").code == -5
    assert orders.state_of(node, data["order"]) == "held"
    assert orders.pay(node, data["order"]).code == 1
    assert [r["kind"] for r in node.records() if "order" in r] == ["grant", "change"]
    spikelog.audit(node)


def test_many_leave(site):
    """A crowd of which every second buyer leaves at once: what stays is what was told or has a key."""
    redis = site.redis()
    node = site.node(redis=redis, events={"ticket": {"total": 5000, "hold": "5m"}})

    def work(caller, i):
        path = orders.buy_path(buyer=f"b{i}", **({"key": f"k{i}"} if i % 4 == 1 else {}))
        if i % 2 == 0:
            return caller.fetch(node.address, "GET", path).data["order"]
        wire = spike.Wire(node.address)
        wire.send_and_reset(spike.request("GET", path))
        return "left"

    told = [order for order in orders.Crowd(800, work, threads=8).join() if order != "left"]
    # A request whose connection was reset before it was read is no request.
    spike.wait("nobody without a key", lambda: all(
        r["order"] in told or r["key"] for r in live(node)))
    spike.wait("the sums", lambda: redis.figure() == len(node.orders()))
    assert not set(told) - node.orders().keys()
    spikelog.audit(node)


def live(node):
    last = {r["order"]: r for r in node.records() if "order" in r}
    return [r for r in last.values() if r["state"] != "cancelled"]


def test_cancel_whose_answer_is_lost(site):
    """A cancel that was under way when its buyer left is done, or not; asked again it is done."""
    node = site.node(redis=site.redis(), events={"ticket": {"total": 10, "hold": "5m"}})
    order = orders.buy(node).data["order"]
    wire = spike.Wire(node.address)
    wire.send(spike.request("POST", f"/order/{order}/cancel"))
    wire.reset()
    assert orders.cancel(node, order).data["state"] == "cancelled"
    spike.wait("the ticket", lambda: node.stock()["left"] == 10)
    assert len([r for r in node.records() if r["kind"] == "change"]) == 1
