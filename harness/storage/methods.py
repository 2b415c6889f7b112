"""Ways to crash, each a loop of rounds: write until the crash, then recover and check.

A round builds on the one before, so what is recovered was recovered before. Each loop draws all it
does from one seed and gives a `Campaign`; the first broken promise ends it.
"""

from __future__ import annotations

import random
import shutil
import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from harness.storage.program import STOPPED, Run, Subject, Verdict, check

_SELF_KILL_TIMEOUT = 1.5  # Seconds; then a run that has not come to its last operation is killed.


@dataclass
class Campaign:
    """What the rounds of one method came to."""

    method: str
    subject: Subject
    rounds: int = 0               # Crashes.
    checks: int = 0               # Recoveries that went to their end and were compared.
    crashed_recoveries: int = 0   # Crashes before that.
    named_drops: int = 0          # Logs of which recovery dropped something, and said what.
    bytes_vanished: int = 0       # In all; each of them named.
    batches: int = 0              # Compared, byte for byte.
    seconds: float = 0.0
    violations: list[str] = field(default_factory=list)

    def take(self, verdict: Verdict) -> None:
        self.checks += verdict.checked
        self.named_drops += len(verdict.dropped)
        self.bytes_vanished += verdict.bytes_vanished
        self.batches += verdict.batches
        self.violations += [f"round {self.rounds}: {words}" for words in verdict.violations]

    def summary(self) -> dict[str, Any]:
        return {"method": self.method, **asdict(self.subject), "rounds": self.rounds,
                "checks": self.checks, "crashed_recoveries": self.crashed_recoveries,
                "named_drops": self.named_drops, "bytes_vanished": self.bytes_vanished,
                "batches": self.batches, "seconds": round(self.seconds, 1),
                "violations": self.violations}


@dataclass
class Workspace:
    """Where one campaign keeps its files: the logs, the journal, the logs before the last check."""

    root: Path

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def journal(self) -> Path:
        return self.root / "journal"

    def keep(self, data: Path | None = None) -> None:
        """Copies logs and journal as the crash left them to `before/`: recovery changes them."""
        before = self.root / "before"
        shutil.rmtree(before, ignore_errors=True)
        before.mkdir(parents=True)
        source = data or self.data
        if source.exists():
            shutil.copytree(source, before / "data", symlinks=True)
        if self.journal.exists():
            shutil.copy(self.journal, before / "journal")


def sigkill(subject: Subject, root: Path, rounds: int, rng: random.Random) -> Campaign:
    """SIGKILL at a random moment or before a random disk operation, also while recovering. The page
    cache survives, so everything appended has to."""
    campaign = Campaign("sigkill", subject)
    work = Workspace(root)
    work.root.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    while campaign.rounds < rounds and not campaign.violations:
        work.keep()
        verdict = _killed_run(subject, work, rng)
        campaign.take(verdict)
        campaign.rounds += 1
        campaign.crashed_recoveries += not verdict.checked
    if not campaign.violations:
        work.keep()
        campaign.take(_healthy(check(subject, work.data, work.journal, "--survives=process")))
    campaign.seconds = time.monotonic() - began
    return campaign


def _killed_run(subject: Subject, work: Workspace, rng: random.Random) -> Verdict:
    more = ["--survives=process"]
    in_recovery = rng.random() < 0.3
    by_itself = rng.random() < 0.5
    if by_itself:
        last = rng.randrange(1, 60) if in_recovery else rng.randrange(60, 1500)
        more += ["--kill-at", str(last), f"--tear={rng.choice(('yes', 'no'))}"]
    run = Run("write", subject, work.data, work.journal, *more)
    patience = rng.uniform(0, 0.03) if in_recovery else rng.uniform(0.03, 0.3)
    run.ends_within(_SELF_KILL_TIMEOUT if by_itself else patience)
    return run.kill()


def _healthy(verdict: Verdict) -> Verdict:
    """A verdict of a disk that has no faults: whoever says that it refuses is wrong."""
    if verdict.status == STOPPED or not verdict.checked:
        words = "; ".join(verdict.stopped) or verdict.errors
        verdict = replace(verdict, violations=[*verdict.violations,
                                               f"stopped on a disk without faults: {words}"])
    return verdict
