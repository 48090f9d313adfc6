"""Why: a node that was killed must come up again at once. Its last call may still be in the network
then, and reach Redis while the next process checks that no other server beats under its number: one
late call is no sign of life, and a node that is refused for it is missing in the sale. A twin that
really lives must still be found, for with it every ticket would be sold twice."""

import collections
import itertools
import re
import signal
import threading

import pytest

import copies
import orders
import spike
import spikelog
from gate import Gate, is_attach, is_sale
from dead_nodes import field

TOTAL = 100000
EVENTS = ["ticket", "vip"]
OTHER_CALLS = ("info", "script", "attach", "step", "")
# A start that finds a recent beat reads the beats again every 25 ms for 250 ms.
BEAT_READS = 1 + 10


def sale(site, gate, events=("ticket",), **settings):
    rows = {name: {"total": TOTAL} for name in events}
    return site.node(redis=gate, events=rows, workers=1, **settings)


def buyers(site, node, events=("ticket",)):
    paths = itertools.cycle(f"/buy/{name}" for name in events)
    return site.load(node, connections=8, path=lambda: next(paths), pause_s=0.002)


class NextProcess:
    """The next process of the node: counts its calls by kind, and runs actions before some of them.
    actions: pairs of a moment, as ("read", 3) before the third reading of the beats, and a
    function."""

    def __init__(self, gate, actions=()):
        self.old, self.actions, self.counts = set(gate.conns), dict(actions), collections.Counter()
        gate.on_call = self.note

    def note(self, call):
        if call.conn in self.old:
            return
        kind = call.kind if call.kind in OTHER_CALLS else "read"
        self.counts[kind] += 1
        action = self.actions.pop((kind, self.counts[kind]), None)
        if action:
            action()


def comes_up_despite(node, gate, late):
    """late: pairs of a moment and the connection with the dead process' last call."""
    NextProcess(gate, [(when, lambda conn=conn: gate.release(conn)) for when, conn in late])
    assert copies.comes_up(node), f"refused for a late call before {[when for when, _ in late]}"
    gate.on_call = None
    for conn in (conn for _, conn in late if conn.held):
        gate.release(conn)  # the node came up before that moment


def killed_with(node, gate, which):
    """Kills the node while such a call of it is held; returns the connection of that call."""
    gate.catch(which)
    if not node.is_running():
        node.start(healthy=False)
    conn = gate.wait_caught()
    node.kill9()
    return conn


def test_a_late_step(site):
    """A node is killed while it sells; its last step, of one event or the other, arrives before,
    during and after the next process' readings of the beats."""
    redis = site.redis()
    gate = Gate(site, redis)
    node = sale(site, gate, EVENTS)
    load = buyers(site, node, EVENTS)
    names = itertools.cycle(["vip", "ticket", "ticket"])
    for when in [("read", 1), ("read", 2), ("read", 4), ("read", 9), ("attach", 1), ("step", 1)]:
        name, before = next(names), load.yes_count()
        spike.wait("some yeses", lambda: load.yes_count() > before + 5)
        late = killed_with(node, gate, lambda call: is_sale(call) and call.event == name)
        comes_up_despite(node, gate, [(when, late)])
    load.stop()
    yeses = [row for row in load.rows if row.code == 1]
    for name in EVENTS:
        spike.check_promises([node], [row.order for row in yeses if row.path.endswith(name)],
                             event=name)
    spikelog.audit(node)


def test_a_late_step_at_any_time(site):
    """The same, so many milliseconds after the first call of the next process."""
    redis = site.redis()
    gate = Gate(site, redis)
    node = sale(site, gate)
    load = buyers(site, node)
    for ms in (50, 100, 150, 250):
        before = load.yes_count()
        spike.wait("some yeses", lambda: load.yes_count() > before + 5)
        late = killed_with(node, gate, is_sale)
        delivery = threading.Timer(ms / 1000, gate.release, (late,))
        NextProcess(gate, [(("info", 1), delivery.start)])
        assert copies.comes_up(node), f"refused for a call that came {ms} ms late"
        delivery.join()
    load.stop()
    spike.check_promises([node], load.yeses)
    spikelog.audit(node)


@pytest.mark.parametrize("deaths", [
    "step@read2 step@read4", "step@read1 attach@read2 attach@read4",
    "attach@read1 attach@attach1", "attach@read1 attach@step1"])
def test_late_calls_of_several(site, deaths):
    """Several processes of the node have died one after the other, selling or attaching, each with
    a call that arrives at a certain moment of the last process."""
    redis = site.redis()
    gate = Gate(site, redis)
    node = sale(site, gate)
    load = buyers(site, node)
    spike.wait("some yeses", lambda: load.yes_count() > 5)
    late = []
    for death in deaths.split():
        kind, moment, number = re.fullmatch(r"(\w+)@([a-z]+)(\d)", death).groups()
        if kind == "attach" and node.is_running():
            node.kill9()
        conn = killed_with(node, gate, is_sale if kind == "step" else is_attach)
        late.append(((moment, int(number)), conn))
    comes_up_despite(node, gate, late)
    load.stop()
    spike.check_promises([node], load.yeses)
    spikelog.audit(node)


@pytest.mark.parametrize("whens", [(2, 4), (1, 2, 4)], ids=str)
def test_late_calls_of_one(site, whens):
    """The network holds everything back: a step, and each attach that follows on another
    connection. Then the process dies, and all of the calls arrive: the beat moves several times,
    but each time under another epoch."""
    redis = site.redis()
    gate = Gate(site, redis)
    node = sale(site, gate, redis_timeout="200ms")
    gate.catch(is_sale)
    with spike.Wire(node.address) as buyer:
        buyer.send(spike.request("GET", "/buy/ticket"))
        late = [(("read", whens[0]), gate.wait_caught())]
        for number in whens[1:]:
            gate.catch(is_attach)
            late.append((("read", number), gate.wait_caught()))
        assert buyer.answer().code == -6
    node.kill9()
    comes_up_despite(node, gate, late)
    assert orders.buy(node).code == 1
    spikelog.audit(node)


def test_the_start_is_quick(site):
    """Right after a kill the node reads the beats for a quarter of a second; when its last beat is
    old, once."""
    redis = site.redis()
    gate = Gate(site, redis)
    node = sale(site, gate)
    assert orders.buy(node).code == 1
    node.kill9()
    process = NextProcess(gate)
    node.start()
    assert 1 <= process.counts["read"] <= BEAT_READS
    node.kill9()
    orders.past(field(redis, node, "beat") + 1100)
    process = NextProcess(gate)
    node.start()
    assert process.counts["read"] == 1


def twin_of(site, first, redis, via):
    """The first server's conf with the Redis address `via`, on a copy of its journal as it is now;
    returns conf and copy."""
    copy, conf = copies.copy_journal(first, "copy"), site.dir / "twin.conf"
    text = first.conf.read_text().replace(str(first.journal), str(copy))
    conf.write_text(text.replace(redis.address, via.address))
    return conf, copy


def refused(conf):
    done = spike.run_server("-c", conf)
    assert done.code == 1 and "node 1 must not sell" in done.err, done
    return done.err


def sells_on(first, yeses=()):
    assert first.is_running()
    assert orders.buy(first).code == 1
    assert "must not sell" not in first.log_text()
    spike.check_promises([first], yeses)
    spikelog.audit(first)


def test_a_twin_of_one_that_waits(site):
    """The copy lacks nothing: only the beats of the first server tell them apart."""
    redis = site.redis()
    first = sale(site, redis, **copies.LONG_TIMEOUTS)
    assert orders.buy(first).code == 1
    copies.settled(redis, first, 1)
    conf, _ = twin_of(site, first, redis, redis)
    for _ in range(3):
        assert "another server beats under this node's number" in refused(conf)
    sells_on(first)


def test_a_twin_of_one_that_sells(site):
    """The copy lacked nothing when it was made; now it does."""
    redis = site.redis()
    first = sale(site, redis, **copies.LONG_TIMEOUTS)
    load = buyers(site, first)
    spike.wait("some yeses", lambda: load.yes_count() > 20)
    conf, copy = twin_of(site, first, redis, redis)
    known, was = field(redis, first, "done"), copies.digests(copy)
    spike.wait("more to be settled", lambda: field(redis, first, "done") > known + 8)
    for _ in range(3):
        refused(conf)
        assert copies.digests(copy) == was
    before = load.yes_count()
    spike.wait("more yeses", lambda: load.yes_count() > before)
    load.stop()
    sells_on(first, load.yeses)


def test_a_twin_of_one_that_stalls(site):
    """The first server stands still while the twin reads the beats, and runs again right before the
    twin attaches: the attach itself finds the beat."""
    redis = site.redis()
    gate = Gate(site, redis)
    first = sale(site, redis, **copies.LONG_TIMEOUTS)
    assert orders.buy(first).code == 1
    copies.settled(redis, first, 1)
    conf, _ = twin_of(site, first, redis, gate)

    def wake():
        beat = field(redis, first, "beat")
        first.process.send_signal(signal.SIGCONT)
        spike.wait("a beat", lambda: field(redis, first, "beat") > beat)

    NextProcess(gate, [(("info", 1), lambda: first.freeze()), (("attach", 1), wake)])
    assert "another server beats under this node's number" in refused(conf)
    sells_on(first)
