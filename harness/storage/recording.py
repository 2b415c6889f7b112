"""The recording disk: a loop device that remembers every write, every flush, and what was
acknowledged between them, and can be again what it was at any of those moments.

    with RecordingDisk(directory, "ext4") as disk:
        with disk.mounted() as path:
            ...                        # write below `path`, with disk.journal outside of it
            disk.stop()
        for event in disk.flushes:
            disk.go(event)             # or disk.cut(event, seed)
            with disk.mounted() as path:
                ...                    # as after a power cut at that moment

It can also answer EIO: disk.fail("flush", after=10). Needs root, /dev/fuse and loop devices.
"""

from __future__ import annotations

import functools
import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.faults import PROBES, Unavailable
from harness.storage import loops
from harness.storage.loops import LoopError
from harness.storage.program import BUILD

PROGRAM = BUILD / "storage" / "crash" / "qlab-recording-disk"
_START_TIMEOUT = 10.0  # Seconds.


def cannot(file_system: str) -> str | None:
    """Why such a disk cannot be had here, or None."""
    reason = loops.cannot(file_system)
    if reason is not None:
        return reason
    if not Path("/dev/fuse").exists():
        return "there is no /dev/fuse"
    if not os.access(PROGRAM, os.X_OK):
        return f"{PROGRAM.name} is not built (package libfuse3-dev, then ./qlab build)"
    return None


def require(file_system: str) -> None:
    """Errors: faults.Unavailable."""
    reason = cannot(file_system)
    if reason is not None:
        raise Unavailable(f"fault recording_disk on {file_system}: {reason}")


for _name in loops.FILE_SYSTEMS:
    PROBES[f"recording_disk_{_name}"] = functools.partial(cannot, _name)


class RecordingDisk:
    """Of `size` bytes, with an empty file system, and recording from the start of the block on."""

    def __init__(self, directory: Path, file_system: str, *, size: int = 96 << 20) -> None:
        require(file_system)
        self._fuse = directory / "fuse"
        self._path = directory / "mnt"
        self._log = directory / "recording-disk.stderr"
        self._file_system = file_system
        self._size = size
        self._child: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> RecordingDisk:
        self._fuse.mkdir(parents=True, exist_ok=True)
        with open(self._log, "wb") as errors:
            self._child = subprocess.Popen([str(PROGRAM), str(self._fuse), str(self._size)],
                                           stdin=subprocess.DEVNULL, stdout=errors, stderr=errors,
                                           start_new_session=True)
        try:
            self._wait_until_served()
            with loops.attached(self._fuse / "disk") as device:
                loops.make_file_system(device, self._file_system)
                with loops.mounted(device, self._path):
                    pass  # What the first mount writes is not of the tests.
            self._order("begin")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        assert self._child is not None
        if os.path.ismount(self._fuse):
            loops.unmount(self._fuse)
        try:
            self._child.wait(_START_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()

    def _wait_until_served(self) -> None:
        assert self._child is not None
        until = time.monotonic() + _START_TIMEOUT
        while not (self._fuse / "control").exists():
            if self._child.poll() is not None or time.monotonic() > until:
                raise LoopError(f"{PROGRAM.name} does not serve: "
                                f"{self._log.read_text(errors='replace').strip()}")
            time.sleep(0.01)

    def _order(self, words: str) -> None:
        fd = os.open(self._fuse / "control", os.O_WRONLY)
        try:
            os.write(fd, words.encode())
        finally:
            os.close(fd)

    @contextmanager
    def mounted(self) -> Iterator[Path]:
        with loops.attached(self._fuse / "disk") as device, \
                loops.mounted(device, self._path) as path:
            yield path

    @property
    def journal(self) -> Path:
        """What is written to this file is recorded in its place among the writes."""
        return self._fuse / "said"

    @property
    def state(self) -> dict:
        """events: their count; flushes, said: after which of them one of these was the last."""
        return json.loads((self._fuse / "control").read_text())

    def go(self, event: int) -> None:
        """To how the disk was then; from the first such order on nothing is recorded any more.

        Requires: not mounted, or about to be unmounted and not looked at until then.
        """
        self._order(f"go {event}")

    def cut(self, event: int, seed: int) -> None:
        """The same after a power cut: of what was not flushed any part is there."""
        self._order(f"cut {event} {seed}")

    def fail(self, what: str, *, after: int = 0, count: int = 1) -> None:
        """EIO to the `count` operations that come after the next `after`; `what`: write, flush."""
        self._order(f"fail {what} {after} {count}")

    def heal(self) -> None:
        self._order("heal")

    def stop(self) -> None:
        """Ends the recording; what is written from here on will be forgotten."""
        self.go(self.state["events"])
