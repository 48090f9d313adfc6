"""Why: `ab` without -l counts every answer of another length as failed, so all answers of /buy for
an event have one length: also those to requests that could not be parsed."""

import pytest

import orders
import spike
from spike import Wire

EVENTS = {"ticket": {"total": 1000}, "many-at-once": {"total": 90000, "max-order": 1000},
          "gone": {"total": 1}, "paused": {"total": 5}, "closed": {"total": 5},
          "limited": {"total": 5, "limit": 1},
          "future": {"total": 5, "open": "2099-01-01T00:00:00Z"}}


@pytest.fixture(scope="module")
def sale(shared_site):
    """A node with events in every state, and the body length of each event."""
    node = shared_site.node(events=EVENTS, max_header=1024, max_body=512)
    lengths = {event: len(node.buy(event).body) for event in EVENTS}
    for what in ("pause", "close"):
        assert orders.act(node, what, {"pause": "paused", "close": "closed"}[what]).code == 1
    return node, lengths


# Behind "METHOD PATH HTTP/1.1", and the status.
BROKEN = {
    "key twice": (400, "Idempotency-Key: a\r\nIdempotency-Key: a"),
    "buyer twice": (400, "X-Buyer: a\r\nX-Buyer: a"),
    "DEL in a key": (400, "Idempotency-Key: a\x7f"),
    "DEL in a header": (400, "X-Anything: a\x7f"),
    "a blank before the colon": (400, "X-Anything : a"),
    "Host twice": (400, "Host: a"),
    "two lengths": (400, "Content-Length: 1\r\nContent-Length: 1"),
    "a signed length": (400, "Content-Length: +1"),
    "length and coding": (400, "Content-Length: 1\r\nTransfer-Encoding: chunked"),
    "chunked": (411, "Transfer-Encoding: chunked"),
    "gzip": (501, "Transfer-Encoding: gzip"),
    "body too large": (413, "Content-Length: 513"),
    "Expect": (417, "Expect: foo"),
    "header too large": (431, "X-Anything: " + "a" * 1100),
    "a body that is no form": (400, "Content-Length: 2\r\n\r\n{}"),
}


def answer_to(node, data):
    with Wire(node.address) as wire:
        wire.send(data.encode("latin-1"))
        return wire.answer()


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("name", BROKEN)
def test_broken_requests(sale, name, method):
    node, lengths = sale
    status, headers = BROKEN[name]
    for event, length in lengths.items():
        answer = answer_to(node, f"{method} /buy/{event} HTTP/1.1\r\nHost: a\r\n{headers}\r\n\r\n")
        assert (answer.status, answer.code, answer.data) == (status, -status, None)
        assert len(answer.body) == length, (event, answer)


LINES = {
    "unknown method": (501, "FOO {} HTTP/1.1"),
    "wrong method": (405, "PUT {} HTTP/1.1"),
    "long target": (414, "GET {}?x=" + "a" * 1100 + " HTTP/1.1"),
    "unknown version": (400, "GET {} HTTP/2.0"),
    "DEL in the target": (400, "GET {}?x=\x7f HTTP/1.1"),
    "a fragment": (400, "GET {}#a HTTP/1.1"),
    "a parameter": (400, "GET {}?n=x HTTP/1.1"),
}


@pytest.mark.parametrize("name", LINES)
def test_broken_lines(sale, name):
    node, lengths = sale
    status, line = LINES[name]
    for event, length in lengths.items():
        answer = answer_to(node, f"{line.format(f'/buy/{event}')}\r\nHost: a\r\n\r\n")
        assert (answer.status, answer.code, answer.data) == (status, -status, None)
        assert len(answer.body) == length, (event, answer)


def test_verdicts(sale):
    """Yes, and every no."""
    node, lengths = sale
    codes = {"ticket": 1, "many-at-once": 1, "gone": -1, "paused": -4, "closed": -3, "future": -2}
    for event, code in codes.items():
        for parameters in ({}, {"key": "k"}):
            answer = orders.buy(node, event, **parameters)
            assert (answer.code, len(answer.body)) == (code, lengths[event])
    for code in (1, -5):
        answer = orders.buy(node, "limited", buyer="b")
        assert (answer.code, len(answer.body)) == (code, lengths["limited"])
    assert len(orders.buy(node, "many-at-once", n=800).body) == lengths["many-at-once"]
    assert node.fetch("GET", "/buy/nothing").status == 404


def test_busy(site):
    """Without Redis: "busy", with the length of a yes."""
    redis = site.redis()
    node = site.node(redis=redis, events={"ticket": {"total": 5}})
    length = len(node.buy().body)
    redis.kill()
    for path in ("/buy/ticket", "/buy/ticket?key=k"):
        answer = spike.wait("busy",
                            lambda path=path: (a := node.fetch("GET", path)).code == -6 and a)
        assert len(answer.body) == length


def test_the_body_of_a_get_counts(sale):
    """The body of a GET counts as a form; a body that cannot be read is an error."""
    node, lengths = sale
    form = "n=3&key=in-the-body"
    first, again = (node.fetch("GET", "/buy/ticket", body=form) for _ in range(2))
    assert first.code == again.code == 1 and first.data == again.data
    assert first.data["n"] == 3
    assert node.fetch("POST", "/buy/ticket", body=form).data == first.data
    for body, headers in (("{}", ["Content-Type: application/json"]), ("{}", []), ("n=5", []),
                          ("n=1&n=1", [])):
        answer = node.fetch("GET", "/buy/ticket", body=body, headers=headers)
        assert (answer.status, answer.code, len(answer.body)) == (400, -400, lengths["ticket"])
