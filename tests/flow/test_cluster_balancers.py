"""Why: a balancer that repeats a request sells two tickets to one buyer, and one that does not
repeat it where it may refuses a buyer for nothing. nginx and haproxy, from the shipped files, in
front of fake nodes: which node gets a request, and how often."""

import pytest

from cluster import NUMBERS, Fake, Haproxy, Nginx, fake_answer, free_base

KEY = ["Idempotency-Key: basket-17"]
FORM = {"headers": ["Content-Type: application/x-www-form-urlencoded"], "body": "n=1&key=a"}
# Requests that must not be sent again once a node may have read them: without a key, with an
# invalid key, or with a key that the balancer does not see.
ONCE = [("GET", "/buy/ticket", {}), ("GET", "/buy/ticket?n=1", {}),
        ("GET", "/buy/ticket?KEY=a", {}), ("GET", "/buy/ticket?key=", {}),
        ("GET", "/buy/ticket?monkey=a", {}), ("GET", "/buy/ticket?a=1;key=a", {}),
        ("POST", "/buy/ticket", {"body": ""}),
        ("POST", "/buy/ticket", FORM), ("GET", "/buy/ticket", {"headers": ["Idempotency-Key:"]})]
# Requests that may be sent again, and are.
AGAIN = [("GET", "/buy/ticket?key=a", {}), ("GET", "/buy/ticket?n=1&key=a", {}),
         ("GET", "/buy/ticket", {"headers": KEY}), ("POST", "/buy/ticket?key=a", {"body": ""}),
         ("POST", "/buy/ticket", {"body": "n=1", "headers": KEY}), ("GET", "/stock/ticket", {})]
OPERATOR_PATHS = ["/stats", "/metrics", "/healthz", "/drain", "/pause?event=ticket", "/", "/buy/",
                  "/order/0001-000000000001-0123456789abcdef/pay", "/reclaim?node=1"]


@pytest.fixture(params=[Nginx, Haproxy])
def front(request, site):
    """Starts a balancer in front of four fake nodes with the given answers."""

    def start(*answers, forgives=True):
        base = free_base(site)
        fakes = [Fake(site, base + i, answer) for i, answer in zip(NUMBERS, answers)]
        for i in NUMBERS:
            Fake(site, base + 900 + i, fake_answer(200, 1))  # healthy, for balancers that check
        # nginx sends nothing to a failed node for a second: not where each request is a test.
        edits = [("max_fails=1", "max_fails=0")] if forgives and request.param is Nginx else []
        return request.param(site, base, edits), fakes

    return start


def requests(fakes):
    return sum(fake.requests for fake in fakes)


def test_sent_once(front):
    """The node has read the request and died: whether there is an order is unknown. Not "busy"."""
    balancer, fakes = front(None, None, None, None)
    for method, path, more in ONCE:
        before = requests(fakes)
        answer = balancer.fetch(method, path, **more)
        assert (answer.status, answer.code) == (502, -502), (method, path, more)
        assert requests(fakes) == before + 1, (method, path, more)


def test_sent_again(front):
    """With a key, and for reads: every node is tried."""
    balancer, fakes = front(None, None, None, None)
    for method, path, more in AGAIN:
        before = requests(fakes)
        balancer.fetch(method, path, **more)
        assert requests(fakes) == before + 4, (method, path, more)


def test_busy_is_passed_on(front):
    """A request without a key gets the node's own answer; one with a key goes to a node that is not
    busy."""
    busy = fake_answer(503, -6)
    balancer, fakes = front(busy, busy, busy, fake_answer(200, 1))
    codes = [balancer.fetch("GET", "/buy/ticket").code for _ in range(10)]
    assert sorted(codes) == [-6] * 6 + [1] * 4
    assert requests(fakes) == 10
    assert all(balancer.fetch(*call, **more).code == 1 for *call, more in AGAIN)


def test_busy_is_no_failure(front):
    """For a key in doubt every node answers "busy"; the balancer takes none of them out for that.
    """
    balancer, fakes = front(*[fake_answer(503, -6)] * 4, forgives=False)
    for method, path, more in AGAIN:
        assert balancer.fetch(method, path, **more).code == -6
    before = [fake.requests for fake in fakes]
    assert [balancer.fetch("GET", "/buy/ticket").code for _ in range(10)] == [-6] * 10
    assert [now.requests - then for now, then in zip(fakes, before)] == [1, 2, 3, 4]


def test_nothing_was_sent(front):
    """A node that refuses the connection has read nothing: the next one gets the request, key or
    not."""
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
    """By the first four hex digits of the id, to that node alone: another one could only answer
    421."""
    balancer, fakes = front(*[fake_answer(200, 1)] * 4)
    for i, fake in zip(NUMBERS, fakes):
        for method, end in (("GET", ""), ("POST", "/cancel")):
            balancer.fetch(method, f"/order/{i:04x}-000000000001-0123456789abcdef{end}", body="")
        assert fake.requests == 2
    balancer.fetch("GET", "/order/000a-000000000001-0123456789abcdef")  # of no node
    assert requests(fakes) == 9


def test_operators_paths(front):
    """Requests for operators' paths end at the balancer."""
    balancer, fakes = front(*[fake_answer(200, 1)] * 4)
    for path in OPERATOR_PATHS:
        for method in ("GET", "POST"):
            answer = balancer.fetch(method, path, body="")
            assert (answer.status, answer.code) == (404, -404), path
    assert requests(fakes) == 0
