"""The storage engines on the real kernel: whenever they crash, nothing acknowledged is lost,
nothing is served that was not written, and what recovery drops has a name. And the checks can fail.

In full: /usr/bin/python3 -m harness.storage.crash --rounds 500 --engine ENGINE
"""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.storage import methods, program
from harness.storage.program import Run, Subject

pytestmark = pytest.mark.crash


@pytest.fixture
def seed(request) -> int:
    return request.config.option.seed


@pytest.fixture
def rounds(request) -> int:
    return request.config.option.crashes


@pytest.mark.parametrize("layout", program.layouts())
@pytest.mark.parametrize("storage_engine", program.engines())
def test_a_kill_at_any_moment_loses_nothing_that_was_appended(
        storage_engine, layout, seed, rounds, run_directory, rng):
    subject = Subject(storage_engine, layout, seed=seed)
    campaign = methods.sigkill(subject, run_directory, rounds, rng)
    print(campaign.summary())
    assert campaign.violations == []


def test_an_acknowledgement_before_the_append_is_caught(seed, run_directory, rng):
    subject = Subject("buffered", seed=seed, options=("--mutant=ack_before_append",))
    campaign = methods.sigkill(subject, run_directory, 30, rng)
    assert any("was appended" in words for words in campaign.violations), campaign.summary()


def _written(subject: Subject, root: Path) -> tuple[Path, Path]:
    """Logs that ended well, and their journal."""
    data, journal = root / "data", root / "journal"
    verdict = Run("write", subject, data, journal, "--operations", "40").wait()
    assert verdict.status == 0 and verdict.violations == []
    return data, journal


def _largest(data: Path) -> Path:
    return max(data.glob("*/*.log"), key=lambda path: path.stat().st_size)


def test_a_byte_that_rots_is_never_served(seed, run_directory, rng):
    subject = Subject("buffered", seed=seed)
    data, journal = _written(subject, run_directory)
    victim = _largest(data)
    content = bytearray(victim.read_bytes())
    content[rng.randrange(len(content))] ^= 0x10
    victim.write_bytes(content)
    verdict = program.check(subject, data, journal)
    assert verdict.status == program.BROKEN
    assert any("corrupt" in words for words in verdict.violations), verdict


def test_a_tail_that_is_gone_is_missed(seed, run_directory):
    subject = Subject("buffered", seed=seed)
    data, journal = _written(subject, run_directory)
    victim = _largest(data)
    victim.write_bytes(victim.read_bytes()[:-1])
    verdict = program.check(subject, data, journal)
    assert verdict.status == program.BROKEN and verdict.violations != []


def test_logs_of_another_seed_are_not_taken_for_ours(seed, run_directory):
    subject = Subject("buffered", seed=seed)
    data, journal = _written(subject, run_directory)
    verdict = program.check(Subject("buffered", seed=seed + 1), data, journal)
    assert verdict.status == program.BROKEN and verdict.violations != []
