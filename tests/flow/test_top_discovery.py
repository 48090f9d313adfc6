"""Why: an operator must be able to rely on the list of nodes. A node that is listed twice, at its
old address, or not at all makes every sum on the screen wrong."""

import re
import subprocess

import spike
import top
from top import Console, row_of, run_top

ALONE = "Redis does not answer; only this node is watched until it does"


def test_a_node_is_named_twice(site):
    """The node counts once; the other row names the first one."""
    _, nodes = top.three_nodes(site, events={"ticket": {"total": 1000}})
    alias = site.dir / "alias"
    alias.symlink_to(nodes[0].admin)
    site.load(*nodes, connections=6, requests=60).join()
    names = [*top.addresses(nodes), f"unix:{alias}"]
    one = top.rounds_of(run_top("-j", "-n", 2, "-d", 0.2, *names))[1]
    states = ["up" if n["state"] == "slow" else n["state"] for n in one["nodes"]]
    assert states[1:3] == ["up", "up"]
    assert {states[0], states[3]} == {"up", "same"}  # the address that answers first is up
    twin = one["nodes"][states.index("same")]
    assert [n["node"] for n in one["nodes"]] == [1, 2, 3, 1]
    assert twin["req_s"] is None and twin["stats"]["node"] == 1
    assert (one["total"]["nodes"], one["total"]["up"]) == (3, 3)
    assert one["total"]["refused"] == sum(n.event_stats()["refused"] for n in nodes)
    text = run_top("-b", "-n", 1, *names).splitlines()
    row, = (line for line in text if " SAME " in line)
    assert "3/3 up" in text[0] and any(f" SAME   same as {names[i]}"[:60] in row for i in (0, 3))
    sold = sum(n.event_stats()["node_sold"] for n in nodes)
    assert text[-1].split()[:2] == ["TOTAL", "3/3"] and text[-1].split()[4] == str(sold)
    console = Console(site, *names)
    console.wait_for("3/3 up", r"^ TOTAL +3/3 ", r"^ 1 \S+ +SAME .* same as")
    console.quit()


def batch(*arguments):
    done = subprocess.run([top.TOP, *map(str, arguments)], capture_output=True, text=True,
                          timeout=spike.SOON_S * spike.PATIENCE, check=True,
                          preexec_fn=spike.die_with_parent)
    return done.stdout, done.stderr


def test_redis_does_not_answer_at_first(site):
    """One node of three is watched: the console reports that and counts three; once Redis answers
    it watches all."""
    redis, nodes = top.three_nodes(site)
    later, conf = site.dir / "later", site.dir / "console.conf"
    conf.write_text(nodes[1].conf.read_text().replace(redis.address, f"unix:{later}"))
    row, errors = batch("-b", "-n", 1, "-c", conf)
    assert "1/3 up" in row and errors == f"spike-top: {ALONE}\n"
    console = Console(site, "-c", conf)
    console.wait_for("1/3 up", r"^ 2 \S+ +UP ", r"^>1 - +NEW .* never heard$", f"^\\S+ {ALONE}$",
                     r"^ TOTAL +1/3 ")
    later.symlink_to(redis.socket)
    screen = console.wait_for("3/3 up", r"^\S+ Redis answers: the nodes that it knows are watched$",
                              r"^ TOTAL +3/3 ")
    for number in (1, 2, 3):
        assert row_of(screen, number)["state"] == "UP"
    assert batch("-b", "-n", 1, "-c", conf)[1] == ""
    console.quit()


def test_a_missing_node_has_a_row(site):
    """A node of the sale that was never started counts in n/m and has a row; then it is started."""
    _, nodes = top.three_nodes(site, missing=[3])
    one = top.rounds_of(run_top("-j", "-n", 1, "-c", nodes[0].conf))[0]
    assert (one["total"]["nodes"], [n["node"] for n in one["nodes"]]) == (3, [1, 2, 3])
    assert (one["nodes"][2]["state"], one["nodes"][2]["address"]) == ("asked", None)
    console = Console(site, "-c", nodes[1].conf)
    console.wait_for("0/3 up", r"^ 3 - +NEW .* never heard$", r"^ TOTAL +0/3 ",
                     r"^\S+ ticket in repair: waits for node 3$")
    nodes[2].start()
    nodes[2].kill9()
    console.wait_for("2/3 up", r"^.[3?] \S+n3 +DOWN! .* connection refused$",
                     r"^ TOTAL +2/3 ")  # Redis has its last address
    nodes[2].start()
    screen = console.wait_for("3/3 up", r"^ 3 \S+n3 +UP ", r"^ TOTAL +3/3 ")
    assert "never heard" not in screen
    console.quit()


def test_two_nodes_swap_their_addresses(site):
    """Each row shows the node that answers there; a later entry in Redis with the same address is
    no move."""
    _, nodes = top.three_nodes(site)
    console = Console(site, "-c", nodes[0].conf)
    console.wait_for("3/3 up")
    addresses = [nodes[1].admin, nodes[0].admin, str(site.dir / "elsewhere")]
    for node, new in zip(nodes, addresses):
        node.kill9()
        node.conf.write_text(node.conf.read_text().replace(node.admin, new))
    for node in nodes:
        node.start(healthy=False)
    for node in nodes:
        node.wait_healthy()
    screen = console.wait_for("3/3 up", r"node 3 moved to unix:", r"^.3 \S+lsewhere +UP ",
                              r"^.1 \S+n2 +UP ", r"^.2 \S+n1 +UP ")
    assert not re.search("node [12] moved", screen)
    console.quit()


def test_a_node_comes_back_elsewhere(site):
    """Its row moves to the new address and keeps its figures."""
    _, nodes = top.three_nodes(site)
    console = Console(site, "-c", nodes[0].conf)
    console.wait_for("3/3 up")
    site.load(*nodes, connections=6, requests=60).join()
    sold = nodes[1].event_stats()["node_sold"]
    nodes[1].kill9()
    console.wait_row(2, "DOWN!")
    old, new = nodes[1].admin, str(site.dir / "elsewhere")
    nodes[1].conf.write_text(nodes[1].conf.read_text().replace(old, new))
    nodes[1].start()
    screen = console.wait_for("3/3 up", r"^ 2 \S+ +UP ", r"^ TOTAL +3/3 ",
                              r"^\S+ node 2 moved to unix:", r"^\S+ node 2 UP")
    assert int(row_of(screen, 2)["sold"]) == sold
    assert sum(line[1:].lstrip().startswith("2 ") for line in screen.split("\n")[6:11]) == 1
    console.quit()
