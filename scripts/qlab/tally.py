"""What came of the tests: counts, failures and the reasons of what was skipped."""

from __future__ import annotations

import re
import xml.etree.ElementTree as xml
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

_BOOST_REPORT = re.compile(r"<TestResult>.*?</TestResult>", re.DOTALL)
_BOOST_SKIP = re.compile(
    r'Test case "([^"]+)" is skipped because (?:precondition failed: )?(.*)')


@dataclass
class Tally:
    """Cases by outcome; a case is named so that a reader finds it."""

    passed: int = 0
    failed: list[str] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)  # Name and reason.

    def add(self, name: str, outcome: str, reason: str = "") -> None:
        """Requires: outcome is passed, failed or skipped."""
        if outcome == "passed":
            self.passed += 1
        elif outcome == "skipped":
            self.skipped.append((name, reason or "no reason given"))
        else:
            self.failed.append(f"{name}: {reason}" if reason else name)

    def merge(self, other: Tally) -> None:
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped

    def count(self) -> int:
        return self.passed + len(self.failed) + len(self.skipped)

    def line(self) -> str:
        """The last line of `qlab test`, which CI reads."""
        return f"{self.passed} passed, {len(self.failed)} failed, {len(self.skipped)} skipped"


def without_report(text: str) -> str:
    return _BOOST_REPORT.sub("", text)


def boost_skip_reasons(said: str) -> dict[str, str]:
    """Case -> reason, from what a program says at --log_level=test_suite."""
    return dict(_BOOST_SKIP.findall(said))


def tally_program(name: str, result: str, stdout: str, stderr: str,
                  reasons: Mapping[str, str] | None = None) -> Tally:
    """The cases of one test program that Meson ran, from Boost.Test's XML report.

    `reasons` says why a case was skipped, by its path inside the program. A program without a
    report counts as one case with Meson's result: a script, or a program that died. A report
    without a failure in a program that failed adds one for the program.
    """
    tally = Tally()
    failed = result not in ("OK", "SKIP", "EXPECTEDFAIL")
    report = _BOOST_REPORT.search(stderr) or _BOOST_REPORT.search(stdout)
    if report is None:
        lines = [line for line in (stdout + "\n" + stderr).splitlines() if line.strip()]
        if result == "SKIP":
            tally.add(name, "skipped", lines[-1] if lines else "")
        else:
            tally.add(name, "failed" if failed else "passed", result if failed else "")
        return tally
    for path, outcome in _cases(xml.fromstring(report[0])):
        if outcome == "skipped":
            tally.add(f"{name}/{path}", "skipped", (reasons or {}).get(path, ""))
        else:
            tally.add(f"{name}/{path}", "passed" if outcome == "passed" else "failed")
    if failed and not tally.failed:
        tally.add(name, "failed", result)
    return tally


def _cases(node: xml.Element, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Path and outcome of every case; the outermost suite is the program and has no part in it."""
    for child in node:
        name = f"{prefix}{child.get('name')}"
        if child.tag == "TestCase":
            yield name, child.get("result", "failed")
        elif child.tag == "TestSuite":
            yield from _cases(child, "" if node.tag == "TestResult" else f"{name}/")
