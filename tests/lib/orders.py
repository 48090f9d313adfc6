"""Requests of buyers and operators about orders, and the sums that must hold at every moment."""

import collections
import threading
import time
import urllib.parse

import redis as redis_client

import spike

NODE_FIELDS = ("held", "sold", "gone", "pending")


# -- requests


def buy_path(event="ticket", **parameters):
    """/buy/ticket?n=2&key=... for what is given."""
    query = urllib.parse.urlencode(parameters)
    return f"/buy/{event}" + ("?" + query if query else "")


def until_verdict(fetch):
    """Repeats the request while the answer is "busy", as clients should; returns the first verdict.
    A disk or a machine that is busy for a second is not what is tested."""

    def verdict():
        answer = fetch()
        return answer if answer.code != -6 else None

    return spike.wait("a verdict", verdict)


def buy_once(node, event="ticket", **parameters):
    return node.fetch("GET", buy_path(event, **parameters))


def pay_once(node, order):
    return spike.fetch(node.admin, "POST", f"/order/{order}/pay")


def act_once(node, what, event="ticket", **parameters):
    query = urllib.parse.urlencode({"event": event, **parameters})
    return spike.fetch(node.admin, "POST", f"/{what}?{query}")


def buy(node, event="ticket", **parameters):
    return until_verdict(lambda: buy_once(node, event, **parameters))


def get_order(node, order):
    return until_verdict(lambda: node.fetch("GET", f"/order/{order}"))


def state_of(node, order):
    answer = get_order(node, order)
    return answer.data["state"] if answer.code == 1 else answer.code


def cancel(node, order):
    return until_verdict(lambda: node.fetch("POST", f"/order/{order}/cancel"))


def pay(node, order):
    return until_verdict(lambda: pay_once(node, order))


def act(node, what, event="ticket", **parameters):
    """pause, resume, close or restock."""
    return until_verdict(lambda: act_once(node, what, event, **parameters))


def buy_until(node, code=1, **parameters):
    """Buys until the answer has that code; returns that answer."""

    def verdict():
        answer = buy_once(node, **parameters)
        return answer if answer.code == code else None

    return spike.wait(f"{code} to {parameters}", verdict)


def within_a_beat(redis, node, what, condition, max_beats=3):
    """Waits for what that node must see, and returns its value. "Within a beat" is counted in beats
    of that node, not in time, for the machine may stand still. One beat may have begun before the
    change, the next one sees it, and once the third has begun every answer follows it."""
    last, passed = beat_of(redis, node), 0

    def seen():
        nonlocal last, passed
        beat, value = beat_of(redis, node), condition()
        passed += beat != last
        last = beat
        assert value or passed <= max_beats, f"{passed} beats, and still not {what}"
        return value

    return spike.wait(what, seen, step=0.002)


def beat_of(redis, node):
    return redis.figure(f"{node.number}:beat")


class Caller:
    """The keep-alive connections of one client, for one thread. fetch() returns None when the
    connection broke: then the fate of that request is unknown."""

    def __init__(self):
        self.wires = {}

    def fetch(self, address, method, path):
        try:
            wire = self.wires.get(address) or spike.Wire(address)
            self.wires[address] = wire
            wire.send(spike.request(method, path))
            answer = wire.answer()
        except (OSError, EOFError):
            self.drop(address)
            return None
        if answer.headers.get("connection") == "close":
            self.drop(address)
        return answer

    def until_verdict(self, address, method, path):
        """Repeats the request until the answer is neither "busy" nor lost. address: a function, for
        a restarted server has another address."""

        def verdict():
            answer = self.fetch(address(), method, path)
            return answer if answer is not None and answer.code != -6 else None

        return spike.wait(f"a verdict on {path}", verdict, step=0.02)

    def buy(self, node, **parameters):
        return self.until_verdict(lambda: node.address, "GET", buy_path(**parameters))

    def pay(self, node, order):
        return self.until_verdict(lambda: node.admin, "POST", f"/order/{order}/pay")

    def cancel(self, node, order):
        return self.until_verdict(lambda: node.address, "POST", f"/order/{order}/cancel")

    def drop(self, address):
        wire = self.wires.pop(address, None)
        if wire:
            wire.close()

    def close(self):
        for address in list(self.wires):
            self.drop(address)


class Crowd:
    """Runs work(caller, i) for i = 0 .. count - 1 in so many threads that begin at one moment.
    join() returns their results, and raises what they have raised."""

    def __init__(self, count, work, threads=None):
        threads = threads or count
        self.work, self.results, self.broken = work, [None] * count, []
        self.tasks = collections.deque(range(count))
        self.start = threading.Barrier(threads)
        self.threads = [threading.Thread(target=self._run, daemon=True) for _ in range(threads)]
        for thread in self.threads:
            thread.start()

    def _run(self):
        caller = Caller()
        try:
            self.start.wait()
            while not self.broken and (task := self._next()) is not None:
                self.results[task] = self.work(caller, task)
        except BaseException as broken:  # join() reports it
            self.broken.append(broken)
        finally:
            caller.close()

    def _next(self):
        try:
            return self.tasks.popleft()
        except IndexError:
            return None

    def done(self):
        """How many calls of work() have returned."""
        return sum(1 for result in self.results if result is not None)

    def join(self):
        for thread in self.threads:
            thread.join()
        if self.broken:
            raise self.broken[0]
        return self.results


def at_once(count, work):
    return Crowd(count, work).join()


def two_nodes(site, redis, **options):
    nodes = [site.node(i, nodes=[1, 2], redis=redis, start=False, workers=1, **options)
             for i in (1, 2)]
    for node in nodes:
        node.start(healthy=False)
    for node in nodes:
        node.wait_healthy()
    return nodes


def node_of(nodes, order):
    """The node that granted the order."""
    return nodes[int(order[:4], 16) - 1]


def past(wall_ms):
    """Waits until the wall clock has passed that time."""
    spike.wait("a deadline to pass", lambda: time.time() * 1000 > wall_ms,
               max(0, wall_ms / 1000 - time.time()) + spike.SOON_S)


# -- the sums


def sample(redis, numbers):
    """The hash at one moment, as numbers; pending as the number of tickets in it."""
    names = [spike.TOTAL, spike.SOLD, "ours", "aside", "version", "state"]
    names += [f"{i}:{field}" for i in numbers for field in NODE_FIELDS]
    raw = dict(zip(names, redis.client.hmget(spike.HASH, names)))
    state = raw.pop("state")
    figures = {}
    for name, value in raw.items():
        if name.endswith(":pending"):
            figures[name] = sum(int(line.split()[0]) for line in (value or "").splitlines())
        else:
            figures[name] = int(value or 0)
    if figures[spike.TOTAL] < 0:  # in repair the total is parked, so that no program can sell
        figures[spike.TOTAL] = figures["aside"]
    return {**figures, "state": state}


def check_sample(figures, numbers, foreign=0):
    """total = left + held + sold, with pending changes between held and sold counted."""
    parts = 0
    for i in numbers:
        held, sold, gone, pending = (figures[f"{i}:{field}"] for field in NODE_FIELDS)
        assert min(held, sold, pending) >= 0 and gone == held + sold + pending, figures
        parts += gone
    gone = figures[spike.SOLD]
    assert figures["ours"] == parts and gone == parts + foreign, figures
    assert gone <= figures[spike.TOTAL], figures


class Sampler:
    """Takes and checks samples until the end of the `with`; skips those for which Redis is away."""

    def __init__(self, redis, numbers):
        self.redis, self.numbers = redis, numbers
        self.count, self.failed, self.stopping = 0, None, False
        self.thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, kind, *more):
        self.stopping = True
        self.thread.join()
        assert kind or not self.failed, f"a sample does not add up: {self.failed!r}"

    def _run(self):
        while not self.stopping:
            try:
                check_sample(sample(self.redis, self.numbers), self.numbers)
                self.count += 1
            except redis_client.RedisError:
                pass
            except Exception as failed:  # the end of the `with` reports it
                self.failed = failed
                return
            time.sleep(0.005)  # between samples, so that the sale has the cores
