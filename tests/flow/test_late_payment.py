"""Why: money arrives late. A payment after the end of the hold buys its tickets if they are left,
and else is refunded: one of the two, for ever, and never both."""

import collections

import pytest

import orders
import spike
import spikelog

EVENTS = {"ticket": {"total": 4, "hold": "250ms", "max-order": 4}}


@pytest.fixture(params=[False, True], ids=["redis", "standalone"])
def node(request, site):
    node = site.node(redis=None if request.param else site.redis(), events=EVENTS)
    yield node
    if node.is_running():
        spikelog.audit(node)


def expire(node, **parameters):
    """An order whose hold has just ended, and whose tickets are back."""
    order = orders.buy_until(node, **parameters).data["order"]
    spike.wait("the hold to end", lambda: orders.state_of(node, order) == "expired")
    return order


def buy_as_another(node, n=4):
    """Another buyer buys n tickets and pays."""
    order = orders.buy_until(node, n=n).data["order"]
    assert orders.pay(node, order).code == 1
    return order


def figures(node):
    stats = node.event_stats()
    return stats["node_sold"], stats["node_held"], node.stock()["left"]


def test_sold_again_if_left(node):
    """The same order is sold by a new deduction, once, however often it is paid."""
    order = expire(node, n=3, key="k")
    assert orders.buy(node, n=3, key="k").code == -8
    for _ in range(3):
        answer = orders.pay(node, order)
        assert (answer.status, answer.code) == (200, 1)
        assert (answer.data["order"], answer.data["n"], answer.data["state"]) == (order, 3, "sold")
        assert orders.state_of(node, order) == "sold"
        assert figures(node) == (3, 0, 1)
    assert orders.cancel(node, order).code == -409
    answer = orders.buy_until(node, n=3, key="k")
    assert answer.data["order"] == order, "its key lives again"
    node.kill9()
    node.start()
    assert orders.pay(node, order).code == 1
    assert figures(node) == (3, 0, 1)
    late = [r for r in node.records() if r["kind"] == "late"]
    assert [(r["order"], r["n"], r["was"]) for r in late] == [(order, 3, "expired")]


def test_refused_for_ever_if_not(node):
    """-7, journaled: neither a restart nor more tickets change it."""
    order = expire(node, n=2)
    buy_as_another(node)
    for _ in range(2):
        for _ in range(2):
            answer = orders.pay(node, order)
            assert (answer.status, answer.code, answer.data) == (200, -7, None)
            assert orders.state_of(node, order) == "expired"
        assert orders.act(node, "restock", total=8).code == 1
        spike.wait("tickets", lambda: node.stock()["left"] == 4)
        assert orders.pay(node, order).code == -7
        node.kill9()
        node.start()
        assert orders.pay(node, order).code == -7
    assert orders.cancel(node, order).data["state"] == "expired"
    assert figures(node) == (4, 0, 4)
    assert [r["order"] for r in node.records() if r["kind"] == "refusal"] == [order]


def test_too_few_left(node):
    """All or nothing here too: an order of three is not sold as two."""
    order = expire(node, n=3)
    buy_as_another(node, 2)
    assert orders.pay(node, order).code == -7
    assert figures(node) == (2, 0, 2)


@pytest.mark.parametrize("standalone", [False, True], ids=["redis", "standalone"])
def test_cancelled_is_refunded(site, standalone):
    """A cancelled order is never sold, whatever is left."""
    node = site.node(redis=None if standalone else site.redis(),
                     events={"ticket": {**EVENTS["ticket"], "hold": "5m"}})
    order = orders.buy(node).data["order"]
    assert orders.cancel(node, order).code == 1
    for _ in range(2):
        assert orders.pay(node, order).code == -7
        assert orders.state_of(node, order) == "cancelled"
    assert figures(node)[:2] == (0, 0)
    assert not [r for r in node.records() if r["kind"] in ("late", "refusal")]
    spikelog.audit(node)


def test_parallel_late_payments(node):
    """Many payments of one late order at one moment deduct once, and all get the same answer."""
    for _ in range(4):
        order = expire(node, n=1)
        answers = orders.at_once(20, lambda caller, i, order=order: caller.pay(node, order))
        assert collections.Counter(answer.code for answer in answers) == {1: 20}
    assert figures(node) == (4, 0, 0)
    assert sum(r["kind"] == "late" for r in node.records()) == 4


def test_parallel_payments_of_many(node):
    """Eight late orders fight for four tickets: four are sold, four refused, and it stays so."""
    late = [expire(node) for _ in range(8)]
    codes = [answer.code for answer in
             orders.at_once(8, lambda caller, i: caller.pay(node, late[i]))]
    assert collections.Counter(codes) == {1: 4, -7: 4}
    assert [orders.pay(node, order).code for order in late] == codes
    assert figures(node) == (4, 0, 0)


def test_pay_against_expiry_and_cancel(site):
    """Paid, cancelled and expired at the same moment: the state of the order is as answered."""
    redis = site.redis()
    nodes = orders.two_nodes(site, redis, events={"ticket": {"total": 500, "hold": "400ms"}})
    bought = [orders.buy(nodes[i % 2]).data["order"] for i in range(40)]

    def work(caller, i):
        order = bought[i // 2]
        return (caller.pay if i % 2 else caller.cancel)(orders.node_of(nodes, order), order).code

    codes = orders.Crowd(80, work, threads=16).join()
    sold = 0
    for i, order in enumerate(bought):
        cancelled, paid = codes[2 * i:2 * i + 2]
        state = orders.state_of(orders.node_of(nodes, order), order)
        assert (cancelled, paid, state) in [(1, -7, "cancelled"), (-409, 1, "sold"),
                                            (1, 1, "sold")], (cancelled, paid, state)
        sold += state == "sold"
    spike.wait("the stock", lambda: redis.figure() == sold)
    spikelog.audit(*nodes)


def test_limit(site):
    """A late payment counts against the limit, as any purchase."""
    node = site.node(redis=site.redis(), events={"ticket": {**EVENTS["ticket"], "limit": 2}})
    first = expire(node, n=2, buyer="ann")
    other = orders.buy_until(node, buyer="ann").data["order"]
    assert orders.pay(node, other).code == 1
    assert orders.pay(node, first).code == -7, "three tickets, and two are allowed"
    second = expire(node, buyer="ann")
    assert orders.pay(node, second).code == 1
    assert orders.buy(node, buyer="ann").code == -5
    spikelog.audit(node)


def test_paused_and_closed(site):
    """While the event is paused a late payment waits; once closed it is refused. A payment in time
    is always accepted."""
    node = site.node(redis=site.redis(), events={"ticket": {**EVENTS["ticket"], "hold": "2s"}})
    late, lost = (orders.buy(node).data["order"] for _ in range(2))
    for order in (late, lost):
        spike.wait("the hold to end", lambda o=order: orders.state_of(node, o) == "expired")
    assert orders.act(node, "pause").code == 1
    answer = orders.pay(node, late)
    assert (answer.code, answer.data) == (-4, None)
    assert orders.act(node, "resume").code == 1
    held = orders.buy_until(node).data["order"]
    assert orders.pay(node, late).code == 1
    assert orders.act(node, "pause").code == 1
    assert orders.pay(node, held).code == 1
    assert orders.act(node, "close").code == 1
    assert orders.pay(node, lost).code == -7
    assert orders.pay(node, late).code == orders.pay(node, held).code == 1
    spikelog.audit(node)


def test_redis_away(site):
    """A payment in time needs no Redis; a late one does, and is "busy" until Redis is back. Nothing
    is lost."""
    redis = site.redis(persistence="always")
    node = site.node(redis=redis, events={"ticket": {"total": 4, "hold": "3s"}})
    late = expire(node)
    held, back = orders.buy(node).data["order"], orders.buy(node).data["order"]
    redis.kill()
    assert orders.pay(node, held).code == 1
    assert orders.cancel(node, back).data["state"] == "cancelled"
    assert orders.pay_once(node, late).code == -6
    assert orders.state_of(node, late) == "expired"
    redis.start()
    assert orders.pay(node, late).code == 1
    assert figures(node) == (2, 0, 2)
    spikelog.audit(node)
