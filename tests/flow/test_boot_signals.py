"""Why: a signal may come at any moment, also during the start, which lasts minutes with a large
journal. HUP and USR1 (of a script that rotates logs) must not end the server: they take effect once
it runs. TERM and QUIT end it at once, with exit 0. None of them may be taken for a damaged journal.
"""

import itertools
import os
import pathlib
import re
import signal
import time

import pytest

import spike

STAGES = ("getopt", "stat", "close_range")  # main(), the configuration, the reader of the journal
LATER = (signal.SIGHUP, signal.SIGUSR1)
ENDS = (signal.SIGTERM, signal.SIGQUIT)
MOMENTS = 25
by_name = {"ids": lambda value: getattr(value, "name", value)}


class Boot:
    """A node whose start can be held at one stage. It has a journal with one order."""

    def __init__(self, site, preload):
        self.hold, self.here = site.dir / "hold", site.dir / "hold.here"
        self.node = site.node(events={"ticket": {"total": 1000, "local-stock": 10}})
        assert self.node.buy().code == 1
        assert self.node.term() == 0
        self.node.env.update(LD_PRELOAD=str(preload("holdboot")), HOLD=str(self.hold))

    def start(self, at, *options):
        """Starts the server as a process group of its own, up to that stage."""
        self.hold.touch()
        self.here.unlink(missing_ok=True)
        self.node.env["HOLD_AT"] = at
        self.node.spawn(*options, group=True)
        spike.wait(at, self.here.exists, step=0.001)

    def go_on(self):
        self.hold.unlink()

    def signal(self, number):
        """Sends it to the server and to the process that reads its journal."""
        os.killpg(self.node.process.pid, number)

    def is_up(self):
        """The server runs and has all its tickets."""
        self.node.wait_listening()
        self.node.wait_healthy()
        assert self.node.stock()["sold"] == 1
        assert "damaged" not in self.node.log_text()


@pytest.fixture
def boot(site, preload):
    return Boot(site, preload)


@pytest.mark.parametrize("at", STAGES)
def test_hup_and_usr1_wait_until_it_runs(boot, at):
    """HUP and USR1 at each stage; then the server comes up and obeys them."""
    boot.start(at)
    for number in LATER:
        boot.signal(number)
    text = boot.node.conf.read_text()
    boot.node.conf.write_text(text.replace("local-stock 10;", "local-stock 20;"))
    boot.go_on()
    boot.is_up()
    spike.wait("the reload", lambda: "reload: done" in boot.node.log_text())
    spike.wait("USR1", lambda: "nothing to reopen" in boot.node.log_text())
    spike.wait("the new cap", lambda: boot.node.event_stats()["local_stock"] == 20)
    assert boot.node.term() == 0


def test_signals_throughout_the_start(boot):
    """HUP and USR1 all the time from main() until the server listens."""
    boot.start("getopt")
    boot.go_on()
    for number in itertools.cycle(LATER):
        boot.signal(number)
        if boot.node._listening():
            break
    boot.is_up()
    assert boot.node.term() == 0


@pytest.mark.parametrize("at", STAGES)
@pytest.mark.parametrize("number", ENDS, **by_name)
def test_stop_at_once(boot, number, at):
    """TERM and QUIT do not wait for the end of the start, and do no damage."""
    boot.start(at)
    boot.signal(number)
    assert boot.node.wait_end() == 0
    assert boot.node.log_text() == "spike-server: stopped while it was being started\n"
    boot.go_on()
    boot.node.start()
    boot.is_up()


@pytest.mark.parametrize("number", ENDS + LATER + (signal.SIGINT,), **by_name)
def test_the_reader_alone(boot, number):
    """The process that reads the journal ignores signals: only the server ends it."""
    boot.start("close_range")
    [reader] = reader_of(boot.node)
    os.kill(reader, number)
    boot.go_on()
    boot.is_up()


def reader_of(node):
    pid = node.process.pid
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as children:
        return [int(word) for word in children.read().split()]


def test_stop_at_any_moment(boot):
    """TERM some moments after main() has begun: exit 0 every time, and nothing is lost."""
    for i in range(MOMENTS):
        boot.start("getopt")
        boot.go_on()
        time.sleep(i * 0.002)  # the moment of the signal is what is tested
        boot.signal(signal.SIGTERM)
        assert boot.node.wait_end() == 0, f"moment {i}"
    boot.node.start()
    boot.is_up()


@pytest.mark.parametrize("number", ENDS + LATER, **by_name)
def test_a_check_can_be_ended(boot, number):
    """-t is no server: a signal ends it as it ends any program, and the exit status shows it."""
    boot.start("stat", "-t")
    boot.signal(number)
    assert boot.node.wait_end() == -number


def test_only_the_main_thread_takes_signals(site):
    """All other threads block the signals: one would interrupt their system calls."""
    node = site.node()
    blocked = {}
    for task in pathlib.Path(f"/proc/{node.process.pid}/task").iterdir():
        text = (task / "status").read_text()
        blocked[int(task.name)] = int(re.search(r"^SigBlk:\s+(\w+)", text, re.MULTILINE)[1], 16)
    assert len(blocked) > 3
    handled = sum(1 << number - 1 for number in ENDS + LATER)
    assert blocked.pop(node.process.pid) & handled == 0
    assert {mask & handled for mask in blocked.values()} == {handled}
