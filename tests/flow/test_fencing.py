"""Why: P1. A node number belongs to one journal. A second server under the same number, or on
yesterday's copy of the journal, would sell tickets twice; it must be refused, and the first one
sell on."""

import shutil

import pytest

import spike


def error_line(done):
    """The last line of the log: one plain sentence that names the error."""
    assert done.code == 1, done
    last = done.err.strip().splitlines()[-1]
    assert len(last.split()) > 5, last
    return last


def start_twin(site, first, journal):
    """Runs a second server with the first one's conf, but on another journal, to its end."""
    conf = site.dir / f"twin-{journal.name}.conf"
    conf.write_text(first.conf.read_text().replace(str(first.journal), str(journal)))
    return spike.run_server("-c", conf)


def sells_on(first, redis, total=10000):
    assert first.is_running()
    load_yes = [first.buy() for _ in range(20)]
    assert [answer.code for answer in load_yes] == [1] * 20
    assert redis.figure() == sum(first.orders().values())


def test_same_directory(site):
    """Two servers on one journal: the second ends at once and reports that the journal is in use.
    """
    redis = site.redis()
    first = site.node(redis=redis)
    done = spike.run_server("-c", first.conf)
    assert "in use" in error_line(done)
    sells_on(first, redis)


def test_same_number_on_an_empty_directory(site):
    """The number's journal is elsewhere: an empty one is refused, before and after sales."""
    redis = site.redis()
    first = site.node(redis=redis)
    error_line(start_twin(site, first, site.dir / "empty1"))
    sells_on(first, redis)
    error_line(start_twin(site, first, site.dir / "empty2"))
    sells_on(first, redis)


def test_same_number_while_the_first_is_down(site):
    """The same while the first server is down: Redis has sales that the new journal lacks."""
    redis = site.redis()
    first = site.node(redis=redis)
    assert first.buy().code == 1
    first.kill9()
    error_line(start_twin(site, first, site.dir / "empty"))
    first.start()
    sells_on(first, redis)


def test_same_number_again_and_again(site):
    """A supervisor that restarts the refused server does not displace the first one: every start
    raises the epoch in the second journal, but never past that of a live node."""
    redis = site.redis()
    first = site.node(redis=redis)
    for _ in range(4):
        error_line(start_twin(site, first, site.dir / "empty"))
        assert first.is_running()
    sells_on(first, redis)


def test_exact_copy_beside_the_first(site):
    """A copy that lacks nothing yet: only the heartbeats of the first server tell them apart."""
    redis = site.redis()
    first = site.node(redis=redis)
    for _ in range(10):
        assert first.buy().code == 1
    copy = site.dir / "copy"
    shutil.copytree(first.journal, copy)
    error_line(start_twin(site, first, copy))
    sells_on(first, redis)


def test_exact_copy_with_another_event_first(site):
    """The twin's first event has no heartbeat: the node must check the other events too."""
    redis = site.redis()
    first = site.node(redis=redis)
    assert first.buy().code == 1
    copy = site.dir / "copy"
    shutil.copytree(first.journal, copy)
    conf = site.dir / "twin.conf"
    text = first.conf.read_text().replace(str(first.journal), str(copy))
    conf.write_text(text.replace("event ticket", "event new { total 5; }\nevent ticket", 1))
    error_line(spike.run_server("-c", conf))
    sells_on(first, redis)


@pytest.mark.parametrize("running", [False, True], ids=["copied-stopped", "copied-running"])
@pytest.mark.parametrize("down", [False, True], ids=["beside", "alone"])
def test_old_copy_of_the_journal(site, running, down):
    """A copy from before the last sales: Redis is ahead of it, so it is not this node's journal."""
    redis = site.redis()
    first = site.node(redis=redis)
    for _ in range(10):
        assert first.buy().code == 1
    copy = site.dir / "copy"
    if not running:
        assert first.term() == 0
    shutil.copytree(first.journal, copy)
    if not running:
        first.start()
    sells_on(first, redis)
    if down:
        first.kill9()
    error_line(start_twin(site, first, copy))
    if down:
        first.start()
    sells_on(first, redis)


def test_other_sale(site):
    """The journal of another sale is refused by this Redis: its tickets are not for sale here."""
    redis, other = site.redis(), site.redis(name="other")
    first = site.node(redis=redis)
    assert first.buy().code == 1
    stranger = site.node(redis=other, name="stranger")
    assert stranger.buy().code == 1
    assert stranger.term() == 0
    text = stranger.conf.read_text().replace(other.address, redis.address)
    stranger.conf.write_text(text)
    error_line(spike.run_server("-c", stranger.conf))
    sells_on(first, redis)


def test_other_node_number(site):
    """A journal belongs to the number it was made for."""
    node = site.node(1)
    assert node.term() == 0
    node.conf.write_text(node.conf.read_text().replace("node 1;", "node 2;", 1))
    assert "node" in error_line(spike.run_server("-c", node.conf))
