"""Reads a journal, for tests that compare it with the answers of buyers."""

import json
import subprocess


def journal_records(tools, directory):
    """All records of a journal, as journal-dump prints them."""
    done = subprocess.run([str(tools / "journal-dump"), str(directory)], capture_output=True,
                          text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def live_orders(records, event="ticket"):
    """Order id -> tickets, of the orders that were not given back. No number may occur twice: each
    deduction, also that of a late payment, has its own."""
    orders, numbers = {}, set()
    for r in records:
        if r["event"] != event:
            continue
        if r["kind"] in ("grant", "late"):
            assert r["number"] not in numbers, f"granted twice: {r}"
            numbers.add(r["number"])
            orders[r["order"]] = r["n"]
        elif r["kind"] == "change" and r["state"] in ("cancelled", "expired"):
            orders.pop(r["order"])
    return orders


def order_states(records, event="ticket"):
    """Order id -> its last record, which holds its present state."""
    return {r["order"]: r for r in records if r["event"] == event and "order" in r}
