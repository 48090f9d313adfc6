"""Why: P1. Redis comes back empty, or from an old dump, and the first node that attaches sees all
others silent: their beats are lost, or old. They live, and are about to attach. An operator who
gave them up at that moment would sell their tickets again; so the answer names the node that may
still come, and the seconds it has for that. A node with a recent beat is not given up at all, and a
dead one is when its time is over."""

import re
import threading
import time

import pytest

import copies
import orders
import spike
from gate import Gate, is_step
from dead_nodes import check_totals, field, reclaim_once, reopen_once

TOTAL = 10
EARLY = re.compile(r"node 1 may still come back: try again in (\d+) s")
HEARD = re.compile(r"node 1 was heard \d+\.\d s ago")
# Long enough for a live node to come back, on any machine.
LONG_S = 20
# max(node-timeout, redis-timeout + 1 s), in seconds
SHORT = {"node_timeout": "500ms", "redis_timeout": "300ms"}
SHORT_S = 1.3

WAYS = {
    "reopen": lambda second, first: reopen_once(second),
    "reclaim": lambda second, first: reclaim_once(second, first),
    "lost": lambda second, first: reclaim_once(second, first, journal="lost"),
}


def two_nodes(site, redis, gate, **settings):
    """Two nodes, the first one behind the gate."""
    nodes = [site.node(i, nodes=[1, 2], redis=way, healthy=False, workers=1,
                       events={"ticket": {"total": TOTAL}}, **settings)
             for i, way in ((1, gate), (2, redis))]
    for node in nodes:
        node.wait_healthy()
    return nodes


def sold_by(redis, node, count, before=0):
    yeses = [orders.buy(node).data["order"] for _ in range(count)]
    copies.settled(redis, node, before + count)
    return yeses


def seconds_of(answer):
    """The seconds that the node still has, if the answer names them; message and Retry-After agree.
    """
    early = EARLY.fullmatch(answer.json["msg"])
    assert not early or early[1] == answer.headers["retry-after"]
    return early and int(early[1])


def repeat_act(way, first, second, patience_s, until=lambda answer: False):
    """Repeats the act until it is done or until(answer) is true; returns the last answer and the
    seconds that were named on the way."""
    seconds_named = []

    def is_done():
        answer = WAYS[way](second, first)
        assert answer.code in (1, -6, -409), answer
        if answer.code == -6:
            seconds_named.append(seconds_of(answer))
        return (answer.code == 1 or until(answer)) and answer

    last = spike.wait("the act to be done", is_done, 2 * LONG_S, step=0.05)
    seconds_named = [seconds for seconds in seconds_named if seconds]
    assert all(seconds <= patience_s + 1 for seconds in seconds_named), seconds_named
    return last, seconds_named


def repeat_until_back(way, gate, redis, first, second, away_s):
    """As an operator who gives the first node up. That node comes back so many seconds after an
    answer has said that it may. Checks the answers, and that the second node sells only what is
    left."""
    back = threading.Timer(away_s, setattr, (gate, "refuse", False))

    def is_back(answer):
        if seconds_of(answer) and not back.is_alive() and gate.refuse:
            back.start()
        return not gate.refuse and second.health().status == 200

    last, _ = repeat_act(way, first, second, LONG_S, is_back)
    was_away = gate.refuse
    sold = copies.sell_all(second, lambda: TOTAL - redis.figure())
    assert 8 + sold <= TOTAL, f"{8 + sold} yeses of {TOTAL} tickets"
    assert not was_away, f"given up while it was coming back: {last}"
    assert sold == TOTAL - 8


def restart_empty(redis):
    redis.restart_empty()


def flushall(redis):
    redis.client.flushall()


@pytest.mark.parametrize("way, lose, away_s", [
    ("reopen", restart_empty, 0.6), ("reopen", flushall, 1.5), ("reclaim", restart_empty, 0.6),
    ("lost", restart_empty, 0.6)])
def test_a_node_on_its_way(site, way, lose, away_s):
    """The first node has sold eight of ten tickets, and reaches Redis a moment later than the
    second one, which was restarted and has seen none of that."""
    redis = site.redis()
    gate = Gate(site, redis)
    first, second = nodes = two_nodes(site, redis, gate, node_timeout=f"{LONG_S}s",
                                      **copies.LONG_TIMEOUTS)
    yeses = sold_by(redis, first, 8)
    gate.refuse = True
    second.kill9()
    lose(redis)
    second.start(healthy=False)
    repeat_until_back(way, gate, redis, first, second, away_s)
    check_totals(redis, nodes, yeses, TOTAL)


@pytest.mark.parametrize("way, restarted", [("reopen", True), ("reclaim", False)])
def test_old_beats(site, way, restarted):
    """Redis comes back from an old dump, in which every node has been silent for long, and has sold
    less."""
    redis = site.redis(persistence="rdb")
    gate = Gate(site, redis)
    first, second = nodes = two_nodes(site, redis, gate, node_timeout="500ms",
                                      redis_timeout=f"{LONG_S - 1}s")
    yeses = sold_by(redis, first, 1)
    redis.keep_dump()
    dumped_ms = time.time() * 1000
    yeses += sold_by(redis, first, 7, before=1)
    orders.past(dumped_ms + 600)
    redis.kill()  # before the first node counts as silent
    gate.refuse = True
    if restarted:
        second.kill9()
    redis.restart_from_old_dump()
    if restarted:
        second.start(healthy=False)
    repeat_until_back(way, gate, redis, first, second, 0.6)
    check_totals(redis, nodes, yeses, TOTAL)


def test_a_new_sale(site):
    """The configuration names two nodes and one has attached: the other may be starting just now.
    Later the operator can begin the sale without it."""
    redis = site.redis()
    began = time.monotonic()
    node = site.node(2, nodes=[1, 2], redis=redis, healthy=False, redis_timeout="2s",
                     node_timeout="500ms", events={"ticket": {"total": TOTAL}})
    last, seconds_named = repeat_act("reopen", None, node, 3)
    assert time.monotonic() - began >= 3, f"given up at once, after {seconds_named}: {last}"
    assert seconds_named and last.data["left"] == TOTAL
    assert copies.sell_all(node, lambda: TOTAL - redis.figure()) == TOTAL
    late = site.node(1, nodes=[1, 2], redis=redis, events={"ticket": {"total": TOTAL}})
    assert orders.buy(late).code == -1
    check_totals(redis, [node, late], total=TOTAL)


@pytest.mark.parametrize("way", ["reopen", "reclaim"])
def test_dead(site, way):
    """The first node dies together with Redis, which loses all. When its time is over it is given
    up; the tickets that the second node has seen of it stay counted."""
    redis = site.redis()
    first, second = nodes = two_nodes(site, redis, redis, **SHORT)
    yeses = sold_by(redis, first, 8)
    spike.wait("the second node to see all", lambda: second.stock()["sold"] == 8)
    redis.kill()  # before the first node counts as silent
    first.kill9()
    began = time.monotonic()
    redis.restart_empty()
    last, seconds_named = repeat_act(way, first, second, SHORT_S)
    assert time.monotonic() - began >= SHORT_S, f"given up at once, after {seconds_named}: {last}"
    assert copies.sell_all(second, lambda: TOTAL - redis.figure()) == 2
    first.start(healthy=False)
    check_totals(redis, nodes, yeses, TOTAL)


def test_a_live_node_is_not_given_up(site):
    redis = site.redis()
    first, second = two_nodes(site, redis, redis, node_timeout=f"{LONG_S}s")
    for way in ("reclaim", "lost"):
        answer, _ = repeat_act(way, first, second, LONG_S, lambda answer: answer.code == -409)
        assert answer.code == -409 and HEARD.fullmatch(answer.json["msg"]), answer
    assert orders.act(second, "reopen").code == 1  # there is nothing to do
    assert orders.buy(first).code == 1


def test_a_slow_node_is_not_given_up(site):
    """The only missing node has attached but cannot settle, for its calls take too long. It lives,
    and the other waits for it."""
    redis = site.redis()
    gate = Gate(site, redis)
    first, second = nodes = two_nodes(site, redis, gate, node_timeout=f"{LONG_S}s",
                                      redis_timeout="300ms")
    yeses = sold_by(redis, first, 8)
    gate.swallow = is_step
    redis.client.flushall()

    def heard_again():
        since = int(redis.client.hget(spike.HASH, "since") or 1)
        return field(redis, second, "ready") and field(redis, first, "beat") >= since

    spike.wait("the second node to wait for the first", heard_again)
    for way in ("reopen", "reclaim", "lost"):
        epoch = field(redis, first, "epoch")
        spike.wait("the first node to attach again", lambda: field(redis, first, "epoch") > epoch)
        answer, seconds_named = repeat_act(way, first, second, LONG_S,
                                           lambda answer: answer.code == -409)
        assert answer.code == -409 and HEARD.fullmatch(answer.json["msg"]), answer
        assert not seconds_named
    gate.swallow = None
    check_totals(redis, nodes, yeses, TOTAL)
