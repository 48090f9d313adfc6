"""Why: each node may sell its share and a buffer above it, so that the others can sell a dead
node's tickets. How many dead nodes a sale survives is arithmetic: if the local stocks of the live
nodes add up to the total or more, every ticket is sold; else exactly the rest is not, until a dead
node comes back."""

import pytest

import dead_nodes
import spike

TOTAL = 400
DEAD = 2

# Local stock of each node: share + buffer. The last two die.
CASES = {
    # (N - k) (s + b) >= total for N = 4, k = 2, s = 100: b = 100 is enough, 50 is not.
    "equal-enough": [200, 200, 200, 200],
    "equal-short": [150, 150, 150, 150],
    # Shares 40, 80, 120, 160: share * total / (total - shares of the dead), rounded up.
    "weighted-for-the-two-largest": [134, 267, 400, 400],
    "weighted-for-the-largest": [67, 134, 200, 267],
}


def sell_and_kill(site, nodes):
    """Kills the last nodes in the middle of the sale, after a few sales. Returns the load on the
    others, which goes on, and the dead nodes' orders."""
    alive, doomed = nodes[:-DEAD], nodes[-DEAD:]
    few = [site.load(node, connections=2, requests=30, pause_s=0.01) for node in doomed]
    spike.wait("the last nodes to sell", lambda: all(load.yes_count() > 10 for load in few))
    many = site.load(*alive, connections=10, pause_s=0.05)
    spike.wait("the others to sell", lambda: many.yes_count() > 10)
    for node in doomed:
        node.kill9()
    assert many.codes[-1] == 0, "the nodes died after the last ticket was sold"
    return many, [order for load in few for order in load.stop().yeses]


def refusal_of(node):
    """The refusal of a buy: sold out, or sold out here; else its code."""
    answer = node.buy()
    return answer.json["msg"] if answer.code == -1 else answer.code


def sold_by(nodes):
    return sum(node.event_stats()["node_sold"] for node in nodes)


@pytest.mark.parametrize("caps", CASES.values(), ids=CASES.keys())
def test_two_of_four_die(site, caps):
    redis = site.redis()
    nodes = dead_nodes.nodes_of(site, redis, 4, TOTAL, caps)
    alive, dead = nodes[:-DEAD], nodes[-DEAD:]
    many, yeses = sell_and_kill(site, nodes)
    out = {node: dead_nodes.field(redis, node, "gone") for node in dead}
    assert all(10 < n <= 30 for n in out.values())
    unsold = max(0, TOTAL - sum(out.values()) - sum(caps[:-DEAD]))
    assert (unsold > 0) == (sum(caps[:-DEAD]) < TOTAL)
    spike.wait("all that can be sold to be sold", lambda: redis.figure() == TOTAL - unsold)
    goes_no_further(alive, many, unsold)
    assert redis.figure() == TOTAL - unsold == sold_by(alive) + sum(out.values())
    yeses += many.stop().yeses
    spike.check_promises(nodes, yeses, TOTAL)
    give_up(alive[0], out, TOTAL - unsold)
    for node in dead:
        yeses += come_back(redis, node)
    dead_nodes.check_totals(redis, nodes, yeses, TOTAL)


def goes_no_further(alive, load, unsold):
    """Every node refuses buyers, with the right message."""
    for node in alive:
        spike.wait("the node to see what is left", lambda node=node: node.stock()["left"] == unsold)
        spike.wait("the right refusal", lambda node=node: refusal_of(node) == (
            "sold out here" if unsold else "sold out"))
    refused = load.codes[-1]
    spike.wait("refusals", lambda: load.codes[-1] > refused + 100)


def give_up(node, out, sold):
    """Giving the dead nodes up frees nothing for sale: their tickets stay counted."""
    for other, count in out.items():
        answer = dead_nodes.reclaim(node, other)
        assert (answer.data["gone"], answer.data["sold"]) == (count, sold)
    assert refusal_of(node).startswith("sold out")


def come_back(redis, node):
    """A dead node comes back, gives back what it never journaled and sells the rest within its
    local stock."""
    out = dead_nodes.field(redis, node, "gone")
    node.start()
    own = sum(node.orders().values())
    assert own <= out
    yeses = spike.drain(node, TOTAL, redis)
    assert sold_by([node]) == own + len(yeses)
    return yeses
