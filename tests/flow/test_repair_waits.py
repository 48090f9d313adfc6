"""Why: a repair waits for every node that could still speak when Redis lost its memory. A node that
dies in the same incident has grown silent only after the loss: what it sold stands in its journal
alone, and no second fault while the others wait may make them forget that, and sell its tickets."""

import time

import pytest

import orders
import spike
import spikelog

TOTAL = 100
SILENT_S = 2  # node-timeout: not over between a death and the loss, busy as the machine may be
REQUESTS = "{" + spike.HASH + "}:requests"
SETTINGS = {"events": {"ticket": {"total": TOTAL}}, "node_timeout": f"{SILENT_S * 1000:.0f}ms"}


def cut_connections(redis):
    redis.client.client_kill_filter(_type="normal", skipme=True)


def restart(redis):
    """Nothing is lost by it."""
    redis.client.save()
    redis.kill()
    redis.start()


def stays_busy(node, seconds):
    """Nothing is sold for so long. It must not happen, so there is nothing to wait for but time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        answer = node.buy()
        assert answer.code == -6, f"sold before all had told: {answer}"
        time.sleep(0.02)


def attached(redis):
    return int(redis.client.hget(spike.HASH, "2:epoch") or 0)


def waits(redis, node):
    """The repair goes on until the other is back, whatever happens to this one."""
    spike.wait("repair", lambda: node.health().json["msg"] == "repair")
    stays_busy(node, 1.2 * SILENT_S)  # by now it has been silent for long
    for again in (cut_connections, restart):
        epoch = attached(redis)
        again(redis)
        spike.wait("it to attach again", lambda epoch=epoch: attached(redis) > epoch)
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
    """The first sold most of it and died a moment before Redis forgot that."""
    redis = site.redis()
    nodes = orders.two_nodes(site, redis, **SETTINGS)
    yeses = [orders.buy(node).data["order"] for node in nodes]
    spike.wait("both to be settled", lambda: redis.client.hget(spike.HASH, "1:sold") == "1" ==
               redis.client.hget(spike.HASH, "2:sold"))
    redis.keep_dump()
    yeses += [orders.buy(nodes[0]).data["order"] for _ in range(60)]
    nodes[0].kill9()
    redis.client.flushall() if loss == "flushall" else redis.restart_from_old_dump()
    waits(redis, nodes[1])
    sells_the_rest(redis, nodes, yeses)


class StopsAtSecondCall:
    """The next new connection of a node brings its attach to Redis and nothing after it."""

    def __init__(self, proxy):
        self.calls, self.old = 0, list(proxy.conns)
        proxy._intercept = self.intercept

    def intercept(self, conn, data):
        if conn not in self.old and b"EVALSHA" in data[:64].upper():
            self.calls += 1
        return b"" if self.calls >= 2 else data


def test_dead_in_the_repair(site):
    """A key beside the hash is lost. The first attaches for the repair, by which what it has not
    settled is taken back to be told again, and dies before it tells."""
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
    spike.wait("its step after the attach", lambda: gate.calls >= 2)
    nodes[0].kill9()
    del proxy._intercept
    waits(redis, nodes[1])
    sells_the_rest(redis, nodes, yeses)
