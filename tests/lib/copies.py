"""Journals that are copied, restored and must stay unchanged; and starts that may be refused."""

import hashlib
import pathlib
import shutil
import signal

import orders
import spike


def copy_journal(node, name):
    """Copies the node's journal as of one moment, as a snapshot of the disk would."""
    to, is_running = node.dir / name, node.is_running()
    if is_running:
        node.freeze()
    shutil.copytree(node.journal, to)
    if is_running:
        node.process.send_signal(signal.SIGCONT)
    return to


def replace_journal(node, copy):
    """Replaces the node's journal by the copy."""
    shutil.rmtree(node.journal)
    shutil.copytree(copy, node.journal)


def digests(directory):
    """The SHA-256 of every file of a journal, without its lock files."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in pathlib.Path(directory).iterdir() if not path.name.startswith("lock")}


# For tests that count every order: on a machine that stalls for a moment none is given up.
LONG_TIMEOUTS = {"redis_timeout": "5s", "answer_timeout": "8s"}


def settled(redis, node, tickets, event="ticket"):
    """Waits until all that the node's journal has is settled in Redis, and so many tickets are
    gone."""

    def is_settled():
        fields = [f"{node.number}:{name}" for name in ("last", "done", "gone")]
        last, done, gone = redis.client.hmget(f"{event}_hash_key", fields)
        return last == done and gone == str(tickets)

    spike.wait(f"{tickets} tickets to be settled", is_settled)


def comes_up(node):
    """Starts the node; true if it sells, false if it ends by itself, which it must explain in its
    log."""
    try:
        node.start(healthy=False)
    except AssertionError:
        if node.is_running():
            raise
    return is_up_after_start(node)


def is_up_after_start(node):
    """As comes_up(), for a node that was started already."""

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
    """Buys and pays until left() is 0; returns how many tickets were paid."""
    count = 0

    def is_out():
        nonlocal count
        answer = orders.buy(node)
        if answer.code == 1:
            count += orders.pay(node, answer.data["order"]).code == 1
        return answer.code == -1 and left() <= 0

    spike.wait("all to be sold", is_out)
    return count
