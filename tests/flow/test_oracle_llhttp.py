"""Why: nginx and Node.js stand in front of servers like ours, and http-parser is an old relative of
llhttp. A request that we take and llhttp refuses, or that ends elsewhere for llhttp, is how requests
are smuggled. So llhttp (inside Node.js) judges the table of requests and thousands of broken ones.
"""

import json
import os
import random
import shutil
import subprocess

import pytest
import spike

JUDGE = spike.ROOT / "tests" / "lib" / "llhttp_judge.js"
METHODS = {"GET": 1, "POST": 3, "HEAD": 2}  # as llhttp numbers them
OURS = ["GET", "POST", "HEAD"]  # enum method; others come after


def objection(ours, theirs):
    """What we do that llhttp does not, or None. We may be stricter, never looser."""
    if ours["progress"] == "wrong":
        return None
    if ours["progress"] != "done":
        return "we want more, it is done" if theirs["done"] else None
    if not theirs["done"]:
        return f"we are done, it says {theirs['error'] or 'more'}"
    if (ours["length"], ours["body"]) != (theirs["length"], theirs["body"]):
        return "the request or its body ends elsewhere"
    if ours["minor"] != theirs["minor"]:
        return "another version"
    if ours["method"] < len(OURS) and METHODS[OURS[ours["method"]]] != theirs["method"]:
        return "another method"
    if ours["keep_alive"] and not theirs["keep_alive"]:
        return "we keep the connection, it closes"
    return None


@pytest.mark.skipif(shutil.which("node") is None, reason="no Node.js here")
def test_never_looser_than_llhttp():
    probe = spike.TOOLS / "request-probe"
    seed = int(os.environ.get("SPIKE_SEED") or random.randrange(1 << 32))
    print(f"seed {seed}")
    lines = subprocess.run(
        [probe, str(seed), "20000"], check=True, capture_output=True, text=True, timeout=60
    ).stdout.splitlines()
    ours = [json.loads(line) for line in lines]
    judged = subprocess.run(
        ["node", JUDGE],
        input="\n".join(o["bytes"] for o in ours),
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    ).stdout.splitlines()
    theirs = [json.loads(line) for line in judged]
    assert len(ours) == len(theirs) > 20000
    assert sum(o["progress"] == "done" for o in ours) > 1000
    assert sum(o["progress"] == "done" and t["done"] for o, t in zip(ours, theirs)) > 1000
    found = [(objection(o, t), bytes.fromhex(o["bytes"])) for o, t in zip(ours, theirs)]
    found = [f for f in found if f[0] is not None]
    assert found == [], f"seed {seed}: {len(found)}, first: {found[0]}"
