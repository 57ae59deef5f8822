"""A plugin of pytest: say in the line of a test why it was skipped."""

from __future__ import annotations

import pytest


def pytest_report_teststatus(report: pytest.CollectReport | pytest.TestReport) -> tuple[str, str, str] | None:
    """Return how a skipped test is counted, its letter and its word; of others pytest knows."""
    if not report.skipped or not isinstance(report.longrepr, tuple):
        return None
    reason = report.longrepr[2].removeprefix("Skipped: ")
    return "skipped", "s", f"SKIPPED ({' '.join(reason.split())})"
