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

from harness.storage import loops
from harness.storage.recording import RecordingDisk
from harness.storage.program import STOPPED, Run, Subject, Verdict, check

# Seconds.
_REFUSAL_TIMEOUT = 20.0     # Until a writer whose disk refuses everything has ended by itself.
_CHECK_TIMEOUT = 20.0       # For the check with which a writer begins.
_SELF_KILL_TIMEOUT = 1.5   # Then a run that has not come to its last operation is killed.
_STATES_PER_RECORDING = 40
# Kinds of disk operations with about how many of them a run of `injected` does.
_INJECTED = (("write", 120), ("sync", 80), ("open", 30), ("truncate", 8), ("prepare", 6),
             ("remove", 20), ("rename", 3), ("sync_directory", 30), ("replace", 20),
             ("sync_filesystem", 20))
_SESSIONS_PER_RECORDING = 2


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
        self.checks += verdict.whole
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


_PROMISES = (b"state", b"ready", b"acknowledged", b"cut_done", b"delete_done", b"reset_done")


def forget_promises(journal: Path, since: int) -> None:
    """Takes what was promised out of a journal from the byte `since` on, and leaves what was begun.

    A sync that is under way while a file system is shut down may return as if it had been done:
    ext4 asks whether its transaction has ended, and an aborted one has; on XFS an aborted
    checkpoint leaves nothing to wait for. With the power gone, nobody would have heard of it.
    The same goes for an ext4 whose journal met an error, until something else wants to change it:
    of two files written back in one transaction, the sync of the first says EIO, and that of the
    second says that all is well, and neither is there after a power cut (Linux 6.18). No engine can
    know, so such a round only asks that the rest is whole.
    """
    if not journal.exists():
        return
    content = journal.read_bytes()
    rest = [line for line in content[since:].splitlines(keepends=True)
            if not line.startswith(_PROMISES)]
    journal.write_bytes(content[:since] + b"".join(rest))


def sigkill(subject: Subject, root: Path, rounds: int, rng: random.Random) -> Campaign:
    """SIGKILL at a random moment or before a random disk operation, also while recovering. The page
    cache survives, and so has what was appended to it."""
    campaign = Campaign("sigkill", subject)
    work = Workspace(root)
    work.root.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    while campaign.rounds < rounds and not campaign.violations:
        work.keep()
        verdict = _killed_run(subject, work, rng)
        campaign.take(verdict)
        campaign.rounds += 1
        campaign.crashed_recoveries += not verdict.whole
    if not campaign.violations:
        work.keep()
        survives = f"--survives={subject.survives_kill}"
        campaign.take(_healthy(check(subject, work.data, work.journal, survives)))
    campaign.seconds = time.monotonic() - began
    return campaign


def _killed_run(subject: Subject, work: Workspace, rng: random.Random) -> Verdict:
    more = [f"--survives={subject.survives_kill}"]
    by_itself = rng.random() < 0.5
    if by_itself:
        in_recovery = rng.random() < 0.3
        last = rng.randrange(1, 60) if in_recovery else rng.randrange(60, 1500)
        more += ["--kill-at", str(last), f"--tear={rng.choice(('yes', 'no'))}"]
    run = Run("write", subject, work.data, work.journal, *more)
    if by_itself:
        run.ends_within(_SELF_KILL_TIMEOUT)
    else:
        _let_it_write(run, rng)
    return run.kill()


def power_cut(subject: Subject, root: Path, rounds: int, rng: random.Random, *,
              file_system: str) -> Campaign:
    """The file system ends without a flush of its journal while logs are written, and is mounted
    again: what was not synced is gone, and nothing else may be."""
    campaign = Campaign(f"power_cut_{file_system}", subject)
    work = Workspace(root)
    began = time.monotonic()
    with loops.LoopDisk(root, file_system) as disk:
        while campaign.rounds < rounds and not campaign.violations:
            with disk.mounted() as path:
                work.keep(path / "data")
                run = Run("write", subject, path / "data", work.journal)
                try:
                    _let_it_write(run, rng)
                    said = work.journal.stat().st_size if work.journal.exists() else 0
                    disk.cut_power()
                finally:
                    verdict = run.wait_or_kill(_REFUSAL_TIMEOUT)
                forget_promises(work.journal, said)
                campaign.take(verdict)
                campaign.rounds += 1
                campaign.crashed_recoveries += not verdict.whole
        if not campaign.violations:
            with disk.mounted() as path:
                work.keep(path / "data")
                campaign.take(_healthy(check(subject, path / "data", work.journal)))
    campaign.seconds = time.monotonic() - began
    return campaign


def _let_it_write(run: Run, rng: random.Random) -> None:
    """Until a random moment, which at times lies in its recovery."""
    if rng.random() < 0.25:
        run.ends_within(rng.uniform(0, 0.05))
        return
    run.wait_until_checked(_CHECK_TIMEOUT)
    run.ends_within(rng.uniform(0.0, 0.25))


def injected(subject: Subject, root: Path, rounds: int, rng: random.Random) -> Campaign:
    """One disk operation of a random kind fails with EIO or ENOSPC, by the fault hook. What it
    poisons acknowledges nothing more, what it does not goes on, and the next start is well."""
    campaign = Campaign("injected", subject)
    work = Workspace(root)
    work.root.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    while campaign.rounds < rounds and not campaign.violations:
        work.keep()
        kind, reach = rng.choice(_INJECTED)
        error = rng.choice(("EIO", "EIO", "ENOSPC"))
        fault = f"{kind}:{error}:{rng.randrange(1, reach)}"
        run = Run("write", subject, work.data, work.journal, "--operations", "40", "--fault", fault)
        campaign.take(run.wait_or_kill(_REFUSAL_TIMEOUT))
        campaign.rounds += 1
        if campaign.violations:
            campaign.violations.append(f"with --fault {fault}")
            break
        work.keep()
        campaign.take(_healthy(check(subject, work.data, work.journal)))
    campaign.seconds = time.monotonic() - began
    return campaign


def _healthy(verdict: Verdict) -> Verdict:
    """A verdict of a disk that has no faults: whoever says that it refuses is wrong."""
    if verdict.status == STOPPED or not verdict.whole:
        words = "; ".join(verdict.stopped) or verdict.errors
        verdict = replace(verdict, violations=[*verdict.violations,
                                               f"stopped on a disk without faults: {words}"])
    return verdict


def recorded(subject: Subject, root: Path, rounds: int, rng: random.Random, *,
             file_system: str) -> Campaign:
    """Logs are written to a recording disk, by processes that are killed; then the disk is what a
    power cut at many a moment would have left, each of which is a round: at flushes, right after
    acknowledgements and changes, and anywhere, with the writes since the last flush lost in part
    and torn."""
    campaign = Campaign(f"recorded_{file_system}", subject)
    began = time.monotonic()
    recording = 0
    while campaign.rounds < rounds and not campaign.violations:
        count = min(_STATES_PER_RECORDING, rounds - campaign.rounds)
        work = Workspace(root / f"recording-{recording}")
        recording += 1
        with RecordingDisk(work.root, file_system) as disk:
            _record(subject, disk, rng, campaign)
            for event, seed in _moments(disk, count, rng):
                if not campaign.violations:
                    _check_moment(subject, work, disk, event, seed, campaign)
                    campaign.rounds += 1
        if not campaign.violations:
            shutil.rmtree(work.root)
    campaign.seconds = time.monotonic() - began
    return campaign


def _record(subject: Subject, disk: RecordingDisk, rng: random.Random,
            campaign: Campaign) -> None:
    with disk.mounted() as path:
        for _ in range(_SESSIONS_PER_RECORDING):
            run = Run("write", subject, path / "data", disk.journal)
            run.wait_until_checked(_CHECK_TIMEOUT)
            run.ends_within(rng.uniform(0.1, 0.5))
            campaign.take(run.kill())
        disk.stop()


def _moments(disk: RecordingDisk, count: int,
             rng: random.Random) -> list[tuple[int, int | None]]:
    """Events in their order, each with a seed for what is lost, or None for a cut that loses
    nothing of what was written."""
    state = disk.state
    text = disk.journal.read_bytes()
    # Right after a deletion, cut or reset was reported done, nothing else has made it durable.
    starts = [0, *state["said_ends"]]
    changes = [event for event, start, end in zip(state["said"], starts, state["said_ends"])
               if b"_done" in text[start:end]]
    chosen: list[tuple[int, int | None]] = []
    for _ in range(count):
        kinds = [kind for kind in (state["flushes"], state["said"], range(state["events"]), changes)
                 if kind]
        event = rng.choice(rng.choice(kinds)) if kinds else 0
        chosen.append((event, rng.randrange(1 << 32) if rng.random() < 0.75 else None))
    return sorted(chosen, key=lambda moment: moment[0])


def _check_moment(subject: Subject, work: Workspace, disk: RecordingDisk, event: int,
                  seed: int | None, campaign: Campaign) -> None:
    if seed is None:
        disk.go(event)
    else:
        disk.cut(event, seed)
    work.journal.write_bytes(disk.journal.read_bytes())
    with disk.mounted() as path:
        verdict = _healthy(check(subject, path / "data", work.journal))
    campaign.take(verdict)
    if not verdict.violations:
        return
    campaign.violations.append(f"at event {event}, seed {seed}")
    if seed is None:
        disk.go(event)
    else:
        disk.cut(event, seed)
    with disk.mounted() as path:
        work.keep(path / "data")


def failing_disk(subject: Subject, root: Path, rounds: int, rng: random.Random, *,
                 file_system: str, restarts: bool = False) -> Campaign:
    """The disk answers EIO to writes or flushes while logs are written. Whoever met it acknowledges
    nothing more; what was acknowledged before is there after a reboot. With `restarts` the process
    alone starts anew before that, and finds pages in the cache that the kernel calls clean and the
    disk never saw ("Can Applications Recover from fsync Failures?", ATC'20)."""
    name = "failing_disk_restart" if restarts else "failing_disk"
    campaign = Campaign(f"{name}_{file_system}", subject)
    work = Workspace(root)
    began = time.monotonic()
    while campaign.rounds < rounds and not campaign.violations:
        work.journal.unlink(missing_ok=True)
        with RecordingDisk(root, file_system) as disk:
            with disk.mounted() as path:
                write = _restart_on_failing_disk if restarts else _write_to_failing_disk
                campaign.take(write(subject, work, disk, path / "data", rng))
                disk.stop()
            disk.stop()  # What the unmounting wrote is forgotten: the power went before it.
            with disk.mounted() as path:
                work.keep(path / "data")
                campaign.take(_healthy(check(subject, path / "data", work.journal)))
            campaign.rounds += 1
    campaign.seconds = time.monotonic() - began
    return campaign


def _write_to_failing_disk(subject: Subject, work: Workspace, disk: RecordingDisk, data: Path,
                           rng: random.Random) -> Verdict:
    run = Run("write", subject, data, work.journal)
    run.wait_until_checked(_CHECK_TIMEOUT)
    disk.fail(rng.choice(("write", "flush")), after=rng.randrange(60), count=1 << 40)
    verdict = run.wait_or_kill(_REFUSAL_TIMEOUT)
    disk.heal()
    return verdict


def _takes_no_changes(path: Path) -> bool:
    """Whether the file system at `path` has given up: its own journal could not be written."""
    probe = path / "probe"
    try:
        probe.touch()
        probe.unlink()
    except OSError:
        return True
    return False


def _restart_on_failing_disk(subject: Subject, work: Workspace, disk: RecordingDisk, data: Path,
                             rng: random.Random) -> Verdict:
    first = Run("write", subject, data, work.journal)
    first.wait_until_checked(_CHECK_TIMEOUT)
    said = work.journal.stat().st_size if work.journal.exists() else 0
    # Few, for a journal that cannot be written makes the file system read-only.
    disk.fail("write", after=rng.randrange(60), count=rng.randrange(1, 4))
    first.ends_within(rng.uniform(0.3, 0.8))
    met = first.kill()
    disk.heal()
    if _takes_no_changes(data.parent):
        forget_promises(work.journal, said)
    second = Run("write", subject, data, work.journal)
    second.wait_until_checked(_CHECK_TIMEOUT)
    second.ends_within(rng.uniform(0.05, 0.2))
    verdict = second.kill()
    return replace(verdict, violations=met.violations + verdict.violations)
