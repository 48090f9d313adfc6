"""Journals that are copied, put back, and must stay as they are; and starts that may be refused."""

import hashlib
import pathlib
import shutil
import signal

import orders
import spike


def copy_journal(node, name):
    """A copy of its journal as of one moment, as a snapshot of the disk has it."""
    to, is_running = node.dir / name, node.is_running()
    if is_running:
        stop(node)
    shutil.copytree(node.journal, to)
    if is_running:
        node.process.send_signal(signal.SIGCONT)
    return to


def stop(node):
    """Every thread of it stands still, until it gets a SIGCONT."""
    tasks = pathlib.Path(f"/proc/{node.process.pid}/task")

    def has_stopped():
        stats = [path.read_text() for path in tasks.glob("*/stat")]
        return all(stat.rsplit(") ", 1)[1][0] == "T" for stat in stats)

    node.process.send_signal(signal.SIGSTOP)
    spike.wait("it to stand still", has_stopped)


def replace_journal(node, copy):
    """The copy takes the place of the journal."""
    shutil.rmtree(node.journal)
    shutil.copytree(copy, node.journal)


def digests(directory):
    """What every file of a journal holds; those by which it is locked aside."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in pathlib.Path(directory).iterdir() if not path.name.startswith("lock")}


# For nodes of which each order counts: on a machine that stalls for a moment none is given up.
PATIENT = {"redis_timeout": "5s", "answer_timeout": "8s"}


def settled(redis, node, tickets, event="ticket"):
    """Waits until Redis has heard all that its journal has, and so many tickets are out."""

    def is_settled():
        fields = [f"{node.number}:{name}" for name in ("last", "done", "gone")]
        last, done, gone = redis.client.hmget(f"{event}_hash_key", fields)
        return last == done and gone == str(tickets)

    spike.wait(f"{tickets} tickets to be settled", is_settled)


def comes_up(node):
    """Starts it; true if it sells then, false if it ends by itself, which it must do with words."""
    try:
        node.start(healthy=False)
    except AssertionError:
        if node.is_running():
            raise
    return is_up_after_start(node)


def is_up_after_start(node):
    """The same of one that was started already."""

    def verdict():
        if not node.is_running():
            return "ended"
        try:
            return "sells" if node.health().status == 200 else None
        except (OSError, EOFError):
            return None

    if spike.wait(f"{node.name} to sell or to end", verdict) == "sells":
        return True
    assert node.wait_end() == 1
    assert f"node {node.number} must not sell" in node.log_text()
    return False


def sell_all(node, left):
    """Buys and pays while left() says that there is something; answers how many buyers it took."""
    count = 0

    def is_out():
        nonlocal count
        answer = orders.buy(node)
        if answer.code == 1:
            count += orders.pay(node, answer.data["order"]).code == 1
        return answer.code == -1 and left() <= 0

    spike.wait("all to be sold", is_out)
    return count
