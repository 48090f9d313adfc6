"""Fixtures of the flow tests: a site per test, and one per file where the start is not tested."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))

import spike  # noqa: E402  (the path comes first)

SITES = []


def _site():
    site = spike.Site()
    SITES.append(site)
    try:
        yield site
    finally:
        SITES.remove(site)
        site.close()


@pytest.fixture
def site():
    yield from _site()


@pytest.fixture(scope="module")
def shared_site():
    yield from _site()


@pytest.fixture
def preload():
    """Returns a function from a library's name to its path; such tests need the plain build."""
    if spike.BUILD:
        pytest.skip(f"a preload and {spike.BUILD} do not go together")
    return lambda name: spike.TOOLS / f"{name}.so"


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failure shows the logs of the servers, whose files are deleted a moment later."""
    report = (yield).get_result()
    if report.when == "call" and report.failed:
        for site in SITES:
            report.sections.append(("servers", site.logs()))
