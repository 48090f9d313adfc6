"""Why: "no breach" over a journal that no server would accept is wrong. An index that leads
elsewhere is in no checksum: only a comparison with the records finds it. (Hundreds of random
damages: tests/unit/audit_damage_test.c.)"""

import fcntl
import struct

import orders
import spike
import spikelog

DAMAGES = 16


def sell(site):
    """A stopped node with sold, paid and cancelled orders; and its records."""
    node = site.node(events={"ticket": {"total": 200, "hold": "60m"}}, workers=1, connections=50,
                     journal_size="4m")
    held = orders.at_once(60, lambda caller, i: caller.buy(node).data["order"])
    for i, order in enumerate(held[:40]):
        assert (orders.pay if i % 2 else orders.cancel)(node, order).code == 1
    records = node.records()
    assert node.term() == 0
    return node, records


def last_entry(records):
    """Number, grant and last record of an order that has changed, as the index stores them."""
    change = next(r for r in reversed(records) if r["kind"] == "change")
    grant = next(r for r in records if r["kind"] == "grant" and r["number"] == change["number"])
    return struct.pack("<QQQ", grant["number"], grant["seq"], change["seq"])


def write_back(node, data):
    (node.journal / "data.mdb").write_bytes(data)


def server_takes(node):
    try:
        node.start()
    except AssertionError:
        assert node.wait_end() == 1
        assert str(node.journal) in node.log_text()
        return False
    node.kill9()
    return True


def audit_code(node):
    output = spikelog.run_log(*spikelog.confs(node), "audit", codes=(0, 1, 2))
    return 0 if output.endswith("no breach\n") else 1


def test_an_index_that_leads_elsewhere(site):
    """Offline, and beside a server that verified the journal at its start (here: a process that
    holds the lock)."""
    node, records = sell(site)
    data = (node.journal / "data.mdb").read_bytes()
    entry = last_entry(records)
    for at in (8, 16):  # its grant, its last record
        lie = bytearray(entry)
        lie[at] ^= 1
        assert data.count(entry) >= 1
        write_back(node, data.replace(entry, bytes(lie)))
        assert not server_takes(node)
        output = spikelog.run_log(*spikelog.confs(node), "audit", code=2)
        assert "index" in output and str(node.journal) in output
        with open(node.journal / "lock", "rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            output = spikelog.run_log(*spikelog.confs(node), "audit", code=2)
            assert str(node.journal) in output and ("index" in output or "cannot be read" in output)
        assert spikelog.rows_of(spikelog.run_log(*spikelog.confs(node), "export"))
    write_back(node, data)
    assert audit_code(node) == 0


def test_damages(site):
    """The audit passes exactly the journals that the server accepts."""
    node, _ = sell(site)
    data = (node.journal / "data.mdb").read_bytes()
    used = len(data.rstrip(b"\0"))
    for _ in range(DAMAGES):
        at, bit = site.random.randrange(used), site.random.randrange(8)
        damaged = bytearray(data)
        damaged[at] ^= 1 << bit
        write_back(node, bytes(damaged))
        passed = audit_code(node) == 0
        assert server_takes(node) == passed, f"bit {bit} of byte {at}"
    write_back(node, data)
    assert audit_code(node) == 0 and server_takes(node)


def test_a_commit_to_be_finished(site):
    """A journal whose last meta page could not be written is sound, and the audit reports it as
    open."""
    node, _ = sell(site)
    path = node.journal / "data.mdb"
    data = bytearray(path.read_bytes())
    numbers = [struct.unpack_from("<Q", data, page + 144)[0] for page in (0, 4096)]
    newest = numbers.index(max(numbers))
    struct.pack_into("<Q", data, 4096 * newest + 144, max(numbers) - 2)
    path.write_bytes(data)
    output = spikelog.run_log(*spikelog.confs(node), "audit")
    assert "open: journal" in output and output.endswith("no breach\n")
    node.start()
    assert "the commit is whole" in node.log_text()
    assert "open: journal" not in spikelog.audit(node)
    spike.check_promises([node], list(node.orders()), 200)
