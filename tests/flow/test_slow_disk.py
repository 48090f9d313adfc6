"""Why: an answer of the stock that is read later than redis-timeout is discarded. A disk slower
than that must not be taken for a lost Redis, nor be reported as a slow one."""

import orders
import spike
import spikelog

HELD, BUYERS = 6, 20


def test_payments_on_a_slow_disk(site, preload):
    """Commits of decisions without the stock (payments, cancellations) do not cost concurrent
    buyers their orders."""
    redis = site.redis()
    node = site.node(redis=redis, preload=preload("slowsync"), env={"SLOW_SYNC_MS": "700"},
                     redis_timeout="500ms",
                     events={"ticket": {"total": 1000, "hold": "5m"}})
    held = orders.at_once(HELD, lambda caller, i: caller.buy(node).data["order"])
    before = node.stats()["redis"]["reconnects"]
    buyers = site.load(node, connections=2)
    for order in held:
        assert orders.pay_once(node, order).code == 1
    buyers.stop()
    assert node.stats()["redis"]["reconnects"] == before, "a slow disk was taken for a lost Redis"
    assert buyers.codes[-6] == 0
    spikelog.audit(node)


def test_a_slow_disk_is_not_reported_as_redis(site, preload):
    """An operator must see which of disk and Redis is slow."""
    node = site.node(redis=site.redis(), preload=preload("slowsync"), env={"SLOW_SYNC_MS": "400"})
    buyers = site.load(node, connections=BUYERS)
    rtts = []

    def ten_batches():
        rtts.append(node.stats()["redis"]["rtt_us"])
        return len(buyers.rows) >= 10 * BUYERS

    spike.wait("ten batches", ten_batches, step=0.02)
    buyers.stop()
    rtts.sort()
    assert rtts[len(rtts) // 2] < 200000, "Redis answers within a millisecond, the disk takes 400"
