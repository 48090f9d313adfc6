"""A TCP proxy between the server and its Redis, for what a network can do to a call.

  delay_s          every chunk from the server waits that long
  reply_delay_s    every chunk to the server waits that long, after Redis has acted
  hold_replies()   the reply to the next call with orders, and all after it on that connection, are
                   held here until release_replies()
  cut_reply()      the next call with orders reaches Redis and runs; its reply is dropped, and the
                   connection is closed (or, with close=False, silent from then on)
  disconnect(),    the network between server and Redis is gone, and is back
  reconnect()
  hold(through)    only the first `through` bytes of the next call with orders are forwarded; the
                   rest is held here until release(), also after the server has closed that
                   connection

"With orders": a step that settles or deducts anything, so its packed arguments are not empty
(storage/stock/step.lua). Two daemon threads for each connection, which end with it.
"""

import socket
import threading
import time

ARGUMENTS = 3 + 6 + 24  # of a step: EVALSHA, its SHA1, the number of keys; the keys; the arguments
CHANGES, ITEMS = ARGUMENTS - 3, ARGUMENTS - 1  # the packed ones; both are empty without orders


def has_orders(data):
    """Whether data begins a step with orders. Packed arguments hold any bytes, but come last."""
    lines = data.split(b"\r\n")
    lengths = lines[1::2]  # each stands before its argument
    return lines[0] == b"*%d" % ARGUMENTS and len(lengths) > ITEMS and \
        (lengths[CHANGES], lengths[ITEMS]) != (b"$0", b"$0")


class Conn:
    """One connection of the server, and the proxy's own connection to Redis for it."""

    def __init__(self, server, upstream):
        self.server = server
        self.upstream = socket.socket(socket.AF_UNIX)
        self.upstream.connect(upstream)
        self.cut, self.replies_held = False, False
        self.held = b""
        self.late_reply = b""

    def close(self):
        for sock in (self.server, self.upstream):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            sock.close()


class Proxy:
    def __init__(self, upstream):
        self.upstream = upstream
        self.delay_s, self.reply_delay_s = 0.0, 0.0
        self.lock = threading.Lock()
        self.holding_replies, self.replies_released = False, threading.Event()
        self.conns, self.connects = [], 0
        self.disconnected = False
        self.cutting, self.cut_closes, self.holding = False, True, None
        self.cut_done, self.held_conn = threading.Event(), None
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    # -- for tests

    def cut_reply(self, close=True):
        self.cut_done.clear()
        self.cut_closes = close
        self.cutting = True

    def hold_replies(self):
        self.replies_released.clear()
        self.holding_replies = True

    def release_replies(self):
        self.holding_replies = False
        self.replies_released.set()

    def disconnect(self):
        self.disconnected = True
        for conn in self.conns:
            conn.close()

    def reconnect(self):
        self.disconnected = False

    def hold(self, through=0):
        self.held_conn, self.holding = None, through

    def release(self, seconds=60):
        """Sends the held bytes and returns Redis' reply to them."""
        conn = self.held_conn
        conn.upstream.settimeout(seconds)
        conn.upstream.sendall(conn.held)
        conn.held = b""
        end = time.monotonic() + seconds
        while not conn.late_reply and time.monotonic() < end:
            time.sleep(0.01)
        return conn.late_reply

    def close(self):
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        for conn in self.conns:
            conn.close()
        assert not self.cutting and self.holding is None, \
            "no step with orders has passed the proxy that was to cut or to hold one"

    # -- the threads

    def _accept(self):
        while True:
            try:
                server, _ = self.listener.accept()
            except OSError:
                return
            try:
                conn = None if self.disconnected else Conn(server, self.upstream)
            except OSError:
                conn = None
            if conn is None:
                server.close()  # Redis is away: so is the proxy
                continue
            self.connects += 1
            self.conns.append(conn)
            threading.Thread(target=self._to_redis, args=(conn,), daemon=True).start()
            threading.Thread(target=self._to_server, args=(conn,), daemon=True).start()

    def _to_redis(self, conn):
        """Server to Redis."""
        while True:
            data = receive(conn.server)
            if not data:
                break
            if self.delay_s:
                time.sleep(self.delay_s)
            data = self._intercept(conn, data)
            if not send(conn.upstream, data):
                break
        if not conn.held:
            conn.close()

    def _intercept(self, conn, data):
        with self.lock:
            if conn.held:
                conn.held += data
                return b""
            if not has_orders(data):
                return data
            conn.replies_held |= self.holding_replies
            if self.cutting:
                self.cutting, conn.cut = False, True
            elif self.holding is not None:
                through, self.holding = self.holding, None
                conn.held = data[through:]
                self.held_conn = conn
                return data[:through]
            return data

    def _to_server(self, conn):
        """Redis to server."""
        while True:
            data = receive(conn.upstream)
            if not data:
                break
            if conn.cut:
                self.cut_done.set()
                if self.cut_closes:
                    break
                continue
            if self.reply_delay_s:
                time.sleep(self.reply_delay_s)
            if conn.replies_held:
                self.replies_released.wait()
            if conn is self.held_conn:
                conn.late_reply += data
            elif not send(conn.server, data):
                break
        conn.close()


def receive(sock):
    try:
        return sock.recv(1 << 20)
    except (OSError, ValueError):
        return b""


def send(sock, data):
    try:
        sock.sendall(data)
        return True
    except (OSError, ValueError):
        return False
