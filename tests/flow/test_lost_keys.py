"""Why: P4 and the limit must survive losses of Redis. Keys, buyers and the key hashes of grants may
be lost with everything else, alone, or come back as they were an hour ago: a retry must get the
order of its key, on any node, and no buyer more tickets than the limit; the journals have both."""

import signal

import pytest

import orders
import spike
import spikelog

LIMIT = 2
SIDE_KEYS = {name: "{" + spike.HASH + "}:" + name
             for name in ("requests", "buyers", "grants", "orders")}


class Older:
    """One key of Redis as it is now, to be restored later."""

    def __init__(self, redis, key):
        self.client = spike.redis_client.Redis(unix_socket_path=redis.socket)
        self.key, self.dump = key, self.client.dump(key)

    def put_back(self):
        self.client.restore(self.key, 0, self.dump, replace=True)


def lose_all(redis, _older):
    redis.client.flushall()


def restart_empty(redis, _older):
    redis.restart_empty()


def old_dump(redis, _older):
    redis.restart_from_old_dump()


def lose_one(name):
    return lambda redis, _older: redis.client.delete(SIDE_KEYS.get(name, name))


def older_one(name):
    return lambda _redis, older: older[name].put_back()


LOSSES = {
    "flushall": lose_all,
    "restart empty": restart_empty,
    "old dump": old_dump,
    **{f"{name} deleted": lose_one(name) for name in (*SIDE_KEYS, spike.HASH)},
    **{f"{name} older": older_one(name) for name in ("requests", "buyers", "grants", spike.HASH)},
}


def bought(nodes, key, buyer):
    """The order of the key, the same on both nodes, or the code of the answer."""
    answers = [orders.Caller().buy(node, key=key, buyer=buyer) for node in nodes]
    assert answers[0].code == answers[1].code, answers
    return answers[0].data["order"] if answers[0].code == 1 else answers[0].code


@pytest.mark.parametrize("loss", LOSSES)
def test_keys_and_limits_come_back(site, loss):
    redis = site.redis()
    events = {"ticket": {"total": 1000, "limit": LIMIT, "hold": "5m"}}
    nodes = orders.two_nodes(site, redis, events=events)
    had, ended = {}, {}
    older = {}
    for k in range(40):
        if k == 20:  # the older data is of this moment
            redis.keep_dump()
            older = {name: Older(redis, SIDE_KEYS.get(name, name))
                     for name in (*SIDE_KEYS, spike.HASH)}
        node, buyer = nodes[k % 2], f"buyer-{k // 2}"
        order = orders.Caller().buy(node, key=f"key-{k}", buyer=buyer).data["order"]
        if k % 5 == 4:
            assert orders.cancel(node, order).code == 1
            ended[f"key-{k}"] = buyer
        else:
            had[f"key-{k}"] = (buyer, order)
        if k % 7 == 0 and f"key-{k}" in had:
            assert orders.pay(node, order).code == 1
    spike.wait("all to be settled", lambda: redis.client.hget(spike.HASH, "1:pending") == "" and
               redis.client.hget(spike.HASH, "2:pending") == "")
    LOSSES[loss](redis, older)
    for key, (buyer, order) in had.items():
        assert bought(nodes, key, buyer) == order, key
    for key, buyer in ended.items():
        assert bought(nodes, key, buyer) == -8, key
    tickets = {}
    for buyer, _order in had.values():
        tickets[buyer] = tickets.get(buyer, 0) + 1
    for buyer, count in tickets.items():  # each may buy up to the limit, and not one more
        for i in range(LIMIT - count):
            assert orders.Caller().buy(nodes[i % 2], buyer=buyer).code == 1, (buyer, count)
        assert orders.Caller().buy(nodes[0], buyer=buyer).code == -5, (buyer, count)
    spikelog.audit(*nodes)


def orders_of_key(redis, key):
    return redis.client.hget(SIDE_KEYS["requests"], key)


def test_an_old_dump_with_a_void_order(site):
    """One node's answer to a key is lost, its order void, and the key buys on the other node. Then
    an old dump comes back that has only the void order: the key keeps the valid one."""
    redis = site.redis()
    proxy = site.proxy(redis)
    nodes = [site.node(i, nodes=[1, 2], redis=through, healthy=False, workers=1)
             for i, through in ((1, proxy), (2, redis))]
    for node in nodes:
        node.wait_healthy()
    proxy.cut_reply(close=False)
    with spike.Wire(nodes[0].address) as buyer:
        buyer.send(spike.request("GET", orders.buy_path(key="k", buyer="b")))
        assert proxy.cut_done.wait(spike.SOON_S)
        # Until the dump is made: with Redis the node would make the order void.
        proxy.disconnect()
        assert buyer.answer().code == -6
    redis.keep_dump()
    assert orders_of_key(redis, "k"), "the grant whose reply was lost"
    proxy.reconnect()
    spike.wait("the order to be void", lambda: not orders_of_key(redis, "k"))
    order = orders.buy(nodes[1], key="k", buyer="b").data["order"]
    spike.wait("the order to be settled", lambda: redis.client.hget(spike.HASH, "2:pending") == "")
    nodes[0].freeze()
    redis.restart_from_old_dump()
    spike.wait("the second node to have settled", lambda: redis.client.hget(spike.HASH, "aside") and
               redis.client.hget(spike.HASH, "2:ready") == "1")
    nodes[0].process.send_signal(signal.SIGCONT)
    for node in nodes:
        node.wait_healthy()
    for node in (nodes[1], nodes[0], nodes[1]):
        assert orders.buy(node, key="k", buyer="b").data["order"] == order
    assert sum(len(node.orders()) for node in nodes) == 1
    spikelog.audit(*nodes)
