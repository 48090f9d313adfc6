"""Why: a sale as buyers see it, from the first yes to "sold out", with the published command."""

import re
import subprocess

import pytest

import spike


def ab(node, *options, path="/buy/ticket"):
    """Runs ab and returns its report."""
    host, port = node.address
    done = subprocess.run(["ab", "-q", *options, f"http://{host}:{port}{path}"],
                          capture_output=True, text=True, timeout=60 * spike.PATIENCE, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def ab_figure(report, name):
    return int(re.search(rf"^{name}:\s+(\d+)", report, re.MULTILINE)[1])


@pytest.mark.parametrize("keep_alive", [[], ["-k"]], ids=["close", "keep-alive"])
@pytest.mark.parametrize("standalone", [False, True], ids=["redis", "standalone"])
def test_ab_with_local_stock(site, standalone, keep_alive):
    """The published ab command: no failed request, and exactly local-stock tickets are sold."""
    redis = None if standalone else site.redis()
    node = site.node(redis=redis, events={"ticket": {"total": 10000, "local-stock": 150}})
    report = ab(node, "-n", "10000", "-c", "100", *keep_alive)
    assert ab_figure(report, "Complete requests") == 10000
    assert ab_figure(report, "Failed requests") == 0
    assert "Non-2xx responses" not in report
    stats = node.event_stats()
    assert stats["node_sold"] == 150
    assert stats["refused"] == 10000 - 150
    assert stats["local_stock"] == 150
    assert len(node.orders()) == 150
    refusal = node.buy()
    assert (refusal.status, refusal.code, refusal.json["msg"]) == (200, -1, "sold out here")
    assert refusal.data is None
    assert node.stock() == {"event": "ticket", "state": "open", "total": 10000, "sold": 150,
                            "left": 9850}
    if redis:
        assert redis.figure(spike.SOLD) == 150
        assert redis.figure(spike.TOTAL) == 10000


def test_ab_posts(site):
    """POST buys as GET does; ab sends a body with it."""
    node = site.node()
    form = site.dir / "form"
    form.write_text("n=1")
    report = ab(node, "-n", "200", "-c", "10", "-p", str(form), "-T",
                "application/x-www-form-urlencoded")
    assert ab_figure(report, "Failed requests") == 0
    assert node.stock()["sold"] == 200


@pytest.mark.parametrize("standalone", [False, True], ids=["redis", "standalone"])
def test_sold_out(site, standalone):
    """Every ticket is sold, then the answer is -1 "sold out", also after a restart."""
    redis = None if standalone else site.redis()
    node = site.node(redis=redis, events={"ticket": {"total": 500}})
    load = site.load(node, connections=50, requests=2000).join()
    assert load.codes == {1: 500, -1: 1500}
    spike.check_promises([node], load.yeses, 500, 500)
    for _ in range(2):
        refusal = node.buy()
        assert (refusal.status, refusal.code, refusal.json["msg"]) == (200, -1, "sold out")
        assert node.stock() == {"event": "ticket", "state": "soldout", "total": 500, "sold": 500,
                                "left": 0}
        assert node.term() == 0
        node.start()
    if redis:
        assert redis.figure() == 500


def test_yes_has_an_order(site):
    """A yes carries what the buyer needs: an order id of this node, n, and pay_by 0."""
    node = site.node(7)
    answer = node.buy()
    assert (answer.status, answer.code, answer.json["msg"]) == (200, 1, "ok")
    assert list(answer.json) == ["code", "msg", "data"]
    assert list(answer.data) == ["order", "n", "pay_by"]
    assert (answer.data["n"], answer.data["pay_by"]) == (1, 0)
    assert re.fullmatch(r"0007-[0-9a-f]{12}-[0-9a-f]{16}", answer.data["order"])
    assert list(node.orders()) == [answer.data["order"]]
    assert answer.headers["content-type"] == "application/json"
    assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", answer.headers["date"])


def test_several_events(site):
    """Events are sold apart from each other: stock, ids, hashes and journals."""
    redis = site.redis()
    events = {"ticket": {"total": 30}, "balcony": {"total": 20, "local-stock": 5},
              "box-1_a": {"total": 10}}
    node = site.node(redis=redis, events=events)
    loads = [site.load(node, connections=10, requests=60, path=f"/buy/{name}") for name in events]
    assert [load.join().codes[1] for load in loads] == [30, 5, 10]
    ids = [order for load in loads for order in load.yeses]
    assert len(set(ids)) == 45
    for name, sold in zip(events, [30, 5, 10]):
        assert redis.figure(f"{name}_sold_nums", f"{name}_hash_key") == sold
        assert len(node.orders(name)) == sold
        assert node.stock(name)["sold"] == sold
    assert node.buy("nothing").status == 404


def test_existing_hash_is_adopted(site):
    """A hash of the prototype is adopted: its total counts, and its sold tickets stay sold."""
    redis = site.redis()
    redis.client.hset(spike.HASH, mapping={spike.TOTAL: 100, spike.SOLD: 40})
    node = site.node(redis=redis, events={"ticket": {"total": 500}})
    assert node.stock() == {"event": "ticket", "state": "open", "total": 100, "sold": 40,
                            "left": 60}
    assert "warn" in node.log_text()
    load = site.load(node, connections=20, requests=200).join()
    assert load.codes == {1: 60, -1: 140}
    assert redis.figure() == 100


def test_not_open_yet(site):
    """Before the opening an event answers -2 and sells nothing."""
    node = site.node(events={"ticket": {"total": 5, "open": "2099-01-01T10:00:00+08:00"}})
    answer = node.buy()
    assert (answer.status, answer.code, answer.json["msg"]) == (200, -2, "not open yet")
    assert node.stock()["state"] == "waiting"
    assert node.orders() == {}


def test_standalone_after_redis_is_refused(site):
    """A journal that has sold from Redis does not start standalone: it would sell other nodes'
    tickets."""
    redis = site.redis()
    node = site.node(redis=redis)
    assert node.buy().code == 1
    assert node.term() == 0
    text = node.conf.read_text()
    node.conf.write_text(re.sub(r"^redis .*\n", "", text, flags=re.MULTILINE))
    done = spike.run_server("-c", node.conf)
    assert done.code == 1
    assert "redis" in done.err.lower()
    node.conf.write_text(text)
    node.start()
    assert node.buy().code == 1
