"""The test suites: Meson's programs and pytest's folders under one set of names."""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess
import sys

import click

from qlab import paths, progress
from qlab.tally import Tally, boost_skip_reasons, tally_program, without_report

CLUSTER = "cluster"  # pytest's tests of that marker, in every folder: they start real processes.
_TEST_FILES = re.compile(r"(test_.*|.*_test)\.py")
_MESON_LINE = re.compile(r"\s*(\d+)/(\d+)\s+(.*?)\s{2,}(\S.*)")
_PYTEST_NO_TESTS = 5
_OUTPUT_CHARS_MAX = 20_000


def meson_tests(profile: str) -> list[dict]:
    """What Meson knows of its tests: name, suite, cmd."""
    info = paths.build_dir(profile) / "meson-info" / "intro-tests.json"
    return json.loads(info.read_text(encoding="utf-8"))


def meson_suites(profile: str) -> list[str]:
    names: list[str] = []
    for test in meson_tests(profile):
        for suite in test["suite"]:
            name = suite.rpartition(":")[2]
            if name not in names:
                names.append(name)
    return names


def pytest_folders(root: pathlib.Path = paths.ROOT) -> list[str]:
    """The top folders that hold pytest files."""
    folders = []
    for entry in sorted(root.iterdir()):
        if not entry.is_dir() or entry.name.startswith((".", "build")) or entry.name == "results":
            continue
        if any(_TEST_FILES.fullmatch(path.name) for path in entry.rglob("*.py")):
            folders.append(entry.name)
    return folders


def programs_of(profile: str, suites: list[str]) -> list[str]:
    """The Ninja targets that the suites' tests run."""
    directory = paths.build_dir(profile)
    targets = set()
    for test in meson_tests(profile):
        if {suite.rpartition(":")[2] for suite in test["suite"]} & set(suites):
            program = pathlib.Path(test["cmd"][0])
            if program.is_relative_to(directory):
                targets.add(str(program.relative_to(directory)))
    return sorted(targets)


def run_meson(profile: str, suites: list[str], jobs: int | None) -> Tally:
    """Runs the C++ suites. What failed is printed with its output."""
    directory = paths.build_dir(profile)
    command = [paths.tool("meson"), "test", "-C", str(directory), "--no-rebuild"]
    command += [word for suite in suites for word in ("--suite", suite)]
    if jobs:
        command += ["--num-processes", str(jobs)]
    env = dict(os.environ, BOOST_TEST_REPORT_LEVEL="detailed", BOOST_TEST_REPORT_FORMAT="XML")
    env.pop("MESON_TESTTHREADS", None)
    if profile == "tsan":
        # gRPC comes without instrumentation, so its own locks are invisible.
        supp = paths.ROOT / "scripts" / "tsan.supp"
        env.setdefault("TSAN_OPTIONS", f"ignore_noninstrumented_modules=1 suppressions={supp}")
    log = directory / "meson-logs" / "testlog.json"
    log.unlink(missing_ok=True)
    said: list[str] = []
    with progress.step("C++ tests: " + " ".join(suites)) as step:
        child = subprocess.Popen(command, cwd=paths.ROOT, env=env, stdin=subprocess.DEVNULL,
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                 errors="replace")
        assert child.stdout is not None
        for line in child.stdout:
            said.append(line)
            found = _MESON_LINE.match(line)
            if found:
                step.update(int(found[1]), int(found[2]), f"{found[3]} {found[4]}")
        code = child.wait()
    if not log.exists():
        click.echo("".join(said))
        raise click.ClickException(f"meson test ran no test; its status is {code}")
    return tally_meson_log(log, code)


def tally_meson_log(log: pathlib.Path, code: int) -> Tally:
    tally = Tally()
    for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
        entry = json.loads(line)
        stdout, stderr = entry.get("stdout") or "", entry.get("stderr") or ""
        name = entry["name"].rpartition("/")[2].strip()
        one = tally_program(name, entry["result"], stdout, stderr)
        if one.skipped and entry["result"] != "SKIP":
            reasons = _ask_why_skipped(entry["command"], one, name)
            one = tally_program(name, entry["result"], stdout, stderr, reasons)
        if one.failed:
            output = without_report(stdout + stderr).strip()
            click.echo(f"---- {name}: {entry['result']}, status {entry['returncode']}\n"
                       f"{output[-_OUTPUT_CHARS_MAX:]}\n")
        tally.merge(one)
    if code != 0 and not tally.failed:
        tally.add("meson test", "failed", f"status {code}")
    return tally


def _ask_why_skipped(command: list[str], tally: Tally, name: str) -> dict[str, str]:
    """Runs the skipped cases of a Boost.Test program again: only then it says why it skips them."""
    cases = [case.removeprefix(f"{name}/") for case, _ in tally.skipped]
    selected = [f"--run_test={case}" for case in cases]
    # The last --log_level wins only if the one the test is run with is gone.
    program = [word for word in command if not word.startswith("--log_level")]
    done = subprocess.run([*program, *selected, "--log_level=test_suite"], cwd=paths.ROOT,
                          capture_output=True, text=True, errors="replace", check=False)
    return boost_skip_reasons(done.stdout + done.stderr)


def run_pytest(profile: str, suite: str, folders: list[str]) -> Tally:
    """Runs pytest over the folders; of suite `cluster` its tests, else all but those."""
    reads, writes = os.pipe()
    marker = CLUSTER if suite == CLUSTER else f"not {CLUSTER}"
    command = [sys.executable, "-m", "pytest", "-q", "--tb=short", "--color=no", "-p",
               "qlab.pytest_events", "-m", marker, *folders]
    env = dict(paths.child_env(profile), QLAB_PYTEST_EVENTS=str(writes))
    tally, total, said = Tally(), 0, ""
    log = paths.ROOT / ".qlab" / f"pytest-{suite}.log"
    log.parent.mkdir(exist_ok=True)
    with progress.step(f"Python tests: {suite}") as step, open(log, "w", encoding="utf-8") as out:
        child = subprocess.Popen(command, cwd=paths.ROOT, env=env, stdin=subprocess.DEVNULL,
                                 stdout=out, stderr=subprocess.STDOUT, pass_fds=[writes])
        os.close(writes)
        with os.fdopen(reads, encoding="utf-8") as events:
            for line in events:
                event = json.loads(line)
                total = event.get("total", total)
                if "outcome" in event:
                    tally.add(event["name"], event["outcome"], event["reason"])
                    step.update(tally.count(), total, event["name"])
        code = child.wait()
    said = log.read_text(encoding="utf-8", errors="replace")
    if code not in (0, _PYTEST_NO_TESTS):
        click.echo(f"---- pytest {suite}: status {code}\n{said[-_OUTPUT_CHARS_MAX:]}")
        if not tally.failed:
            tally.add(f"pytest {suite}", "failed", f"status {code}")
    if tally.count() < total:
        tally.add(f"pytest {suite}", "failed", f"only {tally.count()} of {total} tests ended")
    return tally
