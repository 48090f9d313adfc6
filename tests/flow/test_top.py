"""Why: on sale night an operator sees the sale through spike-top alone. Its screen must show all of
it, show at once which node is down, work with every key, size and terminal, and leave the terminal
as it was."""

import os
import re
import signal
import time

import pytest

import spike
import top
from top import Console, figure, row_of, total_of

EVENTS = {"ticket": {"total": 200000}, "show": {"total": 50, "hold": "5m"}}
HEAD = "NODE +STATE +REQ/S +SOLD/S +SOLD +LEFT +P50ms +P99ms +CONN +5XX/S +MEM +REDIS"
SELLING = (r"^spike-top  ticket 1/2  OPEN +3/3 up  redis ok [\d.]+ms  \d\d:\d\d:\d\d  1s$",
           r"^Left   1\d\d,\d{3} of 200,000  \[\|+ +\] \d\d%$",
           r"^Sold   [\d,]+ +\d+/s +gone in ~\d+[smh] +held 0 +refused 0 +0/s +errors 0$",
           r"^Req/s  [\d,.k]+   peak [\d,.k]+ +[.:|]*[.:|] +60s$",
           "^[ ^v]" + HEAD,
           r"^ TOTAL +3/3 +[\d.]+k? ",
           r"^F1 Help .*/ Filter .*q Quit$")


def selling(site):
    """Three nodes under a light load: a few hundred orders a second."""
    redis, nodes = top.three_nodes(site, events=EVENTS)
    return redis, nodes, site.load(*nodes, connections=24, pause_s=0.05)


def wait_for_sales(console):
    """Waits for a screen of a second in which all three nodes have sold; returns it. On a busy
    machine not every second is one."""

    def picture():
        screen = console.wait_for(*SELLING, r"\d+/s +gone in ~", r"^ 3 \S+ +UP +\d")
        rows = [row_of(screen, number) for number in (1, 2, 3)]
        return all(row["state"] == "UP" and (figure(row["req_s"]) or 0) > 0 and
                   (figure(row["sold_s"]) or 0) > 0 for row in rows) and screen

    return spike.wait("sales on the screen", picture, step=0.2)


def test_all_of_it_at_80x24(site):
    """Every part of the main view; a killed node is DOWN! within 3 s, with an event line; started
    again it is UP."""
    _, nodes, _ = selling(site)
    console = Console(site, *top.addresses(nodes))
    screen = wait_for_sales(console)
    rows = [row_of(screen, number) for number in (1, 2, 3)]
    for row in rows:
        assert figure(row["p99"]) >= figure(row["p50"]) > 0 and figure(row["conn"]) == 8
        assert figure(row["mem"]) is not None and figure(row["redis"]) > 0
        assert figure(row["left"]) > 100000
    total = total_of(screen)
    for name in ("req_s", "sold_s", "sold"):
        assert sum(figure(row[name]) for row in rows) == pytest.approx(figure(total[name]), abs=2)
    percent = int(re.search(r"(\d+)%$", screen, re.MULTILINE)[1])
    bar = re.search(r"\[(\|+) *\]", screen)
    assert len(bar[1]) / (len(bar[0]) - 2) == pytest.approx(percent / 100, abs=0.03)

    victim = nodes[1]
    victim.kill9()
    killed = time.monotonic()
    screen = console.wait_row(2, "DOWN!")
    assert time.monotonic() - killed < 3 + spike.LATE_S * spike.PATIENCE
    assert "connection refused" in next(line for line in screen.split("\n") if "DOWN!" in line)
    console.wait_for(r"^\d\d:\d\d:\d\d node 2 DOWN: connection refused", "2/3 up", "^ TOTAL +2/3")
    victim.start()
    console.wait_row(2, "UP")
    console.wait_for(r"^\d\d:\d\d:\d\d node 2 UP", "3/3 up", "^ TOTAL +3/3")
    console.quit()


def test_more_at_120x40_and_any_size(site):
    """Graphs, latencies, a sparkline for each node; a message if the terminal is too small; nothing
    is lost meanwhile."""
    _, nodes, _ = selling(site)
    console = Console(site, *top.addresses(nodes), cols=120, rows=40)
    large = ("requests/s", "sold/s", "-120s +-60s +now", "latency of /buy, ms",
             r"< +[\d.]+ \[\|+", "REQ/S 60s", r"^ 3 \S+ +UP.*[.:|]$", "^ TOTAL")
    console.wait_for(*large)
    console.resize(50, 8)
    console.wait_for(r"\Aspike-top needs 60x10, this is 50x8\n+\Z")
    console.press("p", "y", "Enter", "?")
    console.resize(120, 40)
    console.wait_for(*large, "ticket 1/2  OPEN")
    for cols, rows in ((60, 10), (61, 11), (80, 16), (200, 60), (10, 3), (80, 24)):
        console.resize(cols, rows)
        if cols >= 60:
            screen = console.wait_for(r"\A(spike-top  )?ticket 1/2  OPEN", "3/3 up", "^Left ",
                                      r"^[> ]\d \S+ +UP", r"q Quit$")
            assert max(map(len, screen.split("\n"))) <= cols
    console.wait_for(*SELLING)
    console.resize(60, 10)  # a row is hidden: the head shows it, and keys scroll to it
    console.wait_for("^[ ^v]NODE 1-2/3 +STATE")
    console.press("G").wait_for("^[ ^v]NODE 2-3/3 +STATE", "^>3 ")
    console.quit()


def test_no_flicker(site):
    """A round writes only what has changed: never the whole screen, never a blank one."""
    _, nodes, _ = selling(site)
    console = Console(site, *top.addresses(nodes), cols=120, rows=40, term="xterm-256color")
    console.wait_for("3/3 up", "requests/s")
    sent = site.dir / "sent"
    console.record(sent)
    clocks, since = set(), time.monotonic()
    while len(clocks) < 4:
        clocks.add(re.search(r"\d\d:\d\d:\d\d  1s$", console.text(), re.MULTILINE)[0])
    console.press("j", "k")
    data, pictures = sent.read_bytes(), time.monotonic() - since + 1
    assert 0 < len(data) < pictures * 4000, len(data)
    assert not re.search(rb"\x1b\[[0-3]?J", data)
    console.press("C-l")
    spike.wait("the whole screen", lambda: re.search(rb"\x1b\[[0-3]?J", sent.read_bytes()))
    console.quit()


def test_views_by_keys(site):
    """Node view, event view and help: from each to the others, and back."""
    _, nodes, _ = selling(site)
    held = nodes[0].buy("show?n=3").data["order"]
    nodes[0].buy("show?n=2")
    assert nodes[0].fetch("POST", f"/order/{held}/cancel").code == 1
    console = Console(site, *top.addresses(nodes))
    console.wait_for(*SELLING)
    console.press("j", "Enter")
    console.wait_for(r"^node 2  .*n2  UP", "^Node", "Latency of /buy", "^Redis", "^Journal",
                     r"worker-1", "commit p99", r"^ records", "Pools")
    console.press("PageDown").wait_for("lines (?!1-)")
    console.press("G").wait_for("Memory plan|reserved")
    console.press("Escape").wait_for("^[ ^v]" + HEAD)
    console.press("e").wait_for("^event ticket  OPEN", "GRANTED +PAID +CANCELLED +EXPIRED",
                                r"^ granted +[\d,]+|granted +[\d,]+$")
    console.press("Tab").wait_for("show 2/2", "^event show  OPEN", r"total +50 ",
                                  r"held +2 ", r"cancelled +1$", r"granted +2$")
    console.press("C").wait_for("ticket 1/2", "^event ticket  OPEN")
    for key in ("?", "h", "F1"):
        console.press(key).wait_for(r"^ Keys\b", "hold the picture", "pause the sale", "^ Columns$")
        console.press("Escape").wait_for("^[ ^v]" + HEAD)
    console.press("Home", "G").wait_for("^>3 ")
    console.press("k").wait_for("^>2 ")
    console.press("g").wait_for("^>1 ")
    console.quit()


def test_sort_filter_freeze_and_pace_by_keys(site):
    _, nodes, _ = selling(site)
    console = Console(site, *top.addresses(nodes))
    console.wait_for(*SELLING)
    console.press(">").wait_for("vSTATE")
    console.press("<").wait_for(r"\^NODE")
    console.press("r").wait_for("vNODE", r"^[> ]3 .*\n[> ]2 .*\n[> ]1 ")
    console.press("s", "s", "s").wait_for("vSOLD/S")
    for _ in range(9):
        console.press("s")
    console.wait_for(r"\^NODE", r"^[> ]1 .*\n[> ]2 .*\n[> ]3 ")

    console.press("/").type("n2")
    console.wait_for("Filter by address or state: n2_", 'filter "n2": 1 of 3 nodes')
    console.press("Enter").wait_for("q Quit$", r'"n2": 1 of 3')
    assert not re.search("^[> ][13] ", console.text(), re.MULTILINE)
    console.press("/", "C-u").type("down")
    console.wait_for('filter "down": 0 of 3')
    console.press("Escape").wait_for("^[> ]1 ", "^[> ]2 ", "^[> ]3 ")

    console.press("Space")
    frozen = console.wait_for("FROZEN")
    assert console.is_sleeping_on(frozen, 2.2)
    console.press("Space")
    console.wait_gone("FROZEN")
    sold = re.search(r"^Sold +([\d,]+)", frozen, re.MULTILINE)[1]
    spike.wait("the screen to change", lambda: not re.search(rf"^Sold +{sold} ", console.text(),
                                                            re.MULTILINE))

    console.press("+").wait_for(r" 2s$")
    console.press("-", "-").wait_for(r" 0\.5s$")
    console.press("C-l").wait_for("^[ ^v]" + HEAD)
    console.quit()


@pytest.mark.parametrize("term", ["vt100", "xterm-256color", "linux"])
def test_terminals(site, term):
    """The same text on each terminal; no colour where it is switched off; the terminal is restored.
    """
    node = site.node(events=EVENTS)
    site.load(node, connections=8, pause_s=0.05)
    words = (r"ticket 1/2  OPEN +1/1 up  redis off", r"^>1 \S+ +UP +\d+", r" off$", "^ TOTAL +1/1")
    console = Console(site, *top.addresses([node]), term=term)
    console.wait_for(*words)
    coloured = bool(re.search(r"\x1b\[[\d;]*3[0-7]m", console.text(colours=True)))
    assert coloured == (term != "vt100")
    console.press("q")
    # The other terminals have no alternate screen.
    console.wait_exit(0, restored=term == "xterm-256color")
    console.close()
    if term == "vt100":
        return
    for arguments, env in ((["-C"], {}), ([], {"NO_COLOR": "1"}), (["-u"], {})):
        console = Console(site, *arguments, *top.addresses([node]), term=term, **env)
        screen = console.wait_for(*words)
        coloured = bool(re.search(r"\x1b\[[\d;]*3[0-7]m", console.text(colours=True)))
        assert coloured == (arguments == ["-u"])
        assert ("\u2588" in screen) == (arguments == ["-u"])
        assert "\u2588" in screen or screen.isascii()
        console.close()


def test_a_terminal_without_a_cursor(site):
    """spike-top cannot draw there: it prints an error and ends."""
    node = site.node()
    console = Console(site, *top.addresses([node]), term="dumb")
    assert "spike-top: TERM is dumb, a terminal whose cursor cannot be moved" in console.wait_exit(1)
    console.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGSEGV])
def test_ends(site, number):
    """However spike-top ends, screen, cursor and modes are restored."""
    if spike.BUILD and number == signal.SIGSEGV:
        pytest.skip("a sanitizer has handlers of its own")
    node = site.node()
    console = Console(site, *top.addresses([node]), term="xterm-256color")
    console.wait_row(1, "UP")
    os.kill(console.pid(), number)
    text = console.wait_exit(139 if number == signal.SIGSEGV else 0)
    assert ("spike-top crashed; the sale has not noticed" in text) == (number == signal.SIGSEGV)


def test_stop_and_go_on(site):
    """TSTP returns the terminal to the shell, CONT takes it again."""
    node = site.node()
    console = Console(site, *top.addresses([node]), term="xterm-256color")
    console.wait_row(1, "UP")
    pid = console.pid()
    os.kill(pid, signal.SIGTSTP)
    spike.wait("the terminal", lambda: console.tmux_value("alternate_on") == "0")
    os.kill(pid, signal.SIGCONT)
    console.wait_row(1, "UP")
    console.quit()
