#!/usr/bin/python3
"""Why: code drifts in small steps that no review notices: a file grows, a function grows, a struct
moves into a header. This script measures the sources, so that a drift is a number, and some numbers
are limits.

    tests/shape.py [ROOT]          prints the figures of a tree (default: this one) in Markdown, and
                                   what breaks the limits
    tests/shape.py --check [ROOT]  prints only what breaks the limits, and fails if anything does

Lines are all lines, also blank ones and comments. A function counts from its name to its last
brace. An assert is a call of ASSERT or ASSERT_x. A struct is private if a .c defines it, not a .h;
structs without a name do not count. Tests stand apart and have no limits.
"""

import json
import os
import pathlib
import re
import statistics
import subprocess
import sys

FILE_LINES_MAX = 500
FUNCTION_LINES_MAX = 60
ASSERTS_MIN = 0.3  # a function
PRIVATE_STRUCTS_MIN = 50  # percent

SUFFIXES = (".c", ".h", ".lua")
NOT_SOURCES = ("build",)
TESTS = ("tests", "test")
ALL = "all"

# Comments, strings and the definitions of ASSERT itself: no calls.
NO_CODE = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\''
                     r'|^[ \t]*#[ \t]*define[ \t]+ASSERT(?:\\\n|[^\n])*', re.DOTALL | re.MULTILINE)
ASSERT_CALL = re.compile(r"\bASSERT(?:_\w+)?[ \t]*\(")

# Goals for make, answered from the lists that GNUmakefile has: which sources make a program.
PROGRAMS = {
    "spike-server": "$(filter-out $(LOG_OWN) $(TOP_OWN),$(SOURCES))",
    "spike-log": "$(LOG_OWN) $(LOG_SHARED)",
    "spike-top": "$(TOP_OWN) $(TOP_SHARED)",
}


class File:
    """One source and what is in it; functions as (name, line, lines)."""

    def __init__(self, root, path):
        text = (root / path).read_text(errors="replace")
        self.path = path
        self.folder = os.path.dirname(path) or "."
        self.suffix = os.path.splitext(path)[1]
        self.lines = len(text.splitlines())
        self.is_test = any(part in TESTS for part in self.folder.split("/"))
        self.is_c = self.suffix in (".c", ".h")
        self.asserts = len(ASSERT_CALL.findall(NO_CODE.sub(" ", text))) if self.is_c else 0
        self.functions = []
        self.structs = 0


def find_files(root):
    """Every source of the tree, without hidden folders and what was built."""
    found = []
    for folder, below, names in os.walk(root):
        below[:] = sorted(name for name in below if name[0] != "." and name not in NOT_SOURCES)
        found += [File(root, os.path.relpath(os.path.join(folder, name), root))
                  for name in sorted(names) if name.endswith(SUFFIXES)]
    return found


def read_tags(root, files):
    """Adds functions and structs to the files, as ctags finds them."""
    by_path = {file.path: file for file in files if file.is_c}
    try:
        listing = subprocess.run(["ctags", "--quiet", "--options=NONE", "--language-force=C",
                                  "--kinds-C=fs", "--fields=+ne", "--output-format=json",
                                  "-f", "-", "-L", "-"],
                                 cwd=root, input="\n".join(by_path), stdout=subprocess.PIPE,
                                 text=True, check=True).stdout
    except (FileNotFoundError, subprocess.CalledProcessError):
        sys.exit("shape.py: ctags fails; universal-ctags is needed (make deps)")
    for tag in map(json.loads, listing.splitlines()):
        file = by_path[tag["path"]]
        if tag["kind"] == "struct":
            file.structs += not tag["name"].startswith("__anon")
        elif "end" in tag:
            file.functions.append((tag["name"], tag["line"], tag["end"] - tag["line"] + 1))
        else:
            sys.exit(f"shape.py: {file.path}:{tag['line']}: ctags finds no end of {tag['name']}()")


# ---------------------------------------------------------------- figures

class Figures:
    """The sums over some files."""

    def __init__(self, files):
        files = [file for file in files if file.is_c]
        self.files = len(files)
        self.c_lines = [file.lines for file in files if file.suffix == ".c"]
        self.function_lines = [lines for file in files for _, _, lines in file.functions]
        self.asserts = sum(file.asserts for file in files)
        self.structs = sum(file.structs for file in files)
        self.private = sum(file.structs for file in files if file.suffix == ".c")

    def asserts_each(self):
        return self.asserts / max(len(self.function_lines), 1)

    def private_percent(self):
        return 100 * self.private / max(self.structs, 1)


def median(values):
    return int(statistics.median(values) + 0.5)


def percentile_90(values):
    return sorted(values)[-(-9 * len(values) // 10) - 1]


def show_row(name, figures):
    lines, functions = figures.c_lines, figures.function_lines
    cells = [name, str(figures.files), "", str(len(functions)), "", "", ""]
    if lines:
        cells[2] = f"{median(lines)} / {max(lines)}"
    if functions:
        cells[4] = f"{median(functions)} / {percentile_90(functions)} / {max(functions)}"
        cells[5] = f"{figures.asserts_each():.2f}"
    if figures.structs:
        cells[6] = f"{figures.private} of {figures.structs}, {int(figures.private_percent())} %"
    return f"| {' | '.join(cells)} |"


def show_table(files):
    code = [file for file in files if not file.is_test]
    rows = ["| folder | files | lines of a .c: median / max | functions "
            "| lines of a function: median / p90 / max | asserts a function | private structs |",
            "|---|--:|--:|--:|--:|--:|--:|"]
    for folder in sorted({file.folder for file in code if file.is_c}):
        rows.append(show_row(folder, Figures(file for file in code if file.folder == folder)))
    rows.append(show_row(ALL, Figures(code)))
    tests = Figures(file for file in files if file.is_test)
    if tests.files:
        rows.append(show_row("tests, apart", tests))
    return "\n".join(rows)


def list_sources(root, variables):
    """The sources that variables of GNUmakefile name; none if the tree has no such makefile."""
    if not (root / "GNUmakefile").exists():
        return set()
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    answer = subprocess.run(["make", "-s", "--no-print-directory", "--eval",
                             f"list-sources: ; @echo {variables}", "list-sources"],
                            cwd=root, env=clean, stdout=subprocess.PIPE, text=True, check=True)
    return set(answer.stdout.split())


def show_programs(root, files):
    """The table of programs; nothing for a tree that has none of them."""
    lines = {file.path: file.lines for file in files}
    rows = []
    for program, variables in PROGRAMS.items():
        sources = list_sources(root, variables)
        if sources:
            rows.append(f"| {program} | {len(sources)} | {sum(lines[path] for path in sources)} |")
    if not rows:
        return ""
    return "\n".join(["", "| program | .c files | lines |", "|---|--:|--:|", *rows])


# ---------------------------------------------------------------- limits

def check_limits(files):
    """What breaks a limit, one line each."""
    code = [file for file in files if not file.is_test]
    faults = [f"{file.path}: {file.lines} lines, the limit is {FILE_LINES_MAX}"
              for file in code if file.lines > FILE_LINES_MAX]
    faults += [f"{file.path}:{line}: {name}() has {lines} lines, the limit is {FUNCTION_LINES_MAX}"
               for file in code for name, line, lines in file.functions
               if lines > FUNCTION_LINES_MAX]
    figures = Figures(code)
    if figures.asserts_each() < ASSERTS_MIN:
        faults.append(f"{ALL}: {figures.asserts_each():.3f} asserts a function, "
                      f"at least {ASSERTS_MIN} are wanted")
    if figures.private_percent() < PRIVATE_STRUCTS_MIN:
        faults.append(f"{ALL}: {figures.private_percent():.1f} % of the structs are private, "
                      f"at least {PRIVATE_STRUCTS_MIN} % are wanted")
    return faults


def main(arguments):
    only_check = arguments[:1] == ["--check"]
    arguments = arguments[only_check:]
    if len(arguments) > 1 or any(argument.startswith("-") for argument in arguments):
        sys.exit(__doc__)
    root = pathlib.Path(arguments[0] if arguments else pathlib.Path(__file__).parent.parent)
    files = find_files(root)
    if not any(file.is_c and not file.is_test for file in files):
        sys.exit(f"shape.py: no .c and no .h below {root}")
    read_tags(root, files)
    faults = check_limits(files)
    if only_check:
        print(*faults, sep="\n", end="\n" * bool(faults))
        return 1 if faults else 0
    print(show_table(files))
    print(show_programs(root, files))
    if faults:
        print("\nBreaks the limits:\n", *[f"- {fault}" for fault in faults], sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
