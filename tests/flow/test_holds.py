"""Why: a hold is a promise with an end. It ends at its time, whatever has happened to the server,
and the tickets are for sale again: no ticket is stranded, no hold ends early."""

import time

import pytest

import orders
import spike
import spikelog

SHORT = {"ticket": {"total": 5, "hold": "2s"}}


def wall_ms():
    return time.time_ns() // 1000000


def ended_in_time(node, data):
    """By the journal's time, not the client's: the hold ended not before its time, and not long
    after."""
    end, = (r["time_ms"] for r in node.records()
            if r.get("order") == data["order"] and r["kind"] == "change")
    print(f"expired {end - data['pay_by']} ms after its time")
    assert 0 <= end - data["pay_by"] < 1000 * spike.LATE_S * spike.PATIENCE


def is_expired(node, order):
    return orders.state_of(node, order) == "expired"


@pytest.mark.parametrize("standalone", [False, True], ids=["redis", "standalone"])
def test_life_of_an_order(site, standalone):
    """held -> sold, cancelled or expired, as a buyer sees it; a repeated request gets the same
    answer."""
    node = site.node(redis=None if standalone else site.redis(),
                     events={"ticket": {"total": 5, "hold": "3s"}})
    before = wall_ms()
    sold, cancelled, expired = (orders.buy(node, n=n).data for n in (1, 2, 2))
    for data in (sold, cancelled, expired):
        assert before + 3000 <= data["pay_by"] <= wall_ms() + 3000
        answer = orders.get_order(node, data["order"])
        assert (answer.status, answer.code, answer.json["msg"]) == (200, 1, "ok")
        assert answer.data == {"order": data["order"], "event": "ticket", "n": data["n"],
                               "state": "held", "pay_by": data["pay_by"]}
    assert node.event_stats()["node_held"] == 5 and node.stock()["left"] == 0
    for _ in range(3):
        answer = orders.pay(node, sold["order"])
        assert (answer.code, answer.data["state"]) == (1, "sold")
        answer = orders.cancel(node, cancelled["order"])
        assert (answer.code, answer.data["state"]) == (1, "cancelled")
    refused = orders.cancel(node, sold["order"])
    assert (refused.status, refused.code, refused.data) == (409, -409, None)
    spike.wait("the hold to end", lambda: is_expired(node, expired["order"]))
    ended_in_time(node, expired)
    answer = orders.cancel(node, expired["order"])
    assert (answer.code, answer.data["state"]) == (1, "expired")
    assert orders.pay(node, cancelled["order"]).code == -7
    assert [orders.state_of(node, data["order"]) for data in (sold, cancelled, expired)] == [
        "sold", "cancelled", "expired"]
    spike.wait("the stock", lambda: node.stock()["left"] == 4)
    stats = node.event_stats()
    assert (stats["node_held"], stats["node_sold"]) == (0, 1)
    kinds = [(r["kind"], r["state"]) for r in node.records() if "order" in r]
    assert kinds[3:] == [("change", "sold"), ("change", "cancelled"), ("change", "expired")]


@pytest.mark.parametrize("standalone", [False, True], ids=["redis", "standalone"])
def test_down_past_the_deadline(site, standalone):
    """Held, the server down past the end of the hold, started again: expired, returned, sold again."""
    redis = None if standalone else site.redis()
    node = site.node(redis=redis, events=SHORT)
    held = [orders.buy(node, n=2).data for _ in range(2)]
    paid = orders.buy(node).data
    assert orders.pay(node, paid["order"]).code == 1
    node.kill9()
    orders.past(held[-1]["pay_by"])
    node.start()
    for data in held:
        spike.wait("the hold to end", lambda data=data: is_expired(node, data["order"]))
    assert orders.state_of(node, paid["order"]) == "sold"
    again = [orders.buy_until(node, n=2).data for _ in range(2)]
    assert orders.buy(node).code == -1
    for data in again:
        assert orders.pay(node, data["order"]).code == 1
    assert node.stock()["left"] == 0
    if redis:
        spike.wait("all to be settled", lambda: orders.sample(redis, [1])["1:sold"] == 5)
    spikelog.audit(node)


@pytest.mark.parametrize("standalone", [False, True], ids=["redis", "standalone"])
def test_a_restart_does_not_prolong(site, standalone):
    """The journal has the end of a hold as a time of the wall clock: a restart does not move it."""
    node = site.node(redis=None if standalone else site.redis(),
                     events={"ticket": {"total": 5, "hold": "3s"}})
    held = orders.buy(node, n=3).data
    node.kill9()
    node.start()
    assert orders.get_order(node, held["order"]).data["pay_by"] == held["pay_by"]
    assert orders.state_of(node, held["order"]) == "held" or wall_ms() > held["pay_by"]
    spike.wait("the hold to end", lambda: is_expired(node, held["order"]))
    ended_in_time(node, held)


def test_a_shorter_hold_after_a_restart(site):
    """After a restart with a shorter hold new orders end before older ones; each at its own time."""
    redis = site.redis()
    node = site.node(redis=redis, events={"ticket": {"total": 50, "hold": "6s"}})
    old = [orders.buy(node).data for _ in range(6)]
    node.kill9()
    node.conf.write_text(node.conf.read_text().replace("hold 6s;", "hold 300ms;"))
    node.start()
    new = [orders.buy(node).data for _ in range(6)]
    assert new[-1]["pay_by"] < old[0]["pay_by"], "too slow to compare"
    spike.wait("the new holds to end", lambda: all(is_expired(node, d["order"]) for d in new))
    if wall_ms() < old[0]["pay_by"]:
        assert [orders.state_of(node, d["order"]) for d in old] in (["held"] * 6, ["expired"] * 6)
    for data in old[::2]:
        assert orders.pay(node, data["order"]).code == 1
    spike.wait("the old holds to end", lambda: all(is_expired(node, d["order"]) for d in old[1::2]))
    assert wall_ms() >= old[-1]["pay_by"]
    ends = [(r["time_ms"], r["pay_by"]) for r in node.records()
            if r["kind"] == "change" and r["state"] == "expired"]
    assert len(ends) == 9 and all(end >= pay_by for end, pay_by in ends)
    spike.wait("the stock", lambda: redis.figure() == 3)
    spikelog.audit(node)


def test_what_comes_back_is_sold_elsewhere(site):
    """A node that answered "sold out" sells again within one beat of a cancel on another node."""
    redis = site.redis()
    nodes = orders.two_nodes(site, redis, events={"ticket": {"total": 4, "hold": "5m"}})
    order = orders.buy(nodes[0], n=4).data["order"]
    for i in range(6):
        here, there = nodes[i % 2], nodes[1 - i % 2]
        orders.buy_until(there, -1, n=4)
        assert orders.cancel(here, order).code == 1
        spike.wait("the stock", lambda: redis.figure() == 0)
        order = orders.within_a_beat(redis, there, "the tickets", lambda there=there: (
            a := orders.buy(there, n=4)).code == 1 and a.data["order"])
    assert redis.figure() == 4
    spikelog.audit(*nodes)


def test_local_stock_counts_what_is_held(site):
    """A node whose local stock is out answers "sold out here" until a ticket of it comes back."""
    node = site.node(redis=site.redis(),
                     events={"ticket": {"total": 50, "local-stock": 2, "hold": "5m"}})
    first, second = (orders.buy(node).data["order"] for _ in range(2))
    refusal = orders.buy(node)
    assert (refusal.code, refusal.json["msg"]) == (-1, "sold out here")
    assert orders.pay(node, first).code == 1
    assert orders.buy(node).json["msg"] == "sold out here"
    assert orders.cancel(node, second).code == 1
    orders.buy_until(node)
    assert orders.buy(node).json["msg"] == "sold out here"
