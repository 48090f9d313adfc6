"""Why: P2. A process can die at any instant; every yes that was sent has its ticket all the same.

SPIKE_KILLS=50 makes it the long run.
"""

import os
import time

import pytest

import spike

KILLS = int(os.environ.get("SPIKE_KILLS", "12"))
TOTAL = 2500 * KILLS


def kill_under_load(site, load, node):
    """Kills the node after so many sales plus a random delay, so at any moment of a batch."""
    wanted = load.yes_count() + site.random.randrange(1, 400)
    spike.wait("sales", lambda: load.yes_count() >= wanted)
    time.sleep(site.random.random() * 0.02)
    node.kill9()


@pytest.mark.parametrize("standalone", [False, True], ids=["redis", "standalone"])
def test_kill_9_under_load(site, standalone):
    """kill -9 at random times, restart each time: no yes is lost or doubled, nothing is stranded."""
    redis = None if standalone else site.redis()
    node = site.node(redis=redis, events={"ticket": {"total": TOTAL}})
    load = site.load(node, connections=40, pause_s=0.001)
    kills = KILLS if redis else max(3, KILLS // 3)
    for _ in range(kills):
        kill_under_load(site, load, node)
        assert load.codes[-1] == 0, "sold out was answered while there was stock"
        node.start()
    load.stop()
    assert load.unanswered == 0
    print(f"{kills} kills: {load.codes}")
    assert load.codes[None] > 0, "nothing was under way at any kill"
    yeses = load.yeses + spike.drain(node, TOTAL, redis)
    spike.check_promises([node], yeses, TOTAL, TOTAL)
    assert node.stock()["left"] == 0
    if redis:
        assert redis.figure() == TOTAL


def test_kill_9_of_two_nodes(site):
    """The same with two nodes that die in turn: their shared stock is sold exactly."""
    redis = site.redis()
    nodes = [site.node(i, nodes=[1, 2], redis=redis, events={"ticket": {"total": TOTAL}},
                       workers=1, healthy=False) for i in (1, 2)]
    for node in nodes:
        node.wait_healthy()
    load = site.load(*nodes, connections=40, pause_s=0.001)
    for i in range(max(4, KILLS // 2)):
        kill_under_load(site, load, nodes[i % 2])
        nodes[i % 2].start()
    load.stop()
    assert load.codes[-1] == 0, "sold out was answered while there was stock"
    yeses = load.yeses + spike.drain(nodes[0], TOTAL, redis)
    spike.check_promises(nodes, yeses, TOTAL, TOTAL)
