"""Why: operators copy the files of conf/cluster and trust them. Each file is checked by the program
that it is for, and what the files say of each other must be true."""

import re
import subprocess

import pytest
import redis as redis_client

import spike
from cluster import CONF, ENV, NUMBERS, WEIGHTS


def accepts(*command):
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=60,
                          env=ENV, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def plan(number):
    """The settings of a node as the server understands them."""
    return accepts(spike.SERVER, "-t", "-c", CONF / f"node{number}.conf")


def setting(name, text):
    return re.search(rf"^ *{name} ([^;]*);", text, re.MULTILINE)[1]


def test_haproxy():
    accepts("haproxy", "-c", "-f", CONF / "haproxy.cfg")


def test_keepalived():
    accepts("keepalived", "-t", "-f", CONF / "keepalived.conf")


def test_bird():
    accepts("bird", "-p", "-c", CONF / "bird.conf")


def test_nginx(site):
    accepts("nginx", "-t", "-p", site.dir, "-c", CONF / "nginx.conf")


def test_nodes():
    """Four nodes of one sale, each at the address that the balancers have for it."""
    nginx, haproxy = (CONF / "nginx.conf").read_text(), (CONF / "haproxy.cfg").read_text()
    for number, weight in zip(NUMBERS, WEIGHTS):
        text = plan(number)
        listen, admin = setting("listen", text), setting("admin", text)
        assert setting("node", text) == str(number)
        assert setting("nodes", text) == "1 2 3 4"
        assert setting("advertise", text) == admin
        assert setting("idle-timeout", text) == "90s"  # longer than the balancer's
        assert f"server {listen} weight={weight} " in nginx
        assert f"upstream node{number} {{ server {listen};" in nginx
        assert f"server node{number} {listen} weight {weight} check port {admin[-4:]}" in haproxy
        assert f"backend node{number}\n    server node{number} {listen}\n" in haproxy
    assert setting("keepalive_timeout", nginx).strip() == "60s"
    assert len({setting("redis", plan(number)) for number in NUMBERS}) == 1


def test_buffer_survives_any_one_node():
    """The local stocks of the other three add up to the total, whichever of the four nodes is dead.
    """
    total = int(setting("total", plan(1)))
    stocks = [int(setting("local-stock", plan(number))) for number in NUMBERS]
    assert total == 10000
    for stock, weight in zip(stocks, WEIGHTS):
        assert stock >= total * weight / sum(WEIGHTS), "less than its share"
        assert sum(stocks) - stock >= total
        # The file's comment states the same figures.
        assert f"{stock:,}     " in (CONF / "sale.conf").read_text()
        assert f" = {sum(stocks) - stock:,}\n" in (CONF / "sale.conf").read_text()


@pytest.fixture
def redis_from_file(site):
    """Starts a redis-server from the shipped file; returns it with a client."""
    running = []

    def start():
        with open(site.dir / "log", "ab") as log:
            running.append(subprocess.Popen(["redis-server", str(CONF / "redis.conf")],
                                            cwd=site.dir, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, preexec_fn=spike.die_with_parent))
        client = redis_client.Redis(unix_socket_path=str(site.dir / "redis.sock"),
                                    decode_responses=True)

        def answers():
            try:
                return client.ping()
            except redis_client.RedisError:
                return False

        spike.wait("redis-server to answer", answers)
        return running[-1], client

    yield start
    for process in running:
        process.kill()
        process.wait()


def test_redis(redis_from_file, site):
    """Acknowledged data survives kill -9; nothing is evicted, nothing dumped."""
    process, client = redis_from_file()
    config = client.config_get("*")
    wanted = {"appendonly": "yes", "appendfsync": "always", "no-appendfsync-on-rewrite": "no",
              "maxmemory-policy": "noeviction", "maxmemory": "0", "save": "", "port": "0"}
    assert {name: config[name] for name in wanted} == wanted
    client.hset(spike.HASH, spike.SOLD, 7)
    process.kill()
    process.wait()
    _, client = redis_from_file()
    assert client.hget(spike.HASH, spike.SOLD) == "7"
    assert not (site.dir / "dump.rdb").exists()
