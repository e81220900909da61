"""What holds for all tests: which of them get a second attempt, and that neither the dead nor what they leave pile up.

Tests of pure code get none: they give the same answer each time. A test against real servers, processes and networks
shares its machine, and a machine that stands still for seconds at the wrong instant makes a healthy system late. Such a
test is run once more, and the summary shows what its first attempt said: a finding to be read, not noise. A promise of
safety that was seen broken is final, as is a test that is marked so: being late may be the machine's fault, two primaries
never are.
"""

import gc
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.agent import clock
from holdfast.components.orphans import Orphans
from holdfast.model.time import SECOND
from tests.lab import shared_memory

TESTS = Path(__file__).parent
WORLDLY = frozenset({"contract", "e2e", "lab"})
FINAL = "BrokenPromiseError"  # of tests.lab.judging
PAUSE_S = 5
ORPHANS = Orphans("tests")


def pytest_configure() -> None:
    """Keep the memory that servers share apart from everybody else's: so we know what is ours to remove."""
    shared_memory.have_own()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that may be run once more."""
    for item in items:
        is_worldly = item.path.is_relative_to(TESTS) and item.path.relative_to(TESTS).parts[0] in WORLDLY
        if is_worldly and item.get_closest_marker("final") is None:
            item.add_marker(pytest.mark.flaky(reruns=1, reruns_delay=PAUSE_S, rerun_except=FINAL))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Let go of what a failed first attempt left, such as programs that nobody waited for: that is not its second one's fault.

    The last failure's traceback holds its frames, and they hold what it left; the filters end with the test.
    """
    if getattr(item, "execution_count", 1) > 1:
        warnings.filterwarnings("ignore", category=ResourceWarning)
        warnings.filterwarnings("ignore", category=pytest.PytestUnraisableExceptionWarning)
        sys.last_type = sys.last_value = sys.last_traceback = None
        gc.collect()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show what failed at first as fully as what failed for good."""
    for report in terminalreporter.getreports("rerun"):
        terminalreporter.section(f"failed at its first attempt: {report.nodeid}")
        terminalreporter.write_line(report.longreprtext)
        for what, said in report.sections:
            terminalreporter.write_line(f"--- {what}\n{said}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown() -> Iterator[None]:
    """Reap what agents left that ran in this very process: a thousand zombies would slow down whoever reads /proc.

    When all fixtures have ended what they lent, what killed servers left in memory is removed.
    """
    ORPHANS.reap(clock.now() / SECOND, lambda _: False)
    try:
        yield
    finally:
        shared_memory.clear()
