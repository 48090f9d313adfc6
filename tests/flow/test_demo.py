"""Why: `make demo` is what people see first of the whole, and what they rehearse a sale with. It
must show a sale whose sums are right, report one whose sums are wrong, and leave nothing behind,
however it ends."""

import errno
import fcntl
import os
import pathlib
import pty
import re
import shutil
import signal
import subprocess
import termios
import threading
import uuid

import pytest

import spike
from cluster import NUMBERS, free_base

DEMO = spike.ROOT / "conf" / "demo.sh"
# A slow disk is no fault here: the short time-outs of the shipped files are made longer.
SLOW_NODE = "idle-timeout 90s; answer-timeout 20s; redis-timeout 10s; node-timeout 60s;"
LONG_TIMEOUTS = {
    "cluster/nginx.conf": ("proxy_read_timeout       3s;", "proxy_read_timeout       60s;"),
    **{f"cluster/node{i}.conf": ("idle-timeout 90s;", SLOW_NODE) for i in NUMBERS}}


def copy_with_long_timeouts(site):
    """A copy of conf/demo.sh and the files it uses, with longer time-outs."""
    conf = site.dir / "conf"
    shutil.copytree(spike.ROOT / "conf", conf)
    for name, (old, new) in LONG_TIMEOUTS.items():
        text = (conf / name).read_text()
        assert text.count(old) == 1, name
        (conf / name).write_text(text.replace(old, new))
    return conf / "demo.sh"


class Demo:
    """One run of the demo, on other ports, in a folder of its own; terminal: on a pseudo-terminal.
    """

    def __init__(self, site, terminal=False, base=None, script=None, slow=None, **env):
        self.out = site.dir / "out"
        self.out.mkdir()
        for name in ("spike-server", "spike-log", "spike-top"):
            (self.out / name).symlink_to(pathlib.Path(spike.SERVER).with_name(name))
        if slow:
            (self.out / "spike-server").unlink()
            (self.out / "spike-server").write_text(
                f'#!/bin/sh\nLD_PRELOAD={slow} SLOW_SYNC_MS=1500 exec {spike.SERVER} "$@"\n')
            (self.out / "spike-server").chmod(0o755)
        self.tag = str(uuid.uuid4())  # every process of the demo inherits this in its environment
        env = dict(os.environ, TERM="xterm", PORT_BASE=str(base or free_base(site)),
                   SPIKE_DEMO_TEST=self.tag, **env)
        self.terminal_fd, theirs = pty.openpty() if terminal else os.pipe()
        self.process = subprocess.Popen(
            [str(script or copy_with_long_timeouts(site)), str(self.out)], env=env,
            stdin=theirs if terminal else subprocess.DEVNULL,
            stdout=theirs, stderr=theirs, start_new_session=True,
            preexec_fn=(lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0)) if terminal else None)
        os.close(theirs)
        self.text = ""
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        site.started.append(self)

    def _read(self):
        try:
            while data := os.read(self.terminal_fd, 65536):
                self.text += data.decode("utf-8", "replace")
        except OSError as end:
            assert end.errno == errno.EIO  # no process has the terminal open any more

    def wait_for(self, pattern):
        spike.wait(f"{pattern} from the demo", lambda: re.search(pattern, self.text))

    def end(self):
        """Waits for its end; every process that it started must have ended before it. Returns the
        exit code."""
        code = self.process.wait(5 * spike.SOON_S * spike.PATIENCE)
        assert not self.running()
        self.reader.join(spike.SOON_S)
        return code

    def running(self):
        found = []
        for entry in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                if self.tag.encode() in (entry / "environ").read_bytes():
                    found.append((entry / "cmdline").read_text().replace("\0", " "))
            except OSError:
                pass  # it has ended, or belongs to another user
        return found

    def close(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(spike.SOON_S)
        os.close(self.terminal_fd)


def table_of(text):
    """The rows of the table, as numbers: node or 0 -> weight, of 1,000, requests, sold, stock."""
    rows = re.findall(r"^ +(\d|all)((?: +[\d,]+){5})\r?$", text, re.MULTILINE)
    return {int(node) if node != "all" else 0:
            [int(cell.replace(",", "")) for cell in cells.split()] for node, cells in rows}


def fact(name, text):
    return re.search(rf"^  {re.escape(name)} +(.*?)\r?$", text, re.MULTILINE)[1]


def check_figures(text, requests):
    table = table_of(text)
    assert [table[i][0] for i in (1, 2, 3, 4)] == [1, 2, 3, 4]
    assert [table[i][1] for i in (1, 2, 3, 4)] == [100, 200, 300, 400]
    assert [table[i][4] for i in (1, 2, 3, 4)] == [1667, 3334, 5000, 6667]
    assert table[0] == [sum(table[i][k] for i in (1, 2, 3, 4)) for k in range(5)]
    assert table[0][2:4] == [requests, min(requests, 10000)]
    assert fact("sold", text) == f"{min(requests, 10000):,} of 10,000, each in a journal"
    assert fact("oversold", text) == "0"
    assert fact("failed", text) == f"0 of {requests:,} requests"
    assert int(fact("requests/s", text).replace(",", "")) > 0
    assert re.fullmatch(r"\d+ ms", fact("p99", text))
    assert fact("audit", text) == "no breach"
    assert "WRONG" not in text


def test_sold_out(site):
    """Without a terminal: the figures of spike-top in between, then the table."""
    demo = Demo(site, REQUESTS="12000")
    assert demo.end() == 0, demo.text
    assert re.search(r"^spike-top  ticket  .* 4/4 up ", demo.text, re.MULTILINE)
    check_figures(demo.text, 12000)


def test_on_a_slow_disk(site, preload):
    """A disk slower than answer-timeout: buyers get "busy" and their grants are given back. The
    demo fails, and its figures show it; but tickets given back are neither sold nor oversold."""
    demo = Demo(site, script=DEMO, slow=preload("slowsync"), REQUESTS="2000", BUYERS="1000")
    assert demo.end() == 1
    assert "WRONG" in demo.text, demo.text
    assert "WRONG" in fact("failed", demo.text)
    by_nodes = re.search(r"^ +all +\d+ +[\d,]+ +[\d,]+ +([\d,]+) ", demo.text, re.MULTILINE)[1]
    assert by_nodes == fact("sold", demo.text).split(" of ")[0], demo.text
    assert fact("oversold", demo.text) == "0"
    assert fact("audit", demo.text) == "no breach"


def test_live(site):
    """On a terminal: the console until q is pressed, then the table."""
    demo = Demo(site, terminal=True, REQUESTS="12000")
    demo.wait_for("F1")
    os.write(demo.terminal_fd, b"q")
    assert demo.end() == 0, demo.text
    check_figures(demo.text, 12000)


@pytest.mark.parametrize("moment", ["1,000 requests", " more: ", "ticket  (OPEN|SOLD OUT)"])
def test_interrupted(site, moment):
    """INT at any moment ends the demo with a failure."""
    demo = Demo(site, REQUESTS="3000000")
    demo.wait_for(moment)
    os.kill(demo.process.pid, signal.SIGINT)
    assert demo.end() == 130


def test_ctrl_c(site):
    """The same by the key, in the console."""
    demo = Demo(site, terminal=True, REQUESTS="3000000")
    demo.wait_for("F1")
    os.write(demo.terminal_fd, b"\x03")
    assert demo.end() == 130


def test_port_taken(site):
    """A foreign server on a node's port must not be taken for the node."""
    base = free_base(site)
    with spike.socket.create_server(("127.0.0.1", base + 3)):
        demo = Demo(site, base=base)
        assert demo.end() == 1
    assert f"127.0.0.1:{base + 3}" in demo.text and "node 3 has ended" in demo.text


def test_wrong_sums_are_reported(site):
    """A request that goes past nginx: the sums are marked as wrong, and the exit code is 1."""
    base = free_base(site)
    demo = Demo(site, base=base, REQUESTS="12000")

    def answers():
        try:
            return spike.fetch(("127.0.0.1", base + 1), "GET", "/stock/ticket")
        except OSError:
            return None

    spike.wait("node 1", answers, step=0.002)
    assert demo.end() == 1
    assert re.search(r"^ +all .* WRONG", demo.text, re.MULTILINE), demo.text
