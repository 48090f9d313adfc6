"""Why: P2. kill -9 leaves the page cache intact and proves nothing about syncing; this does: a
recorder between server and libc notes every write, every sync that returned, and every yes.

An order's record must have been written to the journal, then a data sync of that file must have
returned, then the write of the meta page through the O_DSYNC descriptor, and only then may the
order's id go to a socket.
"""

import re
import struct

import spike

WRITE, SYNC, YES = 1, 2, 3
EVENTS_MAX, HEADER, EVENT = 1 << 20, 16, struct.Struct("<IiIIQ")


class Recording:
    def __init__(self, path):
        self.file = open(path, "rb")
        used, bytes_used = struct.unpack("<QQ", self.file.read(HEADER))
        assert used < EVENTS_MAX and bytes_used < 512 << 20, "the recorder was full"
        raw = self.file.read(used * EVENT.size)
        self.events = list(EVENT.iter_unpack(raw))

    def data(self, event):
        self.file.seek(HEADER + EVENTS_MAX * EVENT.size + event[4])
        return self.file.read(event[3])

    def close(self):
        self.file.close()


# A record's bytes after its CRC: kind GRANT, state SOLD, no buyer, no key, then seq.
GRANT_SOLD = re.compile(rb"(?=\x04\x02\x00\x00(.{8}))", re.DOTALL)


def durable_from(recording, grants):
    """seq -> the index of the event after which its record was safe on disk."""
    written, safe, waiting, data_synced = set(), {}, [], False
    for position, event in enumerate(recording.events):
        kind, _, self_syncing = event[:3]
        if kind == WRITE and not self_syncing:
            found = {int.from_bytes(m[1], "little")
                     for m in GRANT_SOLD.finditer(recording.data(event))}
            new = (found & grants.keys()) - written
            written |= new
            waiting += new
            data_synced = False
        elif kind == SYNC:
            data_synced = True
        elif kind == WRITE and data_synced:
            safe.update((seq, position) for seq in waiting)
            waiting = []
    return safe


def check(recording, node):
    grants = {r["seq"]: r["order"] for r in node.records() if r["kind"] == "grant"}
    safe = durable_from(recording, grants)
    by_order = {order: safe.get(seq) for seq, order in grants.items()}
    yeses = [(position, recording.data(event).decode())
             for position, event in enumerate(recording.events) if event[0] == YES]
    early = [order for position, order in yeses
             if not by_order[order] or by_order[order] > position]
    assert not early, f"{len(early)} of {len(yeses)} yeses were sent before their sync: {early[:3]}"
    return len(yeses)


def test_no_yes_before_its_sync(site, preload):
    """Under load, with batches: every yes comes after its commit's last sync."""
    path = site.dir / "record"
    node = site.node(redis=site.redis(), preload=preload("recorder"),
                     env={"SPIKE_RECORD": str(path)}, events={"ticket": {"total": 3000}})
    load = site.load(node, connections=64, requests=3500).join()
    assert load.codes == {1: 3000, -1: 500}
    assert node.term() == 0
    recording = Recording(path)
    try:
        assert check(recording, node) == 3000
    finally:
        recording.close()


def test_the_recorder_sees_every_sync(site, preload):
    """One buyer: each yes has its own write, sync and meta write; else the test above sees nothing.
    """
    path = site.dir / "record"
    node = site.node(preload=preload("recorder"), env={"SPIKE_RECORD": str(path)})
    site.load(node, connections=1, requests=20).join()
    assert node.term() == 0
    recording = Recording(path)
    try:
        assert check(recording, node) == 20
        kinds = [e[0] for e in recording.events]
        assert kinds.count(SYNC) >= 20
        assert sum(1 for e in recording.events if e[0] == WRITE and e[2]) >= 20
    finally:
        recording.close()


def fill(site, node):
    """Buys until the journal is full; returns the order ids."""
    load = site.load(node, connections=50)
    spike.wait("a full journal", lambda: "is full" in node.log_text())
    busy = load.codes[-6]
    spike.wait("buyers to get busy", lambda: load.codes[-6] > busy + 100)
    load.stop()
    assert load.codes.keys() <= {1, -6}
    return load.yeses


def test_full_journal(site):
    """An order that cannot be written is not sold: with a full journal the node answers -6, before
    and after a restart, and with a larger size the sale goes on with nothing lost."""
    node = site.node(redis=site.redis(), journal_size="1m", events={"ticket": {"total": 9000}})
    yeses = fill(site, node)
    assert yeses
    assert node.fetch("GET", "/stock/ticket").status == 200
    assert node.term() == 0
    node.start()
    yeses += fill(site, node)
    spike.check_promises([node], yeses, 9000, node.stock()["sold"])
    assert node.term() == 0
    node.conf.write_text(node.conf.read_text().replace("1m;", "64m;"))
    node.start()
    yeses += spike.drain(node, 9000)
    spike.check_promises([node], yeses, 9000, 9000)


def test_journal_without_space_for_one_order(site):
    """A new journal too small for any sale is refused at the start, instead of a "busy" for ever.
    """
    conf = site.dir / "small.conf"
    events = "".join(f"event e{i} {{ total 1; }}\n" for i in range(16))
    conf.write_text(
        f"node 1;\nlisten 127.0.0.1:0;\njournal {site.dir}/small {{ size 1m; }}\n{events}"
    )
    done = spike.run_server("-c", conf)
    assert done.code == 1
    assert "raise `size`" in done.err
