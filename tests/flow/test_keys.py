"""Why: P4. A buyer whose answer was lost retries with the same key, perhaps on another node: the
answer must be the ticket of the first try, never a second one."""

import time

import pytest

import orders
import spike
import spikelog

HELD = {"ticket": {"total": 100, "hold": "5m"}}


def order_ids(answers):
    """The ids in every yes; every other answer must be "busy"."""
    for answer in answers:
        assert answer is None or answer.code in (1, -6), answer
    return {answer.data["order"] for answer in answers if answer and answer.code == 1}


def buy_and_note(caller, node, path, notes):
    """Repeats the request until it is answered yes; appends every answer to notes."""

    def fetch():
        answer = caller.fetch(node.address, "GET", path)
        notes.append(answer)
        if answer is None or answer.code == -6:
            time.sleep(0.02)  # a busy answer asks clients to wait
            return None
        return answer

    return spike.wait("a yes", fetch)


@pytest.mark.parametrize("standalone", [False, True], ids=["redis", "standalone"])
def test_fifty_at_once_with_kills(site, standalone):
    """One key, 50 requests at one moment on two nodes, kill -9 of both in between: one order, the
    same id in every yes, and every other answer is "busy"."""
    if standalone:
        nodes = [site.node()]
    else:
        nodes = orders.two_nodes(site, site.redis())
    keys = 4
    for k in range(keys):
        notes = []
        path = orders.buy_path(key=f"key-{k}", n=2)
        crowd = orders.Crowd(50, lambda caller, i, path=path, notes=notes: buy_and_note(
            caller, nodes[i % len(nodes)], path, notes))
        wanted = site.random.randrange(0, 50)
        spike.wait("some answers", lambda notes=notes, wanted=wanted: len(notes) >= wanted)
        time.sleep(site.random.random() * 0.01)  # so that the kill meets the order anywhere
        for node in nodes:
            node.kill9()
        for node in nodes:
            node.start(healthy=False)
        crowd.join()
        assert len(order_ids(notes)) == 1, order_ids(notes)
    bought = {order: n for node in nodes for order, n in node.orders().items()}
    assert len(bought) == keys and set(bought.values()) == {2}
    spikelog.audit(*nodes)


def test_another_node_within_a_beat(site):
    """On another node the key has its order within one beat after the yes, and before that "busy".
    """
    redis = site.redis()
    nodes = orders.two_nodes(site, redis, events=HELD)
    for k in range(20):
        here, there = nodes[k % 2], nodes[1 - k % 2]
        first = orders.buy(here, key=f"k{k}", n=3)
        answer = orders.within_a_beat(redis, here, "the order of the key", lambda there=there, k=k: (
            a := orders.buy_once(there, key=f"k{k}", n=3)).code != -6 and a)
        assert answer.code == 1 and answer.data == first.data
        assert orders.buy(here, key=f"k{k}", n=3).data == first.data
    assert nodes[0].stock()["sold"] == 60


@pytest.mark.parametrize("standalone", [False, True], ids=["redis", "standalone"])
def test_the_same_key_for_something_else(site, standalone):
    """The same key with another n or buyer is a mistake: 400, on every node, and nothing is sold."""
    redis = None if standalone else site.redis()
    nodes = [site.node(events=HELD)] if standalone else orders.two_nodes(site, redis, events=HELD)
    first = orders.buy(nodes[0], key="k", n=2, buyer="ann").data
    for node in nodes:
        orders.buy_until(node, key="k", n=2, buyer="ann")
        for other in ({"n": 1, "buyer": "ann"}, {"n": 2, "buyer": "bob"}, {"n": 2}):
            answer = orders.buy(node, key="k", **other)
            assert (answer.status, answer.code, answer.data) == (400, -400, None)
        assert orders.buy(node, key="k", n=2, buyer="ann").data == first
    assert nodes[0].stock()["sold"] == 2


@pytest.mark.parametrize("standalone", [False, True], ids=["redis", "standalone"])
def test_ended(site, standalone):
    """The key of an order that was cancelled or expired is spent: -8, also after a restart."""
    redis = None if standalone else site.redis()
    events = {"ticket": {"total": 2, "hold": "2s"}}
    nodes = [site.node(events=events)] if standalone else orders.two_nodes(site, redis,
                                                                           events=events)
    cancelled = orders.buy(nodes[0], key="cancelled").data
    assert orders.cancel(nodes[0], cancelled["order"]).data["state"] == "cancelled"
    assert orders.buy(nodes[0], key="cancelled").code == -8
    expired = orders.buy_until(nodes[0], key="expired").data
    orders.past(expired["pay_by"])
    for _ in range(2):
        for node in nodes:
            for key in ("cancelled", "expired"):
                answer = orders.buy_until(node, -8, key=key)
                assert (answer.status, answer.data) == (200, None)
                assert answer.json["msg"] == "order ended, use a new key"
        for node in nodes:
            node.kill9()
        for node in nodes:
            node.start(healthy=False)
        for node in nodes:
            node.wait_healthy()
    assert nodes[0].stock()["left"] == 2


@pytest.mark.parametrize("standalone", [False, True], ids=["redis", "standalone"])
def test_whatever_the_event_does(site, standalone):
    """A key that has an order gets it also when the event is sold out, paused or closed; a key that
    has none is refused then. The same after a restart."""
    redis = None if standalone else site.redis()
    events = {"ticket": {"total": 3}}
    nodes = [site.node(events=events)] if standalone else orders.two_nodes(site, redis,
                                                                           events=events)
    bought = {f"k{i}": orders.buy(nodes[i % len(nodes)], key=f"k{i}").data for i in range(3)}

    def check(code):
        for node in nodes:
            orders.buy_until(node, code, key="new")
            for _ in range(3):
                assert {key: orders.buy(node, key=key).data for key in bought} == bought
                assert orders.buy(node, key="new").code == code
                assert orders.buy(node).code == code

    check(-1)
    assert orders.act(nodes[0], "pause").code == 1
    check(-4)
    assert orders.act(nodes[-1], "resume").code == 1
    check(-1)
    assert orders.act(nodes[-1], "close").code == 1
    check(-3)
    for node in nodes:
        node.kill9()
    for node in nodes:
        node.start(healthy=False)
    for node in nodes:
        node.wait_healthy()
    check(-3)


def test_before_the_opening(site):
    """Before the opening an order of the key is still found; a new key is "not open yet"."""
    redis = site.redis()
    node = site.node(redis=redis, events={"ticket": {"total": 3}})
    bought = orders.buy(node, key="mine").data
    node.kill9()
    text = node.conf.read_text()
    node.conf.write_text(text.replace("total 3;", "total 3; open 2099-01-01T10:00:00Z;"))
    node.start()
    assert orders.buy(node, key="mine").data == bought
    assert orders.buy(node, key="new").code == -2


def one_node_behind_a_proxy(site, redis):
    """Two nodes, the first one behind a proxy."""
    proxy = site.proxy(redis)
    nodes = [site.node(i, nodes=[1, 2], redis=via, events=HELD, healthy=False,
                       **spike.QUICK_REDIS)
             for i, via in ((1, proxy), (2, redis))]
    for node in nodes:
        node.wait_healthy()
    return proxy, nodes


def test_of_a_dead_node(site):
    """The node that granted the order is dead: the other node still knows the order of the key."""
    nodes = orders.two_nodes(site, site.redis(), events=HELD)
    bought = orders.buy(nodes[0], key="k", n=2).data
    assert orders.buy_until(nodes[1], key="k", n=2).data == bought
    nodes[0].kill9()
    for _ in range(20):
        assert orders.buy(nodes[1], key="k", n=2).data == bought
    assert orders.buy(nodes[1], key="k").status == 400
    nodes[0].start()
    assert orders.buy(nodes[0], key="k", n=2).data == bought
    assert nodes[1].stock()["sold"] == 2


def test_in_doubt(site):
    """An order is deducted and not journaled, and its node is dead: the key is "busy" on the other
    node, for its order is in doubt. When the node is back, the order is void and the key is as new.
    """
    redis = site.redis()
    proxy, nodes = one_node_behind_a_proxy(site, redis)
    proxy.cut_reply(close=False)
    wire = spike.Wire(nodes[0].address)
    wire.send(spike.request("GET", orders.buy_path(key="k", n=2)))
    assert proxy.cut_done.wait(spike.SOON_S)
    nodes[0].kill9()
    wire.close()
    assert redis.figure() == 2 and nodes[0].orders() == {}
    for i in range(20):
        assert orders.buy_once(nodes[1], key="k", n=2).code == -6
        assert orders.buy(nodes[1], key=f"other-{i}").code == 1
    nodes[0].start()
    bought = orders.buy_until(nodes[1], key="k", n=2).data
    assert orders.node_of(nodes, bought["order"]) is nodes[1]
    assert orders.buy_until(nodes[0], key="k", n=2).data == bought
    spike.wait("the stock", lambda: redis.figure() == 22)
    spikelog.audit(*nodes)


def test_reply_lost(site):
    """The reply to the deduction is lost, the node lives: "busy", and then one order for the key."""
    redis = site.redis()
    proxy, nodes = one_node_behind_a_proxy(site, redis)
    for k in range(3):
        proxy.cut_reply(close=k % 2 == 0)
        assert orders.buy_once(nodes[0], key=f"k{k}").code == -6
        bought = orders.buy_until(nodes[k % 2], key=f"k{k}").data
        assert orders.buy_until(nodes[1 - k % 2], key=f"k{k}").data == bought
    spike.wait("the stock", lambda: redis.figure() == 3)
    spikelog.audit(*nodes)


def test_redis_lost_everything(site):
    """The nodes settle the keys again from the journals: each still has its order, or has ended."""
    redis = site.redis()
    nodes = orders.two_nodes(site, redis, events=HELD)
    bought = {f"k{i}": orders.buy(nodes[i % 2], key=f"k{i}", buyer="ann").data for i in range(20)}
    for key in ("k3", "k4"):
        order = bought.pop(key)["order"]
        assert orders.cancel(orders.node_of(nodes, order), order).code == 1
    redis.restart_empty()
    for node in nodes:
        orders.buy_until(node, -8, key="k3", buyer="ann")
        orders.buy_until(node, -8, key="k4", buyer="ann")
        assert {key: orders.buy(node, key=key, buyer="ann").data for key in bought} == bought
        assert orders.buy(node, key="k5", buyer="bob").status == 400
    assert redis.figure() == 18
    spikelog.audit(*nodes)


def test_headers_and_parameters(site):
    """Idempotency-Key and X-Buyer are the same as key and buyer."""
    node = site.node(redis=site.redis())
    headers = ["Idempotency-Key: k/1", "X-Buyer: ann@example"]
    first = node.fetch("POST", "/buy/ticket", headers=headers).data
    assert orders.buy(node, key="k/1", buyer="ann@example").data == first
    assert node.fetch("GET", "/buy/ticket?key=k%2F1", headers=headers[1:]).data == first
    assert node.fetch("GET", "/buy/ticket?key=k%2F1", headers=headers).status == 400
    assert node.stock()["sold"] == 1
