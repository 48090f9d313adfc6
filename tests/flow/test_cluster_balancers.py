"""Why: a balancer that repeats a request sells two tickets to one buyer, and one that does not
repeat it where it may refuses a buyer for nothing. nginx and haproxy, from the files we ship,
before nodes that only pretend: what is sent to whom, and how often."""

import pytest

from cluster import NUMBERS, Fake, Haproxy, Nginx, fake_answer, free_base

KEY = ["Idempotency-Key: basket-17"]
FORM = {"headers": ["Content-Type: application/x-www-form-urlencoded"], "body": "n=1&key=a"}
# What must not be sent again once a node may have read it: what has no key, or one that is none, or
# one that is not seen.
ONCE = [("GET", "/buy/ticket", {}), ("GET", "/buy/ticket?n=1", {}),
        ("GET", "/buy/ticket?KEY=a", {}), ("GET", "/buy/ticket?key=", {}),
        ("GET", "/buy/ticket?monkey=a", {}), ("GET", "/buy/ticket?a=1;key=a", {}),
        ("POST", "/buy/ticket", {"body": ""}),
        ("POST", "/buy/ticket", FORM), ("GET", "/buy/ticket", {"headers": ["Idempotency-Key:"]})]
# What may, and is.
AGAIN = [("GET", "/buy/ticket?key=a", {}), ("GET", "/buy/ticket?n=1&key=a", {}),
         ("GET", "/buy/ticket", {"headers": KEY}), ("POST", "/buy/ticket?key=a", {"body": ""}),
         ("POST", "/buy/ticket", {"body": "n=1", "headers": KEY}), ("GET", "/stock/ticket", {})]
OPERATOR_PATHS = ["/stats", "/metrics", "/healthz", "/drain", "/pause?event=ticket", "/", "/buy/",
                  "/order/0001-000000000001-0123456789abcdef/pay", "/reclaim?node=1"]


@pytest.fixture(params=[Nginx, Haproxy])
def front(request, site):
    """Starts a balancer before four nodes that all give the answers named."""

    def start(*answers, forgives=True):
        base = free_base(site)
        fakes = [Fake(site, base + i, answer) for i, answer in zip(NUMBERS, answers)]
        for i in NUMBERS:
            Fake(site, base + 900 + i, fake_answer(200, 1))  # well, if they are asked
        # nginx leaves a node that failed alone for a second: not where each request is a test.
        edits = [("max_fails=1", "max_fails=0")] if forgives and request.param is Nginx else []
        return request.param(site, base, edits), fakes

    return start


def requests(fakes):
    return sum(fake.requests for fake in fakes)


def test_sent_once(front):
    """The node has read it, and is dead: nobody knows whether there is an order. Not "busy"."""
    balancer, fakes = front(None, None, None, None)
    for method, path, more in ONCE:
        before = requests(fakes)
        answer = balancer.fetch(method, path, **more)
        assert (answer.status, answer.code) == (502, -502), (method, path, more)
        assert requests(fakes) == before + 1, (method, path, more)


def test_sent_again(front):
    """With a key, and to look: every node is tried."""
    balancer, fakes = front(None, None, None, None)
    for method, path, more in AGAIN:
        before = requests(fakes)
        balancer.fetch(method, path, **more)
        assert requests(fakes) == before + 4, (method, path, more)


def test_busy_is_passed_on(front):
    """What has no key hears the node's own word; what has one goes to a node that is not busy."""
    busy = fake_answer(503, -6)
    balancer, fakes = front(busy, busy, busy, fake_answer(200, 1))
    codes = [balancer.fetch("GET", "/buy/ticket").code for _ in range(10)]
    assert sorted(codes) == [-6] * 6 + [1] * 4
    assert requests(fakes) == 10
    assert all(balancer.fetch(*call, **more).code == 1 for *call, more in AGAIN)


def test_busy_is_no_failure(front):
    """A key that is in doubt hears "busy" from every node; none of them is left alone for that."""
    balancer, fakes = front(*[fake_answer(503, -6)] * 4, forgives=False)
    for method, path, more in AGAIN:
        assert balancer.fetch(method, path, **more).code == -6
    before = [fake.requests for fake in fakes]
    assert [balancer.fetch("GET", "/buy/ticket").code for _ in range(10)] == [-6] * 10
    assert [now.requests - then for now, then in zip(fakes, before)] == [1, 2, 3, 4]


def test_nothing_was_sent(front):
    """Who refuses the connection has read nothing: the next one is asked, key or not."""
    balancer, fakes = front(*[fake_answer(200, 1)] * 4)
    for fake in fakes[:3]:
        fake.close()
    for method, path, more in ONCE + AGAIN:
        assert balancer.fetch(method, path, **more).code == 1, (method, path, more)
    assert [fake.requests for fake in fakes] == [0, 0, 0, len(ONCE + AGAIN)]
    fakes[3].close()
    for method, path, more in ONCE + AGAIN:
        answer = balancer.fetch(method, path, **more)
        assert (answer.status, answer.code) == (503, -6), (method, path, more)
        assert answer.headers["retry-after"] == "1"


def test_orders_go_to_their_node(front):
    """By the first four digits, in hex. Its node alone: another one could only say 421."""
    balancer, fakes = front(*[fake_answer(200, 1)] * 4)
    for i, fake in zip(NUMBERS, fakes):
        for method, end in (("GET", ""), ("POST", "/cancel")):
            balancer.fetch(method, f"/order/{i:04x}-000000000001-0123456789abcdef{end}", body="")
        assert fake.requests == 2
    balancer.fetch("GET", "/order/000a-000000000001-0123456789abcdef")  # whose is that?
    assert requests(fakes) == 9


def test_operators_paths(front):
    """They end at the balancer."""
    balancer, fakes = front(*[fake_answer(200, 1)] * 4)
    for path in OPERATOR_PATHS:
        for method in ("GET", "POST"):
            answer = balancer.fetch(method, path, body="")
            assert (answer.status, answer.code) == (404, -404), path
    assert requests(fakes) == 0
