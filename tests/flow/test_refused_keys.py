"""Why: at a sold-out event nearly every answer is a fast refusal. A buyer who retries with the key
of a ticket must not get it, on any node (P4)."""

import collections
import itertools

import orders
import spike

TICKETS = 300


def test_every_ticket_among_fresh_keys(site):
    """A flood of new keys is refused; among them each ticket's key is sent again to both nodes and
    gets its own order."""
    redis = site.redis()
    nodes = orders.two_nodes(site, redis, events={"ticket": {"total": TICKETS}})
    bought = {}
    for i in range(TICKETS):
        path = orders.buy_path(key=f"mine-{i}")
        bought[path] = nodes[i % 2].fetch("GET", path).data["order"]
    for node in nodes:
        spike.wait("sold out", lambda node=node: node.buy().code == -1)
        orders.buy_until(node, key=f"mine-{TICKETS - 1}")

    def flood():
        own = iter(bought)
        for i in itertools.count():
            yield next(own, f"/buy/ticket?key=done-{i}") if i % 20 == 0 else (
                f"/buy/ticket?key=fresh-{i}")

    loads = []
    for node in nodes:
        paths = flood()
        loads.append(site.load(node, connections=40, requests=20 * TICKETS + 2000,
                               path=lambda paths=paths: next(paths)))
    for load in loads:
        load.join()
        own_order = collections.Counter(row.order == bought[row.path] and row.code == 1
                                        for row in load.rows if row.path in bought)
        assert own_order == {True: TICKETS}
        assert {row.code for row in load.rows if row.path not in bought} == {-1}
        assert load.unanswered == 0
    assert redis.figure() == TICKETS
    for node in nodes:
        assert node.event_stats()["refused"] >= 19 * TICKETS


def test_at_the_moment_it_sells_out(site):
    """A retry right after a yes gets the same yes from the same node, perhaps "busy" for a beat
    from the other, and from none "sold out"."""
    redis = site.redis()
    nodes = orders.two_nodes(site, redis, events={"ticket": {"total": TICKETS}})

    def work(caller, i):
        here, there = nodes[i % 2], nodes[1 - i % 2]
        path = orders.buy_path(key=f"key-{i}")
        first = caller.fetch(here.address, "GET", path)
        if first.code != 1:
            assert first.code == -1
            return "refused"
        again = caller.fetch(here.address, "GET", path)
        assert again.code == 1 and again.data == first.data
        for _ in range(5):
            other = caller.fetch(there.address, "GET", path)
            assert other.code == -6 or other.data == first.data, other
        assert caller.buy(there, key=f"key-{i}").data == first.data
        return "bought"

    results = orders.Crowd(2 * TICKETS, work, threads=16).join()
    assert collections.Counter(results) == {"bought": TICKETS, "refused": TICKETS}
    assert redis.figure() == TICKETS
