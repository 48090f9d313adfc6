"""A proxy that knows the kinds of the server's calls to Redis, and stops the one that a test names.

  refuse, attempts       while refuse is set, a connection is closed at its next call; attempts
                         counts those calls
  swallow                a function: a call for which it is true is held here, with all that follows
                         on its connection
  catch(which, how)      acts on the next call for which `which` is true, whenever it comes:
      CALL     the call is held here, also after the server's death, until release()
      ANSWER   the call runs; its answer is lost, and the connection is silent from then on
      REST     the call runs and is answered; every later call of the server is refused
  on_call                a function that gets every call before it is forwarded

The second part of a call that arrives in two pieces has no kind; a caught call is never that long.
"""

import re
import threading

import spike
from proxy import Proxy

CALL, ANSWER, REST = "call", "answer", "rest"
RUN_ID = re.compile(rb"[0-9a-f]{40}")
KEYS, ARGV = 3, 9  # where the keys and the arguments of a script begin
RUN, FOUND = ARGV + 4, ARGV + 21  # of an attach; an examination has nothing there yet


def arguments_of(data):
    """The arguments of a call, as far as they have arrived."""
    arguments, at = [], data.find(b"\r\n") + 2
    while data[at:at + 1] == b"$":
        end = data.find(b"\r\n", at)
        if end < 0:
            break
        length = int(data[at + 1:end])
        arguments.append(data[end + 2:end + 2 + length])
        at = end + 2 + length + 2
    return arguments


class Call:
    """kind: examine, attach, step, or the command; event: its name; sells: the step has orders."""

    def __init__(self, conn, data):
        arguments = arguments_of(data) if data[:1] == b"*" else []
        self.conn, self.event, self.sells = conn, "", False
        self.kind = arguments[0].decode().lower() if arguments else ""
        if len(arguments) < ARGV + 20 or arguments[0] not in (b"EVALSHA", b"EVAL"):
            return
        self.event = arguments[KEYS].decode().replace("_hash_key", "")
        if RUN_ID.fullmatch(arguments[RUN]):
            is_examine = len(arguments) > FOUND and not arguments[FOUND]
            self.kind = "examine" if is_examine else "attach"
        else:
            self.kind, self.sells = "step", bool(arguments[-1])


class Gate(Proxy):
    def __init__(self, site, redis):
        self.refuse, self.attempts = False, 0
        self.swallow, self.on_call = None, None
        self._which, self._how = None, None
        self.caught, self.caught_conn = threading.Event(), None
        super().__init__(redis.socket)
        site.started.append(self)

    # -- for tests

    def catch(self, which, how=CALL):
        self.caught.clear()
        self.cut_done.clear()
        self._which, self._how = which, how

    def wait_caught(self, seconds=10):
        """Waits until the caught call is held, or has run; returns its connection."""
        assert self.caught.wait(seconds * spike.PATIENCE), "no such call has arrived"
        if self._how == ANSWER:
            assert self.cut_done.wait(seconds * spike.PATIENCE), "it has not run"
        return self.caught_conn

    def release(self, conn=None, seconds=5):
        self.held_conn = conn or self.caught_conn
        return super().release(seconds)

    # -- the threads

    def _intercept(self, conn, data):
        if self.refuse:
            self.attempts += 1
            conn.close()
            return b""
        call = Call(conn, data)
        if self.on_call:
            self.on_call(call)
        with self.lock:
            if conn.held or self.swallow and self.swallow(call):
                conn.held += data
                return b""
            if self._which and self._which(call):
                return self._catch(conn, data)
            return data

    def _catch(self, conn, data):
        self._which, self.caught_conn = None, conn
        if self._how == CALL:
            conn.held, data = data, b""
        elif self._how == ANSWER:
            conn.cut, self.cut_closes = True, False
        else:
            self.refuse = True
        self.caught.set()
        return data


def is_attach(call):
    return call.kind == "attach"


def is_step(call):
    return call.kind == "step"


def is_sale(call):
    return call.kind == "step" and call.sells
