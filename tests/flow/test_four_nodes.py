"""Why: four nodes sell under load, and Redis loses all its data, a part, or the last moments; a
node may be dead or stopped as well, for long or since that moment. Not one ticket too many is sold,
the sale goes on by itself wherever it can, and at the end the audit of the four journals and Redis
finds total = left + held + sold.

test_lost_writes.py and test_repair_waits.py test the kinds of loss with two nodes; here is what
only several nodes show: which node waits for which."""

import itertools
import signal

import pytest

import dead_nodes
import orders
import spike
import spikelog
from prototype import Prototype
from spike import HASH

TOTAL = 4000
ALIVE_MS = 2000  # node-timeout of a node that must not be silent yet
TRIES = 5
KEYS = ["{" + HASH + "}:" + name for name in ("requests", "buyers", "grants", "orders")]


class Sale:
    """Four nodes under load, each request with a key of its own."""

    def __init__(self, site, total=TOTAL, silent_ms=dead_nodes.SILENT_MS):
        self.redis, self.total, self.silent_ms = site.redis(), total, silent_ms
        self.nodes = dead_nodes.nodes_of(site, self.redis, 4, total, silent_ms=silent_ms)
        self.one_key = site.random.choice(KEYS)
        numbers = itertools.count()
        self.load = site.load(*self.nodes, connections=16, pause_s=0.05, path=lambda: (
            f"/buy/ticket?key=k{next(numbers)}&buyer=b{site.random.randrange(200)}"))
        self.sells(100)
        self.redis.keep_dump()
        self.sells(200)

    def sells(self, count):
        """Waits for so many more sales."""
        goal = self.load.yes_count() + count
        spike.wait("sales", lambda: self.load.yes_count() >= goal)

    def alive(self):
        """All nodes but the last, which gets the fault."""
        return self.nodes[:-1]

    @property
    def last(self):
        return self.nodes[-1]

    def signal(self, number):
        if number == signal.SIGSTOP:
            self.last.freeze()
        else:
            self.last.process.send_signal(number)

    def is_refused(self):
        """Waits until buyers are refused."""
        refused = self.load.codes[-1]
        spike.wait("refusals", lambda: self.load.codes[-1] > refused + 200)

    # -- what Redis loses

    def flushall(self):
        self.redis.client.flushall()

    def one_key_deleted(self):
        print(f"deleted: {self.one_key}")
        assert self.redis.client.delete(self.one_key) == 1

    def old_dump(self):
        self.redis.restart_from_old_dump()

    def lose(self, loss):
        """Makes the loss and waits until each of the other nodes has noticed."""
        self.before_loss = [len(node.log_text()) for node in self.alive()]
        times = [self.attached(node) for node in self.alive()]
        getattr(self, loss)()
        for node, before in zip(self.alive(), times):
            spike.wait(f"{node.name} to attach again",
                       lambda node=node, before=before: self.attached(node) > before)

    @staticmethod
    def attached(node):
        return node.log_text().count("attached, epoch")

    # -- and then

    def is_waited_for(self):
        """The others log that they wait for node 4, and none sells."""
        for node in self.alive():
            spike.wait("the wait to be logged",
                       lambda node=node: "waits for node 4;" in node.log_text())
        sold = self.load.yes_count()
        dead_nodes.stays(self.nodes[0], "repair", 1.2 * self.silent_ms / 1000)
        assert self.load.yes_count() == sold

    def waits(self):
        return any("waits for node" in node.log_text()[before:]
                   for node, before in zip(self.alive(), self.before_loss))

    def is_not_waited_for(self):
        self.sells(100)
        assert not self.waits()

    def goes_on(self):
        """True if the sale goes on by itself; False if a node logs which nodes it waits for."""
        goal = self.load.yes_count() + 100
        spike.wait("sales, or a wait", lambda: self.load.yes_count() >= goal or self.waits())
        return not self.waits()

    def end(self):
        """All nodes are healthy: every ticket is sold, once."""
        for node in self.nodes:
            node.wait_healthy()
        self.sells(100)
        yeses = self.load.stop().yeses
        yeses += spike.drain(self.last, self.total, self.redis)
        assert self.load.unanswered == 0
        dead_nodes.check_totals(self.redis, self.nodes, yeses, self.total)


LOSSES = ["flushall", "one_key_deleted", "old_dump"]


@pytest.mark.parametrize("loss", LOSSES)
def test_all_alive(site, loss):
    """The sale goes on by itself. After repeated losses when all is sold, not one more ticket is.
    """
    sale = Sale(site, 1500)
    sale.lose(loss)
    sale.is_not_waited_for()
    spike.wait("all to be sold", lambda: sale.redis.figure() == sale.total)
    for _ in range(5):
        sale.is_refused()
        sale.lose(loss)
    sale.is_refused()
    dead_nodes.check_totals(sale.redis, sale.nodes, sale.load.stop().yeses, sale.total)


@pytest.mark.parametrize("asleep", [False, True], ids=["dead", "asleep"])
@pytest.mark.parametrize("loss", LOSSES)
def test_one_silent_for_long(site, loss, asleep):
    """The others do not wait for it. Its last seen tickets stay counted, also those in doubt, until
    it is back. Once Redis has lost its beats, the others rely on its silence for half a second
    only: if the repair takes longer, as after a restart or on a busy machine, an operator must
    reopen the sale. Without a restart one of the tries is quick enough."""
    sale = Sale(site)
    for _ in range(TRIES):
        sale.signal(signal.SIGSTOP) if asleep else sale.last.kill9()
        dead_nodes.seen_silent(sale.redis, sale.alive(), sale.last)
        sale.sells(50)
        sale.lose(loss)
        by_itself = sale.goes_on()
        print(f"by itself: {by_itself}")
        if not by_itself:
            assert orders.act(sale.nodes[0], "reopen").code == 1
            sale.sells(100)
        sale.signal(signal.SIGCONT) if asleep else sale.last.start(healthy=False)
        if by_itself or loss == "old_dump":
            break
        # The node is healthy before it is back in the sale.
        sold = sale.last.event_stats()["node_sold"]
        spike.wait("the last node to be back", lambda: sale.last.event_stats()["node_sold"] > sold)
    assert by_itself or loss == "old_dump", "the others wait for it"
    sale.end()


@pytest.mark.parametrize("loss, reopened", [("flushall", False), ("flushall", True),
                                            ("one_key_deleted", False), ("old_dump", True)])
def test_one_dead_in_the_same_moment(site, loss, reopened):
    """The others wait for it until it is back or an operator reopens the sale."""
    sale = Sale(site, silent_ms=ALIVE_MS)
    sale.last.kill9()
    sale.lose(loss)
    sale.is_waited_for()
    if reopened:
        assert orders.act(sale.nodes[1], "reopen").data["state"] == "open"
        sale.sells(100)
    sale.last.start(healthy=False)
    sale.end()


@pytest.mark.parametrize("loss", LOSSES)
def test_one_asleep_in_the_same_moment(site, loss):
    """The others wait for it, and when it runs again the sale goes on by itself."""
    sale = Sale(site, silent_ms=ALIVE_MS)
    sale.signal(signal.SIGSTOP)
    sale.lose(loss)
    sale.is_waited_for()
    sale.signal(signal.SIGCONT)
    sale.end()


def kill_reclaim_and_move(sale):
    """The last node dies and is given up, and the others sell on; it starts from its journal, in
    another directory and on another port."""
    sale.last.kill9()
    port = sale.last.address
    answer = dead_nodes.reclaim(sale.nodes[2], sale.last)
    assert answer.data["gone"] == dead_nodes.field(sale.redis, sale.last, "gone") > 0
    sale.sells(100)
    dead_nodes.move(sale.last)
    sale.last.start()
    assert sale.last.address != port


def fields_of_last(sale):
    """Redis' fields of the last node, at one moment."""
    names = ("epoch", "fenced", "last", "gone")
    return dict(zip(names, sale.redis.client.hmget(HASH, [f"4:{name}" for name in names])))


def stall_over_the_reclaim(sale):
    """The last node was only stopped: nothing is deducted under its old epoch."""
    sale.signal(signal.SIGSTOP)
    assert dead_nodes.reclaim(sale.nodes[2], sale.last).code == 1
    fenced = fields_of_last(sale)
    sale.sells(100)
    sale.signal(signal.SIGCONT)
    while (now := fields_of_last(sale))["epoch"] == fenced["epoch"]:
        assert now == fenced, "deducted under its old epoch"
        assert sale.last.is_running()


def test_killed_reclaimed_and_back_elsewhere(site):
    sale = Sale(site)
    kill_reclaim_and_move(sale)
    sale.end()


def test_stalled_over_the_reclaim(site):
    sale = Sale(site)
    stall_over_the_reclaim(sale)
    sale.end()


class Foreign:
    """The prototype's sales, and how many of them no node can know: those between the nodes' last
    beat and the end of the loss."""

    def __init__(self, sale, other):
        self.sale, self.other, self.unknowable = sale, other, 0

    def is_seen(self):
        """Waits until a live node has seen all tickets that are gone."""
        figure = self.sale.redis.figure()
        spike.wait("the tickets gone to be seen",
                   lambda: self.sale.nodes[0].stock()["sold"] >= figure)

    def lose(self, loss):
        before = len(self.other.sold)
        self.is_seen()
        self.sale.lose(loss)
        if loss != "one_key_deleted":
            self.unknowable += len(self.other.sold) - before
        for node in self.sale.nodes:
            node.wait_healthy()
        self.sale.sells(100)

    def check(self):
        """Its sales are counted, and the nodes sell only the rest. One ticket too many is the
        prototype's own fault."""
        total, gone_in_all = self.sale.total, self.sale.redis.figure()
        counted = gone_in_all - self.sale.redis.figure("ours")
        theirs = self.other.stop()
        print(f"{theirs} by the prototype, {counted} counted, {self.unknowable} unknowable")
        assert self.unknowable < theirs - self.unknowable <= counted <= theirs
        assert gone_in_all == total + 1 == self.other.sold[-1]
        yeses = self.sale.load.stop().yeses
        spike.check_promises(self.sale.nodes, yeses, total - counted + 1, gone_in_all - counted)
        assert f"{total + 1} of {total} are gone, with {counted} through other programs" in \
            spikelog.audit(*self.sale.nodes)


def test_the_prototype_beside_all_of_this(site):
    """The prototype sells from the same hash: its sales are counted as foreign, and the nodes never
    pass the total."""
    sale = Sale(site, 3 * TOTAL)
    with Prototype(sale.redis, pause_s=0.005, keep_on=True) as other:
        foreign = Foreign(sale, other)
        spike.wait("the prototype to sell", lambda: len(other.sold) > 20)
        for loss in LOSSES:
            foreign.lose(loss)
        kill_reclaim_and_move(sale)
        stall_over_the_reclaim(sale)
        for loss in site.random.sample(LOSSES, len(LOSSES)):
            foreign.lose(loss)
        spike.wait("all tickets to be gone", lambda: sale.redis.figure() > sale.total)
        sale.is_refused()
        foreign.check()
