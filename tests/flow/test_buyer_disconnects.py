"""Why: a buyer who disconnects before the answer cannot know of the order. Without a key it is
cancelled, and tickets and limit come back; with a key it stands, because the buyer will retry (P3,
P4)."""

import pytest

import orders
import spike
import spikelog

HOLD = {"total": 10, "hold": "5m", "limit": 2}


def reset_before_answer(site, redis, path, **event):
    """A node whose buyer was granted an order and reset the connection before the answer. (A
    connection that is only half closed may still be read: it is answered.)"""
    proxy = site.proxy(redis)
    node = site.node(redis=proxy, events={"ticket": {**HOLD, **event}})
    proxy.hold_replies()
    wire = spike.Wire(node.address)
    wire.send(spike.request("GET", path))
    spike.wait("the order to be deducted", lambda: redis.figure() == 2)
    wire.reset()
    spike.wait("the reset to be seen", lambda: node.stats()["http"]["connections"] == 0)
    proxy.release_replies()
    return node


@pytest.mark.parametrize("hold", ["5m", "0"])
def test_without_a_key(site, hold):
    """The order is cancelled, whether held or sold outright: all is as before the request."""
    redis = site.redis()
    node = reset_before_answer(site, redis, "/buy/ticket?buyer=ann&n=2", hold=hold)
    spike.wait("the tickets to come back", lambda: redis.figure() == 0)
    assert orders.buy_until(node, buyer="ann", n=2).data["n"] == 2, "the limit came back too"
    assert orders.buy(node, buyer="ann").code == -5
    first = "held" if hold != "0" else "sold"
    states = [(r["kind"], r["state"]) for r in node.records() if "order" in r]
    assert states == [("grant", first), ("change", "cancelled"), ("grant", first)]
    assert node.stock()["sold"] == 2
    spikelog.audit(node)


def test_with_a_key(site):
    """The order stands: a retry with the key returns it, and it can be paid."""
    redis = site.redis()
    node = reset_before_answer(site, redis, "/buy/ticket?buyer=ann&n=2&key=k")
    data = orders.buy_until(node, buyer="ann", n=2, key="k").data
    assert node.stock()["sold"] == 2
    assert orders.buy(node, buyer="ann").code == -5
    assert orders.state_of(node, data["order"]) == "held"
    assert orders.pay(node, data["order"]).code == 1
    assert [r["kind"] for r in node.records() if "order" in r] == ["grant", "change"]
    spikelog.audit(node)


def test_many_disconnect(site):
    """Every second buyer of a crowd disconnects at once: the orders that stay were answered or have
    a key."""
    redis = site.redis()
    node = site.node(redis=redis, events={"ticket": {"total": 5000, "hold": "5m"}})

    def work(caller, i):
        path = orders.buy_path(buyer=f"b{i}", **({"key": f"k{i}"} if i % 4 == 1 else {}))
        if i % 2 == 0:
            return caller.fetch(node.address, "GET", path).data["order"]
        wire = spike.Wire(node.address)
        wire.send_and_reset(spike.request("GET", path))
        return "gone"

    answered = [order for order in orders.Crowd(800, work, threads=8).join() if order != "gone"]
    # A request whose connection was reset before it was read is no request.
    spike.wait("unanswered orders without a key to be cancelled", lambda: all(
        r["order"] in answered or r["key"] for r in live(node)))
    spike.wait("the sums", lambda: redis.figure() == len(node.orders()))
    assert not set(answered) - node.orders().keys()
    spikelog.audit(node)


def live(node):
    last = {r["order"]: r for r in node.records() if "order" in r}
    return [r for r in last.values() if r["state"] != "cancelled"]


def test_cancel_whose_answer_is_lost(site):
    """A cancel that was under way when its buyer disconnected is done, or not; a repeat does it."""
    node = site.node(redis=site.redis(), events={"ticket": {"total": 10, "hold": "5m"}})
    order = orders.buy(node).data["order"]
    wire = spike.Wire(node.address)
    wire.send(spike.request("POST", f"/order/{order}/cancel"))
    wire.reset()
    assert orders.cancel(node, order).data["state"] == "cancelled"
    spike.wait("the ticket", lambda: node.stock()["left"] == 10)
    assert len([r for r in node.records() if r["kind"] == "change"]) == 1
