"""Why: one failed write or sync of the journal, at whatever call, must cost a restart and nothing
else: the server reports the error and ends, or goes on; and it starts again with every acknowledged
order. (Each call, each way and each place: tests/unit/journal_faults_test.c.)"""

import re

import pytest

import orders

TOTAL = 14
SETTINGS = {"workers": 1, "connections": 50, "journal_size": "4m"}

# How many calls a server makes for its journal at the start, for sales and for returns.
CALLS = {"pwrite": 40, "writev": 30, "fdatasync": 30, "fsync": 6, "ftruncate": 2, "fallocate": 1,
         "write": 1, "pwritev": 1, "msync": 1}
WAYS = ("EIO", "ENOSPC", "short", "late")


class Buyers:
    """Buyers, one after the other, until the server has ended; keeps the last answer about each
    order."""

    def __init__(self, node, hold):
        self.node, self.hold, self.answered, self.unanswered = node, hold, {}, set()

    def fetch(self, caller, address, path, order=None):
        """POSTs the path; without an answer, the state of the order is unknown. False: no answer.
        """
        if order:
            self.unanswered.add(order)
        answer = caller.fetch(address, "POST", path)
        if answer is None:
            return False
        if answer.code == 1:
            order = answer.data["order"]
            self.answered[order] = answer.data.get("state", "held" if self.hold else "sold")
            self.unanswered.discard(order)
        return True

    def run(self):
        caller, node = orders.Caller(), self.node
        for i in range(TOTAL - 2):
            if not self.fetch(caller, node.address, "/buy/ticket"):
                break
            if not self.hold or not self.answered:
                continue
            order = list(self.answered)[-1]
            path = f"/order/{order}/" + ("pay" if i % 2 else "cancel")
            if not self.fetch(caller, node.admin if i % 2 else node.address, path, order):
                break
        caller.close()


def run_on_failing_disk(node, hold):
    """Runs the server and its buyers until one of them ends; returns the buyers."""
    buyers = Buyers(node, hold)
    try:
        node.start()
    except (AssertionError, OSError, EOFError):  # it has ended, or will in a moment
        node.wait_end()
        return buyers
    buyers.run()
    if node.is_running() and buyers.answered:
        node.term()
    elif node.is_running():
        node.kill9()
    return buyers


def check_exit(node, case):
    """No signal of its own killed the server, and if it ended by itself its log names the journal.
    """
    assert node.process.returncode in (0, 1, -9), f"{case}: {node.process.returncode}"
    if node.process.returncode == 1:
        assert str(node.journal) in node.log_text(), f"{case}: {node.log_text()}"


def check_restart(node, buyers, case):
    """After a restart every order is as last answered, except those under way; and no ticket is
    sold twice."""
    node.env.pop("LD_PRELOAD")
    node.start()
    found = {r["order"]: r["state"] for r in node.records() if "order" in r}
    for order, state in buyers.answered.items():
        assert order in found, f"{case}: an acknowledged order is lost"
        assert found[order] == state or order in buyers.unanswered, \
            f"{case}: {state}, now {found[order]}"
    while node.buy().code == 1:
        pass
    assert node.buy().code == -1
    live = sum(node.orders().values())
    assert live == TOTAL, f"{case}: {live} tickets are out"
    assert node.term() == 0


def run_case(site, preload, number, case, hold, redis=None):
    call, how, nth, stays = case
    node = site.node(name=f"case{number}", start=False, redis=redis, preload=preload("diskfault"),
                     events={"ticket": {"total": TOTAL, "hold": "60m" if hold else 0}}, **SETTINGS)
    node.env["DISK_FAULT"] = f"{call} {how} {nth} {stays} {node.journal}"
    buyers = run_on_failing_disk(node, hold)
    check_exit(node, case)
    check_restart(node, buyers, case)


def cases(site, count):
    """The first meta pages always, the rest at random."""
    fixed = [("pwrite", how, nth, "once") for how in ("EIO", "short") for nth in (20, 23)]
    while len(fixed) < count:
        call = site.random.choice(["pwrite", "pwrite", *CALLS])
        fixed.append((call, site.random.choice(WAYS), site.random.randint(1, CALLS[call]),
                      site.random.choice(("once", "on"))))
    return fixed


@pytest.mark.parametrize("hold", [False, True], ids=["sales", "returns"])
def test_one_call_fails(site, preload, hold):
    for number, case in enumerate(cases(site, 12)):
        run_case(site, preload, number, case, hold)


def test_beside_redis(site, preload):
    """The deductions of a failed commit are settled, or given back: nothing is stranded."""
    for number, nth in enumerate((21, 24)):
        redis = site.redis(name=f"redis{number}", persistence="always")
        case = ("pwrite", "EIO", nth, "once")
        run_case(site, preload, number, case, hold=bool(number), redis=redis)
        assert redis.figure() == TOTAL
        redis.close()


def test_a_commit_is_kept(site, preload):
    """The meta page of a sale's commit cannot be written: the next start finishes that commit."""
    kept = 0
    for nth in range(18, 40):
        node = site.node(name=f"nth{nth}", start=False, preload=preload("diskfault"),
                         events={"ticket": {"total": TOTAL}}, **SETTINGS)
        node.env["DISK_FAULT"] = f"pwrite EIO {nth} once {node.journal}"
        buyers = run_on_failing_disk(node, hold=False)
        failed = re.search(r"commit of 1 records failed", node.log_text())
        check_restart(node, buyers, nth)
        if failed and "the commit is whole" in node.log.read_text():
            kept += 1
            if kept == 2:
                return
    raise AssertionError("no commit was kept")
