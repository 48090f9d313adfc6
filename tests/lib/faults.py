"""Faults while a sale runs: servers and Redis die at random times, one after another."""

import collections
import time


class Faults:
    """Redis must keep what it has acknowledged (persistence="always")."""

    def __init__(self, site, redis, nodes):
        self.random, self.redis, self.nodes = site.random, redis, nodes
        self.counts = collections.Counter()

    def kill_node(self):
        node = self.random.choice(self.nodes)
        node.kill9()
        time.sleep(self.random.random() * 0.2)  # the length of the outage is part of the fault
        node.start(healthy=False)

    def kill_nodes(self):
        for node in self.nodes:
            node.kill9()
        for node in self.nodes:
            node.start(healthy=False)

    def restart_redis(self):
        self.redis.kill()
        time.sleep(self.random.random() * 0.2)  # as above
        self.redis.start()

    def choose(self, done):
        kinds = [self.kill_node, self.restart_redis, self.kill_nodes, self.kill_node]
        return kinds[done % len(kinds)]

    def rest(self):
        time.sleep(self.random.random() * 0.5)  # so that faults meet the sale anywhere

    def run(self, goes_on, rest=None):
        """Fault after fault while goes_on(), with a rest before each, each kind at least once; then
        waits until all nodes are healthy."""
        done = 0
        while goes_on() or done < 3:
            (rest or self.rest)()
            fault = self.choose(done)
            print(f"{time.monotonic():.3f} {fault.__name__}")
            fault()
            self.counts[fault.__name__] += 1
            done += 1
        for node in self.nodes:
            node.wait_healthy()
        print(self.counts)


class Losses(Faults):
    """Redis loses all its data or a part of it, or comes back with older data."""

    def __init__(self, site, redis, nodes):
        super().__init__(site, redis, nodes)
        redis.keep_dump()

    def choose(self, done):
        if done < 1:
            return self.empty
        return self.random.choice([self.kill_node, self.kill_nodes, self.empty, self.keep_dump,
                                   self.old_dump, self.flush, self.delete_one])

    def empty(self):
        self.redis.restart_empty()

    def keep_dump(self):
        self.redis.keep_dump()

    def old_dump(self):
        self.redis.restart_from_old_dump()

    def flush(self):
        self.redis.client.flushall()

    def delete_one(self):
        """Never the hash: it holds how far the stream was written, so entries would be repeated."""
        keys = sorted(self.redis.client.keys("{*"))
        if keys:
            self.redis.client.delete(self.random.choice(keys))
