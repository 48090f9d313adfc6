"""Why: the cost of a refusal is its system calls. One more for each request is noticed by no other
test, and by no buyer before the day of the sale."""

import collections
import contextlib
import pathlib
import re
import signal
import subprocess

import pytest

import spike
from spike import Wire, request

pytestmark = pytest.mark.skipif(bool(spike.BUILD), reason="a sanitizer makes calls of its own")

REQUESTS, TRIES = 50, 5
SLEEPS = {"epoll_wait", "restart_syscall"}  # their number depends on the moment
GET = request("GET", "/buy/ticket")
LAST = request("GET", "/buy/ticket", ["Connection: close"])


@pytest.fixture
def node(site):
    """A sold-out node with one worker and no open connection."""
    node = site.node(events={"ticket": {"total": 1}}, workers=1)
    node.buy()
    spike.wait("sold out", lambda: node.buy().code == -1)
    spike.wait("no connection", lambda: node.stats()["http"]["connections"] == 0)
    return node


def worker(node):
    """The folder of the worker's thread in /proc."""
    tasks = pathlib.Path(f"/proc/{node.process.pid}/task").iterdir()
    return next(task for task in tasks if (task / "comm").read_text() == "worker-1\n")


def status(task, key):
    return re.search(rf"^{key}:\s+(\S+)", (task / "status").read_text(), re.MULTILINE)[1]


@contextlib.contextmanager
def counted(node, site):
    """Counts the worker's system calls; the counts are complete after the `with`."""
    counts, path, task = collections.Counter(), site.dir / "calls", worker(node)
    strace = subprocess.Popen(["strace", "-qq", "-o", path, "-p", task.name],
                              stderr=subprocess.PIPE, preexec_fn=spike.die_with_parent)
    try:
        spike.wait("strace", lambda: status(task, "TracerPid") != "0")
        yield counts
    finally:
        strace.send_signal(signal.SIGINT)
        strace.communicate(timeout=spike.SOON_S)
    for line in path.read_text().splitlines():
        call = re.match(r"(\w+)\(", line)
        if call and call[1] not in SLEEPS:
            counts[call[1]] += 1


def takes(expected, measure):
    """Measures, and again if the machine stood still for a moment: when the ledger is late with a
    beat, a worker must submit the request to it and ring its doorbell (write), which does not count
    as a try. One more call for each request shows in every try."""
    seen = []

    def is_as_expected():
        counts = dict(measure())
        if "write" not in counts:
            seen.append(counts)
        return counts == expected or len(seen) == TRIES

    spike.wait("a try in which the ledger kept its beat", is_as_expected)
    assert seen[-1] == expected, seen


def iterations(site):
    """The calls that `counted` has traced, by iteration of the worker's loop."""
    found = [collections.Counter()]
    for line in (site.dir / "calls").read_text().splitlines():
        if line.startswith("epoll_wait("):
            found.append(collections.Counter())
        found[-1][line.split("(")[0]] += 1
    return found


def test_kept_alive(node, site):
    """A refusal on a connection that is kept takes one call that reads and one that writes."""

    def measure():
        with Wire(node.address) as wire:
            wire.send(GET)
            wire.answer()
            with counted(node, site) as counts:
                for _ in range(REQUESTS):
                    wire.send(GET)
                    assert wire.answer().code == -1
        return counts

    takes({"recvfrom": REQUESTS, "sendto": REQUESTS}, measure)


def test_pipelined(node, site):
    """Requests that come together are read together and answered together."""

    def measure():
        with Wire(node.address) as wire:
            wire.send(GET)
            wire.answer()
            with counted(node, site) as counts:
                wire.send(GET * 16)
                for _ in range(16):
                    assert wire.answer().code == -1
        return counts

    takes({"recvfrom": 1, "sendto": 1}, measure)


def test_a_connection_each(node, site):
    """A connection with one request costs four calls: epoll never watches it, and no accept is in
    vain. The server is stopped meanwhile, so that all requests have arrived before it sees the
    first."""

    def measure():
        node.freeze()
        wires = [Wire(node.address) for _ in range(REQUESTS)]
        for wire in wires:
            wire.send(LAST)
        with counted(node, site) as counts:
            node.process.send_signal(signal.SIGCONT)
            for wire in wires:
                assert wire.answer().code == -1
                assert wire.is_closed()
                wire.close()
        return counts

    takes({"accept4": REQUESTS, "recvfrom": REQUESTS, "sendto": REQUESTS, "close": REQUESTS},
          measure)


def test_new_ones_beside_kept_ones(node, site):
    """An iteration of the loop accepts one new connection for every four events. With one for each
    iteration, which is long under thousands of kept connections, new ones would wait until those
    are quiet."""
    kept = [Wire(node.address) for _ in range(REQUESTS)]
    for wire in kept:
        wire.send(GET)
        wire.answer()
    node.freeze()
    new = [Wire(node.address) for _ in range(REQUESTS)]
    for wire in new:
        wire.send(LAST)
    for wire in kept:
        wire.send(GET)
    with counted(node, site):
        node.process.send_signal(signal.SIGCONT)
        for wire in kept + new:
            assert wire.answer().code == -1
    [busy] = [iteration for iteration in iterations(site) if iteration["recvfrom"] >= REQUESTS]
    assert busy["accept4"] == 1 + (REQUESTS + 1) // 4  # the listener's event counts too
    for wire in kept + new:
        wire.close()
