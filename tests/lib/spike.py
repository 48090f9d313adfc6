"""The harness of the flow tests: real servers, a real Redis, real sockets, all in one temporary
folder.

A Site owns everything a test starts and closes it in reverse order, also when the test fails: no
process, no socket and no file outlives it. No port is fixed, and nothing sleeps where it can wait
for a condition.

The environment: SPIKE_SERVER (the binary), SPIKE_TOOLS (the folder of journal-dump and of the
preload libraries), SPIKE_BUILD (asan or tsan: slower, and no preloads), SPIKE_SEED (repeats a run).
"""

import collections
import ctypes
import json
import os
import pathlib
import random
import re
import resource
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import redis as redis_client

from journals import journal_records, live_orders
from load import Load
from proxy import Proxy

# How long to wait for a condition that must come true. Nothing is measured by it: it is long enough
# for a busy machine, and only a failure uses it up.
SOON_S = 60
# The time-outs of a test's nodes, unless the test is about time-outs and names its own: a machine
# that stands still for a second is not what is tested.
LONG_TIMEOUTS = {"answer_timeout": "20s", "redis_timeout": "10s", "node_timeout": "60s"}
QUICK_REDIS = {"redis_timeout": "500ms"}
# How much later than its set time an answer may come on a busy machine.
LATE_S = 10

ROOT = pathlib.Path(__file__).resolve().parents[2]
SERVER = os.environ.get("SPIKE_SERVER") or str(ROOT / "build" / "spike-server")
TOOLS = pathlib.Path(os.environ.get("SPIKE_TOOLS") or ROOT / "build" / "tests")
BUILD = os.environ.get("SPIKE_BUILD", "")
PATIENCE = 4 if BUILD else 1  # a sanitizer costs that much at most

HASH = "ticket_hash_key"
SOLD = "ticket_sold_nums"
TOTAL = "ticket_total_nums"

LISTENING = re.compile(r"\b(admin )?listening on (\S+)")
# The output of a sanitizer or a failed ASSERT, which no log may contain.
ALARM = re.compile(r"Sanitizer|runtime error:|impossible: not")
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)


def wait(what, condition, seconds=SOON_S, step=0.01):
    """Waits until condition() is true and returns its value; the error names what never came."""
    end = time.monotonic() + seconds * PATIENCE
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds * PATIENCE} s in vain for {what}")
        time.sleep(step)


def die_with_parent():
    """Runs in the child: should the tests be killed, their servers go with them."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def descriptors(count, file_bytes=None):
    """A preexec function that allows the child `count` descriptors (None: the hard limit), and no
    file longer than `file_bytes`."""

    def limit():
        die_with_parent()
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (count or hard, count or hard))
        if file_bytes:
            resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes))

    return limit


Finished = collections.namedtuple("Finished", "code out err")


def run_server(*arguments, seconds=SOON_S, limit=None, file_bytes=None):
    """Runs a server that is expected to end by itself."""
    done = subprocess.run([SERVER, *map(str, arguments)], capture_output=True, text=True,
                          timeout=seconds * PATIENCE, preexec_fn=descriptors(limit, file_bytes),
                          check=False)
    assert not ALARM.search(done.stderr), done.stderr
    return Finished(done.returncode, done.stdout, done.stderr)


class Answer:
    """One HTTP answer: status, headers (lower-case names), body."""

    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def code(self):
        return self.json["code"]

    @property
    def data(self):
        return self.json["data"]

    def __repr__(self):
        return f"<{self.status} {self.body[:200]!r}>"


class Wire:
    """A raw connection to a server: bytes in, answers out."""

    def __init__(self, address, seconds=SOON_S):
        self.sock = connect(address, seconds * PATIENCE)
        self.rest = b""

    def send(self, data):
        self.sock.sendall(data.encode() if isinstance(data, str) else data)

    def half_close(self):
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self):
        """Closes with RST, as the connection of a phone that has lost its network."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.sock.close()

    def send_and_reset(self, data):
        """send() and reset() in one step: between the two another thread of the test may run, and
        the answer arrive. PyDLL keeps the GIL over both calls."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        libc, fd = ctypes.PyDLL(None), self.sock.detach()
        libc.send(fd, data, len(data), 0)
        libc.close(fd)

    def close(self):
        self.sock.close()

    def _more(self):
        data = self.sock.recv(65536)
        if not data:
            raise EOFError(f"closed after {self.rest!r}")
        self.rest += data

    def answer(self, head=False):
        """The next answer; EOFError if the server closes instead."""
        while b"\r\n\r\n" not in self.rest:
            self._more()
        top, self.rest = self.rest.split(b"\r\n\r\n", 1)
        lines = top.decode("latin-1").split("\r\n")
        assert re.fullmatch(r"HTTP/1\.1 \d{3} [A-Za-z ]+", lines[0]), lines[0]
        status = int(lines[0][9:12])
        headers = {k.lower(): v for k, v in (line.split(": ", 1) for line in lines[1:])}
        length = 0 if head or status == 100 else int(headers["content-length"])
        while len(self.rest) < length:
            self._more()
        body, self.rest = self.rest[:length], self.rest[length:]
        return Answer(status, headers, body)

    def is_closed(self, seconds=SOON_S):
        """True if the server closes without another byte."""
        self.sock.settimeout(seconds * PATIENCE)
        try:
            return not self.rest and self.sock.recv(1) == b""
        except ConnectionResetError:
            return True
        except socket.timeout:
            return False

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()


def connect(address, seconds=SOON_S):
    if isinstance(address, str):
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    else:
        sock = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
    sock.settimeout(seconds)
    sock.connect(address)
    return sock


def request(method, path, headers=(), body=None, host="127.0.0.1"):
    """The bytes of a request."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", *headers]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    return ("\r\n".join(lines) + "\r\n\r\n" + (body or "")).encode("latin-1")


def fetch(address, method, path, headers=(), body=None, host="127.0.0.1", seconds=SOON_S):
    """One request on a connection of its own."""
    with Wire(address, seconds) as wire:
        wire.send(request(method, path, headers, body, host))
        return wire.answer(head=method == "HEAD")


class Redis:
    """A private redis-server on a Unix socket. persistence: none, always (AOF) or rdb (by SAVE)."""

    def __init__(self, site, name="redis", persistence="none"):
        self.dir = site.dir / name
        self.dir.mkdir()
        self.socket = str(self.dir / "sock")
        self.persistence = persistence
        self.process = None
        self.old_dump = self.dir / "old.rdb"
        self.log = self.dir / "log"

    @property
    def address(self):
        return f"unix:{self.socket}"

    def start(self):
        aof = "yes" if self.persistence == "always" else "no"
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                ["redis-server", "--port", "0", "--unixsocket", self.socket, "--dir", str(self.dir),
                 "--save", "", "--appendonly", aof, "--appendfsync", "always",
                 "--maxmemory-policy", "noeviction", "--daemonize", "no",
                 "--enable-debug-command", "yes"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=die_with_parent)
        self.client = redis_client.Redis(unix_socket_path=self.socket, decode_responses=True)
        wait("redis-server to answer", self._answers)
        return self

    def _answers(self):
        try:
            return self.client.ping()
        except redis_client.RedisError:
            return False

    def kill(self):
        self.process.kill()
        self.process.wait()

    def restart_empty(self):
        self.kill()
        for leftover in [*self.dir.glob("dump*"), *self.dir.glob("appendonly*")]:
            shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
        self.start()

    def keep_dump(self):
        self.client.save()
        shutil.copy(self.dir / "dump.rdb", self.old_dump)

    def restart_from_old_dump(self):
        self.kill()
        shutil.copy(self.old_dump, self.dir / "dump.rdb")
        self.start()

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def figure(self, field=SOLD, key=HASH):
        value = self.client.hget(key, field)
        return None if value is None else int(value)

    def close(self):
        if self.process and self.process.poll() is None:
            self.kill()


def conf_text(number, nodes, journal, redis, events, settings):
    """A spike.conf. A setting's value is written as it stands; a list repeats the setting."""
    lines = [f"node {number};"]
    if nodes:
        lines.append("nodes " + " ".join(map(str, nodes)) + ";")
    lines.append(f'journal "{journal}" {{ size {settings.pop("journal_size", "64m")}; }}')
    if redis:
        lines.append(f'redis "{redis}";')
    for key, value in settings.items():
        for one in value if isinstance(value, list) else [value]:
            lines.append(f"{key.replace('_', '-')} {one};")
    for name, rows in events.items():
        inside = " ".join(f"{key.replace('_', '-')} {value};" for key, value in rows.items())
        lines.append(f"event {name} {{ {inside} }}")
    return "\n".join(lines) + "\n"


class Node:
    """One spike-server. redis: a Redis, a Proxy or None (standalone)."""

    def __init__(self, site, number=1, nodes=None, redis=None, events=None, name=None,
                 preload=None, env=None, **settings):
        self.number, self.name = number, name or f"node{number}"
        self.dir = site.dir / self.name
        self.dir.mkdir()
        self.journal = self.dir / "journal"
        self.conf, self.log = self.dir / "spike.conf", self.dir / "log"
        self.env = dict(os.environ, **(env or {}))
        # A server that ends at once on a second TERM leaves its threads: that is no leak.
        self.env.setdefault("TSAN_OPTIONS", "report_thread_leaks=0")
        if preload:
            self.env["LD_PRELOAD"] = str(preload)
        settings = {"listen": "127.0.0.1:0", "admin": "127.0.0.1:0", "workers": 2,
                    "connections": 1000, **LONG_TIMEOUTS, **settings}
        events = events or {"ticket": {"total": 10000}}
        self.conf.write_text(conf_text(number, nodes, self.journal, redis and redis.address,
                                       events, settings))
        self.process, self.address, self.admin = None, None, None
        self.log_from = 0
        self.end_expected, self.has_admin = False, True

    # -- start and stop

    def start(self, healthy=True):
        """Starts the server; waits until it listens, and (healthy) until it sells."""
        self.spawn()
        self.wait_listening()
        if healthy:
            self.wait_healthy()
        return self

    def spawn(self, *options, group=False):
        """Starts the server, or (group) a group of processes with it, and waits for nothing."""
        self.has_admin = "\nadmin " in self.conf.read_text()
        self.log_from = self.log.stat().st_size if self.log.exists() else 0
        self.end_expected = False
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([SERVER, "-c", str(self.conf), *options], env=self.env,
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            start_new_session=group, preexec_fn=descriptors(None))

    def wait_listening(self):
        self.address, self.admin = wait(f"{self.name} to listen", self._listening)

    def _listening(self):
        found = {bool(m[1]): m[2] for m in reversed(list(LISTENING.finditer(self.log_text())))}
        if len(found) == 1 + self.has_admin:
            return parse_address(found[False]), self.has_admin and parse_address(found[True]) or None
        if self.process.poll() is not None:
            self.end_expected = True
            raise AssertionError(f"{self.name} ended with {self.process.returncode}:\n"
                                 + self.log_text())
        return None

    def wait_healthy(self, seconds=SOON_S):
        wait(f"{self.name} to be healthy", lambda: self.health().status == 200, seconds)

    def log_text(self):
        """The server's log since its last start."""
        with open(self.log, "rb") as log:
            log.seek(self.log_from)
            return log.read().decode("utf-8", "replace")

    def kill9(self):
        self.end_expected = True
        self.process.kill()
        self.process.wait()

    def term(self, seconds=SOON_S):
        """Sends TERM and returns the exit code."""
        self.end_expected = True
        self.process.terminate()
        return self.process.wait(seconds * PATIENCE)

    def wait_end(self, seconds=SOON_S):
        self.end_expected = True
        return self.process.wait(seconds * PATIENCE)

    def freeze(self):
        """Sends SIGSTOP and waits until each thread has stopped, which may take a moment."""
        self.process.send_signal(signal.SIGSTOP)
        tasks = pathlib.Path(f"/proc/{self.process.pid}/task")
        wait(f"{self.name} to stand still", lambda: all(
            (task / "stat").read_text().rsplit(")", 1)[1].split()[0] == "T"
            for task in tasks.iterdir()))

    def is_running(self):
        return self.process.poll() is None

    def close(self):
        if not self.process:
            return
        ended = self.process.poll()
        if ended is None:
            self.process.kill()
            self.process.wait()
        text = self.log.read_text(errors="replace")
        assert not ALARM.search(text), f"{self.name} raised an alarm:\n{text}"
        assert ended is None or self.end_expected, f"{self.name} ended by itself: {ended}\n{text}"

    # -- requests

    def fetch(self, method, path, **more):
        return fetch(self.address, method, path, **more)

    def buy(self, event="ticket", **more):
        return self.fetch("GET", f"/buy/{event}", **more)

    def stock(self, event="ticket"):
        return self.fetch("GET", f"/stock/{event}").data

    def stats(self):
        return fetch(self.admin, "GET", "/stats").json

    def health(self):
        return fetch(self.admin, "GET", "/healthz")

    def event_stats(self, name="ticket"):
        return next(e for e in self.stats()["events"] if e["name"] == name)

    def records(self):
        return journal_records(TOOLS, self.journal)

    def orders(self, event="ticket"):
        return live_orders(self.records(), event)


def parse_address(text):
    """127.0.0.1:3005, [::1]:3005 or unix:PATH, as in the log."""
    if text.startswith("unix:"):
        return text[5:]
    host, port = text.rsplit(":", 1)
    return host.strip("[]"), int(port)


class Site:
    """The temporary folder of one test and everything that runs in it."""

    def __init__(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="spike-flow-"))
        self.started = []
        given = os.environ.get("SPIKE_SEED")
        self.seed = int(given) if given else random.SystemRandom().randrange(1 << 32)
        self.random = random.Random(self.seed)
        print(f"seed {self.seed} (SPIKE_SEED={self.seed} repeats the choices of this run)")

    def _register(self, thing):
        self.started.append(thing)
        return thing

    def reserve(self, name):
        """Reserves that name on this machine until this site is closed; False: another site has it.
        An abstract socket leaves no file."""
        sock = socket.socket(socket.AF_UNIX)
        try:
            sock.bind("\0" + name)
        except OSError:
            sock.close()
            return False
        self._register(sock)
        return True

    def redis(self, **options):
        return self._register(Redis(self, **options)).start()

    def proxy(self, redis):
        return self._register(Proxy(redis.socket))

    def node(self, *numbers, start=True, healthy=True, **options):
        node = self._register(Node(self, *numbers, **options))
        return node.start(healthy) if start else node

    def load(self, *nodes, **options):
        """A running Load on the nodes, also on their new addresses after a restart."""
        targets = [lambda node=node: node.address for node in nodes]
        return self._register(Load(targets, **options))

    def logs(self):
        return "".join(f"---- {t.name}\n{t.log.read_text(errors='replace')[-6000:]}"
                       for t in self.started if isinstance(t, Node) and t.log.exists())

    def close(self):
        failures = []
        for thing in reversed(self.started):
            try:
                thing.close()
            except AssertionError as failure:
                failures.append(str(failure))
        shutil.rmtree(self.dir, ignore_errors=True)
        assert not failures, "\n".join(failures)


def drain(node, total, redis=None, event="ticket"):
    """Buys until nothing is left and returns the order ids. Ends only when total tickets are gone,
    so a stranded ticket is a failure."""
    crowd = Load([lambda: node.address], connections=64, path=f"/buy/{event}")
    try:
        wait("a refusal", lambda: any(row.code == -1 for row in crowd.rows[-64:]), 2 * SOON_S)
    finally:
        crowd.stop()
    orders = crowd.yeses

    def is_spent():
        answer = node.buy(event)
        if answer.code == 1:
            orders.append(answer.data["order"])
        gone = node.stock(event)["sold"]
        if redis:
            gone = redis.figure(f"{event}_sold_nums", f"{event}_hash_key")
        return answer.code == -1 and answer.json["msg"] == "sold out" and gone == total

    wait(f"{total} tickets to be gone", is_spent, step=0.05)
    return orders


def check_promises(nodes, yeses, total=None, sold=None, event="ticket"):
    """P1-P3: the journals together hold every yes once, and their tickets add up to sold."""
    orders = {}
    for node in nodes:
        found = node.orders(event)
        assert not orders.keys() & found.keys()
        orders.update(found)
    assert len(yeses) == len(set(yeses)), "an order id was given twice"
    lost = [order for order in yeses if order not in orders]
    assert not lost, f"{len(lost)} acknowledged orders are in no journal: {lost[:3]}"
    tickets = sum(orders.values())
    if total is not None:
        assert tickets <= total, f"oversold: {tickets} of {total}"
    if sold is not None:
        assert tickets == sold, f"{tickets} tickets in the journals, {sold} deducted"
    return orders
