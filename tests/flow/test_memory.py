"""Why: P6. All memory for requests is reserved at the start: a million requests later the workers
have not called the allocator once, and the process has no more heap in use than before."""

import struct
import subprocess

import spike

REQUESTS = 1_000_000
HEAP_SLACK = 64 * 1024


class Heap:
    """The counters of heapwatch, read while the server runs."""

    def __init__(self, path):
        with open(path, "rb") as file:
            self.in_use, _, self.main, self.worker, self.ledger = struct.unpack("<qQQQQ",
                                                                              file.read(40))


def wrk(node, path, seconds, connections=50):
    host, port = node.address
    subprocess.run(["wrk", "-t1", f"-c{connections}", f"-d{seconds}s",
                    f"http://{host}:{port}{path}"], check=True, stdout=subprocess.DEVNULL,
                   timeout=seconds + 30)


def test_a_million_requests(site, preload):
    """Sales and refusals, a million together: workers allocate nothing, the heap stays as it is."""
    path = site.dir / "heap"
    events = {"ticket": {"total": 10_000_000, "stock-max": 10_000_000}, "gone": {"total": 1}}
    node = site.node(redis=site.redis(), events=events, preload=preload("heapwatch"),
                     env={"SPIKE_HEAP": str(path)}, journal_size="1g")
    assert node.buy("gone").code == 1
    spike.wait("sold out", lambda: node.buy("gone").code == -1)
    before = Heap(path)
    while node.stats()["http"]["requests"] < REQUESTS:
        wrk(node, "/buy/ticket", 2)
        wrk(node, "/buy/gone", 4)
    after = Heap(path)
    stats = node.event_stats()
    print(f"{stats['node_sold']} sold; heap {before.in_use} -> {after.in_use};"
          f" calls by main {after.main - before.main}, ledger {after.ledger - before.ledger}")
    assert stats["node_sold"] > 10000
    assert after.worker == before.worker, "a worker called the allocator after its start"
    assert after.in_use - before.in_use < HEAP_SLACK
