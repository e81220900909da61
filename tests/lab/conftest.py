"""What the lab's own tests share, and the table of what random sequences of faults cost."""

import pytest

from tests.lab.fixtures import database, etcd3, etcd5, sites, zookeeper3, zookeeper5

__all__ = ["database", "etcd3", "etcd5", "sites", "zookeeper3", "zookeeper5"]

COLUMNS = ("verdict", "seed", "outage", "lost", "whole again", "faults")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show a line for each sequence: a test tells its own by the property `sequence`."""
    rows = [
        (report.outcome, *told)
        for reports in terminalreporter.stats.values()
        for report in reports
        if isinstance(report, pytest.TestReport) and report.when == "call" and (told := _sequence(report))
    ]
    if not rows:
        return
    terminalreporter.section("random sequences of faults")
    table = [COLUMNS, *sorted(rows, key=lambda row: row[1])]
    widths = [max(len(str(row[column])) for row in table) for column in range(len(COLUMNS) - 1)]
    for row in table:
        cells = [str(cell).ljust(width) for cell, width in zip(row, widths, strict=False)]
        terminalreporter.write_line("  ".join([*cells, str(row[-1])]))


def _sequence(report: pytest.TestReport) -> list[str]:
    for name, cells in report.user_properties:
        if name == "sequence" and isinstance(cells, list):
            return [str(cell) for cell in cells]
    return []
