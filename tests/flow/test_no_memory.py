"""Why: hiredis allocates inside every call to Redis. When an allocation fails, the call is in doubt
like any other that fails: the server logs it, answers "busy", and attaches when there is memory
again. Up to version 0.14 a part of hiredis crashes instead; that part is not used. LMDB allocates
inside every commit, and a failed commit ends the server with an error message."""

import mmap
import re
import struct

import pytest

import orders
import spike
import spikelog

TOTAL = 1_000_000
AGAIN = 5  # one buyer in so many has a key, and each key is used twice
STEP, ATTACH, COMMIT = 60, 70, 12  # allocator calls of one of them, rounded up


class Memory:
    """The counters that the preload nomemory shares with the test: allocator calls of one library,
    how many of them failed, and the range of calls that fail."""

    def __init__(self, path):
        with open(path, "r+b") as file:
            self.map = mmap.mmap(file.fileno(), 32)

    def _get(self, index):
        return struct.unpack_from("<Q", self.map, 8 * index)[0]

    def _put(self, index, value):
        struct.pack_into("<Q", self.map, 8 * index, value)

    @property
    def calls(self):
        return self._get(0)

    @property
    def failed(self):
        return self._get(1)

    def fail(self, after, count=1):
        """Lets `count` calls fail, after `after` others. Returns the number of the first call after
        them."""
        first = self.calls + after
        self._put(3, 0)
        self._put(2, first)
        self._put(3, first + count)
        return first + count

    def is_back(self):
        self._put(3, 0)


class Sale:
    """One node under a crowd that never empties the stock."""

    def __init__(self, site, preload, library):
        path = site.dir / "memory"
        self.redis, self.requests = site.redis(), 0
        self.node = site.node(redis=self.redis, workers=1, preload=preload("nomemory"),
                              env={"NOMEMORY": str(path), "NOMEMORY_OF": library},
                              events={"ticket": {"total": TOTAL, "stock-max": TOTAL}})
        self.memory = Memory(path)
        self.load = site.load(self.node, connections=10, path=self.path)
        self.goes_on()

    def path(self):
        self.requests += 1
        if self.requests % AGAIN:
            return orders.buy_path()
        return orders.buy_path(key=f"key-{self.requests // AGAIN // 2}")

    def wait(self, what, condition):
        """As spike.wait, but fails at once when the server has ended."""

        def checked():
            code = self.node.process.poll()
            assert code is None, f"the server ended with {code}"
            return condition()

        spike.wait(what, checked, 20, step=0.002)

    def goes_on(self):
        goal = self.load.yes_count() + 10
        self.wait("the sale to go on", lambda: self.load.yes_count() >= goal)

    def fails(self, after, count=1, times=1):
        """Waits until `times` calls of the `count` after `after` others have failed."""
        before, last = self.memory.failed, 0

        def have_failed():
            nonlocal last
            if self.memory.failed == before and self.memory.calls >= last:
                # The first time, or the server was quicker than the test.
                last = self.memory.fail(after, count)
            return self.memory.failed >= before + times

        self.wait("calls that fail", have_failed)

    def ends_well(self, killed=False):
        """No answer was wrong; nothing is lost or sold twice. killed: the server had ended, so some
        buyers lost their connection."""
        load = self.load.stop()
        print(load.codes, f"slowest {load.slowest_s():.3f} s, {self.memory.failed} calls failed")
        assert load.codes.keys() <= {1, -6} | ({None} if killed else set()), load.codes
        assert load.unanswered == 0
        orders_of, yeses = {}, []
        for row in load.rows:
            if row.code == 1 and "key" in row.path:
                assert orders_of.setdefault(row.path, row.order) == row.order, "a second order"
            elif row.code == 1:
                yeses.append(row.order)
        yeses += orders_of.values()
        self.wait("journal and Redis to agree",
                  lambda: self.redis.figure() == sum(self.node.orders().values()))
        spike.check_promises([self.node], yeses, TOTAL, self.redis.figure())
        spikelog.audit(self.node)


@pytest.fixture
def sale(site, preload, request):
    sale = Sale(site, preload, getattr(request, "param", "libhiredis"))
    yield sale
    sale.memory.map.close()


def test_each_call_of_a_step(sale):
    """The Nth call of the allocator fails, at any point of the sale."""
    for n in range(STEP):
        sale.fails(n)
        sale.goes_on()
    sale.ends_well()
    assert re.search(r"redis \S+: .*out of memory", sale.node.log_text(), re.IGNORECASE)


def test_each_call_of_an_attach(sale):
    """The connection is lost, and the Nth call from there on fails."""
    for n in range(ATTACH):
        sale.redis.client.client_kill_filter(_type="normal", skipme=True)
        sale.fails(n)
        sale.goes_on()
    sale.ends_well()


def test_for_a_while(sale):
    """From the Nth call on all fail, until there is memory again."""
    for n in range(0, STEP, 4):
        sale.fails(n, count=1 << 60, times=3)
        sale.memory.is_back()
        sale.goes_on()
    sale.ends_well()


@pytest.mark.parametrize("sale", ["liblmdb"], indirect=True)
def test_a_commit(sale):
    """The Nth call of a commit fails: the server ends with an error message and sells after a
    restart."""
    for n in range(COMMIT):
        sale.memory.fail(n, 1 << 60)
        assert sale.node.wait_end() == 1
        assert re.search(r"error journal \S+: commit .* failed", sale.node.log_text())
        sale.memory.is_back()
        sale.node.start()
        sale.goes_on()
    sale.ends_well(killed=True)
