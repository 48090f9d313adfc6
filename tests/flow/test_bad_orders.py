"""Why: for any request about an order, however wrong, the answer is the documented one, and nothing
is sold, freed or lost by it."""

import re

import pytest

import orders
import spike
import spikelog

ORDER_PATHS = [("GET", "/order/{}"), ("POST", "/order/{}/cancel")]


@pytest.fixture(scope="module")
def sale(shared_site):
    """Two nodes with an order each, one held and one sold; both are unchanged at the end."""
    redis = shared_site.redis()
    events = {"ticket": {"total": 100, "hold": "30m"}, "limited": {"total": 10, "limit": 2}}
    nodes = orders.two_nodes(shared_site, redis, events=events)
    held, sold = (orders.buy(node, key=f"k{node.number}").data["order"] for node in nodes)
    assert orders.pay(nodes[1], sold).code == 1
    yield nodes, held, sold
    assert orders.state_of(nodes[0], held) == "held"
    assert orders.state_of(nodes[1], sold) == "sold"
    spike.wait("the stock", lambda: redis.figure() == 2)
    assert redis.figure("limited_sold_nums", "limited_hash_key") == 0
    assert [len(node.orders()) for node in nodes] == [1, 1]
    spikelog.audit(*nodes)


BAD_BUYS = {
    "n=0": "n=0", "n=5": "n=5", "n=9999999999": "n=9999999999", "n=4294967297": "n=4294967297",
    "n=1.5": "n=1.5", "n=-1": "n=-1", "n=+1": "n=%2B1", "n=01": "n=01", "n=1e0": "n=1e0",
    "n empty": "n=", "n blank": "n=%201", "n twice": "n=1&n=1",
    "key empty": "key=", "key of 65": "key=" + "k" * 65, "key of 65 escaped": "key=" + "%6b" * 65,
    "key with a blank": "key=a%20b", "key with a plus": "key=a+b", "key with NUL": "key=a%00",
    "key with LF": "key=a%0ab", "key with DEL": "key=%7f", "key of 8 bits": "key=%c3%a9",
    "key twice": "key=a&key=a", "key broken": "key=%4", "buyer empty": "buyer=",
    "buyer of 65": "buyer=" + "b" * 65, "buyer with ESC": "buyer=%1b",
    "buyer twice": "buyer=a&buyer=a",
}


@pytest.mark.parametrize("name", BAD_BUYS)
def test_bad_buys(sale, name):
    nodes, *_ = sale
    answer = nodes[0].fetch("GET", f"/buy/ticket?{BAD_BUYS[name]}")
    assert (answer.status, answer.code, answer.data) == (400, -400, None)
    assert len(answer.body) == len(nodes[0].fetch("GET", "/buy/ticket?n=0").body)


@pytest.mark.parametrize("header", ["Idempotency-Key: " + "k" * 65, "Idempotency-Key:",
                                    "Idempotency-Key: a b", "Idempotency-Key: a\tb",
                                    "X-Buyer: caf\xe9", "X-Buyer: " + "b" * 65])
def test_bad_headers(sale, header):
    nodes, *_ = sale
    answer = nodes[0].fetch("GET", "/buy/ticket", headers=[header])
    assert (answer.status, answer.code, answer.data) == (400, -400, None)


def test_unknown_event_and_missing_buyer(sale):
    nodes, *_ = sale
    for path in ("/buy/nothing", "/buy/", "/buy/Ticket", "/buy/ticket/1", "/stock/nothing"):
        assert nodes[0].fetch("GET", path).status == 404, path
    assert nodes[0].fetch("GET", "/buy/limited?key=k").status == 400, "a limit needs a buyer"


def test_one_length(sale):
    """Every answer of /buy has one body length: yes, refusals, and mistakes."""
    nodes, *_ = sale
    answers = [orders.buy(nodes[0], key="k1"), orders.buy(nodes[0], key="k1", n=2),
               orders.buy(nodes[0], n=0), orders.buy(nodes[0], key="")]
    assert [answer.code for answer in answers] == [1, -400, -400, -400]
    answers += [orders.buy(nodes[0], n=99), nodes[0].fetch("POST", "/buy/ticket?n=x")]
    assert len({len(answer.body) for answer in answers}) == 1
    assert answers[0].body.rstrip(b" ").endswith(b"}}")


def malformed(order):
    """Ids that cannot be: of another length, case, alphabet or shape."""
    node, number, tag = order.split("-")
    return ["", "x", order[:-1], order + "0", order.upper() if order.upper() != order else "A" * 34,
            order.replace("-", "_"), f"{node}{number}{tag}", f"{node}-{number}-{tag[:-1]}g",
            f"0000-{number}-{tag}", f"{node}-000000000000-{tag}", f" {order}", f"{order}%20",
            "%30" + order[1:], order + "/", "../order/" + order, "-" * 34, "1", "k1"]


@pytest.mark.parametrize("method, path", ORDER_PATHS)
def test_malformed_ids(sale, method, path):
    nodes, held, _ = sale
    for bad in malformed(held):
        answer = nodes[0].fetch(method, path.format(bad.replace(" ", "+")))
        assert (answer.status, answer.code, answer.data) == (404, -404, None), bad


def forged(order):
    """Well-formed ids of the same node that were never granted."""
    node, number, tag = order.split("-")
    flipped = [f"{int(tag, 16) ^ 1 << bit:016x}" for bit in (0, 7, 31, 32, 63)]
    return [f"{node}-{number}-{other}" for other in [*flipped, "0" * 16, "f" * 16]] + [
        f"{node}-{int(number, 16) + 1:012x}-{tag}", f"{node}-ffffffffffff-{tag}",
        f"{node}-{number[:1]}1{number[2:]}-{tag}"]


@pytest.mark.parametrize("method, path", ORDER_PATHS)
def test_forged_tags(sale, method, path):
    nodes, held, sold = sale
    for node, order in zip(nodes, (held, sold)):
        for bad in forged(order):
            answer = node.fetch(method, path.format(bad))
            assert (answer.status, answer.code, answer.data) == (404, -404, None), bad
            assert spike.fetch(node.admin, "POST", f"/order/{bad}/pay").status == 404
    # The same number and tag on another node are another order, which does not exist either.
    node, number, tag = held.split("-")
    assert nodes[1].fetch(method, path.format(f"0002-{number}-{tag}")).status == 404


def test_order_of_another_node(sale):
    """421, and the number of the order's node in decimal; for pay too."""
    nodes, held, sold = sale
    for node, order, owner in ((nodes[1], held, "1"), (nodes[0], sold, "2"),
                               (nodes[0], "00ff" + sold[4:], "255")):
        answers = [node.fetch(method, path.format(order)) for method, path in ORDER_PATHS]
        answers.append(orders.pay(node, order))
        for answer in answers:
            assert (answer.status, answer.code, answer.data) == (421, -421, None)
            assert answer.headers["x-spike-node"] == owner


def test_methods_and_sides(sale):
    """Reading an order is GET, cancelling is POST; only operators pay, only buyers do the rest."""
    nodes, held, _ = sale
    node = nodes[0]
    for method in ("POST", "PUT", "DELETE"):
        answer = node.fetch(method, f"/order/{held}")
        assert (answer.status, answer.headers["allow"]) == (405, "GET"), method
    for method in ("GET", "PUT", "DELETE"):
        answer = node.fetch(method, f"/order/{held}/cancel")
        assert (answer.status, answer.code, answer.headers["allow"]) == (405, -405, "POST"), method
    for method in ("GET", "POST"):
        assert node.fetch(method, f"/order/{held}/pay").status == 404
        assert spike.fetch(node.admin, method, f"/order/{held}").status == 404
        assert spike.fetch(node.admin, method, f"/order/{held}/cancel").status == 404
    answer = spike.fetch(node.admin, "GET", f"/order/{held}/pay")
    assert (answer.status, answer.headers["allow"]) == (405, "POST")
    for path in (f"/order/{held}/paid", f"/order/{held}/", f"/order/{held}/cancel/", "/order"):
        assert node.fetch("POST", path).status == 404, path


def test_pay_from_a_foreign_page(sale):
    """A foreign page in an operator's browser cannot pay."""
    nodes, held, _ = sale
    path = f"/order/{held}/pay"
    answer = spike.fetch(nodes[0].admin, "POST", path, headers=["Origin: http://evil.example"])
    assert answer.status == 403
    assert spike.fetch(nodes[0].admin, "POST", path, host="evil.example").status == 403


def test_pay_needs_the_token(site):
    """With a token file there is no act and no payment without the token."""
    token = site.dir / "token"
    token.write_text("0123456789abcdef-secret\n")
    node = site.node(events={"ticket": {"total": 5, "hold": "5m"}}, admin_token=f'"{token}"',
                     healthy=False)
    order = orders.buy_until(node).data["order"]
    right = ["Authorization: Bearer 0123456789abcdef-secret"]
    for path in (f"/order/{order}/pay", "/pause?event=ticket", "/close?event=ticket"):
        for headers in ([], ["Authorization: Bearer wrong-wrong-wrong"]):
            assert spike.fetch(node.admin, "POST", path, headers=headers).status == 401
    assert orders.state_of(node, order) == "held" and node.stock()["state"] == "open"
    assert spike.fetch(node.admin, "POST", f"/order/{order}/pay", headers=right).code == 1


def test_tags_are_in_no_log(sale):
    """An order's id is its buyer's proof: no id may be in a log."""
    nodes, held, sold = sale
    for node in nodes:
        text = node.log.read_text()
        assert held[-16:] not in text and sold[-16:] not in text
        assert not re.search(r"[0-9a-f]{4}-[0-9a-f]{12}-", text)
