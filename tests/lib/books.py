"""What a journal says, for tests that hold it against what buyers were told."""

import json
import subprocess


def journal_records(tools, directory):
    """All records of a journal, as journal-dump prints them."""
    done = subprocess.run([str(tools / "journal-dump"), str(directory)], capture_output=True,
                          text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def live_orders(records, event="ticket"):
    """Order id -> tickets, of the orders that were not given back. No number may come twice."""
    orders, numbers = {}, set()
    for r in records:
        if r["event"] != event:
            continue
        if r["kind"] == "grant":
            assert r["number"] not in numbers, f"granted twice: {r}"
            numbers.add(r["number"])
            orders[r["order"]] = r["n"]
        elif r["kind"] == "change" and r["state"] in ("cancelled", "expired"):
            orders.pop(r["order"])
    return orders
