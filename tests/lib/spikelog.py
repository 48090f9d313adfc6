"""spike-log, as the tests run it."""

import csv
import io
import pathlib
import subprocess

import spike

LOG = str(pathlib.Path(spike.SERVER).with_name("spike-log"))
HEADER = "seq,time_ms,order,event,state,n,buyer,key,pay_by"


def confs(*nodes):
    return [word for node in nodes for word in ("-c", str(node.conf))]


def run_log(*arguments, code=0, codes=None):
    """Runs spike-log to its end and returns its output; with exit code 2, its standard error."""
    done = subprocess.run([LOG, *map(str, arguments)], capture_output=True, text=True,
                          timeout=60 * spike.PATIENCE, preexec_fn=spike.die_with_parent,
                          check=False)
    assert not spike.ALARM.search(done.stderr), done.stderr
    assert done.returncode in (codes or (code,)), done.stdout + done.stderr
    return done.stderr if code == 2 else done.stdout


def rows_of(text):
    assert text.splitlines()[0] == HEADER
    return list(csv.DictReader(io.StringIO(text)))


def changes(node):
    """Every change of every order, in the order of the journal."""
    return rows_of(run_log(*confs(node), "export", "--changes"))


def audit(*nodes):
    """Waits for an audit without a breach and with nothing open; returns its output."""
    return settled_audit(*nodes, codes=(0,))


def breaches(*nodes):
    """The BREACH lines of an audit with nothing open."""
    output = settled_audit(*nodes, codes=(0, 1))
    return [line for line in output.splitlines() if line.startswith("BREACH ")]


def settled_audit(*nodes, codes):
    output = [""]

    def is_settled():
        output[0] = run_log(*confs(*nodes), "audit", codes=codes)
        return "open:" not in output[0] and "not settled" not in output[0]

    try:
        spike.wait("an audit with nothing open", is_settled, step=0.1)
    except AssertionError as timeout:
        raise AssertionError(f"{timeout}:\n{output[0]}") from None
    assert 1 in codes or output[0].endswith("no breach\n"), output[0]
    return output[0]
