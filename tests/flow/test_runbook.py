"""Why: at night an operator types what the runbook says. The commands of spike-cluster(7) for a new
sale must be complete, and the arithmetic of its table must be right."""

import math
import re
import shlex
import shutil

import dead_nodes
import orders
import spike
import spikelog

PAGE = (spike.ROOT / "man" / "spike-cluster.7").read_text()


def keys_of_a_sale():
    """The keys that the page deletes with redis-cli."""
    command = re.search(r"^\$ redis-cli (del (?:.*\\e\n)+.*)$", PAGE, re.MULTILINE)[1]
    return shlex.split(command.replace("\\e\n", " "))[1:]


def buy_one_each(redis, nodes):
    for node in nodes:
        assert orders.buy(node, key=f"k{node.number}", buyer="ann").code == 1
    for node in nodes:
        dead_nodes.settled(redis, node)
    dead_nodes.check_totals(redis, nodes)
    assert redis.figure() == len(nodes)


def test_a_new_sale(site):
    """By the page's commands: a sale like the first, and the stream has all of it."""
    redis = site.redis(persistence="always")
    nodes = dead_nodes.nodes_of(site, redis, 3)
    buy_one_each(redis, nodes)
    for node in nodes:
        assert node.term() == 0
        shutil.move(node.journal, node.dir / "archive")
    done = spike.run_server("-c", nodes[0].conf)
    assert done.code == 1 and "node 1 must not sell" in done.err, "the hash is still there"
    redis.client.delete(*keys_of_a_sale())
    assert redis.client.keys("*ticket*") == []
    for node in nodes:
        node.start(healthy=False)
    for node in nodes:
        node.wait_healthy()
    buy_one_each(redis, nodes)
    assert "stream: event ticket: 3 settled changes, each exactly once" in spikelog.audit(*nodes)


def test_a_journal_of_the_last_sale(site):
    """The old journal was left on one machine: once the new sale has begun, it is refused."""
    redis = site.redis()
    nodes = dead_nodes.nodes_of(site, redis, 2)
    buy_one_each(redis, nodes)
    for node in nodes:
        assert node.term() == 0
    shutil.move(nodes[0].journal, nodes[0].dir / "archive")
    redis.client.delete(*keys_of_a_sale())
    nodes[0].start(healthy=False)
    orders.act(nodes[0], "reopen")
    assert orders.buy(nodes[0]).code == 1
    done = spike.run_server("-c", nodes[1].conf)
    assert done.code == 1 and "this journal is of sale" in done.err


def test_the_table_of_buffers():
    """(N - k) (s + b) >= total, and no smaller b."""
    rows = re.findall(r"^\.It (\d) Ta ([\d,]+) Ta ([\d,]+) Ta (\d) x ([\d,]+) = ([\d,]+)$", PAGE,
                      re.MULTILINE)
    assert len(rows) == 4
    for row in rows:
        dead, buffer, local, left, each, product = (int(word.replace(",", "")) for word in row)
        assert buffer == math.ceil(2500 * dead / (4 - dead)) and local == each == 2500 + buffer
        assert left == 4 - dead and product == left * local >= 10000 > left * (local - 1)
