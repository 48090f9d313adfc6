"""Why: an operator sees the sale by /stats and /healthz alone, and other programs read them: the
fields are a contract, and only an operator may read them."""

import os
import signal
import time

import pytest

import spike
from spike import fetch

STATS = {
    "node": int, "version": str, "state": str, "uptime_s": int, "time_ms": int,
    "events": [{"name": str, "state": str, "total": int, "sold": int, "left": int,
                "node_sold": int, "node_held": int, "local_stock": (int, type(None)),
                "refused": int}],
    "http": {"requests": int, "connections": int, "connections_max": int,
             "answers": {"2xx": int, "4xx": int, "5xx": int}},
    "latency_us": {"p50": int, "p99": int, "max": int},
    "redis": {"state": str, "rtt_us": int, "reconnects": int},
    "journal": {"records": int, "used_bytes": int, "size_bytes": int, "commit_p99_us": int},
    "memory": {"arena_bytes": int, "rss_bytes": int,
               "pools": [{"name": str, "used": int, "size": int}]},
}


def check_shape(value, shape, where="stats"):
    if isinstance(shape, dict):
        assert shape.keys() <= value.keys(), where
        for key, inner in shape.items():
            check_shape(value[key], inner, f"{where}.{key}")
    elif isinstance(shape, list):
        assert value, where
        for one in value:
            check_shape(one, shape[0], f"{where}[]")
    else:
        assert isinstance(value, shape) and not isinstance(value, bool), (where, value)


def test_stats(site):
    """All fields of spike-server(8), with true figures."""
    redis = site.redis()
    node = site.node(3, redis=redis,
                     events={"ticket": {"total": 100, "local-stock": 10}, "more": {"total": 50}})
    before = node.stats()
    check_shape(before, STATS)
    site.load(node, connections=5, requests=40).join()
    node.fetch("GET", "/nothing")
    spike.wait("a second's figures", lambda: node.stats()["journal"]["commit_p99_us"] > 0)
    after = node.stats()
    check_shape(after, STATS)
    assert (after["node"], after["state"]) == (3, "up")
    assert abs(after["time_ms"] - time.time() * 1000) < 2000
    ticket, more = after["events"]
    assert ticket == {**ticket, "name": "ticket", "state": "open", "total": 100, "sold": 10,
                      "left": 90, "node_sold": 10, "node_held": 0, "local_stock": 10, "refused": 30}
    assert more == {**more, "name": "more", "sold": 0, "local_stock": None, "refused": 0}
    assert after["http"]["requests"] - before["http"]["requests"] >= 41
    assert after["http"]["answers"]["4xx"] - before["http"]["answers"]["4xx"] == 1
    assert after["http"]["answers"]["2xx"] - before["http"]["answers"]["2xx"] >= 40
    assert after["http"]["connections_max"] >= 1
    assert 0 < after["latency_us"]["p50"] <= after["latency_us"]["p99"] <= after["latency_us"]["max"]
    assert after["redis"]["state"] == "up" and after["redis"]["rtt_us"] > 0
    assert after["journal"]["records"] == len(node.records())
    assert 0 < after["journal"]["used_bytes"] <= after["journal"]["size_bytes"]
    assert after["memory"]["arena_bytes"] > 0 and after["memory"]["rss_bytes"] > 0
    assert "connections" in [pool["name"] for pool in after["memory"]["pools"]]


def test_stats_standalone(site):
    node = site.node()
    check_shape(node.stats(), STATS)
    assert node.stats()["redis"]["state"] == "off"


def test_stats_are_bare_and_bounded(site):
    """Sixteen events, and /stats is still one JSON object, in one answer."""
    events = {f"event-{i:02}-" + "x" * 22: {"total": 5} for i in range(16)}
    node = site.node(events=events)
    answer = fetch(node.admin, "GET", "/stats")
    assert answer.status == 200
    assert [e["name"] for e in answer.json["events"]] == list(events)
    assert b"\n" not in answer.body.strip() and b": " not in answer.body


def test_healthz(site):
    """200 while it sells; 503 with the reason otherwise."""
    redis = site.redis()
    node = site.node(redis=redis)
    answer = node.health()
    assert (answer.status, answer.code) == (200, 1)
    assert answer.json["data"] is None or isinstance(answer.json["data"], dict)
    redis.kill()
    second = site.node(2, nodes=[1, 2], redis=redis, healthy=False)
    answer = second.health()
    assert (answer.status, answer.json["msg"]) == (503, "starting")
    assert second.stats()["state"] == "starting"
    assert second.stats()["redis"]["state"] == "down"


def connections(redis):
    return redis.client.info("stats")["total_connections_received"]


def test_healthz_while_redis_is_away(site):
    """200: if the balancer took every node out, none could tell buyers to try again. The same while
    a node can examine its events but attach none; and rtt_us is 0 meanwhile."""
    redis = site.redis()
    node = site.node(redis=redis, events={"ticket": {"total": 10}, "more": {"total": 10}})

    def is_away():
        health, stats = node.health(), node.stats()
        assert (health.status, health.json["data"]) == (200, {"state": "up"})
        return stats["redis"]["state"] == "down" and stats["redis"]["rtt_us"] == 0

    assert node.stats()["redis"]["rtt_us"] > 0
    redis.client.set("{more_hash_key}:requests", "no hash")
    spike.wait("the second event not to attach", lambda: is_away() and "expected a hash"
               in node.log_text())
    epoch, attempts = redis.figure("1:epoch"), connections(redis) + 3
    spike.wait("attempts", lambda: not is_away() or connections(redis) >= attempts)
    assert node.buy().code == -6
    assert redis.figure("1:epoch") == epoch
    redis.kill()
    spike.wait("Redis to be missed", lambda: is_away() and node.buy().code == -6)
    assert is_away()


def test_sides_are_apart(site):
    """Operators' paths are 404 for buyers; buyers' paths are 404 for operators."""
    node = site.node()
    for path in ("/stats", "/healthz", "/metrics", "/drain", "/pause?event=ticket"):
        for method in ("GET", "POST"):
            assert node.fetch(method, path).status == 404, path
    assert fetch(node.admin, "GET", "/buy/ticket").status == 404
    assert node.stock()["sold"] == 0
    assert fetch(node.admin, "POST", "/stats").headers["allow"] == "GET"


@pytest.mark.parametrize("host, status", [("127.0.0.1", 200), ("127.0.0.1:80", 200),
                                          ("localhost", 200), ("[::1]:3905", 200),
                                          ("evil.example", 403), ("evil.example:3905", 403),
                                          ("127.0.0.1.evil.example", 403)])
def test_foreign_host(shared_site, host, status):
    """A web page that rebinds its name to 127.0.0.1 is refused."""
    node = getattr(shared_site, "node_of_hosts", None) or shared_site.node()
    shared_site.node_of_hosts = node
    assert fetch(node.admin, "GET", "/stats", host=host).status == status


def test_origin_is_refused(site):
    """A request from a web page is refused."""
    node = site.node()
    for origin in ("http://127.0.0.1", "null", "https://evil.example"):
        answer = fetch(node.admin, "GET", "/healthz", headers=[f"Origin: {origin}"])
        assert (answer.status, answer.code) == (403, -403)


def test_admin_off_loopback_needs_a_token(site):
    """An admin listener that others can reach needs a token file, else the server does not start."""
    node = site.node(start=False, admin="0.0.0.0:0")
    done = spike.run_server("-c", node.conf)
    assert done.code == 1
    assert "token" in done.err


def test_token(site):
    """With a token file only requests with the token are answered."""
    token = site.dir / "token"
    token.write_text("open-sesame-0123456789\n")
    os.chmod(token, 0o600)
    node = site.node(start=False, admin="0.0.0.0:0", admin_token=token)
    node.start(healthy=False)
    node.admin = ("127.0.0.1", node.admin[1])
    good = ["Authorization: Bearer open-sesame-0123456789"]
    spike.wait("health", lambda: fetch(node.admin, "GET", "/healthz", headers=good).status == 200)
    for headers in ([], ["Authorization: Bearer open-sesame"], ["Authorization: Basic b3Blbg=="],
                    ["Authorization: Bearer open-sesame-0123456789x"]):
        for path in ("/stats", "/healthz"):
            answer = fetch(node.admin, "GET", path, headers=headers)
            assert (answer.status, answer.code) == (401, -401), (path, headers)


def test_admin_on_a_unix_socket(site):
    path = site.dir / "admin.sock"
    node = site.node(admin=f"unix:{path}")
    assert node.admin == str(path)
    check_shape(node.stats(), STATS)


def test_no_admin(site):
    """Without an admin line there is no admin listener, and the node sells all the same."""
    node = site.node(start=False)
    text = node.conf.read_text().replace("admin 127.0.0.1:0;\n", "")
    node.conf.write_text(text)
    node.start(healthy=False)
    spike.wait("a sale", lambda: node.buy().code == 1)


def test_hup_finds_events_by_name(site):
    """The file's events stand in another order and have other settings: each local-stock goes to
    its own event, and the log names each setting that only a restart can change."""
    node = site.node(events={"a": {"total": 100, "local_stock": 10},
                             "b": {"total": 100, "local_stock": 90}})
    text = node.conf.read_text()
    start = text.index("event a")
    node.conf.write_text(text[:start].replace("workers 2", "workers 3")
                         .replace("answer-timeout 20s", "answer-timeout 2s") + """
event b { total 100; local-stock 80; max-order 2; }
event a { total 500; local-stock 20; }
event c { total 5; }
""")
    node.process.send_signal(signal.SIGHUP)
    spike.wait("the reload", lambda: "reload: done" in node.log_text())
    caps = lambda: {e["name"]: e["local_stock"] for e in node.stats()["events"]}
    spike.wait("the new caps", lambda: caps() == {"a": 20, "b": 80})
    lines = [line.split("reload: ", 1) for line in node.log_text().splitlines()
             if "reload:" in line]
    needs_restart = {text.split(" changes")[0] for level, text in lines if " warn " in level}
    applied = {text.split(" is as")[0] for level, text in lines if " info " in level}
    assert needs_restart == {"workers", "a: total", "b: max-order", "a: stock-max", "c: event"}
    assert applied == {"answer-timeout", "a: local-stock", "b: local-stock", "done"}
    assert node.event_stats("a")["total"] == 100
    site.load(node, connections=5, requests=40, path="/buy/a").join()
    assert (node.event_stats("a")["node_sold"], node.event_stats("b")["node_sold"]) == (20, 0)


def test_hup_with_a_bad_file_changes_nothing(site):
    """A file with an error is refused as a whole, and the node sells on."""
    node = site.node(events={"ticket": {"total": 100, "local_stock": 10}})
    node.conf.write_text(node.conf.read_text().replace("local-stock 10", "local-stock 50")
                         + "listne 1;\n")
    node.process.send_signal(signal.SIGHUP)
    spike.wait("the error in the log", lambda: "listne" in node.log_text())
    assert node.event_stats()["local_stock"] == 10
    assert node.buy().code == 1


def test_many_operators(site):
    """A payment service keeps its connections open; the health check can still connect."""
    node = site.node(events={"ticket": {"total": 300, "hold": "5m"}})
    order = node.buy().data["order"]
    wires = []
    try:
        for _ in range(150):
            wires.append(spike.Wire(node.admin))
            wires[-1].send(spike.request("POST", f"/order/{order}/pay"))
            assert wires[-1].answer().code == 1
        assert fetch(node.admin, "GET", "/healthz").status == 200
        assert fetch(node.admin, "GET", "/stats").json["state"] == "up"
        for wire in wires:
            wire.send(spike.request("POST", f"/order/{order}/pay"))
        assert {wire.answer().code for wire in wires} == {1}
    finally:
        for wire in wires:
            wire.close()
