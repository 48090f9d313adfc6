"""Why: operators pause, restock and close a sale from the console, in a hurry. Each act must state
its effect before, have it on all nodes and no other, and be impossible with --readonly."""

import re
import signal
import time

import spike
import top
from top import Console


TRIES = 5


def states(nodes, event="ticket"):
    return {node.stock(event)["state"] for node in nodes}


def totals(nodes, event="ticket"):
    return {node.stock(event)["total"] for node in nodes}


def test_acts(site):
    """Pause, resume, restock, drain, close: question, y, done; any other answer changes nothing."""
    _, nodes = top.three_nodes(site, events={"ticket": {"total": 100000}})
    load = site.load(*nodes, connections=12, pause_s=0.05)
    console = Console(site, *top.addresses(nodes))
    console.wait_for("OPEN", "3/3 up", r"^Sold +[\d,]+ +\d+/s")

    console.press("p").wait_question(r"^Pause the sale of ticket on all nodes\? y/N y does it; any")
    console.press("n")
    console.wait_gone("y/N")
    assert states(nodes) == {"open"}
    console.press("p").wait_question("y/N").press("y")
    console.wait_for("^spike-top  ticket  PAUSED", r"^\S+ pause ticket: asked node 1: paused$",
                     "^ pause ticket: asked node 1: paused$", r"^\S+ ticket paused")
    spike.wait("all nodes to pause", lambda: states(nodes) == {"paused"})
    assert {node.buy().code for node in nodes} == {-4}
    sold = [node.stock()["sold"] for node in nodes]
    console.wait_for(r"^Sold +[\d,]+ +0/s")
    assert sold == [node.stock()["sold"] for node in nodes] and len(set(sold)) == 1

    console.press("p").wait_question(r"^Resume the sale of ticket on all nodes\?")
    console.press("y").wait_for("^spike-top  ticket  OPEN", r"^\S+ resume ticket: .*: resumed$")
    spike.wait("all nodes to sell", lambda: all(node.buy().code == 1 for node in nodes))

    console.press("R").wait_question(r"^Restock ticket: its total is 100,000, of which [\d,]+ are "
                                   "gone. The new total for all nodes:")
    console.type("120,000").press("Enter")
    console.wait_question("^Restock ticket from 100,000 to 120,000 tickets in all, on all nodes")
    console.press("y").wait_for("^Left .* of 120,000 ",
                                r"^\S+ restock ticket: .* restocked, 120,000 in all")
    spike.wait("the new total on all nodes", lambda: totals(nodes) == {120000})
    console.press("R").wait_question("The new total")
    console.type("1").press("Enter").wait_for(r"\d are gone already; the least is [\d,]+")
    console.press("C-u").type("110,000").press("Enter")
    console.wait_question("this lowers the total from 120,000 to 110,000 tickets, on all").press("n")
    console.wait_gone("y/N")
    console.press("R").wait_question("The new total")
    console.type("300000").press("Enter").wait_question("from 120,000 to 300,000").press("y")
    console.wait_for(r"^\S+ restock ticket: node 1 refused: its stock-max is less$")
    assert totals(nodes) == {120000}

    console.press("G", "d")
    console.wait_question(r"^Drain node 3 \(.*n3\)\? .* sells no more, of any event; "
                          "only a restart ends it")
    console.press("y").wait_for(r"^\S+ drain node 3: asked node 3: it drains, until it is started",
                                r"^>3 \S+ +DRAIN ", "2/3 up", r"^\S+ node 3 DRAINING")
    assert nodes[2].buy().code == -6 and nodes[0].buy().code == 1

    console.press("x").wait_question(r"^Close the sale of ticket on all nodes, for good\? .* Type "
                                     "ticket to close it")
    console.type("tickets").press("Enter").wait_for("that is not its name")
    assert states(nodes) == {"open"}
    console.press("BSpace", "Enter").wait_for("^spike-top  ticket  CLOSED",
                                              r"^\S+ close ticket: .*: closed$")
    spike.wait("all nodes to close", lambda: states(nodes) == {"closed"})
    console.press("e", "p").wait_for("^event ticket  CLOSED", "^ the sale of ticket is closed$")
    load.stop()
    assert load.codes[-3] > 0 and load.codes[-4] > 0
    console.quit()


def test_a_node_that_hangs(site):
    """The outcome on the hanging node is unknown: the console reports that, and another node does
    the act. In any view."""
    _, nodes = top.three_nodes(site, events={"ticket": {"total": 1000}})
    # With ten seconds between rounds the console still takes node 1 for up.
    console = Console(site, "-d", 10, *top.addresses(nodes))
    console.wait_for("OPEN", "3/3 up", "^>1 ")
    nodes[0].freeze()
    console.press("Enter").wait_for("^node 1 ", "^Journal")
    console.press("p").wait_question(r"^Pause the sale of ticket on all nodes\?")
    console.press("y").wait_for(r"^ pause ticket: asked node 1 \.\.\.$")
    console.wait_for("^node 1 ", "^ pause ticket: node 1 did not answer: not known whether it was "
                                 "done, it may$", "^ still happen; asked node 2: paused$")
    spike.wait("the others to pause", lambda: states(nodes[1:]) == {"paused"})
    console.press("Escape").wait_for(r"^\S+ pause ticket: node 1 did not answer: not known whether it was "
                                     r"done, it\n +may still happen$",
                                     r"^\S+ pause ticket: asked node 2: paused$")
    nodes[0].process.send_signal(signal.SIGCONT)
    spike.wait("all nodes to pause", lambda: states(nodes) == {"paused"})

    nodes[2].freeze()
    console.press("G").wait_for("^>3 ")
    console.press("d").wait_question(r"^Drain node 3 \(").press("y")
    console.wait_for("^ drain node 3: node 3 did not answer: not known whether it was done, it may$",
                     "^ still happen$")
    nodes[2].process.send_signal(signal.SIGCONT)
    assert {node.stats()["state"] for node in nodes[:2]} == {"up"}
    console.wait_for("q Quit$")  # the key hints are back
    console.quit()


def test_a_question_ends_the_freeze(site):
    """A frozen screen may be old: the question before an act unfreezes it."""
    _, nodes = top.three_nodes(site)
    console = Console(site, *top.addresses(nodes))
    console.wait_for("OPEN", "3/3 up")
    console.press("Space").wait_for("FROZEN  ticket  OPEN")
    assert spike.fetch(nodes[1].admin, "POST", "/pause?event=ticket").code == 1
    console.press("d").wait_question(r"^Drain node 1 \(.*n1\)")
    console.wait_for("^spike-top  ticket  PAUSED")
    console.press("n").wait_for("^spike-top  ticket  PAUSED", r"^\S+ ticket paused")
    assert {node.stats()["state"] for node in nodes} == {"up"}
    console.quit()


def test_an_outcome_goes_when_the_state_changes(site):
    """"paused" stays for some seconds, but not after another operator has resumed the sale. (On a
    busy machine the seconds may be over before: then the test tries again.)"""
    _, nodes = top.three_nodes(site)
    console = Console(site, *top.addresses(nodes))
    console.wait_for("OPEN", "3/3 up")
    for _ in range(TRIES):
        console.press("p").wait_question("y/N").press("y")
        console.wait_for("^ pause ticket: asked node 1: paused$")
        done = time.monotonic()
        spike.wait("all nodes to pause", lambda: states(nodes) == {"paused"})
        console.wait_for("^spike-top  ticket  PAUSED", r"^\S+ ticket paused$")
        assert spike.fetch(nodes[1].admin, "POST", "/resume?event=ticket").code == 1
        console.wait_for("^spike-top  ticket  OPEN", r"^\S+ ticket open$")
        console.wait_gone("^ pause ticket: asked")
        if time.monotonic() - done < 6:  # without the resume it goes after eight
            break
    else:
        raise AssertionError("the outcome did not go early")
    console.quit()


def test_readonly_offers_none(site):
    """With --readonly there is no hint, no help and no key for acts: no question, no change, in any
    view."""
    _, nodes = top.three_nodes(site)
    console = Console(site, "--readonly", *top.addresses(nodes))
    screen = console.wait_for("OPEN", "3/3 up", "q Quit")
    assert not re.search("Pause|Close|Restock|Drain", screen)
    for view, seen in (("Escape", "^.NODE"), ("e", "GRANTED"), ("Enter", "^Journal")):
        console.press(view).wait_for(seen)
        for key in "pxRd":
            console.press(key, "y")
        # When this key shows, those before it have been handled.
        console.press("/" if view != "Enter" else "Space")
        screen = console.wait_for("Filter by" if view != "Enter" else "FROZEN")
        assert not re.search(r"y/N|Type|Pause|Drain", screen)
        console.press("Escape")
    console.press("h")
    screen = console.wait_for("read-only: none changes the sale", "^ Columns$")
    assert not re.search("pause the sale|close the sale|total of the sale|drain", screen)
    assert states(nodes) == {"open"} and totals(nodes) == {10000}
    assert {node.stats()["state"] for node in nodes} == {"up"}
    assert not any("pause" in node.log_text() or "drain" in node.log_text() for node in nodes)


def test_with_a_token(site):
    """A node with a token is read and operated with --token-file; without it the row shows 401."""
    token, wrong = site.dir / "token", site.dir / "wrong"
    token.write_text("open-sesame-0123456789\n")
    wrong.write_text("open-barley-0123456789\n")
    token.chmod(0o600)
    wrong.chmod(0o600)
    node = site.node(start=False, admin="0.0.0.0:0", admin_token=token)
    node.start(healthy=False)
    address = "127.0.0.1:%d" % node.admin[1]
    console = Console(site, "--token-file", token, address)
    console.wait_for("OPEN", "1/1 up")
    console.press("p").wait_question("y/N").press("y")
    console.wait_for("PAUSED")
    console.quit()
    without = Console(site, address)
    without.wait_for("DOWN! .*401: token needed")
    without.quit(code=1)
    assert "401: wrong token" in top.run_top("-b", "-n", 1, "--token-file", wrong, address, code=1)
    assert "missing.token" in top.run_top("-b", "--token-file", site.dir / "missing.token", address,
                                         code=1)


def test_a_dead_node_is_given_up(site):
    """X on a dead node's row: the others fence it; a node that answers cannot be given up. L then
    gives up its journal for good."""
    redis, nodes = top.three_nodes(site, node_timeout="500ms", **spike.QUICK_REDIS,
                                   events={"ticket": {"total": 1000, "hold": "1m"}})
    for node in nodes:
        assert node.buy().code == 1
    console = Console(site, *top.addresses(nodes))
    console.wait_for("3/3 up")
    console.press("G", "X").wait_for("reclaim: node 3 answers; stop it, if it is to go")
    spike.wait("node 3's order to be settled",
               lambda: redis.client.hget(spike.HASH, "3:held") == "1")
    nodes[2].kill9()
    console.wait_for("^>3 .*DOWN!")
    spike.wait("the others to miss it", lambda: "node 3 is silent" in nodes[0].log_text())
    spike.wait("node 3's time to come back to be over", lambda: nodes[0].stats()["uptime_s"] >= 4)
    console.press("X").wait_question(r"^Give up node 3 \(").press("y")
    console.wait_for(r"^\S+ reclaim node 3: asked node 1: given up$")
    assert redis.client.hget(spike.HASH, "3:fenced") == "1" and redis.figure() == 3
    console.press("L").wait_question("^Give up node 3 and its journal, for good")
    console.type("lost").press("Enter")
    console.wait_for(r"^\S+ reclaim node 3: asked node 1: given up with its journal$")
    assert redis.figure() == 2
    console.press("o").wait_for("reopen: nobody says that ticket is in repair")
    console.quit()


def test_a_node_that_died_before_the_console_started(site):
    """The console starts after the node's death: Redis has the number of the node at that address.
    """
    redis, nodes = top.three_nodes(site, node_timeout="500ms", **spike.QUICK_REDIS)
    nodes[2].kill9()
    console = Console(site, "-c", nodes[0].conf)
    console.wait_for("2/3 up", "^ 3 .*DOWN!")
    spike.wait("the others to miss it", lambda: "node 3 is silent" in nodes[0].log_text())
    spike.wait("node 3's time to come back to be over", lambda: nodes[0].stats()["uptime_s"] >= 4)
    console.press("G", "X").wait_question(r"^Give up node 3 \(").press("y")
    console.wait_for(r"^\S+ reclaim node 3: asked node 1: given up$")
    assert redis.client.hget(spike.HASH, "3:fenced") == "1"
    console.quit()
