"""Why: when Redis has lost its data, the last act of an operator may stand only in the journal of a
node that is still away. An act is then "busy", and the repair undoes, overtakes and invents no act;
least of all a close, which is final."""

import pytest

import orders
import spike
import spikelog

EVENT = {"ticket": {"total": 10, "stock_max": 400}}


def acts_of(node):
    return [r for r in node.records() if r["kind"] == "admin"]


def is_known(node, version):
    return acts_of(node) and acts_of(node)[-1]["version"] == version


def do(node, what):
    """"pause", or "restock 20" """
    word, *total = what.split()
    return orders.act(node, word, **({"total": total[0]} if total else {}))


# Acts known to both nodes, acts of the second node alone, acts tried in repair, and the outcome.
CASES = {
    "pause repeated": (["pause"], ["resume"], ["pause"], ("open", 10)),
    "close": ([], ["restock 20"], ["close"], ("open", 20)),
    "restock both ways": (["restock 50"], ["restock 20"], ["restock 50", "restock 20"],
                          ("open", 20)),
    "restocked and closed": ([], ["restock 20", "close"], ["pause", "resume"], ("closed", 20)),
    "nothing new": (["pause"], [], ["resume", "pause"], ("paused", 10)),
}


@pytest.mark.parametrize("case", CASES)
def test_the_last_act_stands(site, case):
    """Redis is lost; the node that comes back first is not the one that did the last act."""
    known, alone, tried, (state, total) = CASES[case]
    redis = site.redis()
    first, second = nodes = orders.two_nodes(site, redis, events=EVENT)
    for what in known:
        assert do(first, what).code == 1
        spike.wait("both journals to know", lambda: is_known(second, redis.figure("version")))
    assert first.term() == 0
    for what in alone:
        assert do(second, what).code == 1
    last = acts_of(second)[-1]
    assert second.term() == 0
    redis.client.flushall()
    first.start(healthy=False)
    spike.wait("repair", lambda: first.health().json["msg"] == "repair")
    for what in tried:
        word, *to = what.split()
        answer = orders.act_once(first, word, **({"total": to[0]} if to else {}))
        assert (answer.status, answer.code, answer.data) == (503, -6, None), what
        assert answer.headers["retry-after"]
    second.start(healthy=False)
    for node in nodes:
        node.wait_healthy()
        assert (node.stock()["state"], node.stock()["total"]) == (state, total)
        spike.wait("the act in the node's journal",
                   lambda node=node: is_known(node, last["version"]))
        act = acts_of(node)[-1]
        for field in ("version", "state", "total", "node", "acted_ms", "origin"):
            assert act[field] == last[field], f"{node.name} invented its {field}"
        assert "not known" not in node.log_text()
    answer = orders.act(first, "resume" if state == "paused" else "pause")
    assert answer.code == (-409 if state == "closed" else 1), "the next act was not done"
    spikelog.audit(*nodes)


def test_no_restock_is_undone_under_its_sales(site):
    """The node that is away has raised the total and sold beyond the old one: an act in the repair
    must not restore the old total, which is less than what buyers have."""
    redis = site.redis()
    first, second = nodes = orders.two_nodes(site, redis, events=EVENT)
    assert first.term() == 0
    assert do(second, "restock 20").code == 1
    yeses = [orders.buy(second).data["order"] for _ in range(15)]
    second.kill9()
    redis.client.flushall()
    first.start(healthy=False)
    spike.wait("repair", lambda: first.health().json["msg"] == "repair")
    for what in ("pause", "resume", "close"):
        assert orders.act_once(first, what).code == -6
    second.start(healthy=False)
    for node in nodes:
        node.wait_healthy()
        assert node.stock() == {"event": "ticket", "state": "open", "total": 20, "sold": 15,
                                "left": 5}
    yeses += spike.drain(first, 20, redis)
    spike.check_promises(nodes, yeses, 20, 20)
    spikelog.audit(*nodes)


def test_closed_stays_closed(site):
    """A hash from before the close comes back unnoticed, and another operator changes the total
    twice. The node that closed the event restores the close."""
    redis = site.redis()
    first, second = nodes = orders.two_nodes(site, redis, events=EVENT)
    raw = spike.redis_client.Redis(unix_socket_path=redis.socket)
    older = raw.dump(spike.HASH)
    second.kill9()
    assert do(first, "close").code == 1
    first.kill9()
    raw.restore(spike.HASH, 0, older, replace=True)
    second.start(healthy=False)
    spike.wait("the second node to sell", lambda: second.buy().code == 1)
    for what in ("restock 20", "restock 30"):
        assert do(second, what).code == 1
    first.start(healthy=False)
    for node in nodes:
        spike.wait("closed", lambda node=node: node.buy().code == -3)
        assert node.stock()["state"] == "closed"
        assert orders.act(node, "resume").code == -409
    spike.wait("both journals to know", lambda: all(is_known(n, redis.figure("version"))
                                                    for n in nodes))
    for node in nodes:
        node.kill9()
    for node in nodes:
        node.start(healthy=False)
    for node in nodes:
        node.wait_healthy()
        spike.wait("closed", lambda node=node: node.buy().code == -3)


def test_one_of_a_new_sale(site):
    """The sale has not begun, for one of its nodes has never attached: an act is "busy" too."""
    node = site.node(1, nodes=[1, 2], redis=site.redis(), healthy=False, events=EVENT)
    spike.wait("the attach", lambda: node.stats()["redis"]["state"] == "up")
    for what in ("pause", "resume", "close"):
        assert orders.act_once(node, what).code == -6
