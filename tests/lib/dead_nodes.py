"""Dead nodes: the operator's requests about them, what the others wait for, and the sums once all
nodes are back."""

import re
import shutil
import time

import orders
import spike
import spikelog

SILENT_MS = 600  # node-timeout that is soon over
ALIVE_MS = 3000  # node-timeout that one stall of the machine does not exceed
TOTAL = 60


def nodes_of(site, redis, count, total=TOTAL, caps=None, silent_ms=SILENT_MS, **event):
    """count nodes of one sale, all selling. caps: the local-stock of each. silent_ms: node-timeout;
    longer where a node that stands still for a moment must not count as silent. redis-timeout is
    short too: an operator must wait a second longer than that before a node can be given up."""
    numbers = list(range(1, count + 1))
    nodes = []
    for i in numbers:
        cap = {"local_stock": caps[i - 1]} if caps else {}
        nodes.append(site.node(i, nodes=numbers, redis=redis, healthy=False, workers=1,
                               node_timeout=f"{silent_ms}ms", redis_timeout="2s",
                               events={"ticket": {"total": total, **cap, **event}}))
    for node in nodes:
        node.wait_healthy()
    return nodes


# -- requests of operators


def reclaim_once(node, gone, **more):
    path = f"/reclaim?node={gone.number if hasattr(gone, 'number') else gone}"
    return spike.fetch(node.admin, "POST", path + "".join(f"&{k}={v}" for k, v in more.items()))


def reclaim(node, gone, **more):
    """Repeats the request until the node has been silent for long enough."""

    def is_given_up():
        answer = reclaim_once(node, gone, **more)
        return answer if answer.code not in (-409, -6) else None

    return spike.wait("the node to be given up", is_given_up)


def reopen_once(node):
    return orders.act_once(node, "reopen")


def move(node, name="moved"):
    """Moves the node's journal, as if to another machine."""
    other = node.dir / name
    shutil.move(node.journal, other)
    node.conf.write_text(node.conf.read_text().replace(str(node.journal), str(other)))
    node.journal = other


# -- what Redis holds, and what nodes wait for


def field(redis, node, name):
    return int(redis.client.hget(spike.HASH, f"{node.number}:{name}") or 0)


def settled(redis, node):
    spike.wait("all to be settled", lambda: field(redis, node, "last") > 0 and
               field(redis, node, "last") == field(redis, node, "done"))


def waits_for(node):
    """The nodes that a repair waits for: /stats names them, /metrics counts them."""
    found = node.event_stats()["waits_for"]
    text = spike.fetch(node.admin, "GET", "/metrics").body.decode()
    assert f'\nspike_repair_waits{{event="ticket"}} {len(found)}\n' in text
    return found


def is_silent(redis, node):
    seconds, us = redis.client.time()
    return seconds * 1000 + us // 1000 > field(redis, node, "beat") + SILENT_MS


def seen_silent(redis, nodes, gone):
    """Waits until gone is silent and all nodes have noticed; on a busy machine they may have
    counted it as silent before."""
    spike.wait("silence", lambda: is_silent(redis, gone))
    state = re.compile(f"node {gone.number} is (silent|back)")
    for node in nodes:
        spike.wait(f"{node.name} to notice the silence",
                   lambda node=node: state.findall(node.log_text())[-1:] == ["silent"])


def stays(node, state, seconds=0.5):
    """Checks for so long that the state does not change: there is no event to wait for."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert node.stock()["state"] == state
        assert node.buy().code == -6
        time.sleep(0.02)


# -- the sums


def check_totals(redis, nodes, yeses=(), total=TOTAL, foreign=0):
    """Nothing lost, nothing sold twice, nothing stranded."""
    for node in nodes:
        node.wait_healthy()
    spike.check_promises(nodes, yeses, total, redis.figure() - foreign)
    # An audit to which Redis did not answer in time lacks that line.
    spike.wait("P3", lambda: "P3 no undersell" in spikelog.audit(*nodes))
    numbers = [node.number for node in nodes]
    orders.check_sample(orders.sample(redis, numbers), numbers, foreign)
