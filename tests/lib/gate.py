"""A proxy that tells the calls of a server to Redis apart, and stops the one that a test names.

  refuse, attempts       while it is set a connection is closed at its next call; how many were
  swallow                a function: calls for which it is true get nowhere, and what comes after
                         them on their connection
  catch(which, how)      the next call for which `which` is true, however long it takes to come:
      CALL     it stays here, also when the server is long dead, until release()
      ANSWER   it runs; its answer is lost, and the connection silent from then on
      REST     it runs and is answered; all that the server says after it is refused
  on_call                a function that is told of every call before it goes on

The second half of a call that came in two pieces is of no kind; a caught call is never that long.
"""

import re
import threading

import spike
from proxy import Proxy

CALL, ANSWER, REST = "call", "answer", "rest"
RUN_ID = re.compile(rb"[0-9a-f]{40}")
KEYS, ARGV = 3, 9  # where the keys and the arguments of a script begin
RUN, FOUND = ARGV + 4, ARGV + 21  # of an attach; an examination has nothing there yet


def words_of(data):
    """The words of a call, as far as they have come."""
    words, at = [], data.find(b"\r\n") + 2
    while data[at:at + 1] == b"$":
        end = data.find(b"\r\n", at)
        if end < 0:
            break
        length = int(data[at + 1:end])
        words.append(data[end + 2:end + 2 + length])
        at = end + 2 + length + 2
    return words


class Call:
    """kind: examine, attach, step, or the command; event: whose; sells: orders are in that step."""

    def __init__(self, link, data):
        words = words_of(data) if data[:1] == b"*" else []
        self.link, self.event, self.sells = link, "", False
        self.kind = words[0].decode().lower() if words else ""
        if len(words) < ARGV + 20 or words[0] not in (b"EVALSHA", b"EVAL"):
            return
        self.event = words[KEYS].decode().replace("_hash_key", "")
        if RUN_ID.fullmatch(words[RUN]):
            is_examine = len(words) > FOUND and not words[FOUND]
            self.kind = "examine" if is_examine else "attach"
        else:
            self.kind, self.sells = "step", bool(words[-1])


class Gate(Proxy):
    def __init__(self, place, redis):
        self.refuse, self.attempts = False, 0
        self.swallow, self.on_call = None, None
        self._which, self._how = None, None
        self.caught, self.caught_link = threading.Event(), None
        super().__init__(redis.socket)
        place.started.append(self)

    # -- for tests

    def catch(self, which, how=CALL):
        self.caught.clear()
        self.cut_done.clear()
        self._which, self._how = which, how

    def wait_caught(self, seconds=10):
        """Until the call is here, or has run, as was asked for; answers its connection."""
        assert self.caught.wait(seconds * spike.PATIENCE), "no such call came"
        if self._how == ANSWER:
            assert self.cut_done.wait(seconds * spike.PATIENCE), "it has not run"
        return self.caught_link

    def release(self, link=None, seconds=5):
        self.held_link = link or self.caught_link
        return super().release(seconds)

    # -- the threads

    def _meddle(self, link, data):
        if self.refuse:
            self.attempts += 1
            link.close()
            return b""
        call = Call(link, data)
        if self.on_call:
            self.on_call(call)
        with self.lock:
            if link.held or self.swallow and self.swallow(call):
                link.held += data
                return b""
            if self._which and self._which(call):
                return self._do(link, data)
            return data

    def _do(self, link, data):
        self._which, self.caught_link = None, link
        if self._how == CALL:
            link.held, data = data, b""
        elif self._how == ANSWER:
            link.cut, self.cut_closes = True, False
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
