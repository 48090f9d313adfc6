"""Why: an operator's act must reach every node within a beat, survive restarts, and be journaled;
and repeated it must do no more than done once."""

import datetime
import json
import re
import time

import pytest

import orders
import spike
import spikelog


@pytest.fixture(params=[False, True], ids=["redis", "standalone"])
def kind(request, site):
    """Nodes of either kind: two with a Redis, or one alone."""

    def start(**event):
        if request.param:
            return None, [site.node(events={"ticket": event})]
        redis = site.redis(persistence="always")
        return redis, orders.two_nodes(site, redis, events={"ticket": event})

    return start


def wait_code(redis, node, code):
    """Waits until the node answers a buy with that code: within a beat; standalone, at once."""
    if redis:
        orders.within_a_beat(redis, node, f"an act by {code}", lambda: node.buy().code == code)
    else:
        assert node.buy().code == code


def versions(redis, nodes):
    """The acts in the journals and the version in Redis, which must not change when no act changes
    anything."""
    counts = [sum(r["kind"] == "admin" for r in node.records()) for node in nodes]
    return counts + ([redis.figure("version")] if redis else [])


def acts_of(node):
    return [r for r in node.records() if r["kind"] == "admin"]


def test_pause_resume_close(kind):
    """Each act is seen by all nodes, returns the event's state, and can be repeated; close is
    final."""
    redis, nodes = kind(total=100)
    first, last = nodes[0], nodes[-1]
    stock = {"event": "ticket", "state": "paused", "total": 100, "sold": 0, "left": 100}
    for here, there in ((first, last), (last, first)):
        answer = orders.act(here, "pause")
        assert (answer.status, answer.code, answer.json["msg"]) == (200, 1, "ok")
        assert answer.data == {**stock, "state": "paused", **sold_and_left(here)}
        assert here.buy().code == -4 and here.buy().json["msg"] == "paused"
        wait_code(redis, there, -4)
        assert there.stock()["state"] == here.stock()["state"] == "paused"
        assert here.health().status == there.health().status == 200
        before = versions(redis, nodes)
        assert orders.act(here, "pause").data == answer.data
        assert orders.act(there, "pause").data == answer.data
        assert versions(redis, nodes) == before, "a repeat changed something"
        answer = orders.act(there, "resume")
        assert answer.data["state"] == "open"
        wait_code(redis, here, 1)
        wait_code(redis, there, 1)
        before = versions(redis, nodes)
        assert orders.act(here, "resume").code == orders.act(there, "resume").code == 1
        assert versions(redis, nodes) == before
    answer = orders.act(last, "close")
    assert answer.data["state"] == "closed"
    wait_code(redis, first, -3)
    wait_code(redis, last, -3)
    before = versions(redis, nodes)
    for node in nodes:
        assert node.stock()["state"] == "closed" and node.event_stats()["state"] == "closed"
        assert orders.act(node, "close").data["state"] == "closed"
        for what, more in (("pause", {}), ("resume", {}), ("restock", {"total": 150})):
            answer = orders.act(node, what, **more)
            assert (answer.status, answer.code, answer.data) == (409, -409, None), what
    assert versions(redis, nodes) == before


def test_how_far_beats_are_apart(site):
    """A node sees the changes of others within a beat: 250 ms at most, if the machine does not
    stand still."""
    redis = site.redis()
    node = site.node(redis=redis)
    beats = {orders.beat_of(redis, node)}
    spike.wait("beats", lambda: beats.add(orders.beat_of(redis, node)) or len(beats) > 20)
    times = sorted(beats)
    gaps = sorted(after - before for before, after in zip(times, times[1:]))
    print(gaps)
    assert gaps[len(gaps) // 4] <= 250


class CutsReplyOfAct:
    """The first act reaches Redis and is done; its reply is dropped."""

    def __init__(self, proxy):
        self.acts = 0
        proxy._intercept = self.intercept

    def intercept(self, conn, data):
        if b"EVALSHA" in data[:64].upper() and b"127.0.0.1:" in data:
            self.acts += 1
            conn.cut |= self.acts == 1
        return data


def test_an_act_whose_reply_is_lost(site):
    """-6, though the act was done, as the manual page warns. A repeat is answered and changes
    nothing."""
    redis = site.redis()
    proxy = site.proxy(redis)
    node = site.node(redis=proxy)
    cut, version = CutsReplyOfAct(proxy), redis.figure("version")
    answer = orders.act_once(node, "pause")
    assert (answer.status, answer.code, cut.acts) == (503, -6, 1)
    assert redis.client.hget(spike.HASH, "state") == "paused"
    assert orders.act(node, "pause").data["state"] == "paused"
    assert redis.figure("version") == version + 1
    assert [(r["version"], r["node"]) for r in acts_of(node)] == [(version + 1, 1)]


def sold_and_left(node):
    stock = node.stock()
    return {name: stock[name] for name in ("sold", "left")}


def test_resume_undoes_pause_only(kind):
    """A sold-out event stays sold out when it is paused and resumed."""
    redis, nodes = kind(total=2)
    for node in (nodes[0], nodes[-1]):
        assert node.buy().code == 1
    wait_code(redis, nodes[0], -1)
    assert orders.act(nodes[0], "pause").data["state"] == "paused"
    wait_code(redis, nodes[-1], -4)
    assert orders.act(nodes[-1], "resume").data["state"] == "soldout"
    for node in nodes:
        wait_code(redis, node, -1)


def test_restock(kind):
    """More tickets reopen the sale on every node within a beat; fewer are accepted down to the
    number of tickets gone."""
    redis, nodes = kind(total=4, stock_max=10)
    first, last = nodes[0], nodes[-1]
    for total in (4, 7, 10):
        if total > 4:
            answer = orders.act(first if total == 7 else last, "restock", total=total)
            assert answer.data == {"event": "ticket", "state": "open", "total": total,
                                   "sold": total - 3, "left": 3}
            other = last if total == 7 else first
            wait_code(redis, other, 1)
        while first.stock()["sold"] < total:
            first.buy()
        for node in nodes:
            wait_code(redis, node, -1)
    before = versions(redis, nodes)
    for wrong, status in ((9, 409), (1, 409), (11, 400), (0, 400)):
        answer = orders.act(first, "restock", total=wrong)
        assert (answer.status, answer.code, answer.data) == (status, -status, None), wrong
    assert orders.act(last, "restock", total=10).code == 1
    assert versions(redis, nodes) == before, "a repeat or a refusal changed something"
    if redis:
        assert redis.figure(spike.TOTAL) == redis.figure() == 10


def test_restock_down(kind):
    """With a total lowered to the tickets gone, the event is sold out; returned tickets are sold
    again."""
    redis, nodes = kind(total=50, hold="5m")
    first, last = nodes[0], nodes[-1]
    order = orders.buy(first, n=3).data["order"]
    assert orders.buy(last, n=2).code == 1
    spike.wait("both nodes to see it", lambda: first.stock()["sold"] == 5)
    assert orders.act(last, "restock", total=4).code == -409
    answer = orders.act(last, "restock", total=5)
    assert answer.data == {"event": "ticket", "state": "soldout", "total": 5, "sold": 5, "left": 0}
    wait_code(redis, first, -1)
    assert orders.cancel(first, order).code == 1
    assert orders.buy_until(last, n=3).code == 1
    assert orders.buy(last).code == -1
    if redis:
        orders.check_sample(orders.sample(redis, (1, 2)), (1, 2))


def test_journaled_with_time_and_origin(kind):
    """Every node's journal records what was done, when, on which node and from where."""
    _, nodes = kind(total=50)
    last = nodes[-1]
    before = time.time_ns() // 1000000
    for what, more in (("pause", {}), ("resume", {}), ("restock", {"total": 60}), ("close", {})):
        assert orders.act(last, what, **more).code == 1
        # Two acts within one beat may reach the other nodes as one.
        for node in nodes:
            spike.wait("the act in the node's journal", lambda n=node, w=what: is_known(n, last, w))
    states = [r["state"] for r in acts_of(last)]
    assert len(set(states)) == 3 and states[1] == states[2]
    for node in nodes:
        acts = acts_of(node)
        assert [r["total"] for r in acts] == [50, 50, 60, 60]
        assert [r["version"] for r in acts] == sorted({r["version"] for r in acts})
        for r in acts:
            assert r["node"] == last.number
            assert before <= r["acted_ms"] <= time.time() * 1000
            assert re.fullmatch(r"127\.0\.0\.1:\d+", r["origin"]), r
        text = spikelog.run_log(*spikelog.confs(node), "stat")
        assert acts[-1]["origin"] in text, text


def is_known(node, actor, what):
    wanted = {"pause": 1, "resume": 2, "restock": 3, "close": 4}[what]
    return len(acts_of(node)) == wanted and len(acts_of(actor)) == wanted


def test_origin_of_a_unix_socket(site):
    node = site.node(admin=f'"unix:{site.dir}/admin"', listen="127.0.0.1:0")
    assert orders.act(node, "pause").code == 1
    assert re.fullmatch(r"unix:uid=\d+", acts_of(node)[0]["origin"])


@pytest.mark.parametrize("what, code, state", [("pause", -4, "paused"), ("close", -3, "closed")])
def test_survives(kind, what, code, state):
    """An act survives kill -9 of all nodes and a Redis that has lost everything."""
    redis, nodes = kind(total=50, stock_max=80)
    assert orders.act(nodes[0], "restock", total=70).code == 1
    assert orders.act(nodes[-1], what).code == 1
    for node in nodes:
        wait_code(redis, node, code)
        spike.wait("the act in the node's journal",
                   lambda node=node: acts_of(node) and acts_of(node)[-1]["version"] == 3)

    def check():
        for node in nodes:
            node.wait_healthy()
            spike.wait("the verdict", lambda node=node: node.buy().code == code)
            assert node.stock() == {"event": "ticket", "state": state, "total": 70, "sold": 0,
                                    "left": 70}

    for node in nodes:
        node.kill9()
    if redis:
        redis.kill()
        redis.start()
    for node in nodes:
        node.start(healthy=False)
    check()
    if redis:
        redis.restart_empty()
        spike.wait("the hash to be back", lambda: redis.figure(spike.TOTAL) == 70)
        check()
        redis.kill()
        for node in nodes:
            # Without Redis a node cannot know whether the act still holds.
            spike.wait("busy", lambda node=node: node.buy().code == -6)
            assert orders.act_once(node, "resume").code == -6
        redis.start()
        check()
    answer = orders.act(nodes[0], "resume")
    assert answer.code == (1 if what == "pause" else -409)


def test_acts_of_two_operators(site):
    """Operators on two nodes at the same moment: no act is half done, and all nodes end in one
    state."""
    redis = site.redis()
    nodes = orders.two_nodes(site, redis, events={"ticket": {"total": 50, "stock_max": 100}})
    whats = ["/pause?event=ticket", "/resume?event=ticket", "/restock?event=ticket&total=60",
             "/restock?event=ticket&total=70"]

    def work(caller, i):
        node = nodes[i % 2]
        return caller.until_verdict(lambda: node.admin, "POST", whats[i // 2 % 4]).code

    assert set(orders.Crowd(64, work, threads=8).join()) == {1}
    assert orders.act(nodes[0], "restock", total=80).code == 1
    assert orders.act(nodes[1], "resume").code == 1
    for node in nodes:
        spike.wait("both nodes to agree", lambda node=node: node.stock()["total"] == 80)
        wait_code(redis, node, 1)
        spike.wait("the act in the node's journal", lambda node=node: acts_of(node) and
                   acts_of(node)[-1]["version"] == redis.figure("version"))
        acts = [r["version"] for r in acts_of(node)]
        assert acts == sorted(set(acts))


WRONG = {
    "no event": (400, "POST", "/pause"),
    "event empty": (400, "POST", "/pause?event="),
    "event twice": (400, "POST", "/close?event=ticket&event=ticket"),
    "unknown event": (404, "POST", "/close?event=nothing"),
    "no total": (400, "POST", "/restock?event=ticket"),
    "total 0": (400, "POST", "/restock?event=ticket&total=0"),
    "total past stock-max": (400, "POST", "/restock?event=ticket&total=21"),
    "total a word": (400, "POST", "/restock?event=ticket&total=ten"),
    "total 1.5": (400, "POST", "/restock?event=ticket&total=1.5"),
    "total -1": (400, "POST", "/restock?event=ticket&total=-1"),
    "total twice": (400, "POST", "/restock?event=ticket&total=12&total=12"),
    "total huge": (400, "POST", "/restock?event=ticket&total=4294967306"),
    "GET": (405, "GET", "/pause?event=ticket"),
    "PUT": (405, "PUT", "/restock?event=ticket&total=12"),
}


def test_wrong_acts(site):
    """A malformed act changes nothing; on a buyers' address there are no acts."""
    node = site.node(events={"ticket": {"total": 10}})
    for name, (status, method, path) in WRONG.items():
        answer = spike.fetch(node.admin, method, path)
        assert (answer.status, answer.code, answer.data) == (status, -status, None), name
        assert status != 405 or answer.headers["allow"] == "POST"
        assert node.fetch(method, path).status == 404, name
    assert not acts_of(node)
    assert node.stock() == {"event": "ticket", "state": "open", "total": 10, "sold": 0, "left": 10}
    form = ["Content-Type: application/x-www-form-urlencoded"]
    answer = spike.fetch(node.admin, "POST", "/restock", headers=form, body="event=ticket&total=12")
    assert answer.data["total"] == 12


def whole_second(seconds):
    """A whole second of the wall clock at least `seconds` away, as (seconds, RFC 3339)."""
    opens = int(time.time() + seconds) + 1
    moment = datetime.datetime.fromtimestamp(opens, datetime.timezone.utc)
    return opens, moment.strftime("%Y-%m-%dT%H:%M:%SZ")


CLOCK_S = 0.005  # the resolution of the server's clock


@pytest.mark.parametrize("standalone", [False, True], ids=["redis", "standalone"])
def test_opening(site, standalone):
    """The event opens at the set time by the node's clock: never before it, and at once after."""
    opens, text = whole_second(3)
    node = site.node(redis=None if standalone else site.redis(),
                     events={"ticket": {"total": 100000, "open": text}})
    assert node.stock()["state"] == "waiting" and node.health().status == 200
    rows = []
    with spike.Wire(node.address) as wire:
        while time.time() < opens + 0.3:
            sent = time.time()
            wire.send(spike.request("GET", "/buy/ticket"))
            code = json.loads(wire.answer().body)["code"]
            rows.append((sent, time.time(), code))
    assert {code for *_, code in rows} == {-2, 1}
    first = min(answered for _, answered, code in rows if code == 1)
    late = [sent for sent, _, code in rows if code == -2 and sent >= opens + CLOCK_S]
    print(f"the first yes {(first - opens) * 1000:.1f} ms after the opening, {len(late)} late noes")
    assert first >= opens, "too early"
    assert len(late) <= 2, "too late"  # only workers that were interrupted just then may be late
    assert len([1 for *_, code in rows if code == -2]) > 100
    assert node.stock()["state"] == "open"


def test_acts_before_the_opening(site):
    """An event paused before its opening stays paused; it opens when it is resumed."""
    opens, text = whole_second(3)
    node = site.node(events={"ticket": {"total": 10, "open": text}})
    assert orders.act(node, "pause").data["state"] == "paused"
    assert orders.act(node, "resume").data["state"] == "waiting"
    assert orders.act(node, "pause").code == 1
    orders.past(opens * 1000 + 50)
    assert node.buy().code == -4
    assert orders.act(node, "resume").data["state"] == "open"
    assert node.buy().code == 1
