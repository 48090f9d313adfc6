"""Why: the last free space of a full journal is reserved for returns. Operators' acts, here or on
other nodes, must not use it up: the node lives, can be started again, and every hold in it can end.
"""

import time

import pytest

import orders
import spike
import spikelog

TOTAL = 100000
QUIET_S = 0.6  # two beats and more


def event(hold="60m"):
    return {"ticket": {"total": TOTAL, "stock_max": TOTAL, "hold": hold}}


def fill(site, node):
    """Buys holds until the journal is full; returns their order ids."""
    load = site.load(node, connections=20)
    spike.wait("a full journal", lambda: "is full" in node.log_text())
    load.stop()
    bought, end = load.yeses, time.monotonic() + QUIET_S
    while time.monotonic() < end:  # space that was counted twice for orders under way is free again
        answer = node.buy()
        if answer.code == 1:
            bought.append(answer.data["order"])
            end = time.monotonic() + QUIET_S
    assert len(bought) > 100
    return bought


def all_end(redis, nodes, bought):
    """Every held order can be cancelled."""
    states = [answer.data["state"] for answer in orders.Crowd(
        len(bought), lambda caller, i: caller.cancel(nodes[0], bought[i]), threads=20).join()]
    assert set(states) == {"cancelled"}
    assert nodes[0].event_stats()["node_held"] == 0
    if redis:
        spike.wait("the stock", lambda: redis.figure() == 0)
    spikelog.audit(*nodes)


@pytest.mark.parametrize("standalone", [False, True], ids=["redis", "standalone"])
def test_acts_here(site, standalone):
    redis = None if standalone else site.redis(persistence="always")
    node = site.node(redis=redis, workers=1, journal_size="1m", events=event())
    bought = fill(site, node)
    caller = orders.Caller()
    for i in range(1000):
        what = ("pause?", "close?", "restock?total=99999&")[i % 3]
        answer = caller.fetch(node.admin, "POST", f"/{what}event=ticket")
        assert answer is not None, "the node has ended"
        assert (answer.status, answer.code, answer.data) == (503, -6, None), i
    caller.close()
    assert orders.act_once(node, "resume").code == 1, "an act without a change needs no space"
    assert not [r for r in node.records() if r["kind"] == "admin"]
    assert node.stock()["state"] == "open" and node.is_running()
    node.kill9()
    node.start()
    all_end(redis, [node], bought)
    assert orders.act(node, "pause").code == 1, "there is space again"


def test_holds_end_by_themselves(site):
    """Operators repeat acts while the holds of a full journal end one by one."""
    redis = site.redis(persistence="always")
    node = site.node(redis=redis, workers=1, journal_size="1m", events=event("2s"))
    bought = fill(site, node)
    caller, codes = orders.Caller(), set()
    while node.event_stats()["node_held"] > 0:
        for what in ("pause", "resume"):
            codes.add(caller.fetch(node.admin, "POST", f"/{what}?event=ticket").code)
    caller.close()
    assert codes == {1, -6}
    node.kill9()
    node.start()
    assert {orders.state_of(node, order) for order in bought[::20]} == {"expired"}
    spike.wait("the stock", lambda: redis.figure() == 0)
    spikelog.audit(node)


def test_acts_elsewhere(site):
    """Acts on another node take effect here, and are journaled when there is space again."""
    redis = site.redis(persistence="always")
    settings = {"redis": redis, "nodes": [1, 2], "workers": 1, "events": event(), "start": False}
    nodes = [site.node(1, journal_size="1m", **settings), site.node(2, **settings)]
    for node in nodes:
        node.start(healthy=False)
    for node in nodes:
        node.wait_healthy()
    bought = fill(site, nodes[0])
    for _ in range(3):
        for what, code in (("pause", -4), ("resume", -6)):
            assert orders.act(nodes[1], what).code == 1
            spike.wait("the act to take effect", lambda code=code: nodes[0].buy().code == code)
    used = [r for r in nodes[0].records() if r["kind"] == "admin"]
    assert not used, "acts used the space for returns"
    nodes[0].kill9()
    nodes[0].start()
    all_end(redis, nodes, bought)
    assert orders.buy_until(nodes[0]).code == 1
    spike.wait("the last act in the journal", lambda: [
        r["version"] for r in nodes[0].records() if r["kind"] == "admin"][-1:] ==
        [redis.figure("version")])
