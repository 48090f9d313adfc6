"""Why: a repair waits for every node that was not silent yet when Redis lost its data. A node that
dies in the same incident becomes silent only after the loss: its last sales are in its journal
alone, and no second fault may make the waiting nodes go on and sell its tickets."""

import time

import pytest

import orders
import spike
import spikelog

TOTAL = 100
SILENT_S = 2  # node-timeout: longer than from a death to the loss, also on a busy machine
REQUESTS = "{" + spike.HASH + "}:requests"
SETTINGS = {"events": {"ticket": {"total": TOTAL}}, "node_timeout": f"{SILENT_S * 1000:.0f}ms"}


def cut_connections(redis):
    redis.client.client_kill_filter(_type="normal", skipme=True)


def restart(redis):
    """Restarts Redis without a loss."""
    redis.client.save()
    redis.kill()
    redis.start()


def stays_busy(node, seconds):
    """Checks for so long that nothing is sold: there is no event to wait for."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        answer = node.buy()
        assert answer.code == -6, f"sold before all nodes had settled: {answer}"
        time.sleep(0.02)


def attached(redis):
    return int(redis.client.hget(spike.HASH, "2:epoch") or 0)


def waits(redis, node):
    """The repair lasts until the other node is back, whatever happens to this one."""
    spike.wait("repair", lambda: node.health().json["msg"] == "repair")
    stays_busy(node, 1.2 * SILENT_S)  # by now the other node has been silent for long
    for again in (cut_connections, restart):
        epoch = attached(redis)
        again(redis)
        spike.wait("the node to attach again", lambda epoch=epoch: attached(redis) > epoch)
        stays_busy(node, 0.5)


def sells_the_rest(redis, nodes, yeses):
    nodes[0].start(healthy=False)
    for node in nodes:
        node.wait_healthy()
    yeses += spike.drain(nodes[1], TOTAL, redis)
    spike.check_promises(nodes, yeses, TOTAL, TOTAL)
    spikelog.audit(*nodes)


@pytest.mark.parametrize("loss", ["old dump", "flushall"])
def test_dead_with_the_loss(site, loss):
    """The first node sold most tickets and died a moment before Redis lost those sales."""
    redis = site.redis()
    nodes = orders.two_nodes(site, redis, **SETTINGS)
    yeses = [orders.buy(node).data["order"] for node in nodes]
    spike.wait("both nodes to be settled", lambda: redis.client.hget(spike.HASH, "1:sold") == "1" ==
               redis.client.hget(spike.HASH, "2:sold"))
    redis.keep_dump()
    yeses += [orders.buy(nodes[0]).data["order"] for _ in range(60)]
    nodes[0].kill9()
    redis.client.flushall() if loss == "flushall" else redis.restart_from_old_dump()
    waits(redis, nodes[1])
    sells_the_rest(redis, nodes, yeses)


class StopsAtSecondCall:
    """Of the next new connection the attach reaches Redis and nothing after it."""

    def __init__(self, proxy):
        self.calls, self.old = 0, list(proxy.conns)
        proxy._intercept = self.intercept

    def intercept(self, conn, data):
        if conn not in self.old and b"EVALSHA" in data[:64].upper():
            self.calls += 1
        return b"" if self.calls >= 2 else data


def test_dead_in_the_repair(site):
    """A key beside the hash is lost. The first node attaches for the repair, which resets its
    settled position, and dies before it settles again."""
    redis = site.redis()
    proxy = site.proxy(redis)
    nodes = [site.node(i, nodes=[1, 2], redis=through, healthy=False, workers=1, **SETTINGS)
             for i, through in ((1, proxy), (2, redis))]
    for node in nodes:
        node.wait_healthy()
    yeses = [orders.buy(nodes[0]).data["order"] for _ in range(60)]
    yeses.append(orders.buy(nodes[1]).data["order"])
    gate = StopsAtSecondCall(proxy)
    redis.client.delete(REQUESTS)
    spike.wait("the step after the attach", lambda: gate.calls >= 2)
    nodes[0].kill9()
    del proxy._intercept
    waits(redis, nodes[1])
    sells_the_rest(redis, nodes, yeses)
