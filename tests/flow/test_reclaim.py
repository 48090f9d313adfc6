"""Why: a node dies for good on the night of the sale. An operator gives it up, so that the others
stop waiting for it, and not one ticket that it sold may be sold again; its tickets stay counted
until its journal is back, or declared lost."""

import re
import shutil
import signal

import orders
import spike
import spikelog
from dead_nodes import (ALIVE_MS, SILENT_MS, TOTAL, check_totals, field, move, nodes_of, reclaim,
                        reclaim_once, reopen_once, settled, stays, waits_for)


def test_what_reclaim_answers(site):
    redis = site.redis()
    first, second = nodes_of(site, redis, 2, silent_ms=ALIVE_MS)
    assert orders.buy(second).code == 1
    assert reclaim_once(first, second).code == -409  # it is alive
    assert reclaim_once(first, first).code == -409
    assert reclaim_once(first, 7).code == -404
    for path in ("/reclaim", "/reclaim?node=", "/reclaim?node=0", "/reclaim?node=x",
                 "/reclaim?node=65536", "/reclaim?node=2&node=2", "/reclaim?node=2&journal=found",
                 "/reclaim?node=2&journal=lost&journal=lost", "/reopen"):
        assert spike.fetch(first.admin, "POST", path).code == -400, path
    assert spike.fetch(first.admin, "GET", "/reclaim?node=2").code == -405
    assert spike.fetch(first.address, "POST", "/reclaim?node=2").code == -404
    second.kill9()
    answer = reclaim(first, second)
    assert answer.data == {"event": "ticket", "state": "open", "total": TOTAL, "sold": 1,
                           "left": TOTAL - 1, "node": 2, "gone": 1, "returned": 0}
    assert reclaim_once(first, second).data == answer.data
    assert "node 2 given up, its tickets: 1 stay counted, 0 came back, from 127.0.0.1:" \
        in spikelog.run_log(*spikelog.confs(first), "stat")
    assert "node 2 is given up by an operator (127.0.0.1:" in first.log_text()


def test_standalone_has_no_other_node(site):
    node = site.node()
    assert reclaim_once(node, 2).code == -404
    assert reopen_once(node).data["state"] == "open"


def test_killed_reclaimed_and_back_elsewhere(site):
    """The other node sells all other tickets; the dead one starts from its journal, in another
    directory and on another port, settles, expires its holds and sells again."""
    redis = site.redis()
    first, second = nodes_of(site, redis, 2, hold="3s")
    bought = [orders.buy(second, key=f"k{i}").data["order"] for i in range(10)]
    assert orders.pay(second, bought[0]).code == 1
    settled(redis, second)
    second.kill9()
    answer = reclaim(first, second)
    assert (answer.data["gone"], answer.data["returned"]) == (10, 0)
    count = 0
    while orders.buy(first, key=f"f{count}").code == 1:
        assert orders.pay(first, orders.buy(first, key=f"f{count}").data["order"]).code == 1
        count += 1
    assert count == TOTAL - 10 and redis.figure() == TOTAL
    move(second)
    second.start()
    assert orders.state_of(second, bought[0]) == "sold"
    spike.wait("the other holds to expire", lambda: orders.state_of(second, bought[9]) == "expired")
    spike.wait("the expired tickets to be left", lambda: first.stock()["left"] == 9)
    check_totals(redis, [first, second])


def test_stalled_over_the_reclaim(site):
    """The node was only stopped: nothing is deducted under its old epoch, and nothing that it sold
    is lost. The first node sells meanwhile, and the requests under way get true answers."""
    redis = site.redis()
    first, second = nodes_of(site, redis, 2, total=20000)
    load = site.load(second, connections=8)
    spike.wait("some yeses", lambda: len(load.yeses) > 5)
    second.freeze()
    epoch = field(redis, second, "epoch")
    assert reclaim(first, second).code == 1
    last = field(redis, second, "last")
    assert field(redis, second, "fenced") == 1
    assert orders.buy(first).code == 1
    second.process.send_signal(signal.SIGCONT)
    spike.wait("the second node to attach again", lambda: field(redis, second, "epoch") > epoch)
    # The reason depends on where it was stopped: before a call, during one, or in a commit.
    assert re.search("fenced|none within redis-timeout|a commit took", second.log_text())
    assert "node 2 is silent" not in second.log_text(), "the node took itself for another one"
    spike.wait("the second node to sell again",
               lambda: load.codes[-1] > 0 or field(redis, second, "last") > last)
    load.stop()
    yeses = load.yeses + [orders.buy(second).data["order"]]
    assert all(order.startswith("0002") for order in yeses)
    check_totals(redis, [first, second], yeses, 20000)


def test_its_journal_is_lost(site):
    """The node's held tickets and those in doubt come back, with the keys in doubt; sold tickets
    stay sold. Then the journal is found after all: it counts, and P1 has not been broken yet."""
    redis = site.redis()
    proxy = site.proxy(redis)
    first = site.node(1, nodes=[1, 2], redis=redis, healthy=False, node_timeout=f"{SILENT_MS}ms",
                      events={"ticket": {"total": TOTAL, "hold": "1m", "limit": 9}})
    second = site.node(2, nodes=[1, 2], redis=proxy, healthy=False, workers=1,
                       node_timeout=f"{SILENT_MS}ms", **spike.QUICK_REDIS,
                       events={"ticket": {"total": TOTAL, "hold": "1m", "limit": 9}})
    for node in (first, second):
        node.wait_healthy()
    held = [orders.buy(second, buyer="ann", key=f"k{i}").data["order"] for i in range(3)]
    for order in held[:2]:
        assert orders.pay(second, order).code == 1
    settled(redis, second)
    spike.wait("the payments to be settled", lambda: field(redis, second, "sold") == 2)
    proxy.cut_reply(close=False)  # deducted, but the reply is lost
    assert orders.buy_once(second, buyer="bob", key="doubt", n=4).code == -6
    second.kill9()
    assert redis.figure() == 7
    assert orders.buy_once(first, buyer="bob", key="doubt", n=4).code == -6  # in doubt
    answer = reclaim(first, second, journal="lost")
    assert (answer.data["gone"], answer.data["returned"]) == (2, 5)
    assert (answer.data["sold"], answer.data["left"]) == (2, TOTAL - 2)
    assert "P1" in answer.data["warning"]
    again = orders.buy(first, buyer="bob", key="doubt", n=4)
    assert again.data["order"].startswith("0001")
    output = spikelog.run_log(*spikelog.confs(first), "audit")
    assert "lost: event ticket: 5 tickets of a node whose journal is lost" in output
    second.start(healthy=False)  # with the journal that was declared lost
    check_totals(redis, [first, second])
    assert orders.get_order(second, held[0]).data["state"] == "sold"
    assert orders.get_order(second, held[2]).data["state"] == "held"
    assert redis.figure() == 3 + 4
    assert orders.buy(second, buyer="bob", key="doubt", n=4).data == again.data
    assert redis.client.hget("{" + spike.HASH + "}:buyers", "ann") == "3"


def test_a_number_whose_journal_is_lost_is_not_used_again(site):
    """The number's order ids would be granted twice."""
    redis = site.redis()
    first, second = nodes_of(site, redis, 2)
    assert orders.buy(second).code == 1
    settled(redis, second)
    second.kill9()
    assert reclaim(first, second, journal="lost").code == 1
    shutil.rmtree(second.journal)
    done = spike.run_server("-c", second.conf)
    assert done.code == 1 and "number of its own" in done.err
    third = site.node(3, nodes=[1, 2, 3], redis=redis, events={"ticket": {"total": TOTAL}})
    assert orders.buy(third).code == 1


def test_reopen_without_one_that_is_gone(site):
    """Redis loses everything while a node is dead that the others had just seen alive. They wait
    for it, log that, and go on when an operator reopens the sale; its last seen tickets stay
    counted."""
    redis = site.redis()
    first, second, third = nodes = nodes_of(site, redis, 3, silent_ms=ALIVE_MS)
    yeses = [orders.buy(node).data["order"] for node in nodes for _ in range(4)]
    for node in nodes:
        settled(redis, node)
    spike.wait("the first node to see all", lambda: first.stock()["sold"] == 12)
    third.kill9()
    redis.client.flushall()
    spike.wait("repair", lambda: first.stock()["state"] == "repair")
    assert reopen_once(first).code == -6  # the live nodes are still attaching
    spike.wait("the second node to be back", lambda: field(redis, second, "ready") == 1)
    spike.wait("the wait to be logged", lambda: "waits for node 3;" in first.log_text())
    assert waits_for(first) == waits_for(second) == [3]
    stays(second, "repair")
    assert orders.act(first, "reopen").data == {"event": "ticket", "state": "open", "total": TOTAL,
                                                "sold": 12, "left": TOTAL - 12}
    assert orders.act(first, "reopen").code == 1  # a repeat: nothing to do
    assert waits_for(first) == []
    assert "node 3 given up to reopen, its tickets: 4 stay counted" in spikelog.run_log(
        *spikelog.confs(first), "stat")
    yeses += [orders.buy(node).data["order"] for node in (first, second) for _ in range(4)]
    third.start(healthy=False)
    check_totals(redis, nodes, yeses)


def test_a_blank_node_starts_nothing(site):
    """After a FLUSHALL the first node to attach has no journal: it sells nothing while its conf
    names other nodes, until they are back."""
    redis = site.redis()
    first, second = nodes = nodes_of(site, redis, 2)
    yeses = [orders.buy(first).data["order"] for _ in range(5)]
    for node in nodes:
        node.kill9()
    redis.client.flushall()
    shutil.rmtree(second.journal)
    second.start(healthy=False)
    spike.wait("repair", lambda: second.health().json["msg"] == "repair")
    stays(second, "repair", 1.5 * SILENT_MS / 1000)
    first.start(healthy=False)
    check_totals(redis, nodes, yeses)
    assert redis.figure() == 5


def test_a_new_sale_begins_by_reopen(site):
    """The conf names two nodes, and one never attaches."""
    redis = site.redis()
    node = site.node(1, nodes=[1, 2], redis=redis, healthy=False,
                     events={"ticket": {"total": TOTAL}})
    spike.wait("repair", lambda: node.health().json["msg"] == "repair")
    stays(node, "repair")
    assert waits_for(node) == [2]
    assert orders.act(node, "reopen").data["state"] == "open"
    assert waits_for(node) == []
    assert orders.buy(node).code == 1
    late = site.node(2, nodes=[1, 2], redis=redis, events={"ticket": {"total": TOTAL}})
    assert orders.buy(late).code == 1
    check_totals(redis, [node, late])


def test_sixteen_missing_nodes_are_named(site):
    """Twenty nodes are missing: sixteen are named, in order, and all are counted."""
    node = site.node(50, nodes=[*range(70, 50, -1), 50], redis=site.redis(), healthy=False)
    spike.wait("repair", lambda: node.health().json["msg"] == "repair")
    assert node.event_stats()["waits_for"] == list(range(51, 67))
    text = spike.fetch(node.admin, "GET", "/metrics").body.decode()
    assert '\nspike_repair_waits{event="ticket"} 20\n' in text


def test_a_repeat_is_no_second_act(site):
    """A repeated act gets the same answer; the journal has it once."""
    redis = site.redis()
    first, second = nodes_of(site, redis, 2)
    assert orders.buy(second).code == 1
    settled(redis, second)
    second.kill9()
    output = lambda: spikelog.run_log(*spikelog.confs(first), "stat")
    answers = [reclaim(first, second) for _ in range(3)]
    assert answers[0].data == answers[1].data == answers[2].data
    assert output().count("node 2 given up,") == 1
    for _ in range(2):  # sold outright: no ticket comes back, so there is no warning
        assert "warning" not in reclaim(first, second, journal="lost").data
    assert output().count("node 2 given up with its journal") == 1
