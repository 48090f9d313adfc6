"""A crowd of buyers: many keep-alive connections in one thread, each sending request after request.

Every request adds a row: when it was sent, when it was answered, the status, the code, the order id
(or None), and its path. A connection that breaks adds a row without a status: the fate of that
order is unknown. A refused connect is no request. A buyer whose answer is "busy", or whose server
is away, rests for a moment before the next try."""

import collections
import re
import select
import socket
import threading
import time

Row = collections.namedtuple("Row", "sent answered status code order path")

LENGTH = re.compile(rb"\r\nContent-Length: *(\d+)", re.IGNORECASE)
CODE = re.compile(rb'"code":(-?\d+)')
ORDER = re.compile(rb'"order":"([0-9a-f-]+)"')
REST_S = 0.02
PATIENCE_S = 60  # for answers under way at the end
READ = select.EPOLLIN
WRITE = select.EPOLLOUT


class Buyer:
    __slots__ = ("target", "sock", "sent", "data", "connecting", "path")

    def __init__(self, target):
        self.target = target
        self.sock, self.sent, self.data, self.connecting = None, 0.0, b"", False
        self.path = None


class Load:
    """Starts at once. targets: functions that return the address to connect to. path: the path, or
    a function that returns it for each request. requests: how many to send in all (None: until
    stop()). pause_s: how long a buyer waits after each answer."""

    def __init__(self, targets, connections=50, path="/buy/ticket", requests=None, pause_s=0.0):
        self.rows = []
        self.unanswered = 0  # still without an answer long after the end
        self.to_send = requests if requests is not None else float("inf")
        self.pause_s = pause_s
        self.path = path if callable(path) else lambda: path
        self.stopping, self.broken = False, None
        self.poll = select.epoll()
        self.by_fd = {}
        # Waiting buyers: (until when, buyer, its connection, or None if it must connect).
        self.resting, self.pausing = collections.deque(), collections.deque()
        self.buyers = [Buyer(targets[i % len(targets)]) for i in range(connections)]
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    # -- for tests

    def stop(self):
        """No new requests; waits for the answers under way, and returns self."""
        self.stopping = True
        return self.join()

    def join(self):
        """Waits until all requests are sent and answered."""
        self.thread.join()
        assert not self.broken, f"the load generator failed: {self.broken!r}"
        return self

    close = stop

    def since(self, when):
        """The rows of requests sent at or after a time of time.monotonic()."""
        return [row for row in self.rows if row.sent >= when]

    @property
    def yeses(self):
        return [row.order for row in self.rows if row.code == 1]

    @property
    def codes(self):
        """How often each code was answered; None: unknown."""
        return collections.Counter(row.code for row in self.rows)

    def yes_count(self):
        return sum(1 for row in self.rows[:] if row.code == 1)

    def slowest_s(self):
        return max((row.answered - row.sent for row in self.rows if row.status), default=0.0)

    # -- the thread

    def _run(self):
        try:
            self._buy()
        except Exception as broken:
            self.broken = broken  # join() reports it

    def _buy(self):
        for buyer in self.buyers:
            self._connect(buyer)
        end = None
        while True:
            now = time.monotonic()
            finished = self.stopping or self.to_send <= 0
            if finished and not self._is_waiting():
                break
            if finished:
                end = end or now + PATIENCE_S
                if now > end:
                    break
            self._wake(now)
            for fd, what in self.poll.poll(0.005):
                buyer = self.by_fd.get(fd)
                if buyer:
                    self._on_event(buyer, what)
        self._finish()

    def _is_waiting(self):
        return any(buyer.sent for buyer in self.by_fd.values())

    def _finish(self):
        self.unanswered = sum(1 for buyer in self.by_fd.values() if buyer.sent)
        for buyer in list(self.by_fd.values()):
            self._drop(buyer)
        self.poll.close()

    def _wake(self, now):
        for queue in (self.resting, self.pausing):
            while queue and queue[0][0] <= now:
                _, buyer, sock = queue.popleft()
                if buyer.sock is not sock:
                    continue  # that connection broke meanwhile, and the buyer queued anew
                if sock:
                    self._send(buyer)
                else:
                    self._connect(buyer)

    def _connect(self, buyer):
        if self.stopping or self.to_send <= 0:
            return
        address = buyer.target()
        family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            sock.connect(address)
        except BlockingIOError:
            pass
        except OSError:
            sock.close()
            self._rest(buyer)
            return
        buyer.sock, buyer.sent, buyer.data, buyer.connecting = sock, 0.0, b"", True
        self.by_fd[sock.fileno()] = buyer
        self.poll.register(sock.fileno(), WRITE)

    def _on_event(self, buyer, what):
        if not buyer.connecting:
            self._receive(buyer)
            return
        if buyer.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self._drop(buyer)
            self._rest(buyer)
            return
        buyer.connecting = False
        self.poll.modify(buyer.sock.fileno(), READ)
        self._send(buyer)

    def _send(self, buyer):
        if self.stopping or self.to_send <= 0 or not buyer.sock:
            return
        self.to_send -= 1
        buyer.path = self.path()
        buyer.sent = time.monotonic()
        data = f"GET {buyer.path} HTTP/1.1\r\nHost: spike\r\n\r\n".encode()
        try:
            buyer.sock.send(data)  # so small that it is never cut
        except OSError:
            self._lost(buyer)

    def _receive(self, buyer):
        try:
            data = buyer.sock.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._lost(buyer)
            return
        buyer.data += data
        top = buyer.data.find(b"\r\n\r\n")
        if top < 0:
            return
        length = int(LENGTH.search(buyer.data, 0, top)[1])
        if len(buyer.data) >= top + 4 + length:
            assert len(buyer.data) == top + 4 + length, f"more than one answer: {buyer.data!r}"
            self._answered(buyer)

    def _answered(self, buyer):
        data, buyer.data = buyer.data, b""
        assert buyer.sent, f"an answer without a request: {data!r}"
        code = CODE.search(data)
        order = ORDER.search(data)
        row = Row(buyer.sent, time.monotonic(), int(data[9:12]), int(code[1]) if code else 0,
                  order[1].decode() if order else None, buyer.path)
        self.rows.append(row)
        buyer.sent = 0.0
        if b"\r\nConnection: close" in data:
            self._drop(buyer)
            self._rest(buyer)
        elif row.code == -6:
            self._rest(buyer)
        elif self.pause_s:
            self.pausing.append((time.monotonic() + self.pause_s, buyer, buyer.sock))
        else:
            self._send(buyer)

    def _lost(self, buyer):
        """The connection broke: an order under way is unknown."""
        if buyer.sent:
            self.rows.append(Row(buyer.sent, time.monotonic(), None, None, None, buyer.path))
        self._drop(buyer)
        self._rest(buyer)

    def _rest(self, buyer):
        self.resting.append((time.monotonic() + REST_S, buyer, buyer.sock))

    def _drop(self, buyer):
        if buyer.sock:
            self.by_fd.pop(buyer.sock.fileno(), None)
            buyer.sock.close()
        buyer.sock, buyer.sent, buyer.data = None, 0.0, b""
