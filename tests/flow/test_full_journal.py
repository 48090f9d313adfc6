"""Why: what a full journal has left belongs to returns. An operator, or a thousand acts of
operators elsewhere, must not use it up: the node lives, can be started again, and every hold in it
can end."""

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
    """Holds until the journal takes no more; answers them."""
    load = site.load(node, connections=20)
    spike.wait("a full journal", lambda: "is full" in node.log_text())
    load.stop()
    bought, end = load.yeses, time.monotonic() + QUIET_S
    while time.monotonic() < end:  # what is counted twice while it is under way leaves a rest
        answer = node.buy()
        if answer.code == 1:
            bought.append(answer.data["order"])
            end = time.monotonic() + QUIET_S
    assert len(bought) > 100
    return bought


def all_end(redis, nodes, bought):
    """What is held can be given back, every order of it."""
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
        assert answer is not None, "it has ended"
        assert (answer.status, answer.code, answer.data) == (503, -6, None), i
    caller.close()
    assert orders.act_once(node, "resume").code == 1, "what changes nothing needs no room"
    assert not [r for r in node.records() if r["kind"] == "admin"]
    assert node.stock()["state"] == "open" and node.is_running()
    node.kill9()
    node.start()
    all_end(redis, [node], bought)
    assert orders.act(node, "pause").code == 1, "now there is room"


def test_holds_end_by_themselves(site):
    """Operators go on trying while the holds of a full journal end one by one."""
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
    """The acts of another node's operators are obeyed, and journaled when there is room again."""
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
            spike.wait("it to be obeyed", lambda code=code: nodes[0].buy().code == code)
    used = [r for r in nodes[0].records() if r["kind"] == "admin"]
    assert not used, "what is reserved for returns"
    nodes[0].kill9()
    nodes[0].start()
    all_end(redis, nodes, bought)
    assert orders.buy_until(nodes[0]).code == 1
    spike.wait("its journal to know the last act", lambda: [
        r["version"] for r in nodes[0].records() if r["kind"] == "admin"][-1:] ==
        [redis.figure("version")])
