"""qlab-storage-crash as an object: started, killed, asked for its verdict."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from harness.control import REPOSITORY

BUILD = Path(os.environ.get("QLAB_BUILD_DIR", REPOSITORY / "build"))
PROGRAM = BUILD / "storage" / "crash" / "qlab-storage-crash"
BROKEN, REFUSED, STOPPED = 1, 2, 3  # Exit statuses, as main.cc has them.
_TIMEOUT = 60.0  # Seconds for a recovery and its check; they take a fraction of one.


_FORGETFUL = ("null", "memory")  # Engines that keep nothing a crash could spare.


class ProgramError(Exception):
    """The program could not do what it was asked to; says nothing of the storage."""


@dataclass(frozen=True)
class Subject:
    """What is tested: an engine in a layout with its options, and the seed of what is written."""

    engine: str
    layout: str = "per_partition"
    preallocation: str = "none"
    seed: int = 1
    partitions: int = 3
    options: tuple[str, ...] = ()

    def arguments(self) -> list[str]:
        return ["--engine", self.engine, "--layout", self.layout, "--preallocation",
                self.preallocation, "--seed", str(self.seed), "--partitions",
                str(self.partitions), *self.options]

    @property
    def survives_kill(self) -> str:
        """What has to be there after a SIGKILL (--survives): appends past the page cache are in
        the process until they are synced."""
        return "synced" if self.engine == "direct" else "process"

    @property
    def name(self) -> str:
        return "-".join((self.engine, self.layout, self.preallocation))


@dataclass
class Verdict:
    """What a run said: the check of what it found, and of what it did itself."""

    status: int
    checked: bool = False           # False when it ended before its check did.
    violations: list[str] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)   # What recovery cut, in its words.
    bytes_vanished: int = 0
    batches: int = 0
    errors: str = ""                # Of stderr.

    @property
    def whole(self) -> bool:
        """True when the check came to its end."""
        return self.checked and not self.stopped

    @classmethod
    def of(cls, status: int, out: str, errors: str) -> Verdict:
        verdict = cls(status, errors=errors.strip())
        for line in out.splitlines():
            if not line.endswith("}"):
                continue  # A kill cut it short.
            said = json.loads(line)
            verdict.violations += said["violations"]
            if "logs" not in said:
                continue
            verdict.checked = True
            verdict.stopped += said["stopped"]
            for log in said["logs"]:
                verdict.batches += log["batches"]
                verdict.bytes_vanished += log["bytes_vanished"]
                if log["dropped"]:
                    verdict.dropped.append(f"{log['log']}: {log['dropped']}")
        crashed_itself = status < 0 and status != -signal.SIGKILL
        if status == BROKEN and not verdict.violations:
            verdict.violations.append(verdict.errors or "status 1 and no words")
        if crashed_itself:
            verdict.violations.append(
                f"ended by {signal.Signals(-status).name}: {verdict.errors[-2000:]}")
        return verdict


class Run:
    """One process. `mode`: write, until it is killed; check, which writes nothing new."""

    def __init__(self, mode: str, subject: Subject, directory: Path, journal: Path,
                 *more: str) -> None:
        if not os.access(PROGRAM, os.X_OK):
            raise ProgramError(f"{PROGRAM} is missing; build it with ./qlab build")
        self.command = [str(PROGRAM), mode, "--dir", str(directory), "--journal", str(journal),
                        *subject.arguments(), *more]
        self._child = subprocess.Popen(self.command, stdin=subprocess.DEVNULL,
                                       stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self._said = b""

    def kill(self) -> Verdict:
        self._child.kill()
        return self.wait()

    def wait(self, timeout: float = _TIMEOUT) -> Verdict:
        """Until it ends by itself. Errors: ProgramError when it does not, or could not run."""
        try:
            out, errors = self._child.communicate(timeout=timeout)
        except subprocess.TimeoutExpired as late:
            self._child.kill()
            self._child.communicate()
            raise ProgramError(f"it did not end in {timeout} s: {self.command}") from late
        if self._child.returncode == REFUSED:
            raise ProgramError(errors.decode().strip())
        said = (self._said + out).decode(errors="replace")
        return Verdict.of(self._child.returncode, said, errors.decode(errors="replace"))

    def wait_until_checked(self, timeout: float) -> None:
        """Until the check of what it found is over and it writes, or it has ended."""
        assert self._child.stdout is not None
        until = time.monotonic() + timeout
        while b"\n" not in self._said and (left := until - time.monotonic()) > 0:
            ready, _, _ = select.select([self._child.stdout], [], [], left)
            part = os.read(self._child.stdout.fileno(), 1 << 16) if ready else b""
            self._said += part
            if not part:
                return

    def wait_or_kill(self, timeout: float) -> Verdict:
        """As wait(); one that does not end in time broke a promise by that."""
        in_time = self.ends_within(timeout)
        verdict = self.wait() if in_time else self.kill()
        if not in_time:
            verdict.violations.append(f"still runs {timeout} s after its disk refused")
        return verdict

    def ends_within(self, seconds: float) -> bool:
        try:
            self._child.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True


def engines() -> list[str]:
    """The engines of this build that keep what they are given."""
    return [name for name in _list()["engines"] if name not in _FORGETFUL]


def layouts() -> list[str]:
    return _list()["layouts"]


def _list() -> dict[str, list[str]]:
    if not os.access(PROGRAM, os.X_OK):
        return {"engines": ["buffered"], "layouts": ["per_partition"]}  # Its run says what to do.
    done = subprocess.run([str(PROGRAM), "list"], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def check(subject: Subject, directory: Path, journal: Path, *more: str) -> Verdict:
    """Recovers, compares with the journal, recovers once more."""
    return Run("check", subject, directory, journal, *more).wait()
