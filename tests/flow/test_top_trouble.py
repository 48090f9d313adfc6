"""Why: on the night when things break the console must not. Whatever answers in a node's place gets
a row that says what is wrong; Redis may be gone; a hundred nodes cost next to nothing."""

import json
import pathlib
import re
import time

import spike
import top
from top import Console, Impostor

GOOD = {"node": 77, "state": "up", "uptime_s": 5, "time_ms": 1, "events": []}
TICKS = 100  # of a second, as /proc counts them


def test_whatever_answers(place):
    """Each row says what came; the real node among them is seen as if it were alone."""
    node = place.node()
    page = json.dumps(GOOD)
    deep = '{"node":1,"x":' + "[" * 5000 + "]" * 5000 + "}"
    closed = Impostor(place, b"")
    closed.close()
    with_escapes = page.replace('"up"', '"\\u001b[2J"')
    cases = {
        "garbage": (Impostor(place, b"SSH-2.0-OpenSSH_9.2p1\r\n" * 50), "not HTTP|garbage"),
        "half a JSON": (Impostor(place, top.http(page[: len(page) // 2])), "half a JSON"),
        "half an answer": (Impostor(place, top.http(page, len(page) + 1)), "half an answer"),
        "10 MiB": (Impostor(place, top.http(b"x" * (10 << 20))), "too long"),
        "10 MiB without a length": (Impostor(place, b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * (10 << 20)),
                                    "no length|length"),
        "an endless head": (Impostor(place, b"HTTP/1.1 200 OK\r\nX: " + b"x" * (1 << 20)), "."),
        "nothing": (Impostor(place, None), "timed out"),
        "closed": (Impostor(place, b""), "closed, no answer"),
        "refused": (closed, "connection refused"),
        "another server": (Impostor(place, top.http("{}", status="404 Not Found")),
                           "404: not an admin address"),
        "another JSON": (Impostor(place, top.http('{"hello":"world"}')), "no node's /stats"),
        "no JSON": (Impostor(place, top.http("<html>")), "not JSON"),
        "nested": (Impostor(place, top.http(deep)), "nested too deep|too many"),
        "bytes for the terminal": (Impostor(place, top.http(with_escapes)), "not plain text|."),
        "zero bytes": (Impostor(place, top.http(b"\0" * 5000)), "not JSON|."),
    }
    console = Console(place, *top.addresses([node]), *[i.address for i, _ in cases.values()],
                      cols=100, rows=30, term="xterm-256color")
    console.wait_row(1, "UP")
    seen = console.wait_for(f"^spike-top .*OPEN +1/{len(cases) + 1} up")
    for name, (impostor, why) in cases.items():
        port = impostor.address.rsplit(":", 1)[1]
        seen = console.wait_for(rf"^ +\? \S*:{port} +DOWN! .* ({why})")
    assert seen.isascii() and "\x1b" not in seen
    assert re.search(r"^[> ] *1 \S+ +UP ", seen, re.MULTILINE)
    for key in ("G", "Enter", "e", "Escape"):  # every view can show them
        console.press(key)
    console.press("/").type("down").wait_for(f"{len(cases)} of {len(cases) + 1}")
    console.press("Enter", "q")
    console.wait_exit(0)


def test_redis_is_gone(place):
    """The console asks the nodes, not Redis: all is seen, the trouble is told, and its end."""
    redis, nodes = top.three_nodes(place, events={"ticket": {"total": 100000}})
    console = Console(place, "-c", nodes[0].conf)
    console.wait_for("OPEN +3/3 up  redis ok")
    redis.kill()
    console.wait_for("redis DOWN!", r"^\S+ redis down on \d of 3 nodes|node \d: redis down",
                     r"^>1 .* DOWN!$", r"^ 2 .* DOWN!$", r"^ 3 .* DOWN!$")
    console.wait_for(r"  \d\d:\d\d:\d\d  1s$", "3/3 up")
    redis.start()
    console.wait_for("OPEN +3/3 up  redis ok", r"^\S+ (redis up on|node \d: redis up)")
    console.quit()


def cpu_ticks(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def memory_mib(pid, name):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(rf"^{name}:\s+(\d+) kB", status, re.MULTILINE)[1]) / 1024


def test_a_hundred_nodes(place):
    """Three nodes under a hundred addresses: a new picture each second, little work, little memory."""
    _, nodes = top.three_nodes(place, events={"ticket": {"total": 1000000}})
    aliases = []
    for i in range(100):
        alias = place.dir / f"alias{i:02}"
        alias.symlink_to(nodes[i % 3].admin)
        aliases.append(f"unix:{alias}")
    place.load(*nodes, connections=12, pause_s=0.05)
    console = Console(place, *aliases, cols=120, rows=40)
    console.wait_for("OPEN +100/100 up", "rows 1-.* of 100", r"^ TOTAL +100/100 +\d+")
    pid = console.pid()
    before, since = cpu_ticks(pid), time.monotonic()
    pictures = set()
    while time.monotonic() < since + 5:
        pictures.add(re.search(r"^Sold .*$", console.text(), re.MULTILINE)[0])
        time.sleep(0.1)
    share = (cpu_ticks(pid) - before) / TICKS / (time.monotonic() - since)
    peak = memory_mib(pid, "VmHWM")
    print(f"100 nodes: {len(pictures)} pictures in 5 s, {share:.1%} of a core, {peak:.1f} MiB")
    assert 4 <= len(pictures) <= 7
    if not spike.BUILD:
        assert share < 0.15
        assert peak < 16
    console.press("G").wait_for("rows .*-100 of 100", r"^>3 .*alias98 ")
    console.quit()
