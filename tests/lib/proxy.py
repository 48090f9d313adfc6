"""A TCP proxy between the server and its Redis, for what a network can do to a call.

  delay_s          every chunk from the server waits that long
  reply_delay_s    every chunk to the server waits that long: it learns late of what Redis has done
  keep_reply()     the reply to the next call with orders, and all after it on that connection, wait
                   here until let_go()
  cut_reply()      the next call with orders reaches Redis and runs; its reply is thrown away, and
                   the connection closed (or, with close=False, silent from then on)
  part(), join()   the network between them is gone, and is back
  hold(through)    of the next call with orders only the first `through` bytes go on; the rest
                   stays here, also when the server has long closed that connection, until release()

"With orders": a step that settles or deducts anything: what it has packed is not empty (storage/stock/step.lua).
Two threads a connection; all of them are daemons and end with it.
"""

import socket
import threading
import time

WORDS = 3 + 6 + 24  # of a step: EVALSHA, its SHA1, the number of keys; the keys; the arguments
CHANGES, ITEMS = WORDS - 3, WORDS - 1  # which of them are packed; both are empty without orders


def has_orders(data):
    """Is that the beginning of a step with orders? What is packed may hold anything, but comes last."""
    lines = data.split(b"\r\n")
    lengths = lines[1::2]  # each before its word
    return lines[0] == b"*%d" % WORDS and len(lengths) > ITEMS and \
        (lengths[CHANGES], lengths[ITEMS]) != (b"$0", b"$0")


class Conn:
    """One connection of the server and its other half to Redis."""

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
        """Sends the held bytes and answers what Redis says to them."""
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
            "no step with orders came through the proxy that was to cut or to hold one"

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
