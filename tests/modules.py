#!/usr/bin/python3
"""Why: a module can be read by itself only while includes and calls run one way (CONTRIBUTING.md).
Includes alone do not show it: a file may call its caller through a header that both include, or a
module above it through a prototype written by hand. So this check reads every #include, and of
every object file the global symbols that it defines and needs.

    tests/modules.py [ROOT]       checks the tree (default: this one) and its objects in build/obj
    tests/modules.py --self-test  breaks made-up trees in every way and expects to find each fault

What this cannot see: a call through a function pointer (only taking the function's address), and a
`static inline` function of a header, which has no symbol.

A fault is printed as `FILE:LINE: what is wrong`, or as `FILE -> FILE: symbols` if it is a call.
"""

import fnmatch
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile

# Module: the modules that it may include and call, besides itself. A module is a folder; with a
# slash at its end it is a folder and all folders below it. A line names only modules above it, and
# an indented line goes on with the one before.
MODULES = """
conf/base         -
server/http       conf/base
server/shared     conf/base
server/stat       conf/base server/shared
storage/journal   conf/base
storage/stock     conf/base
storage/log       conf/base storage/journal storage/stock
server/net        conf/base server/http server/shared server/stat
server/ledger     conf/base server/shared storage/journal storage/stock
server/admin      conf/base server/http server/shared server/stat server/net
server            conf/base server/http server/shared server/stat server/net server/ledger
                  server/admin storage/journal storage/stock
admin-tui/client  conf/base storage/stock
admin-tui/model   conf/base admin-tui/client
admin-tui/view    conf/base admin-tui/client admin-tui/model
admin-tui         conf/base storage/stock admin-tui/client admin-tui/model admin-tui/view
bench/            conf/base server/http server/shared
"""

# Header of a library: the modules and files that may include it. Other libraries are free.
LIBRARIES = """
lmdb.h       storage/journal
hiredis/*    storage/stock
hiredis.h    storage/stock
ev.h         server/net server/main.c admin-tui admin-tui/client
ncurses.h    admin-tui/view
ncursesw/*   admin-tui/view
curses.h     admin-tui/view
term.h       admin-tui/view
jsmn.h       admin-tui/client
"""

SOURCE_ROOTS = ("conf", "server", "storage", "admin-tui", "bench")
INCLUDE_ROOTS = SOURCE_ROOTS + ("tests",)
OBJECTS = "build/obj"
BUILD = "run `make modules`, which builds it"
COMMENT = re.compile(r'/\*.*?\*/')
INCLUDE = re.compile(r'\s*#\s*include(?:_next)?\b\s*(?:"([^"]*)"|<([^>]*)>)?')


def read_table(text):
    """A table of lines `name word...` as a dict; "-" stands for no word."""
    rows = (line.split() for line in text.replace("\n ", " ").splitlines() if line.strip())
    return {name: [word for word in words if word != "-"] for name, *words in rows}


def read_modules(text):
    """The table of modules. Were it not in order, it could permit a circle."""
    modules = {}
    for name, below in read_table(text).items():
        for other in below:
            if other not in modules:
                sys.exit(f"modules.py: {name} names {other}, which is no line above it")
        modules[name] = below
    return modules


MAY = read_modules(MODULES)
SEEN_BY = read_table(LIBRARIES)


def module_of(path):
    """The line of the table that a file belongs to; None if there is none."""
    folder = os.path.dirname(path)
    if folder in MAY:
        return folder
    return next((name for name in MAY if name[-1] == "/" and (folder + "/").startswith(name)), None)


def find_sources(root):
    """Every .c and .h of the product and of bench, named from the root."""
    found = []
    for top in SOURCE_ROOTS:
        found += [p.relative_to(root).as_posix() for p in (root / top).rglob("*.[ch]")]
    return sorted(found)


# ---------------------------------------------------------------- includes

def judge_library(path, header):
    """What is wrong with a library's header in this file; None if nothing is."""
    for pattern, places in SEEN_BY.items():
        if fnmatch.fnmatchcase(header, pattern):
            if path not in places and module_of(path) not in places:
                return f"{header} is not for this file, only for {', '.join(places)}"
    return None


def judge_include(root, path, header, is_quoted):
    """What is wrong with one #include of the file `path`; None if nothing is."""
    if header.split("/")[0] in INCLUDE_ROOTS and "/" in header:
        module, other = module_of(path), module_of(header)
        if other is None:
            return f"{module} may not include {os.path.dirname(header)}"
        if other != module and other not in MAY[module]:
            return f"{module} may not include {other}"
        return None
    beside = root / os.path.dirname(path) / header
    if is_quoted and (".." in header.split("/") or beside.exists()):
        return f"{header} is to be named from the root of the tree"
    return judge_library(path, header)


def check_file(root, path):
    """The faults of the includes of one file."""
    if module_of(path) is None:
        return [f"{path}:1: the table of modules has no line for {os.path.dirname(path)}"]
    faults = []
    for number, line in enumerate((root / path).read_text().splitlines(), 1):
        found = INCLUDE.match(COMMENT.sub("", line))
        if not found:
            continue
        quoted, angled = found.groups()
        header = quoted or angled
        what = (judge_include(root, path, header, quoted is not None) if header
                else "an include by macro cannot be checked")
        if what:
            faults.append(f"{path}:{number}: {what}")
    return faults


# ---------------------------------------------------------------- objects

def object_of(source):
    return f"{OBJECTS}/{source[:-2]}.o"


def prerequisites(root, source):
    """What the compiler read for an object, from the .d file beside it; None if there is none."""
    listing = root / (object_of(source)[:-2] + ".d")
    if not listing.exists():
        return None
    rule = listing.read_text().replace("\\\n", " ").splitlines()[0]
    return rule.split(":", 1)[1].split()


def check_object(root, source):
    """Why the object of a source cannot be relied on; None if it can."""
    built = root / object_of(source)
    if not built.exists():
        return f"{source}: {object_of(source)} is missing; {BUILD}"
    needs = prerequisites(root, source)
    if needs is None:
        return f"{source}: {object_of(source)} has no .d file beside it; {BUILD}"
    for name in [source] + needs:
        if not (root / name).exists():
            return f"{source}: {object_of(source)} is made from {name}, which is gone; {BUILD}"
        if (root / name).stat().st_mtime_ns > built.stat().st_mtime_ns:
            return f"{source}: {object_of(source)} is older than {name}; {BUILD}"
    return None


def read_symbols(root, sources):
    """Per source the global symbols that its object defines, and those that it needs."""
    by_object = {object_of(source): source for source in sources}
    listing = subprocess.run(["nm", "-A", "-g", "-P", *by_object], cwd=root, check=False,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if listing.returncode != 0:
        sys.exit(f"modules.py: nm cannot read an object: {listing.stderr.strip()}")
    defines, needs = ({source: set() for source in sources} for _ in range(2))
    for line in listing.stdout.splitlines():
        name, rest = line.split(": ", 1)
        symbol, kind = rest.split()[:2]
        (needs if kind in "Uwv" else defines)[by_object[name]].add(symbol)
    return defines, needs


def find_owners(defines):
    """Which file defines a symbol, and the faults of symbols that leave this open."""
    owners, faults = {}, []
    for source, symbols in defines.items():
        if not symbols:
            faults.append(f"{source}: nm finds no global symbol in {object_of(source)}")
        for symbol in sorted(symbols):
            other = owners.setdefault(symbol, source)
            if other != source and symbol != "main":
                faults.append(f"{source}: {symbol} is also defined in {other}: a call of it could "
                              "mean either")
    return owners, faults


def find_calls(needs, owners):
    """{(from file, to file): symbols}, for every reference from one object to another."""
    calls = {}
    for source, symbols in needs.items():
        for symbol in sorted(symbols):
            if symbol in owners:
                calls.setdefault((source, owners[symbol]), []).append(symbol)
    return dict(sorted(calls.items()))


# ---------------------------------------------------------------- calls

def show_call(calls, edge):
    return f"{edge[0]} -> {edge[1]}: {', '.join(calls[edge])}"


def check_direction(calls):
    """The faults of calls from a module to one that it may not include."""
    faults = []
    for edge in calls:
        module, other = (module_of(path) for path in edge)
        if module != other and other not in MAY[module]:
            faults.append(f"{show_call(calls, edge)}: {module} may not call {other}")
    return faults


def reachable(start, callees):
    """Every file that calls from `start` lead to."""
    seen, todo = set(), [start]
    while todo:
        for callee in callees.get(todo.pop(), ()):
            if callee not in seen:
                seen.add(callee)
                todo.append(callee)
    return seen


def find_circles(edges):
    """Sets of files that lead to each other (strongly connected components of more than one)."""
    callees = {}
    for source, callee in edges:
        callees.setdefault(source, []).append(callee)
    leads_to = {source: reachable(source, callees) for source in callees}
    circles = []
    for source in sorted(leads_to):
        if source in leads_to[source] and not any(source in circle for circle in circles):
            circles.append({callee for callee in leads_to[source]
                            if source in leads_to.get(callee, ())})
    return circles


def check_circles(calls):
    """The faults of files of one module that call each other in a circle."""
    edges = [edge for edge in calls if module_of(edge[0]) == module_of(edge[1])]
    faults = []
    for circle in find_circles(edges):
        module = module_of(min(circle)).rstrip("/")
        names = " ".join(sorted(os.path.relpath(path, module) for path in circle))
        inside = [show_call(calls, edge) for edge in edges if circle.issuperset(edge)]
        faults.append("\n    ".join([f"{module}: {len(circle)} files call in a circle: {names}",
                                     *inside]))
    return faults


def check_calls(root, sources):
    """The faults of all references between objects; of none if an object cannot be relied on."""
    sources = [path for path in sources if path.endswith(".c") and module_of(path)]
    faults = [fault for fault in (check_object(root, source) for source in sources) if fault]
    if faults:
        return faults + ["calls were not checked, for lack of objects"]
    defines, needs = read_symbols(root, sources)
    owners, faults = find_owners(defines)
    calls = find_calls(needs, owners)
    return faults + check_direction(calls) + check_circles(calls)


def check_tree(root):
    """All faults of the tree."""
    sources = find_sources(root)
    if not any(path.endswith(".c") for path in sources):
        return [f"{root}: no sources in {', '.join(SOURCE_ROOTS)}"]
    faults = [fault for path in sources for fault in check_file(root, path)]
    return faults + check_calls(root, sources)


# ---------------------------------------------------------------- self-test

class MadeUpTree:
    """A tree in a temporary folder, compiled as GNUmakefile does it."""

    def __init__(self, files):
        self.folder = tempfile.TemporaryDirectory(prefix="modules-")
        self.root = pathlib.Path(self.folder.name)
        for name, text in files.items():
            (self.root / name).parent.mkdir(parents=True, exist_ok=True)
            (self.root / name).write_text(text)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.folder.cleanup()

    def compile(self):
        for source in (path for path in find_sources(self.root) if path.endswith(".c")):
            built = self.root / object_of(source)
            built.parent.mkdir(parents=True, exist_ok=True)
            subprocess.run([*shlex.split(os.environ.get("CC", "cc")), "-I.", "-MMD", "-MP", "-c",
                            "-o", str(built), source], cwd=self.root, check=True)


def expect(what, faults, *wanted):
    """The faults are as many as wanted, and each says what is wanted of it."""
    if len(faults) != len(wanted) or any(w not in fault for w, fault in zip(wanted, faults)):
        sys.exit(f"modules.py --self-test: {what}: expected {list(wanted)}, found {faults}")


GOOD, BAD = (), ("may not include",)
NO_LIBRARY = ("is not for this file",)

# One file with one include, and what is to be said of it.
INCLUDE_CASES = (
    ("server/net/a.c", '"server/http/request.h"', GOOD),
    ("server/net/a.c", '"server/stat/a.h"', GOOD),
    ("server/net/a.c", '"server/net/b.h"', GOOD),
    ("server/net/a.c", '"server/ledger/ledger.h"', BAD),
    ("server/net/a.c", '<server/ledger/ledger.h>', BAD),
    ("server/net/a.c", '"storage/journal/record.h"', BAD),
    ("server/net/a.h", '"server/admin/admin.h"', BAD),
    ("server/ledger/a.c", '"server/net/worker.h"', BAD),
    ("server/ledger/a.c", '"server/stat/a.h"', BAD),
    ("server/admin/a.c", '"server/ledger/ledger.h"', BAD),
    ("server/stat/a.c", '"server/net/worker.h"', BAD),
    ("server/admin/a.c", '"server/stat/a.h"', GOOD),
    ("server/shared/a.h", '"server/stat/a.h"', BAD),
    ("server/http/a.c", '"server/shared/board.h"', BAD),
    ("conf/base/a.h", '"conf/base/b.h"', GOOD),
    ("conf/base/a.h", '"server/shared/board.h"', BAD),
    ("storage/journal/a.c", '"storage/stock/stock.h"', BAD),
    ("storage/stock/a.c", '"server/ledger/ledger.h"', BAD),
    ("server/net/a.c", '"tests/lib/fake.h"', BAD),
    ("server/net/a.c", '"bench/a.h"', BAD),
    ("server/net/a.c", '"server/meet/board.h"', BAD),
    ("admin-tui/a.c", '"admin-tui/view/a.h"', GOOD),
    ("admin-tui/view/a.c", '"admin-tui/model/a.h"', GOOD),
    ("admin-tui/model/a.c", '"admin-tui/client/a.h"', GOOD),
    ("admin-tui/client/a.c", '"storage/stock/registry.h"', GOOD),
    ("admin-tui/view/a.c", '"admin-tui/a.h"', BAD),
    ("admin-tui/model/a.c", '"admin-tui/view/a.h"', BAD),
    ("admin-tui/client/a.c", '"admin-tui/model/a.h"', BAD),
    ("admin-tui/view/a.c", '"storage/stock/registry.h"', BAD),
    ("bench/load/a.c", '"bench/a.h"', GOOD),
    ("bench/a.c", '"server/http/response.h"', GOOD),
    ("bench/a.c", '"server/net/worker.h"', BAD),
    ("server/net/a.c", '"../ledger/ledger.h"', ("named from the root",)),
    ("server/net/a.c", '"a.c"', ("named from the root",)),
    ("server/net/a.c", '"generated.lua.h"', GOOD),
    ("server/net/a.c", "HEADER", ("by macro",)),
    ("server/nowhere/a.c", '"conf/base/check.h"', ("no line for server/nowhere",)),
    ("server/ledger/a.c", "<lmdb.h>", NO_LIBRARY),
    ("storage/journal/a.c", "<lmdb.h>", GOOD),
    ("server/ledger/a.c", "<hiredis/hiredis.h>", NO_LIBRARY),
    ("storage/stock/a.c", "<hiredis/hiredis.h>", GOOD),
    ("server/ledger/a.c", "<ev.h>", NO_LIBRARY),
    ("server/admin/a.c", "  <ev.h>", NO_LIBRARY),
    ("server/a.c", "<ev.h>", NO_LIBRARY),
    ("server/main.c", "<ev.h>", GOOD),
    ("admin-tui/client/a.c", "<ev.h>", GOOD),
    ("admin-tui/view/a.c", "<ncurses.h>", GOOD),
    ("admin-tui/model/a.c", "<ncurses.h>", NO_LIBRARY),
    ("admin-tui/client/a.c", "<jsmn.h>", GOOD),
    ("admin-tui/view/a.c", '"jsmn.h"', NO_LIBRARY),
    ("server/main.c", "<ncurses.h>", NO_LIBRARY),
    ("server/ledger/a.c", "<sodium.h>", GOOD),
)

# A tree without a fault: calls go down, also through a pointer and through data.
GOOD_TREE = {
    "conf/base/log.h": "void log_line(void);\nextern int log_level;\n",
    "conf/base/log.c": '#include "conf/base/log.h"\nint log_level;\nvoid log_line(void) {}\n',
    "server/net/output.h": "int output(void);\n",
    "server/net/output.c": '#include "conf/base/log.h"\n#include "server/net/output.h"\n'
                           "int output(void) { log_line(); return log_level; }\n",
    "server/net/serve.c": '#include "server/net/output.h"\n#include <stdio.h>\n'
                          "int serve(void) { return output() + puts(\"\"); }\n",
    "server/main.c": "extern int serve(void);\nint (*loop)(void) = serve;\n"
                     "int main(void) { return loop(); }\n",
    "storage/log/main.c": "int main(void) { return 0; }\n",
    "bench/load/main.c": "int main(void) { return 0; }\n",
}

# What is added to it or takes a file's place, and what is to be said then.
CALL_CASES = (
    ("two files in a circle",
     {"server/net/output.c": "int serve(void);\nint output(void) { return serve(); }\n"},
     ("server/net: 2 files call in a circle: output.c serve.c\n"
      "    server/net/output.c -> server/net/serve.c: serve\n"
      "    server/net/serve.c -> server/net/output.c: output",)),
    ("a circle that is closed by data",
     {"server/net/serve.c": "int output(void);\nint limit = 1;\n"
                            "int serve(void) { return output(); }\n",
      "server/net/output.c": "extern int limit;\nint output(void) { return limit; }\n"},
     ("server/net/output.c -> server/net/serve.c: limit",)),
    ("three files in a circle, and two others",
     {"server/http/a.c": "void b(void);\nvoid a(void) { b(); }\n",
      "server/http/b.c": "void c(void);\nvoid b(void) { c(); }\n",
      "server/http/c.c": "void a(void);\nvoid c(void) { a(); }\n",
      "bench/d.c": "void e(void);\nvoid d(void) { e(); }\n",
      "bench/peers/e.c": "void d(void);\nvoid e(void) { d(); }\n"},
     ("bench: 2 files call in a circle: d.c peers/e.c",
      "server/http: 3 files call in a circle: a.c b.c c.c")),
    ("a call that goes up, by a prototype without an include",
     {"conf/base/clock.c": "extern int serve(void);\nint clock_read(void) { return serve(); }\n"},
     ("conf/base/clock.c -> server/net/serve.c: serve: conf/base may not call server/net",)),
    ("data of a module above",
     {"server/http/route.c": "extern int (*loop)(void);\nvoid *route(void) { return &loop; }\n"},
     ("server/http/route.c -> server/main.c: loop: server/http may not call server",)),
    ("a call from bench into the server",
     {"bench/load/main.c": "int serve(void);\nint main(void) { return serve(); }\n"},
     ("bench/load/main.c -> server/net/serve.c: serve: bench/ may not call server/net",)),
    ("a symbol that two files define",
     {"storage/log/row.c": "void log_line(void) {}\n"},
     ("storage/log/row.c: log_line is also defined in conf/base/log.c",)),
    ("an object without symbols",
     {"storage/log/row.c": "static int row __attribute__((unused));\n"},
     ("storage/log/row.c: nm finds no global symbol",)),
)


def test_includes():
    for path, header, wanted in INCLUDE_CASES:
        with MadeUpTree({path: f"\n#include {header}\n"}) as tree:
            faults = [fault for name in find_sources(tree.root)
                      for fault in check_file(tree.root, name)]
            expect(f"{path} with #include {header}", faults, *wanted)
            if wanted and not faults[0].startswith((f"{path}:2: ", f"{path}:1: the table")):
                sys.exit(f"modules.py --self-test: not the line of the include: {faults[0]}")


def test_calls():
    for what, files, wanted in (("a good tree", {}, ()), *CALL_CASES):
        with MadeUpTree({**GOOD_TREE, **files}) as tree:
            tree.compile()
            expect(what, check_tree(tree.root), *wanted)
            done = subprocess.run([sys.executable, __file__, str(tree.root)], check=False,
                                  stdout=subprocess.PIPE, text=True)
            expect(what + ", exit status", [str(done.returncode)], "1" if wanted else "0")
            if not all(part in done.stdout for part in wanted):
                sys.exit(f"modules.py --self-test: {what}: only said: {done.stdout}")


def set_times(root, newest):
    """Objects are newer than sources, and one source is newer than they are."""
    for path in root.rglob("*"):
        time_s = 3 if path == root / newest else 2 if root / "build" in path.parents else 1
        os.utime(path, (time_s, time_s))


def test_objects():
    """Objects that do not show what the sources say."""
    unchecked = "calls were not checked"
    with MadeUpTree(GOOD_TREE) as tree:
        root = tree.root
        expect("no objects", check_tree(root), *["is missing; run `make"] * 6, unchecked)
        tree.compile()
        set_times(root, "server/net/output.c")
        expect("an old object", check_tree(root), "output.o is older than server/net/output.c",
               unchecked)
        set_times(root, "server/net/output.h")
        expect("a new header", check_tree(root), "output.o is older than server/net/output.h",
               "serve.o is older than server/net/output.h", unchecked)
        (root / "server/net/output.h").unlink()
        expect("a header that is gone", check_tree(root),
               *["server/net/output.h, which is gone"] * 2, unchecked)
    with MadeUpTree(GOOD_TREE) as tree:
        tree.compile()
        (tree.root / object_of("server/net/output.c")).with_suffix(".d").unlink()
        expect("an object without .d", check_tree(tree.root), "has no .d file", unchecked)
    with MadeUpTree({"README.md": ""}) as tree:
        expect("an empty tree", check_tree(tree.root), "no sources")


def main(arguments):
    if arguments == ["--self-test"]:
        test_includes()
        test_calls()
        test_objects()
        return 0
    if len(arguments) > 1 or any(argument.startswith("-") for argument in arguments):
        sys.exit(__doc__)
    root = pathlib.Path(arguments[0] if arguments else pathlib.Path(__file__).parent.parent)
    faults = check_tree(root)
    for fault in faults:
        print(fault)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
