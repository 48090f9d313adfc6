"""Why: on a disk that is nearly full, creating or opening a journal must end in an error message,
not a signal; and once there is space again, a failed first start needs no operator, for nothing was
ever sold from its remains."""

import os
import subprocess

import pytest

import spike
import spikelog

PAGE = 4096
SETTINGS = {"workers": 1, "connections": 50, "journal_size": "4m"}


class Disk:
    """A small tmpfs with a settable number of free pages."""

    def __init__(self, path):
        self.path = path
        path.mkdir()
        self.mount("size=16m")

    def mount(self, options):
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", self.path], check=True,
                       capture_output=True)

    def keep_free(self, pages):
        """Fills the disk except for so many pages."""
        filler = self.path / "filler"
        filler.unlink(missing_ok=True)
        free = os.statvfs(self.path).f_bavail
        if free > pages:
            filler.write_bytes(bytes((free - pages) * PAGE))
        assert os.statvfs(self.path).f_bavail == pages

    def free_space(self):
        (self.path / "filler").unlink(missing_ok=True)

    def close(self):
        subprocess.run(["umount", self.path], check=True)


@pytest.fixture
def disk(site):
    small = Disk(site.dir / "disk")
    yield small
    for node in site.started:
        if node.process and node.is_running():
            node.kill9()
    small.close()


def make_node(site, disk, name):
    """A node whose journal is on the disk."""
    node = site.node(name=name, start=False, events={"ticket": {"total": 20}}, **SETTINGS)
    text = node.conf.read_text().replace(str(node.journal), str(disk.path / name))
    node.conf.write_text(text)
    node.journal = disk.path / name
    return node


def start_if_it_can(node, pages):
    """The node sells (true), or ends with an error that names the journal (false)."""
    try:
        node.start()
    except AssertionError:
        code = node.wait_end()
        assert code == 1, f"{pages} pages: it ended with {code}\n{node.log_text()}"
        assert str(node.journal) in node.log_text(), f"{pages} pages: {node.log_text()}"
        return False
    assert node.buy().code in (1, -6)
    node.kill9()
    return True


def read_if_it_can(node, command, pages):
    """spike-log reads the journal, or ends with an error that names it."""
    done = subprocess.run([spikelog.LOG, *spikelog.confs(node), command], capture_output=True,
                          text=True, check=False, timeout=60 * spike.PATIENCE)
    assert done.returncode in (0, 2), f"{pages} pages: {done.returncode} {done.stderr}"
    if done.returncode == 2:
        assert str(node.journal) in done.stderr and "reading it died" not in done.stderr, done.stderr


def sell_one(node, pages):
    try:
        node.start()
    except AssertionError as ended:
        raise AssertionError(f"with {pages} pages before, it does not start with space") from ended
    assert node.buy().code == 1
    assert node.term() == 0


def test_first_start(site, disk):
    """Every number of free pages from none to what a new journal needs, and on to where it sells.
    """
    started = []
    for pages in (*range(21), 60, 120, 180):
        node = make_node(site, disk, f"first{pages}")
        disk.keep_free(pages)
        started += [pages] if start_if_it_can(node, pages) else []
        read_if_it_can(node, "stat", pages)
        disk.free_space()
        sell_one(node, pages)
        assert spikelog.run_log(*spikelog.confs(node), "audit").endswith("no breach\n")
    assert started == [180]


def pages_of_last_sale(node):
    """Sells once more; returns the pages of the file that the sale has changed, without the meta
    pages."""
    path = node.journal / "data.mdb"
    sell_one(node, "all")
    node.start()
    before = path.read_bytes()
    assert node.buy().code == 1
    node.kill9()
    after = path.read_bytes()
    return [page for page in range(2, len(after) // PAGE)
            if before[page * PAGE:][:PAGE] != after[page * PAGE:][:PAGE]]


def test_what_cannot_be_read_behind_the_journal(site, disk):
    """A failed commit on pages that the disk cannot read: here, holes for which a full disk has no
    page, so that reading them is SIGBUS. The journal before that commit is sound, and is not
    refused."""
    node = make_node(site, disk, "holes")
    pages = pages_of_last_sale(node)
    with open(node.journal / "data.mdb", "r+b") as file:
        numbers = [int.from_bytes(os.pread(file.fileno(), 8, at), "little") for at in (144, 4240)]
        newest = numbers.index(max(numbers))
        os.pwrite(file.fileno(), (max(numbers) - 2).to_bytes(8, "little"), 144 + 4096 * newest)
        for page in pages:
            subprocess.run(["fallocate", "--punch-hole", "-o", str(page * PAGE), "-l", str(PAGE),
                            file.name], check=True)
    disk.keep_free(0)
    output = spikelog.run_log(*spikelog.confs(node), "audit")
    assert output.endswith("no breach\n") and "open: journal" not in output
    disk.free_space()
    sell_one(node, "all")


def test_lost_lock_file(site, disk):
    """A journal that was copied without LMDB's lock file, on a full disk: readers and servers."""
    node = make_node(site, disk, "old")
    sell_one(node, "all")
    for pages in range(5):
        (node.journal / "lock.mdb").unlink(missing_ok=True)
        disk.keep_free(pages)
        read_if_it_can(node, "export", pages)
        (node.journal / "lock.mdb").unlink(missing_ok=True)
        start_if_it_can(node, pages)
        disk.free_space()
        sell_one(node, pages)
