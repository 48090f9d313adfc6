"""Why: HTTP over real sockets: strict about bytes, patient within limits, and no buyer can make
another one wait or the server lose count."""

import select
import socket
import time

import pytest

import spike
from spike import Wire, request

GET = b"GET /buy/gone HTTP/1.1\r\nHost: a\r\n\r\n"
HEADER_S, IDLE_S, CONNECTIONS = 1, 2, 64


@pytest.fixture(scope="module")
def node(shared_site):
    """A standalone node with small limits: "ticket" sells, "gone" is sold out."""
    node = shared_site.node(events={"ticket": {"total": 100000}, "gone": {"total": 1}},
                            connections=CONNECTIONS, max_header=1024, max_body=512, workers=2)
    node.buy("gone")
    spike.wait("sold out", lambda: node.buy("gone").code == -1)
    return node


@pytest.fixture(scope="module")
def hasty(shared_site):
    """A node with short time-outs for slow clients, for the tests of those time-outs."""
    return shared_site.node(name="hasty", events={"gone": {"total": 1}},
                            header_timeout=f"{HEADER_S}s", idle_timeout=f"{IDLE_S}s")


def raw(node, data, **more):
    with Wire(node.address) as wire:
        wire.send(data)
        return wire.answer(**more)


BAD = {
    "bare LF": b"GET /buy/gone HTTP/1.1\nHost: a\n\n",
    "bare CR": b"GET /buy/gone HTTP/1.1\r\nHost: a\rb\r\n\r\n",
    "NUL": b"GET /buy/gone HTTP/1.1\r\nHost: a\0\r\n\r\n",
    "obs-fold": b"GET /buy/gone HTTP/1.1\r\nHost: a\r\nX: 1\r\n 2\r\n\r\n",
    "space before colon": b"GET /buy/gone HTTP/1.1\r\nHost : a\r\n\r\n",
    "no Host": b"GET /buy/gone HTTP/1.1\r\n\r\n",
    "two Hosts": b"GET /buy/gone HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
    "two lengths": b"POST /buy/gone HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n"
                   b"Content-Length: 0\r\n\r\n",
    "listed length": b"POST /buy/gone HTTP/1.1\r\nHost: a\r\nContent-Length: 0, 0\r\n\r\n",
    "signed length": b"POST /buy/gone HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\na",
    "hex length": b"POST /buy/gone HTTP/1.1\r\nHost: a\r\nContent-Length: 0x1\r\n\r\na",
    "length and coding": b"POST /buy/gone HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n"
                         b"Transfer-Encoding: chunked\r\n\r\n",
    "version 1.2": b"GET /buy/gone HTTP/1.2\r\nHost: a\r\n\r\n",
    "version 2.0": b"GET /buy/gone HTTP/2.0\r\nHost: a\r\n\r\n",
    "no version": b"GET /buy/gone\r\n\r\n",
    "two blanks": b"GET  /buy/gone HTTP/1.1\r\nHost: a\r\n\r\n",
    "TLS": bytes.fromhex("16030100c8010000c40303") + b"\r\n\r\n",
}


@pytest.mark.parametrize("name", BAD)
def test_400_and_close(node, name):
    with Wire(node.address) as wire:
        wire.send(BAD[name])
        answer = wire.answer()
        assert (answer.status, answer.code) == (400, -400)
        assert answer.headers["connection"] == "close"
        assert wire.is_closed()


WRONG = {
    "unknown path": (404, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    "unknown event": (404, b"GET /buy/nothing HTTP/1.1\r\nHost: a\r\n\r\n"),
    "path goes on": (404, b"GET /buy/ticket/ HTTP/1.1\r\nHost: a\r\n\r\n"),
    "stats are not public": (404, b"GET /stats HTTP/1.1\r\nHost: a\r\n\r\n"),
    "healthz is not public": (404, b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"),
    "chunked": (411, b"POST /buy/ticket HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"),
    "gzip coding": (501,
                    b"POST /buy/ticket HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n"),
    "unknown method": (501, b"BREW /buy/ticket HTTP/1.1\r\nHost: a\r\n\r\n"),
    "long body": (413, b"POST /buy/ticket HTTP/1.1\r\nHost: a\r\nContent-Length: 513\r\n\r\n"),
    "long target": (414, b"GET /" + b"a" * 1100),
    "long header": (431, b"GET /buy/ticket HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 1100),
    "expectation": (417, b"POST /buy/ticket HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n"
                         b"Expect: tea\r\n\r\n"),
    "n=0": (400, b"GET /buy/ticket?n=0 HTTP/1.1\r\nHost: a\r\n\r\n"),
    "n=5": (400, b"GET /buy/ticket?n=5 HTTP/1.1\r\nHost: a\r\n\r\n"),
    "n twice": (400, b"GET /buy/ticket?n=1&n=1 HTTP/1.1\r\nHost: a\r\n\r\n"),
    "n empty": (400, b"GET /buy/ticket?n= HTTP/1.1\r\nHost: a\r\n\r\n"),
    "no form": (400, b"POST /buy/ticket HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
                     b"Content-Length: 2\r\n\r\n{}"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_requests(node, name):
    status, data = WRONG[name]
    sold = node.stock()["sold"]
    answer = raw(node, data)
    assert (answer.status, answer.code) == (status, -status)
    assert answer.data is None
    assert answer.headers["content-type"] == "application/json"
    assert node.stock()["sold"] == sold


@pytest.mark.parametrize("path, allow", [("/buy/ticket", "GET, POST"), ("/stock/ticket", "GET")])
@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "HEAD"])
def test_405(node, method, path, allow):
    answer = node.fetch(method, path)
    assert (answer.status, answer.headers["allow"]) == (405, allow)


def test_buy_with_get_no(site):
    """With buy-with-get no, only POST buys."""
    node = site.node(buy_with_get="no")
    answer = node.buy()
    assert (answer.status, answer.headers["allow"]) == (405, "POST")
    assert node.fetch("POST", "/buy/ticket").code == 1


def test_parameters_of_a_form(node):
    """Unknown parameters are ignored; n may stand in the query or in the form, but not in both."""
    form = ["Content-Type: application/x-www-form-urlencoded"]
    assert node.fetch("POST", "/buy/ticket", headers=form, body="n=1&color=red").code == 1
    assert node.fetch("GET", "/buy/ticket?color=red&n=1").code == 1
    assert node.fetch("POST", "/buy/ticket?n=1", headers=form, body="n=1").status == 400


def test_one_body_length(node):
    """Every answer of /buy for an event has one body length: ab counts no failure."""
    requests = [request("GET", "/buy/ticket"), request("POST", "/buy/ticket"),
                request("GET", "/buy/ticket?n=0"), request("PUT", "/buy/ticket"),
                request("GET", "/buy/ticket", headers=["Connection: close"]),
                b"GET /buy/ticket HTTP/1.0\r\n\r\n"]
    assert len({len(raw(node, data).body) for data in requests}) == 1
    gone = raw(node, GET)
    assert gone.body.rstrip(b" ") == b'{"code":-1,"msg":"sold out","data":null}'


def test_split_at_every_byte(node):
    """A request may arrive in any two pieces; it is answered as if it came in one."""
    data = (b"POST /buy/gone HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n"
            b"Content-Type: application/x-www-form-urlencoded\r\n\r\nn=1")
    with Wire(node.address) as wire:
        wire.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for cut in range(1, len(data)):
            wire.send(data[:cut])
            time.sleep(0.001)  # so that the pieces are read apart, mostly
            wire.send(data[cut:])
            assert wire.answer().code == -1, cut


def test_byte_by_byte(node):
    with Wire(node.address) as wire:
        wire.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in GET:
            wire.send(bytes([byte]))
        assert wire.answer().code == -1


def test_pipelining_keeps_the_order(node):
    """Refusals never overtake the sale before them, however many requests come at once."""
    kinds = [("/buy/ticket", 1), ("/buy/gone", -1), ("/stock/ticket", 1), ("/nothing", -404)]
    requests = [kinds[i * i % 7 % 4] for i in range(400)]
    with Wire(node.address) as wire:
        wire.send(b"".join(request("GET", path) for path, _ in requests))
        codes = [wire.answer().code for _ in requests]
    assert codes == [code for _, code in requests]


def test_pipelined_behind_a_wrong_one(node):
    """After a 400 nothing more is read: the bytes behind a malformed request must not buy."""
    sold = node.stock()["sold"]
    with Wire(node.address) as wire:
        wire.send(BAD["bare LF"] + request("GET", "/buy/ticket"))
        assert wire.answer().status == 400
        assert wire.is_closed()
    assert node.stock()["sold"] == sold


def test_100_continue(node):
    """One 100 for a body that has not arrived, then the answer."""
    top = (b"POST /buy/gone HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n"
           b"Content-Type: application/x-www-form-urlencoded\r\nExpect: 100-continue\r\n\r\n")
    with Wire(node.address) as wire:
        for _ in range(2):
            wire.send(top)
            assert wire.answer().status == 100
            wire.send(b"n=")
            time.sleep(0.02)
            wire.send(b"1")
            assert wire.answer().code == -1


@pytest.mark.parametrize("top, stays", [
    (b"GET /buy/gone HTTP/1.1\r\nHost: a\r\n\r\n", True),
    (b"GET /buy/gone HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", False),
    (b"GET /buy/gone HTTP/1.0\r\n\r\n", False),
    (b"GET /buy/gone HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", True),
], ids=["1.1", "1.1 close", "1.0", "1.0 keep-alive"])
@pytest.mark.parametrize("event", ["gone", "ticket"])
def test_keep_alive(node, top, stays, event):
    data = top.replace(b"gone", event.encode())
    with Wire(node.address) as wire:
        wire.send(data)
        answer = wire.answer()
        assert answer.code in (1, -1)
        if stays:
            wire.send(data)
            assert wire.answer().code == answer.code
        else:
            assert wire.is_closed()
        if not stays:
            assert answer.headers["connection"] == "close"
        elif b"1.0" in top:
            assert answer.headers["connection"].lower() == "keep-alive"


def test_half_close(node):
    """A client that shuts down its sending side after a request still gets the answer."""
    for path, code in (("/buy/ticket", 1), ("/buy/gone", -1), ("/stock/ticket", 1)):
        with Wire(node.address) as wire:
            wire.send(request("GET", path) * 3)
            wire.half_close()
            assert [wire.answer().code for _ in range(3)] == [code] * 3
            assert wire.is_closed()


def test_header_deadline(hasty):
    """One deadline for the whole request: dripping bytes do not move it. 408, then closed."""
    start = time.monotonic()
    with Wire(hasty.address) as wire:
        for byte in b"GET /buy/gone HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 1000:
            wire.send(bytes([byte]))
            if select.select([wire.sock], [], [], 0.05)[0]:
                break
        else:
            raise AssertionError("each byte has moved the deadline")
        assert time.monotonic() - start > 0.9 * HEADER_S
        answer = wire.answer()
        assert (answer.status, answer.code) == (408, -408)
        assert wire.is_closed()


def test_body_deadline(hasty):
    with Wire(hasty.address) as wire:
        wire.send(b"POST /buy/gone HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nn")
        assert wire.answer().status == 408


def test_idle_time_out(hasty):
    """An idle connection is closed without an answer, not before its time."""
    with Wire(hasty.address) as wire:
        wire.send(GET)
        wire.answer()
        start = time.monotonic()
        assert wire.is_closed()
        assert time.monotonic() - start > 0.9 * IDLE_S


def test_connection_limit(node):
    """Past the limit a connection waits; it is served when another one closes."""
    spike.wait("a quiet node", lambda: node.stats()["http"]["connections"] == 0)
    full = [Wire(node.address) for _ in range(CONNECTIONS)]
    for wire in full:
        wire.send(GET)
        assert wire.answer().code == -1
    assert node.stats()["http"]["connections"] == CONNECTIONS
    assert "the limit is reached" not in node.log_text()  # no connection waits yet
    late = Wire(node.address)
    late.send(GET)
    late.sock.settimeout(0.3)
    with pytest.raises(socket.timeout):
        late.answer()
    spike.wait("the limit to be logged", lambda: "the limit is reached" in node.log_text())
    full.pop().close()
    late.sock.settimeout(spike.SOON_S)
    assert late.answer().code == -1
    for wire in [late, *full]:
        wire.close()


def test_slow_reader(node):
    """A client that does not read its answers is paused, then dropped; others notice nothing."""
    with Wire(node.address) as slow, Wire(node.address) as other:
        slow.sock.setblocking(False)
        sent = 0
        try:
            while sent < 50_000_000:
                sent += slow.sock.send(GET * 100)
        except (BlockingIOError, ConnectionError):
            pass
        assert sent < 50_000_000, "the server read on without being read from"
        other.send(GET)
        assert other.answer().code == -1
    node.buy("gone")


def test_slow_reader_gets_everything(node):
    """Answers that had to wait for a slow reader arrive in full and in order."""
    count = 5000
    with Wire(node.address) as wire:
        requests = GET * count
        got, at = 0, 0
        while got < count:
            if at < len(requests):
                wire.sock.settimeout(0.5)  # it takes no more until it is read from
                try:
                    at += wire.sock.send(requests[at:at + 65536])
                except (BlockingIOError, socket.timeout):
                    pass
                wire.sock.settimeout(spike.SOON_S)
            if at >= len(requests) or at > 400_000:
                assert wire.answer().code == -1
                got += 1


def test_buyers_who_disconnected(site):
    """A buyer without a key who disconnects cannot know of the ticket: it comes back to the stock.
    """
    redis = site.redis()
    node = site.node(redis=redis, events={"ticket": {"total": 50}})
    redis.pause()
    wires = [Wire(node.address) for _ in range(20)]
    for wire in wires:
        wire.send(request("GET", "/buy/ticket"))
    spike.wait("their orders", lambda: node.stats()["http"]["connections"] >= 20)
    for wire in wires:
        wire.reset()
    redis.resume()
    node.wait_healthy()
    orders = spike.drain(node, 50, redis)
    spike.check_promises([node], orders, 50, 50)
    assert len(orders) == 50


def test_buyers_who_disconnect_all_the_time(site):
    """Crowds that disconnect at random moments: the tickets they did not get are sold to others."""
    redis = site.redis()
    node = site.node(redis=redis, events={"ticket": {"total": 400}})
    for _ in range(600):
        wire = Wire(node.address)
        wire.send(request("GET", "/buy/ticket"))
        time.sleep(site.random.random() * 0.002)
        wire.reset()
    left = 400 - sum(node.orders().values())
    print(f"{left} left after 600 connections were reset")
    if left:
        spike.drain(node, 400, redis)
    spike.wait("all to be settled", lambda: redis.figure() == sum(node.orders().values()))


def test_unix_socket_and_several_listeners(site):
    """listen may stand several times, also as a Unix socket; each sells."""
    path = site.dir / "http.sock"
    node = site.node(listen=[f"unix:{path}", "127.0.0.1:0", '"[::1]:0"'])
    addresses = [spike.parse_address(m[2]) for m in spike.LISTENING.finditer(node.log_text())
                 if not m[1]]
    assert len(addresses) == 3
    assert [spike.fetch(address, "GET", "/buy/ticket").code for address in addresses] == [1, 1, 1]
    assert node.term() == 0
    assert not path.exists()
