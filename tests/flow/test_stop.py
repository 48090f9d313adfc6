"""Why: a stop is no accident. On TERM the server answers the requests under way, leaves nothing in
doubt and exits with 0; a server that cannot start logs the reason in one line and exits with 1 or
2."""

import signal
import socket

import pytest

import spike

CONF = "node 1; listen 127.0.0.1:0; journal {journal}; event ticket {{ total 10; }}\n"


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGQUIT], ids=["TERM", "QUIT"])
@pytest.mark.parametrize("standalone", [False, True], ids=["redis", "standalone"])
def test_stop_under_load(site, standalone, sig):
    """Exit 0; every yes is in the journal; nothing is pending in Redis; the next start sells on."""
    redis = None if standalone else site.redis()
    node = site.node(redis=redis, events={"ticket": {"total": 20000}})
    load = site.load(node, connections=50)
    for _ in range(3):
        goal = load.yes_count() + 100
        spike.wait("sales", lambda goal=goal: load.yes_count() >= goal)
        node.process.send_signal(sig)
        assert node.wait_end() == 0
        if redis:
            assert redis.figure() == sum(node.orders().values())
        node.start()
    load.stop()
    assert load.unanswered == 0
    spike.check_promises([node], load.yeses, 20000, node.stock()["sold"])


def test_answers_under_way(site):
    """A buyer whose order is under way gets the answer before the server ends."""
    redis = site.redis()
    proxy = site.proxy(redis)
    node = site.node(redis=proxy)
    proxy.delay_s = 0.2
    with spike.Wire(node.address) as wire:
        wire.send(spike.request("GET", "/buy/ticket"))
        spike.wait("the request to arrive", lambda: node.stats()["http"]["connections"] >= 1)
        node.process.terminate()
        answer = wire.answer()
        assert answer.headers["connection"] == "close"
        assert wire.is_closed()
    assert node.wait_end() == 0
    assert answer.code in (1, -6)
    orders = node.orders()
    assert len(orders) == (answer.code == 1)
    assert redis.figure() == len(orders)


def test_stop_with_redis_down(site):
    """TERM does not wait for a Redis that is away."""
    redis = site.redis()
    node = site.node(redis=redis, **spike.QUICK_REDIS)
    assert node.buy().code == 1
    redis.pause()
    assert node.term() == 0
    redis.resume()
    node.start()
    spike.check_promises([node], [], 10000, redis.figure())


def test_stop_before_the_first_attach(site):
    redis = site.redis()
    redis.kill()
    node = site.node(redis=redis, healthy=False)
    assert node.term() == 0


def test_stop_with_a_batch_in_doubt(site):
    """The stop begins while a call's reply is missing: its possible order is given back before the
    end, for the node may not start again for long."""
    redis = site.redis()
    proxy = site.proxy(redis)
    node = site.node(redis=proxy, **spike.QUICK_REDIS)
    proxy.cut_reply(close=False)
    with spike.Wire(node.address) as wire:
        wire.send(spike.request("GET", "/buy/ticket"))
        assert proxy.cut_done.wait(spike.SOON_S)
        assert redis.figure() == 1
        assert node.term() == 0
        answer = wire.answer()
        assert (answer.code, answer.headers["connection"]) == (-6, "close")
    assert node.orders() == {}
    assert redis.figure() == 0


@pytest.mark.parametrize("workers", [1, 2])
def test_stop_answers_the_accept_queue(site, workers):
    """Hundreds of connections with a request are in the kernel's accept queue when TERM comes: each
    is answered, none is reset."""
    node = site.node(workers=workers)
    node.freeze()
    wires = [spike.Wire(node.address) for _ in range(400)]
    for wire in wires:
        wire.send(spike.request("GET", "/buy/ticket"))
    node.end_expected = True
    node.process.send_signal(signal.SIGTERM)
    node.process.send_signal(signal.SIGCONT)
    answers = [wire.answer() for wire in wires]
    assert {answer.code for answer in answers} <= {1, -6}
    # A worker that runs before the main thread takes TERM may have answered a few without "close".
    assert {answer.headers.get("connection", "close") for answer in answers} == {"close"}
    assert node.wait_end() == 0
    for wire in wires:
        assert wire.is_closed()
        wire.close()
    assert node.orders().keys() == {answer.data["order"] for answer in answers if answer.code == 1}


def test_idle_connections_do_not_delay_the_stop(site):
    node = site.node()
    with spike.Wire(node.address) as idle, spike.Wire(node.address) as half:
        half.send("GET /buy/ticket HTTP/1.1\r\n")
        idle.send(spike.request("GET", "/buy/ticket"))
        idle.answer()
        assert node.term() == 0
        assert idle.is_closed()


def test_second_term(site):
    """A second TERM ends the server at once, with exit 1."""
    redis = site.redis()
    proxy = site.proxy(redis)
    node = site.node(redis=proxy, answer_timeout="20s", redis_timeout="20s")
    proxy.hold()
    with spike.Wire(node.address) as wire:
        wire.send(spike.request("GET", "/buy/ticket"))
        spike.wait("a call that hangs", lambda: proxy.held_conn)
        node.process.terminate()
        spike.wait("the stop to begin", lambda: not accepts(node))
        assert node.is_running(), "no request was under way: this test shows nothing"
        node.process.terminate()
        assert node.wait_end() == 1


def accepts(node):
    try:
        spike.connect(node.address).close()
        return True
    except OSError:
        return False


def test_version_and_help():
    for option in ("-V", "-h"):
        done = spike.run_server(option)
        assert done.code == 0
        assert "spike-server" in done.out


@pytest.mark.parametrize("arguments", [[], ["-x"], ["-c"], ["-t"], ["-c", "x", "extra"]],
                         ids=lambda a: " ".join(a) or "nothing")
def test_usage(arguments):
    done = spike.run_server(*arguments)
    assert done.code == 2
    assert "usage" in done.err.lower()


BAD_CONFS = {
    "unknown key": ("node 1;\nlistne 127.0.0.1:0;\n", 2, "listen"),
    "no semicolon": ("node 1;\nlisten 127.0.0.1:0\njournal x;\n", None, ""),
    "unclosed block": ("node 1;\nevent ticket {\ntotal 1;\n", None, ""),
    "out of range": ("\nnode 65536;\n", 2, "65536"),
    "missing include": ("include nowhere.conf;\n", 1, "nowhere.conf"),
    "repeated": ("node 1;\nnode 1;\n", 2, "node"),
}


@pytest.mark.parametrize("test", [[], ["-t"]], ids=["start", "-t"])
@pytest.mark.parametrize("name", BAD_CONFS)
def test_bad_conf(site, name, test):
    """FILE:LINE: what is wrong. Exit 1."""
    text, line, word = BAD_CONFS[name]
    conf = site.dir / "bad.conf"
    conf.write_text(text)
    done = spike.run_server("-c", conf, *test)
    assert done.code == 1
    assert f"{conf}:{line or ''}" in done.err
    assert word in done.err


def test_no_conf(site):
    for path in (site.dir / "nowhere", site.dir):
        done = spike.run_server("-c", path)
        assert done.code == 1
        assert str(path) in done.err


def test_address_in_use(site):
    """In use by a foreign program, and by another spike-server, which could share the port
    unnoticed."""
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        address = "127.0.0.1:%d" % stranger.getsockname()[1]
        node = site.node(name="late", listen=address, start=False)
        done = spike.run_server("-c", node.conf)
        assert done.code == 1
        assert address in done.err and "in use" in done.err.lower()
    first = site.node()
    taken = "%s:%d" % first.address
    second = site.node(name="second", listen=taken, start=False)
    done = spike.run_server("-c", second.conf)
    assert done.code == 1
    assert taken in done.err
    assert first.buy().code == 1


def test_too_few_descriptors(site):
    """Reported at the start, with the number, not in the middle of a sale."""
    node = site.node(start=False, connections=5000)
    done = spike.run_server("-c", node.conf, limit=1000)
    assert done.code == 1
    assert "descriptors" in done.err or "ulimit" in done.err
    assert "5000" in done.err or "1000" in done.err


def test_disk_without_space(site):
    """The sale's journal does not fit on the disk: reported at the start, not in the middle of the
    sale; and there is still space to try again."""
    node = site.node(start=False, events={"ticket": {"total": 20000}})
    done = spike.run_server("-c", node.conf, file_bytes=1 << 20)
    assert done.code == 1
    assert str(node.journal) in done.err and "cannot take" in done.err and "free space" in done.err
    assert (node.journal / "data.mdb").stat().st_size < 1 << 18
    node.start()
    assert (node.journal / "data.mdb").stat().st_size > 4 << 20
    assert node.buy().code == 1


def test_damaged_journal(site):
    """A damaged journal is refused with an error message, not a crash."""
    node = site.node()
    for _ in range(50):
        node.buy()
    node.kill9()
    data = node.journal / "data.mdb"
    raw = bytearray(data.read_bytes())
    for at in range(8192, len(raw), 512):
        raw[at:at + 16] = b"\xff" * 16
    data.write_bytes(raw)
    done = spike.run_server("-c", node.conf)
    assert done.code == 1
    assert "journal" in done.err


def test_plan(site):
    """-t prints the memory plan and touches neither network nor journal."""
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        conf = site.dir / "plan.conf"
        text = CONF.format(journal=site.dir / "journal")
        conf.write_text(text.replace("127.0.0.1:0", "127.0.0.1:%d" % stranger.getsockname()[1]))
        done = spike.run_server("-t", "-c", conf)
    assert done.code == 0
    last = done.out.splitlines()[-1].split()
    assert (last[0], last[2]) == ("total", "bytes")
    assert int(last[1]) > 0
    assert not (site.dir / "journal").exists()


def test_plan_is_what_it_takes(site):
    """The sum of -t is arena_bytes of /stats: one plan, not two."""
    node = site.node()
    done = spike.run_server("-t", "-c", node.conf)
    assert done.code == 0
    assert int(done.out.splitlines()[-1].split()[1]) == node.stats()["memory"]["arena_bytes"]
