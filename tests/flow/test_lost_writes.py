"""Why: P1. Redis may come to hold older data in ways that are hard to notice: the same server, the
same run id, fields that fit. An older hash, a set-up run again, a hash deleted at the wrong moment,
a journal from another sale: no sold ticket may be sold again, and every ticket that is left must
be."""

import shutil
import signal
import threading
import time

import pytest
import redis as redis_client

import spike
from spike import HASH, SOLD, TOTAL

TRIES = 5


def two_nodes(site, redis, total, **settings):
    """Two nodes of one sale, both selling."""
    nodes = [site.node(i, redis=redis, nodes=[1, 2], healthy=False,
                       events={"ticket": {"total": total}}, **settings) for i in (1, 2)]
    for node in nodes:
        node.wait_healthy()
    return nodes


def with_newcomer(site, redis, total, **settings):
    """The first node's conf does not name the second, which joined when the first was selling."""
    events = {"ticket": {"total": total}}
    first = site.node(1, redis=redis, events=events, **settings)
    assert first.buy().code == 1
    return first, site.node(2, redis=redis, nodes=[1, 2], events=events, **settings)


def buy(node, count):
    """Buys that many tickets one by one; returns the order ids."""
    answers = [node.buy() for _ in range(count)]
    assert [answer.code for answer in answers] == [1] * count
    return [answer.data["order"] for answer in answers]


def sell_on(node):
    """Waits until the node sells, again or for the first time; returns a list with that order."""
    def order():
        answer = node.buy()
        return answer.code == 1 and answer.data["order"]

    return [spike.wait(f"{node.name} to sell", order)]


def in_journals(nodes):
    return sum(sum(node.orders().values()) for node in nodes)


def is_in_repair(node):
    return node.health().json["msg"] == "repair"


class OlderHash:
    """The hash as it is now, for a RESTORE later: the same Redis, the same run id."""

    def __init__(self, redis):
        self.client = redis_client.Redis(unix_socket_path=redis.socket)
        self.dump = self.client.dump(HASH)

    def put_back(self):
        self.client.restore(HASH, 0, self.dump, replace=True)


def test_older_hash_and_an_idle_node(site):
    """The first node has sold everything and stands still for a moment. All fields of the second,
    which has sold nothing, are as before: it must notice nevertheless that the hash is older than
    the sale."""
    redis = site.redis()
    nodes = two_nodes(site, redis, 1000)
    older = OlderHash(redis)
    yeses = spike.drain(nodes[0], 1000, redis)
    spike.wait("the second node to see it", lambda: nodes[1].stock()["left"] == 0)
    load = site.load(nodes[1], connections=20)
    spike.wait("refusals", lambda: load.codes[-1] > 100)
    nodes[0].freeze()
    older.put_back()
    spike.wait("repair or a sale", lambda: is_in_repair(nodes[1]) or load.yes_count())
    nodes[0].process.send_signal(signal.SIGCONT)
    nothing_was_sold_twice(redis, nodes, load, 1000)
    spike.check_promises(nodes, yeses, 1000, 1000)


def nothing_was_sold_twice(redis, nodes, load, total):
    """Everything was sold before; the load, which runs on, must be refused throughout."""
    spike.wait("the lost sales to be counted again", lambda: redis.figure() >= total)
    for node in nodes:
        node.wait_healthy()
    load.stop()
    assert not load.yeses, f"{len(load.yeses)} tickets were sold twice"
    assert redis.figure() == total == in_journals(nodes)


def test_older_hash_while_both_sell(site):
    """The same, repeatedly, in the middle of a sale that then sells exactly its total."""
    redis = site.redis()
    nodes = two_nodes(site, redis, 10000)
    load = site.load(*nodes, connections=20, pause_s=0.01)
    for _ in range(4):
        older = OlderHash(redis)
        goal = load.yes_count() + site.random.randrange(20, 200)
        spike.wait("sales", lambda goal=goal: load.yes_count() >= goal)
        older.put_back()
    load.stop()
    for node in nodes:
        node.wait_healthy()
    rest = spike.drain(nodes[0], 10000, redis)
    spike.check_promises(nodes, load.yeses + rest, 10000, 10000)


@pytest.mark.parametrize("silent", [False, True], ids=["down", "long-silent"])
def test_flushall_with_the_newcomer_down(site, silent):
    """The newcomer has sold and died, and Redis loses everything. If it died just now, the other
    node waits for it. If it has been silent for long, the other counts the tickets that it last saw
    of it, and sells the rest."""
    redis = site.redis()
    timeout_ms = 600 if silent else 60000
    first, newcomer = with_newcomer(site, redis, 100, node_timeout=f"{timeout_ms}ms")
    sell_on(newcomer)
    buy(newcomer, 59)
    buy(first, 19)
    if silent:
        for _ in range(TRIES):
            if sells_on_without(redis, first, newcomer, timeout_ms):
                break
            newcomer.start()
            spike.wait("both nodes to sell", lambda: first.buy().code == newcomer.buy().code == 1)
        else:
            raise AssertionError("the first node waits for one that was silent for long")
        buy(first, 10)
    else:
        newcomer.kill9()
        redis.client.flushall()
        spike.wait("repair", lambda: is_in_repair(first) or redis.figure() is not None
                   and first.health().status == 200)
        assert first.buy().code == -6
    newcomer.start()
    first.wait_healthy()
    spike.drain(first, 100, redis)
    spike.check_promises([first, newcomer], [], 100, 100)


def sells_on_without(redis, first, newcomer, timeout_ms):
    """The newcomer dies, is silent for long, and Redis loses everything. False: the first node was
    too slow to notice the loss (more than half a second, on a busy machine), and logs that it
    waits."""
    sold = redis.figure()
    spike.wait("the first node to see it", lambda: first.stock()["sold"] == sold)
    newcomer.kill9()
    wait_until_silent_is_seen(redis, first, newcomer, timeout_ms)
    before = len(first.log_text())
    waits = lambda: "waits for node" in first.log_text()[before:]
    redis.client.flushall()
    spike.wait("the first node to sell on", lambda: waits() or first.buy().code == 1)
    assert waits() or redis.figure() == sold + 1
    return not waits()


def wait_until_silent_is_seen(redis, node, dead, timeout_ms):
    """Waits for a beat of node after the dead node's time-out, and for one more."""
    def beat(of):
        return int(redis.client.hget(HASH, f"{of.number}:beat"))

    spike.wait("silence", lambda: beat(node) > beat(dead) + timeout_ms)
    seen = beat(node)
    spike.wait("a beat", lambda: beat(node) > seen)


def test_flushall_with_the_newcomer_alive(site):
    """The newcomer has sold everything and stands still for a moment; the first node must wait for
    it when Redis has lost everything."""
    redis = site.redis()
    first, newcomer = with_newcomer(site, redis, 2000)
    spike.drain(newcomer, 2000, redis)
    spike.wait("the first node to see it", lambda: first.stock()["left"] == 0)
    load = site.load(first, connections=20)
    spike.wait("refusals", lambda: load.codes[-1] > 100)
    newcomer.freeze()
    redis.client.flushall()
    spike.wait("repair or a sale", lambda: is_in_repair(first) or load.yes_count())
    newcomer.process.send_signal(signal.SIGCONT)
    nothing_was_sold_twice(redis, [first, newcomer], load, 2000)


def test_flushall_as_soon_as_the_newcomer_sells(site):
    """Redis loses everything right after the newcomer's first ticket: the first node knows the
    newcomer already."""
    redis = site.redis()
    first, newcomer = with_newcomer(site, redis, 10)
    sell_on(newcomer)
    newcomer.freeze()
    redis.client.flushall()
    spike.wait("repair or an attach alone", lambda: is_in_repair(first) or redis.figure() == 1
               and first.buy().code == 1)
    assert first.buy().code == -6
    newcomer.process.send_signal(signal.SIGCONT)
    first.wait_healthy()
    spike.drain(first, 10, redis)
    spike.check_promises([first, newcomer], [], 10, 10)


@pytest.mark.parametrize("nodes", [1, 2])
def test_prototypes_set_up_run_again(site, nodes):
    """`HSET ticket_hash_key ticket_total_nums N ticket_sold_nums 0`, as the prototype's page has it,
    in the middle of the sale: the tickets that are out stay out."""
    redis = site.redis()
    sellers = two_nodes(site, redis, 3000) if nodes == 2 else [
        site.node(redis=redis, events={"ticket": {"total": 3000}})]
    load = site.load(*sellers, connections=20, pause_s=0.01)
    for _ in range(4):
        goal = load.yes_count() + site.random.randrange(100, 300)
        spike.wait("sales", lambda goal=goal: load.yes_count() >= goal)
        redis.client.hset(HASH, mapping={TOTAL: 3000, SOLD: 0})
    load.stop()
    for node in sellers:
        node.wait_healthy()
    rest = spike.drain(sellers[0], 3000, redis)
    spike.check_promises(sellers, load.yeses + rest, 3000, 3000)


def test_prototypes_set_up_run_again_after_its_sales(site):
    """The prototype's set-up resets the tickets that its programs had sold; the node still counts
    them."""
    redis = site.redis()
    node = site.node(redis=redis, events={"ticket": {"total": 100}})
    redis.client.hincrby(HASH, SOLD, 30)
    spike.wait("the node to see it", lambda: node.stock()["sold"] == 30)
    yeses = buy(node, 20)
    redis.client.hset(HASH, mapping={TOTAL: 100, SOLD: 0})
    spike.wait("the sold tickets to be counted again", lambda: redis.figure() == 50)
    node.wait_healthy()
    yeses += spike.drain(node, 100, redis)
    assert len(yeses) == 70
    spike.check_promises([node], yeses, 70, 70)


class Deleter(threading.Thread):
    """Deletes the hash as soon as a new connection has read from it for the first time."""

    def __init__(self, redis):
        super().__init__(daemon=True)
        self.client = redis_client.Redis(unix_socket_path=redis.socket, decode_responses=True)
        self.before = {client["id"] for client in self.client.client_list()}
        self.ready, self.done = threading.Event(), False
        self.start()
        assert self.ready.wait(spike.SOON_S)

    def run(self):
        with self.client.monitor() as monitor:
            self.ready.set()
            for call in monitor.listen():
                if HASH in call["command"]:
                    break
        self.done = bool(self.client.delete(HASH))


def test_hash_deleted_while_the_node_watches(site):
    """A node that starts again checks for a quarter of a second that no other server beats under
    its number. The hash is deleted in that time: the node must not take its absence for a beat."""
    redis = site.redis()
    node = site.node(redis=redis, events={"ticket": {"total": 500}})
    yeses = buy(node, 30)
    spike.wait("a beat", lambda: node.stock()["sold"] == 30)
    node.kill9()
    deleter = Deleter(redis)
    node.start(healthy=False)
    deleter.join(spike.SOON_S)
    assert deleter.done, "the hash was not read, or missing: this test shows nothing"
    node.wait_healthy()
    assert node.is_running()
    yeses += spike.drain(node, 500, redis)
    spike.check_promises([node], yeses, 500, 500)


@pytest.mark.parametrize("named", [False, True], ids=["own-nodes", "nodes-1-2"])
def test_two_former_standalone_journals(site, named):
    """Both have sold without Redis, each its own sale. Only one of them can become the sale that
    Redis holds: the other ends with a plain error message instead of retrying for ever."""
    redis = site.redis()
    nodes = [site.node(i, events={"ticket": {"total": 100}}) for i in (1, 2)]
    for node in nodes:
        buy(node, 3)
        assert node.term() == 0
        line = f'redis "{redis.address}";' + (" nodes 1 2;" if named else "")
        node.conf.write_text(f"{node.conf.read_text()}{line}\n")
    seller, refused = nodes
    seller.start(healthy=False)
    spike.wait("the seller to attach", lambda: seller.stats()["redis"]["state"] == "up")
    done = spike.run_server("-c", refused.conf)
    assert done.code == 1
    lines = [line for line in done.err.splitlines() if " error " in line]
    assert len(lines) == 1, done.err
    assert "Redis holds sale" in lines[0] and "this journal is of sale" in lines[0]
    if named:  # the sale has two nodes: it begins when the second has a new journal
        shutil.rmtree(refused.journal)
        refused.start(healthy=False)
    sell_on(seller)
    buy(seller, 5)
    assert redis.figure() == sum(seller.orders().values())


def test_redis_restarts_while_a_node_is_silent(site):
    """A node died and has been silent since; then Redis is killed and comes back with all its data.
    Nothing was lost, so the other node does not wait for the dead one: it sells on."""
    redis = site.redis(persistence="always")
    first, dead = two_nodes(site, redis, 100, node_timeout="600ms")
    yeses = buy(first, 3) + buy(dead, 4)
    dead.kill9()
    wait_until_silent_is_seen(redis, first, dead, 600)
    yeses += buy(first, 1)
    redis.kill()
    spike.wait("busy", lambda: first.buy().code == -6)
    redis.start()
    yeses += sell_on(first) + buy(first, 5)
    dead.start()
    yeses += sell_on(dead)
    yeses += spike.drain(first, 100, redis)
    spike.check_promises([first, dead], yeses, 100, 100)


SLOW = {"connections": 2000, "answer_timeout": "100ms", "workers": 2, **spike.QUICK_REDIS,
        "events": {"ticket": {"total": 100000}}}


class ResettingBuyers(threading.Thread):
    """Buyers that send a request and reset the connection at once."""

    def __init__(self, node):
        super().__init__(daemon=True)
        self.node, self.count, self.stopping = node, 0, False
        self.start()

    def run(self):
        while not self.stopping:
            wire = spike.Wire(self.node.address)
            wire.send(spike.request("GET", "/buy/ticket"))
            wire.reset()
            self.count += 1

    def stop(self):
        self.stopping = True
        self.join()


def pending_lines(redis):
    return (redis.client.hget(HASH, "1:pending") or "").count("\n")


@pytest.mark.parametrize("standalone", [False, True], ids=["redis", "standalone"])
def test_buyers_give_up_while_commits_are_slow(site, preload, standalone):
    """Grants and returns come faster than one step could settle: settling must keep up, pending
    must not grow, and in the end every order without an answered yes is given back."""
    redis = None if standalone else site.redis()
    node = site.node(redis=redis, preload=preload("slowsync"), env={"SLOW_SYNC_MS": "90"}, **SLOW)
    crowd, resetting = site.load(node, connections=600), ResettingBuyers(node)
    max_pending, end = 0, time.monotonic() + 4
    while time.monotonic() < end and node.is_running():  # the flood is four seconds long
        max_pending = max(max_pending, 0 if standalone else pending_lines(redis))
        time.sleep(0.02)
    if node.is_running():
        resetting.stop()
    crowd.stop()
    assert node.is_running(), node.log_text()[-500:]
    print(crowd.codes, f"{resetting.count} reset, at most {max_pending} pending")
    assert max_pending <= 512, "pending grew beyond one batch"
    assert crowd.codes[-6] > 500 and resetting.count > 500
    spike.wait("all orders without a yes to be given back",
               lambda: node.stock()["sold"] == len(crowd.yeses))
    if redis:
        spike.wait("the same in Redis", lambda: redis.figure() == len(crowd.yeses)
                   and pending_lines(redis) == 0)
    assert node.orders().keys() == set(crowd.yeses)


class SecondSocket:
    """A second name of the socket of Redis, which can be removed to cut a node off."""

    def __init__(self, site, redis):
        self.redis = redis
        self.path = site.dir / "second-socket"
        self.address = f"unix:{self.path}"
        self.open()

    def open(self):
        self.path.symlink_to(self.redis.socket)

    def cut_off(self, node):
        """Closes the node's connection and prevents another one."""
        self.path.unlink()
        own_id = self.redis.client.client_id()
        for client in self.redis.client.client_list():
            if int(client["id"]) != own_id:
                self.redis.client.client_kill_filter(_id=client["id"])
        spike.wait("the node to be cut off", lambda: node.stats()["redis"]["state"] == "down")


def test_silent_before_but_not_since(site):
    """The first node saw the second fall silent and was then cut off. The second came back under
    the same epoch, sold, and died; then Redis restarted without data. The first node's last view is
    old: it must wait for the second, or it sells its tickets again."""
    total = 300
    redis = site.redis()
    second_socket = SecondSocket(site, redis)
    settings = dict(nodes=[1, 2], events={"ticket": {"total": total}}, node_timeout="600ms",
                    healthy=False)
    first = site.node(1, redis=second_socket, **settings)
    second = site.node(2, redis=redis, **settings)
    for node in (first, second):
        node.wait_healthy()
    yeses = sell_on(second) + sell_on(first)
    silent_for = time.monotonic() + 0.8
    second.freeze()
    spike.wait("the node-timeout to pass", lambda: time.monotonic() > silent_for)
    second_socket.cut_off(first)
    second.process.send_signal(signal.SIGCONT)
    yeses += sell_on(second) + buy(second, 150)
    old_at = time.monotonic() + 0.6
    second.kill9()
    spike.wait("the last view to be old", lambda: time.monotonic() > old_at)
    redis.kill()
    redis.start()
    second_socket.open()
    spike.wait("the first node to attach", lambda: first.stats()["redis"]["state"] == "up")
    assert is_in_repair(first)
    assert {first.buy().code for _ in range(20)} == {-6}
    second.start(healthy=False)
    second.wait_healthy()
    yeses += sell_on(first)
    while (answer := first.buy()).code == 1:
        yeses.append(answer.data["order"])
    assert len(set(yeses)) == len(yeses) == total == in_journals([first, second])
