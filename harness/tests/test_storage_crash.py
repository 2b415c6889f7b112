"""The storage engines on the real kernel: whenever they crash, nothing acknowledged is lost,
nothing is served that was not written, and what recovery drops has a name. And the checks can fail.

In full: /usr/bin/python3 -m harness.storage.crash --rounds 500 --engine ENGINE
"""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path

import pytest

from harness.storage import methods, program
from harness.storage.loops import FILE_SYSTEMS
from harness.storage.program import Run, Subject
from harness.storage.recording import RecordingDisk

pytestmark = pytest.mark.crash


@pytest.fixture
def seed(request) -> int:
    return request.config.option.seed


@pytest.fixture
def rounds(request) -> int:
    return request.config.option.crashes


@pytest.mark.parametrize("storage_engine", program.engines())
def test_a_kill_at_any_moment_loses_nothing_that_was_appended(
        storage_engine, seed, rounds, run_directory, rng):
    subject = Subject(storage_engine, seed=seed)
    campaign = methods.sigkill(subject, run_directory, rounds, rng)
    print(campaign.summary())
    assert campaign.violations == []


def test_a_kill_of_the_shared_log_loses_nothing_either(seed, rounds, run_directory, rng):
    subject = Subject("buffered", "shared", seed=seed)
    campaign = methods.sigkill(subject, run_directory, rounds, rng)
    print(campaign.summary())
    assert campaign.violations == []


@pytest.mark.parametrize("storage_engine", program.engines())
def test_an_injected_error_is_met_as_log_h_says(storage_engine, seed, rounds, run_directory, rng):
    subject = Subject(storage_engine, seed=seed)
    campaign = methods.injected(subject, run_directory, max(2, rounds // 3), rng)
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
    """The largest segment of which every byte is served: none that records were deleted from."""
    return max((path for path in data.glob("*/*.log") if int(path.stem) >= _start(path.parent)),
               key=lambda path: path.stat().st_size)


def _start(log: Path) -> int:
    point = log / "recovery-point"
    if not point.exists():
        return 0
    return int(re.search(r"^start: (\d+)$", point.read_text(), re.MULTILINE).group(1))


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


def test_an_acknowledgement_before_the_sync_is_caught(seed, run_directory, rng):
    subject = Subject("buffered", seed=seed, options=("--mutant=ack_before_sync",))
    campaign = methods.power_cut(subject, run_directory, 12, rng, file_system="ext4")
    assert any("was acknowledged" in words for words in campaign.violations), campaign.summary()


def test_an_acknowledgement_after_a_failed_sync_is_caught(seed, run_directory, rng):
    subject = Subject("buffered", seed=seed, options=("--mutant=ack_failed_sync",))
    campaign = methods.failing_disk(subject, run_directory, 8, rng, file_system="ext4")
    assert any("was acknowledged" in words for words in campaign.violations), campaign.summary()


def test_a_directory_that_is_never_synced_is_caught(seed, run_directory, rng):
    subject = Subject("buffered", seed=seed, options=("--mutant=skip_directory_sync",))
    campaign = methods.recorded(subject, run_directory, 120, rng, file_system="ext4")
    assert campaign.violations != [], campaign.summary()


# Each engine meets one of the file systems here, and all of them in a campaign.
@pytest.mark.parametrize(("number", "storage_engine"), enumerate(program.engines()))
def test_a_power_cut_loses_nothing_that_was_acknowledged(
        number, storage_engine, seed, rounds, run_directory, rng):
    subject = Subject(storage_engine, seed=seed)
    file_system = FILE_SYSTEMS[number % len(FILE_SYSTEMS)]
    campaign = methods.power_cut(subject, run_directory, max(2, rounds // 3), rng,
                                 file_system=file_system)
    print(campaign.summary())
    assert campaign.violations == []


@pytest.mark.parametrize("file_system", FILE_SYSTEMS)
def test_whatever_a_power_cut_may_leave_between_two_flushes_holds_what_was_acknowledged(
        file_system, seed, rounds, run_directory, rng):
    subject = Subject("buffered", seed=seed)
    campaign = methods.recorded(subject, run_directory, rounds, rng, file_system=file_system)
    print(campaign.summary())
    assert campaign.violations == []


def test_once_the_disk_has_failed_nothing_is_acknowledged_and_the_rest_survives(
        seed, run_directory, rng):
    subject = Subject("buffered", seed=seed)
    campaign = methods.failing_disk(subject, run_directory, 1, rng, file_system="ext4")
    print(campaign.summary())
    assert campaign.violations == []


@pytest.mark.parametrize("file_system", FILE_SYSTEMS)
def test_a_page_whose_writing_failed_reaches_the_disk_once_the_cache_has_forgotten_it(
        file_system, run_directory):
    # What File::forget_cached() is for. Without the advice, ext4 of Linux 6.18 leaves zeros.
    written, later = b"w" * 8192, b"l" * 8192
    with RecordingDisk(run_directory, file_system) as disk:
        with disk.mounted() as path:
            fd = os.open(path / "file", os.O_RDWR | os.O_CREAT)
            os.fsync(fd)
            os.sync()
            os.pwrite(fd, written, 0)
            disk.fail("write", count=1)
            with pytest.raises(OSError) as failed:
                os.fdatasync(fd)
            assert failed.value.errno == errno.EIO
            disk.heal()
            os.close(fd)
            fd = os.open(path / "file", os.O_RDWR)
            assert os.pread(fd, 8192, 0) == written, "the cache shows what the disk never saw"
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            assert os.pread(fd, 8192, 0) != written, "the cache has not forgotten it"
            os.pwrite(fd, later, 0)
            os.fdatasync(fd)
            os.close(fd)
            disk.stop()
        disk.stop()  # What the unmounting wrote is forgotten: the power went before it.
        with disk.mounted() as path:
            assert (path / "file").read_bytes() == later
