"""Why: buyers do not see nodes, they see the balancer. Four nodes behind nginx (and haproxy), from
the shipped files: the spread, orders and keys, and a node that dies in mid-sale."""

import re
import signal
import subprocess
import time

import pytest

import spike
import spikelog
from cluster import Haproxy, Nginx, four_nodes, free_base
from orders import Crowd, buy_path, until_verdict, node_of

LOG = ("access_log            off;",
       """log_format explain '$msec $status $upstream_addr';
    access_log access.log explain;""")


LONG_TIMEOUTS = {Nginx: [("proxy_read_timeout       3s", "proxy_read_timeout       60s")],
                 Haproxy: [("timeout server             3s", "timeout server             60s"),
                           ("timeout check              1s", "timeout check              60s")]}


@pytest.fixture
def sale(site):
    """Starts Redis, four nodes and a balancer in front of them. A disk that is busy for some
    seconds makes no failure here; hurry: the short time-outs of the shipped files."""

    def start(balancer=Nginx, edits=(), hurry=False, **options):
        base = free_base(site)
        redis = site.redis(persistence="always")
        times = {"redis_timeout": "2s", "answer_timeout": "2500ms"} if hurry else {}
        nodes = four_nodes(site, redis, base, **times, **options)
        return redis, nodes, balancer(site, base,
                                      [*edits, *(() if hurry else LONG_TIMEOUTS[balancer])])

    return start


def requests_of(nodes):
    return [node.stats()["http"]["requests"] for node in nodes]


@pytest.mark.parametrize("balancer", [Nginx, Haproxy])
def test_spread(site, sale, balancer):
    """1,000 requests over 1,000 tickets: exactly 100, 200, 300, 400, all of them sold."""
    redis, nodes, front = sale(balancer, events={"ticket": {"total": 1000}})
    load = site.load(front, connections=50, requests=1000).join()
    assert load.codes == {1: 1000}
    assert requests_of(nodes) == [100, 200, 300, 400]
    assert [len(node.orders()) for node in nodes] == [100, 200, 300, 400]
    assert redis.figure() == 1000


def test_prototype_load(sale):
    """The published prototype's command, with and without keep-alive: no request fails."""
    redis, nodes, front = sale(events={"ticket": {"total": 500}})
    for more in ([], ["-k"]):
        report = run_ab(front, "-n", 1000, *more)
        assert "Failed requests:        0\n" in report and "Non-2xx" not in report
    assert redis.figure() == 500
    assert requests_of(nodes) == [200, 400, 600, 800]


def run_ab(front, *words):
    host, port = front.address
    done = subprocess.run(["ab", "-q", "-c", "100", *map(str, words),
                           f"http://{host}:{port}/buy/ticket"], capture_output=True, text=True,
                          timeout=60 * spike.PATIENCE, preexec_fn=spike.die_with_parent,
                          check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_orders_through_nginx(sale):
    """Requests about an order reach the node that has it."""
    _, nodes, front = sale(events={"ticket": {"total": 100, "hold": "5m"}})
    orders = [until_verdict(lambda: front.fetch("POST", "/buy/ticket")).data["order"]
              for _ in range(10)]
    assert {order[:4] for order in orders} == {"0001", "0002", "0003", "0004"}
    for order in orders:
        assert front.fetch("GET", f"/order/{order}").data["state"] == "held"
        assert front.fetch("POST", f"/order/{order}/cancel").data["state"] == "cancelled"
        assert node_of(nodes, order).fetch("GET", f"/order/{order}").data["state"] == "cancelled"
        assert front.fetch("POST", f"/order/{order}/pay").status == 404
    foreign = front.fetch("GET", "/order/0005-000000000001-0123456789abcdef")
    assert (foreign.status, foreign.headers["x-spike-node"]) == (421, "5")


def test_retried_on_another_node(sale):
    """The same key, ten times, over all nodes: one order, one ticket."""
    redis, nodes, front = sale(events={"ticket": {"total": 100}})
    headers = ["Idempotency-Key: basket-17"]
    buy = lambda: front.fetch("POST", "/buy/ticket", headers=headers, body="n=2")
    answers = [until_verdict(buy) for _ in range(10)]
    assert len({answer.data["order"] for answer in answers}) == 1
    assert all(count > 0 for count in requests_of(nodes)), "not over all nodes"
    assert redis.figure() == 2
    spikelog.audit(*nodes)


def test_node_hangs(sale):
    """A node that hangs while it has requests: those with a key are answered by another node, in
    time, and when the first one runs again it finds their orders."""
    redis, nodes, front = sale(hurry=True, events={"ticket": {"total": 100}})
    nodes[3].freeze()
    before = time.monotonic()
    paths = [buy_path(key=f"key-{i}") for i in range(10)]
    try:
        crowd = Crowd(10, lambda caller, i: caller.until_verdict(
            lambda: front.address, "GET", paths[i]))
        bought = [answer.data["order"] for answer in crowd.join()]
        assert time.monotonic() - before > 2, "no request had to wait: this test shows nothing"
    finally:
        nodes[3].process.send_signal(signal.SIGCONT)
    assert len(set(bought)) == 10
    assert not any(order.startswith("0004") for order in bought)
    nodes[3].wait_healthy()
    for path, order in zip(paths, bought):
        assert until_verdict(lambda path=path: nodes[3].fetch("GET", path)).data["order"] == order
    assert redis.figure() == 10
    spikelog.audit(*nodes)


class Ab:
    """ab in the background, which prints every answer until end()."""

    def __init__(self, site, front, buyers):
        site.started.append(self)
        self.out = site.dir / "ab"
        host, port = front.address
        with open(self.out, "wb") as out:
            self.process = subprocess.Popen(
                ["ab", "-q", "-v", "2", "-k", "-c", str(buyers), "-n", "10000000",
                 f"http://{host}:{port}/buy/ticket"],
                stdin=subprocess.DEVNULL, stdout=out, stderr=out, preexec_fn=spike.die_with_parent)

    def answers(self):
        return self.out.read_bytes().count(b'"code":')

    def end(self):
        """All codes and orders of the answers. ab does not wait for requests under way."""
        assert self.process.poll() is None, self.out.read_text()[-2000:]
        self.process.send_signal(signal.SIGINT)
        self.process.wait(spike.SOON_S * spike.PATIENCE)
        text = self.out.read_text()
        return [int(code) for code in re.findall(r'"code":(-?\d+)', text)], \
            re.findall(r'"order":"([0-9a-f-]+)"', text)

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def failed_requests(front):
    """Time, status and upstreams of each request that nginx did not answer with 200, from its log.
    499: the client had disconnected."""
    rows = [line.split(" ", 2) for line in (front.dir / "access.log").read_text().splitlines()]
    return [(float(when), status, upstreams) for when, status, upstreams in rows
            if status not in ("200", "499")]


def test_killed_in_mid_sale(site, sale):
    """ab, and buyers with keys beside it; one node is killed and started again. No order is lost or
    doubled, every failed request was sent to that node while it was away, and with a key none
    fails."""
    redis, nodes, front = sale(edits=[LOG], events={"ticket": {"total": 300000}})
    numbers = iter(range(300000))
    keyed = site.load(front, connections=20, path=lambda: buy_path(key=f"key-{next(numbers)}"),
                      pause_s=0.005)
    ab = Ab(site, front, 50)
    spike.wait("sales", lambda: ab.answers() > 1000 and keyed.yes_count() > 300, step=0.1)
    away_from = time.time()
    nodes[3].kill9()
    seen = keyed.yes_count()
    spike.wait("the others to sell on", lambda: keyed.yes_count() > seen + 300)
    nodes[3].start()
    back_at = time.time()
    sold = nodes[3].event_stats()["node_sold"]
    spike.wait("the node to sell again", lambda: nodes[3].event_stats()["node_sold"] > sold + 100)
    codes, yeses = ab.end()
    keyed.stop()

    # Each failed request was sent to that node while it was away.
    failed = [code for code in codes if code != 1]
    busy = [row for row in keyed.rows if row.code != 1]
    assert failed and set(failed) <= {-502, -6}
    dead = f"{nodes[3].address[0]}:{nodes[3].address[1]}"
    latest = back_at + spike.LATE_S * spike.PATIENCE
    for when, status, upstreams in failed_requests(front):
        assert away_from - 0.1 <= when <= latest, (when, status, upstreams)
        assert dead in upstreams, (when, status, upstreams)
    assert len(failed_requests(front)) == len(failed) + len(busy)

    # With a key: yes, or "busy, try again with the same key" if the dead node had the request.
    assert {row.code for row in busy} <= {-6} and keyed.unanswered == 0
    retried = [until_verdict(lambda row=row: front.fetch("GET", row.path)) for row in busy]
    with_key = keyed.yeses + [answer.data["order"] for answer in retried]
    assert len({row.path for row in keyed.rows}) == len(with_key) == len(set(with_key))
    print(f"{len(failed)} of {len(codes)} without a key failed, "
          f"{len(busy)} of {len(with_key)} with one had to try again")

    # All answers, against the journals. These may have an order without an answer: of a request
    # without a key that failed, or that ab did not wait for.
    spikelog.audit(*nodes)
    orders = spike.check_promises(nodes, yeses + with_key, 300000, redis.figure())
    assert len(orders) - len(yeses + with_key) <= failed.count(-502) + 50
