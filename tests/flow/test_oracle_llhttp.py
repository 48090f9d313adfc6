"""Why: nginx and Node.js stand in front of such servers, and http-parser is an old relative of
llhttp. A request that spike accepts and llhttp refuses, or whose end llhttp sees elsewhere, allows
request smuggling. So llhttp (inside Node.js) checks the table of requests and thousands of broken
ones."""

import json
import os
import random
import shutil
import subprocess

import pytest
import spike

JUDGE = spike.ROOT / "tests" / "lib" / "llhttp_judge.js"
METHODS = {"GET": 1, "POST": 3, "HEAD": 2}  # as llhttp numbers them
METHOD_NAMES = ["GET", "POST", "HEAD"]  # enum method; others come after


def objection(probed, judged):
    """Where spike is looser than llhttp, or None. It may be stricter, never looser."""
    if probed["progress"] == "wrong":
        return None
    if probed["progress"] != "done":
        return "spike waits for more, llhttp is done" if judged["done"] else None
    if not judged["done"]:
        return f"spike is done, llhttp reports {judged['error'] or 'more'}"
    if (probed["length"], probed["body"]) != (judged["length"], judged["body"]):
        return "the request or its body ends elsewhere"
    if probed["minor"] != judged["minor"]:
        return "another version"
    if probed["method"] < len(METHOD_NAMES) and \
            METHODS[METHOD_NAMES[probed["method"]]] != judged["method"]:
        return "another method"
    if probed["keep_alive"] and not judged["keep_alive"]:
        return "spike keeps the connection, llhttp closes it"
    return None


@pytest.mark.skipif(shutil.which("node") is None, reason="no Node.js here")
def test_never_looser_than_llhttp():
    probe = spike.TOOLS / "request-probe"
    seed = int(os.environ.get("SPIKE_SEED") or random.randrange(1 << 32))
    print(f"seed {seed}")
    lines = subprocess.run(
        [probe, str(seed), "20000"], check=True, capture_output=True, text=True, timeout=60
    ).stdout.splitlines()
    probed = [json.loads(line) for line in lines]
    judge_lines = subprocess.run(
        ["node", JUDGE],
        input="\n".join(p["bytes"] for p in probed),
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    ).stdout.splitlines()
    judged = [json.loads(line) for line in judge_lines]
    assert len(probed) == len(judged) > 20000
    assert sum(p["progress"] == "done" for p in probed) > 1000
    assert sum(p["progress"] == "done" and j["done"] for p, j in zip(probed, judged)) > 1000
    found = [(objection(p, j), bytes.fromhex(p["bytes"])) for p, j in zip(probed, judged)]
    found = [f for f in found if f[0] is not None]
    assert found == [], f"seed {seed}: {len(found)}, first: {found[0]}"
