"""Why: when other things break, the console must not. Whatever answers at a node's address gets a
row with the error; Redis may be away; a hundred nodes cost next to nothing."""

import copy
import json
import pathlib
import re
import socket
import threading
import time

import spike
import top
from top import Console, Impostor, run_top

GOOD = {"node": 77, "state": "up", "uptime_s": 5, "time_ms": 1, "events": []}
TICKS = 100  # per second, in /proc


def test_whatever_answers(site):
    """Each row shows the error of its address; the real node among them is shown as ever."""
    node = site.node()
    page = json.dumps(GOOD)
    deep = '{"node":1,"x":' + "[" * 5000 + "]" * 5000 + "}"
    closed = Impostor(site, b"")
    closed.close()
    with_escapes = page.replace('"up"', '"\\u001b[2J"')
    cases = {
        "garbage": (Impostor(site, b"SSH-2.0-OpenSSH_9.2p1\r\n" * 50), "not HTTP|garbage"),
        "half a JSON": (Impostor(site, top.http(page[: len(page) // 2])), "half a JSON"),
        "half an answer": (Impostor(site, top.http(page, len(page) + 1)), "half an answer"),
        "10 MiB": (Impostor(site, top.http(b"x" * (10 << 20))), "too long"),
        "10 MiB without a length": (Impostor(site, b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * (10 << 20)),
                                    "no length|length"),
        "an endless head": (Impostor(site, b"HTTP/1.1 200 OK\r\nX: " + b"x" * (1 << 20)), "."),
        "nothing": (Impostor(site, None), "timed out"),
        "closed": (Impostor(site, b""), "closed, no answer"),
        "refused": (closed, "connection refused"),
        "another server": (Impostor(site, top.http("{}", status="404 Not Found")),
                           "404: not an admin address"),
        "another JSON": (Impostor(site, top.http('{"hello":"world"}')), "no node's /stats"),
        "no JSON": (Impostor(site, top.http("<html>")), "not JSON"),
        "nested": (Impostor(site, top.http(deep)), "nested too deep|too many"),
        "bytes for the terminal": (Impostor(site, top.http(with_escapes)), "not plain text|."),
        "zero bytes": (Impostor(site, top.http(b"\0" * 5000)), "not JSON|."),
    }
    console = Console(site, *top.addresses([node]), *[i.address for i, _ in cases.values()],
                      cols=100, rows=30, term="xterm-256color")
    console.wait_row(1, "UP")
    seen = console.wait_for(f"^spike-top .*OPEN +1/{len(cases) + 1} up")
    for name, (impostor, why) in cases.items():
        port = impostor.address.rsplit(":", 1)[1]
        seen = console.wait_for(rf"^ +\? \S*:{port} +DOWN! .* ({why})")
    assert seen.isascii() and "\x1b" not in seen
    assert re.search(r"^[> ] *1 \S+ +UP ", seen, re.MULTILINE)
    for key in ("G", "Enter", "e", "Escape"):  # every view can show these rows
        console.press(key)
    console.press("/").type("down").wait_for(f"{len(cases)} of {len(cases) + 1}")
    console.press("Enter", "q")
    console.wait_exit(0)


def test_redis_is_gone(site):
    """The console polls the nodes, not Redis: it shows all nodes, the fault and its end."""
    redis, nodes = top.three_nodes(site, events={"ticket": {"total": 100000}})
    console = Console(site, "-c", nodes[0].conf)
    console.wait_for("OPEN +3/3 up  redis ok")
    redis.kill()
    console.wait_for("0/3 up  redis DOWN!", "REDIS!: Redis does not answer, buyers hear busy",
                     r"^>1 \S+ +REDIS! .* DOWN!$", r"^ 2 .* REDIS! .* DOWN!$",
                     r"^ 3 .* REDIS! .* DOWN!$")
    assert [n["state"] for n in top.rounds_of(run_top(
        "-j", "-n", 1, *top.addresses(nodes)))[0]["nodes"]] == ["redis"] * 3
    console.wait_for(r"  \d\d:\d\d:\d\d  1s$", "0/3 up")
    redis.start()
    console.wait_for("OPEN +3/3 up  redis ok",
                     r"^\S+ (node \d|\d of 3 nodes) UP: Redis answers again")
    console.quit()


def cpu_ticks(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def memory_mib(pid, name):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(rf"^{name}:\s+(\d+) kB", status, re.MULTILINE)[1]) / 1024


class Crowd:
    """Fake nodes that answer with the given /stats, each with its own number and a growing sale."""

    def __init__(self, site, stats, count):
        site.started.append(self)
        self.stats, self.open = stats, []
        self.addresses = [f"unix:{site.dir}/crowd{number}" for number in range(1, count + 1)]
        for number, address in enumerate(self.addresses, 1):
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(address.removeprefix("unix:"))
            listener.listen()
            self.open.append(listener)
            threading.Thread(target=self._serve, args=(number, listener), daemon=True).start()

    def _serve(self, number, listener):
        stats = copy.deepcopy(self.stats)
        try:
            sock, _ = listener.accept()
            self.open.append(sock)
            while sock.recv(4096):
                stats["node"], stats["time_ms"] = number, int(time.time() * 1000)
                stats["http"]["requests"] += number
                stats["events"][0]["node_sold"] += 1
                stats["events"][0]["sold"] += 100
                stats["events"][0]["left"] -= 100
                sock.sendall(top.http(json.dumps(stats)))
        except OSError:
            pass

    def close(self):
        for sock in self.open:
            sock.close()


def test_a_hundred_nodes(site):
    """A new screen each second, with little CPU time and memory."""
    node = site.node(events={"ticket": {"total": 1000000}})
    crowd = Crowd(site, node.stats(), 100)
    console = Console(site, *crowd.addresses, cols=120, rows=40)
    console.wait_for("OPEN +100/100 up", "rows 1-.* of 100", r"^ TOTAL +100/100 +[\d,.k]+")
    pid = console.pid()
    before, since = cpu_ticks(pid), time.monotonic()
    pictures = set()

    def are_seen():
        pictures.add(re.search(r"^Sold .*$", console.text(), re.MULTILINE)[0])
        return len(pictures) >= 5

    spike.wait("new screens", are_seen, step=0.1)
    seconds = time.monotonic() - since
    share, peak = (cpu_ticks(pid) - before) / TICKS / seconds, memory_mib(pid, "VmHWM")
    print(f"100 nodes: 5 screens in {seconds:.1f} s, {share:.1%} of a core, {peak:.1f} MiB")
    assert seconds > 2, "more than one screen a second"
    if not spike.BUILD:
        assert share < 0.15
        assert peak < 16
    console.press("G").wait_for("rows .*-100 of 100", r"^>100 .*crowd100 ")
    console.quit()
