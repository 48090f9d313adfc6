"""Why: a limit that is checked apart from the deduction lets one buyer pass it, or deducts stock
for orders that are then refused. Here both are one atomic step, and a ticket that returns to the
stock counts no longer for the buyer."""

import collections

import pytest

import orders
import spike

HOLD = {"total": 100, "limit": 2, "hold": "5m"}


def limited(site, redis, **settings):
    return orders.two_nodes(site, redis, events={"ticket": {**HOLD, **settings}})


def codes(answers):
    return collections.Counter(answer.code for answer in answers)


def test_fifty_at_once_on_two_nodes(site):
    """One buyer, limit 2, 50 requests at one moment on two nodes: 2 tickets; after a cancel one more."""
    redis = site.redis()
    nodes = limited(site, redis)
    answers = orders.at_once(50, lambda caller, i: caller.buy(nodes[i % 2], buyer="ann"))
    assert codes(answers) == {1: 2, -5: 48}
    assert redis.figure() == 2
    order = next(answer.data["order"] for answer in answers if answer.code == 1)
    assert orders.cancel(orders.node_of(nodes, order), order).code == 1
    orders.buy_until(nodes[0], buyer="ann")
    answers = orders.at_once(20, lambda caller, i: caller.buy(nodes[i % 2], buyer="ann"))
    assert codes(answers) == {-5: 20}
    refusal = orders.buy(nodes[1], buyer="ann")
    assert (refusal.status, refusal.json["msg"], refusal.data) == (200, "limit reached", None)
    assert redis.figure() == 2
    assert orders.buy(nodes[1], buyer="bob").code == 1


@pytest.mark.parametrize("standalone", [False, True], ids=["redis", "standalone"])
def test_all_or_nothing(site, standalone):
    """n tickets in one order are all within limit and stock, or none is taken."""
    node = site.node(redis=None if standalone else site.redis(),
                     events={"ticket": {"total": 6, "limit": 3}})
    assert orders.buy(node, buyer="ann", n=2).data["n"] == 2
    assert orders.buy(node, buyer="ann", n=2).code == -5
    assert node.stock()["sold"] == 2
    assert orders.buy(node, buyer="ann").code == 1
    assert orders.buy(node, buyer="bob", n=2).code == 1
    refused = orders.buy(node, buyer="cid", n=2)
    assert (refused.code, refused.json["msg"]) == (-1, "sold out")
    assert node.stock()["left"] == 1
    assert orders.buy(node, buyer="cid", n=1).code == 1
    assert node.stock() == {"event": "ticket", "state": "soldout", "total": 6, "sold": 6, "left": 0}
    assert orders.buy(node).status == 400, "a limit needs a buyer"


@pytest.mark.parametrize("standalone", [False, True], ids=["redis", "standalone"])
def test_what_was_bought_counts_after_a_restart(site, standalone):
    """The counts survive kill -9, standalone by the journal alone, and the loss of Redis' data."""
    redis = None if standalone else site.redis()
    node = site.node(redis=redis, events={"ticket": HOLD})
    order = orders.buy(node, buyer="ann", n=2).data["order"]
    assert orders.buy(node, buyer="bob").code == 1
    node.kill9()
    if redis:
        redis.restart_empty()
    node.start()
    assert orders.buy(node, buyer="ann").code == -5
    assert orders.buy(node, buyer="bob").code == 1
    assert orders.buy(node, buyer="bob").code == -5
    assert orders.cancel(node, order).code == 1
    assert orders.buy(node, buyer="ann", n=2).code == 1


@pytest.mark.parametrize("standalone", [False, True], ids=["redis", "standalone"])
def test_expiry_gives_the_limit_back(site, standalone):
    """A hold that ended no longer counts; one that was paid counts for ever."""
    node = site.node(redis=None if standalone else site.redis(),
                     events={"ticket": {**HOLD, "hold": "3s"}})
    paid, unpaid = (orders.buy(node, buyer="ann").data for _ in range(2))
    assert orders.pay(node, paid["order"]).code == 1
    assert orders.buy(node, buyer="ann").code == -5
    orders.past(unpaid["pay_by"])
    orders.buy_until(node, buyer="ann")
    assert orders.state_of(node, paid["order"]) == "sold"
    assert orders.buy(node, buyer="ann").code == -5


def test_two_nodes_see_what_comes_back(site):
    """A ticket cancelled on one node can be bought by the same buyer on the other, within a beat.
    """
    nodes = limited(site, site.redis(), limit=1)
    for i in range(4):
        order = orders.buy_until(nodes[i % 2], buyer="ann").data["order"]
        assert orders.buy(nodes[1 - i % 2], buyer="ann").code == -5
        assert orders.cancel(nodes[i % 2], order).code == 1


def test_buyers_of_any_bytes(site):
    """Buyers named by each of the 94 allowed bytes, and by 64 bytes, are counted separately."""
    node = site.node(redis=site.redis(), events={"ticket": {"total": 1000, "limit": 1}})
    names = [chr(byte) for byte in range(0x21, 0x7f)] + ["%", "a:b", "{ticket}", "0" * 64, "-1"]
    for name in dict.fromkeys(names):
        assert orders.buy(node, buyer=name).code == 1, name
        assert orders.buy(node, buyer=name).code == -5, name
    spike.check_promises([node], [], 1000, len(set(names)))
