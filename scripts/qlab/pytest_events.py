"""A pytest plugin (`-p qlab.pytest_events`) that tells `qlab test` how far a run is.

One JSON object per line goes to the file descriptor in QLAB_PYTEST_EVENTS: {"total": n} after
collection, then one {"name", "outcome", "reason"} per test, with outcome passed, failed or skipped.
"""

from __future__ import annotations

import json
import os

import pytest

_FD_VARIABLE = "QLAB_PYTEST_EVENTS"


def _send(event: dict) -> None:
    os.write(int(os.environ[_FD_VARIABLE]), (json.dumps(event) + "\n").encode())


def _skip_reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    if hasattr(report, "wasxfail"):
        return f"fails as expected: {report.wasxfail}"
    if isinstance(report.longrepr, tuple):
        return str(report.longrepr[2]).removeprefix("Skipped: ")
    return str(report.longrepr)


class _Events:
    """One verdict per test, however many of its three phases report."""

    def __init__(self) -> None:
        self.verdicts_: dict[str, tuple[str, str]] = {}

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        _send({"total": len(session.items)})

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            _send({"name": report.nodeid, "outcome": "failed", "reason": "cannot be collected"})
        elif report.skipped:
            _send({"name": report.nodeid, "outcome": "skipped", "reason": _skip_reason(report)})

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        before = self.verdicts_.get(report.nodeid, ("passed", ""))
        if report.failed:
            self.verdicts_[report.nodeid] = ("failed", report.when or "")
        elif report.skipped and before[0] == "passed":
            self.verdicts_[report.nodeid] = ("skipped", _skip_reason(report))
        else:
            self.verdicts_.setdefault(report.nodeid, before)
        if report.when == "teardown":
            outcome, reason = self.verdicts_.pop(report.nodeid)
            _send({"name": report.nodeid, "outcome": outcome, "reason": reason})


def pytest_configure(config: pytest.Config) -> None:
    if _FD_VARIABLE in os.environ and not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Events(), "qlab-events")
