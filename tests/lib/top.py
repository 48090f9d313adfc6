"""spike-top, as the tests run it: in a terminal that tmux makes, or as a batch.

A Console is one spike-top under a tmux server of its own, a child of the tests: both go when the
tests end. Its screen is read with capture-pane; tests wait for what it shows and never sleep."""

import json
import pathlib
import re
import shlex
import socket
import subprocess
import threading
import time

import spike

TOP = str(pathlib.Path(spike.SERVER).with_name("spike-top"))
COLUMNS = ("number address state req_s sold_s sold left p50 p99 conn err_s mem redis").split()
ROW = re.compile(r"[> ] *(\d+) \S+ +(NEW|SAME|UP|START|[?]|REPAR!|DRAIN|SLOW!|REDIS!|DOWN!) ")
# Runs the console between two lines: the screen before it must be restored after it.
AROUND = """echo "before"; modes=$(stty -g); "$@"; echo "exit $?"
[ "$(stty -g)" = "$modes" ] && echo "modes restored"; exec sleep 1000"""


def figure(text):
    """18.1k, 1,201, 71%, - as numbers."""
    if text in ("-", "off", "DOWN!"):
        return None
    scale = {"k": 1e3, "M": 1e6, "%": 0.01}.get(text[-1], 1)
    return float(text.lstrip("<").rstrip("kM%!").replace(",", "")) * scale


def three_nodes(site, missing=(), **options):
    """A Redis and three nodes, which keep their admin addresses when they are started again.
    missing: nodes that are not started, so that the others wait for them."""
    redis = site.redis(persistence="always")
    nodes = []
    for number in (1, 2, 3):
        path = site.dir / f"n{number}"
        settings = {"admin": f"unix:{path}", "advertise": f"unix:{path}", **options}
        nodes.append(site.node(number, [1, 2, 3], redis, start=number not in missing, healthy=False,
                               **settings))
    for node in nodes if not missing else ():
        node.wait_healthy()
    return redis, nodes


def addresses(nodes):
    return [f"unix:{node.admin}" if isinstance(node.admin, str) else "%s:%d" % node.admin
            for node in nodes]


def run_top(*arguments, code=0, seconds=spike.SOON_S):
    """Runs spike-top without a terminal to its end; returns its output, or else its standard error.
    """
    done = subprocess.run([TOP, *map(str, arguments)], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=seconds * spike.PATIENCE,
                          preexec_fn=spike.die_with_parent, check=False)
    assert not spike.ALARM.search(done.stderr), done.stderr
    assert done.returncode == code, f"{done.returncode}: {done.stdout}{done.stderr}"
    return done.stdout if done.stdout else done.stderr


def rounds_of(text):
    """The JSON objects of a batch, one a line."""
    return [json.loads(line) for line in text.splitlines()]


class Console:
    """One spike-top on a screen of its own."""

    def __init__(self, site, *arguments, cols=80, rows=24, term="screen", **env):
        site.started.append(self)
        self.socket = str(site.dir / f"tmux{len(site.started)}")
        self.arguments = list(map(str, arguments))
        self.env = {"TERM": term, "LC_ALL": "C.UTF-8", **env}
        self.server = subprocess.Popen(["tmux", "-S", self.socket, "-f", "/dev/null", "-D"],
                                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                       stderr=subprocess.DEVNULL,
                                       preexec_fn=spike.die_with_parent)
        spike.wait("tmux", pathlib.Path(self.socket).exists)
        words = [f"{name}={value}" for name, value in self.env.items()]
        command = ["env", "-u", "NO_COLOR", *words, TOP, *self.arguments]
        self._tmux("new-session", "-d", "-s", "top", "-x", cols, "-y", rows,
                   shlex.join(["sh", "-c", AROUND, "sh", *command]))
        self.cols, self.rows = cols, rows

    def _tmux(self, *words):
        done = subprocess.run(["tmux", "-S", self.socket, *map(str, words)], capture_output=True,
                              text=True, timeout=spike.SOON_S * spike.PATIENCE, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    # -- the screen

    def text(self, colours=False):
        more = ["-e"] if colours else []
        return self._tmux("capture-pane", "-p", *more, "-t", "top:0.0")

    def lines(self):
        return self.text().split("\n")

    def wait_for(self, *patterns, seconds=spike.SOON_S):
        """Waits until the screen matches all the regular expressions; returns the screen."""
        screen = [""]

        def shown():
            screen[0] = self.text()
            return all(re.search(p, screen[0], re.MULTILINE) for p in patterns)

        try:
            spike.wait(f"{patterns} on the screen", shown, seconds, step=0.03)
        except AssertionError as timeout:
            raise AssertionError(f"{timeout}:\n{screen[0]}") from None
        return screen[0]

    def wait_question(self, pattern):
        """Waits for the question box, whose lines are joined before they are matched."""

        def requests():
            lines = re.findall(r"\| (.{54}) \|", self.text())
            return re.search(pattern, " ".join(" ".join(lines).split()))

        spike.wait(f"the question {pattern}", requests, step=0.03)
        return self

    def wait_gone(self, pattern):
        spike.wait(f"{pattern} to go", lambda: not re.search(pattern, self.text(), re.MULTILINE),
                   step=0.03)

    def wait_row(self, number, state, seconds=spike.SOON_S):
        return self.wait_for(rf"^[> ] *{number} \S+ +{re.escape(state)}", seconds=seconds)

    def is_sleeping_on(self, text, seconds):
        """True if the screen shows `text` unchanged for so long, except for the clock."""
        end = time.monotonic() + seconds
        still = re.sub(r"\d\d:\d\d:\d\d", "", text)
        while time.monotonic() < end:
            if re.sub(r"\d\d:\d\d:\d\d", "", self.text()) != still:
                return False
            time.sleep(0.1)
        return True

    def tmux_value(self, name):
        return self._tmux("display-message", "-p", "-t", "top:0.0", "#{%s}" % name).strip()

    def record(self, path):
        """From now on copies every byte that is written to the screen into a file."""
        self._tmux("pipe-pane", "-t", "top:0.0", "exec cat >>" + shlex.quote(str(path)))

    # -- keys

    def press(self, *keys):
        """Keys by tmux' names: Enter, Escape, Space, F1, C-l; a single character stands for itself."""
        for key in keys:
            self._tmux("send-keys", "-t", "top:0.0", *(["-l"] if len(key) == 1 else []), key)
        return self

    def type(self, text):
        self._tmux("send-keys", "-t", "top:0.0", "-l", text)
        return self

    def resize(self, cols, rows):
        self._tmux("resize-window", "-t", "top:0", "-x", cols, "-y", rows)
        self.cols, self.rows = cols, rows

    def pid(self):
        """The process id of spike-top itself, the child of the shell."""
        shell = self.tmux_value("pane_pid")

        def child():
            return pathlib.Path(f"/proc/{shell}/task/{shell}/children").read_text().split()

        return int(spike.wait("spike-top to run", child)[0])

    def wait_exit(self, code, restored=True):
        """Waits until the console has ended with that code; the terminal is as before."""
        text = self.wait_for(rf"^exit {code}$", "^modes restored$")
        assert self.tmux_value("alternate_on") == "0"
        assert self.tmux_value("cursor_flag") == "1", "the cursor is hidden"
        if restored:
            assert text.lstrip("\n").startswith("before\n"), text
        return text

    def quit(self, code=0):
        self.press("q")
        return self.wait_exit(code)

    def close(self):
        if self.server.poll() is None:
            self._tmux("kill-server")
            self.server.wait(spike.SOON_S)


def row_of(text, number):
    """The figures of a node's row, by column."""
    for line in text.split("\n"):
        found = ROW.match(line)
        if found and int(found[1]) == number:
            return dict(zip(COLUMNS, line[1:].split()))
    raise AssertionError(f"there is no row of node {number}:\n{text}")


def total_of(text):
    for line in text.split("\n"):
        if line.startswith(" TOTAL"):
            return dict(zip(COLUMNS[1:], line.split()))
    raise AssertionError(f"there is no total:\n{text}")


class Impostor:
    """A listener at a node's address. answer: bytes, or a function that returns them; None: it
    accepts, reads, and sends nothing."""

    def __init__(self, site, answer, closes=True):
        site.started.append(self)
        self.answer = answer if callable(answer) else lambda: answer
        self.closes, self.open, self.requests = closes, [], 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        self.open.append(sock)
        try:
            sock.recv(4096)
            self.requests += 1
            answer = self.answer()
            if answer is None:
                return
            sock.sendall(answer)
            if self.closes:
                sock.shutdown(socket.SHUT_WR)
                sock.recv(1)
        except OSError:
            pass
        if self.closes:
            sock.close()

    def close(self):
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        for sock in self.open:
            sock.close()


def http(body, length=None, status="200 OK"):
    body = body if isinstance(body, bytes) else body.encode()
    return (f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body) if length is None else length}\r\n\r\n").encode() + body
