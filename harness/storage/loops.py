"""File systems that can lose their power: ext4 (with a journal) and XFS on loop devices.

    with LoopDisk(directory, "xfs") as disk:
        with disk.mounted() as path:
            ...
            disk.cut_power()   # what was not synced is gone; all I/O fails from here on
        with disk.mounted() as path:
            ...                # the journal was replayed

All of it needs root. Each device and mount is given back when its block ends, however it ends; a
machine that cannot do it raises faults.Unavailable with the reason.
"""

from __future__ import annotations

import fcntl
import functools
import os
import shutil
import struct
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.faults import PROBES, Unavailable

FILE_SYSTEMS = ("ext4", "xfs")
_SHUTDOWN = 0x8004587D       # FS_IOC_SHUTDOWN, of both file systems.
_NO_LOG_FLUSH = 2            # What is only in the journal's memory is lost, as with the power.
_MKFS = {
    # Nothing is left to be initialised in the background, and nothing is discarded.
    "ext4": ["mkfs.ext4", "-q", "-F", "-E", "nodiscard,lazy_itable_init=0,lazy_journal_init=0",
             "-J", "size=8"],
    # Small ones need to be asked for.
    "xfs": ["mkfs.xfs", "-q", "-f", "-K", "--unsupported", "-l", "size=8m"],
}
_BUSY_TIMEOUT = 10.0         # Seconds.
_SBIN = "/usr/sbin:/sbin"


class LoopError(Exception):
    """A command that makes or gives back a disk failed; the message has its words."""


def run(*command: str | Path) -> str:
    """The output of a system command. Errors: LoopError with what it said."""
    env = {**os.environ, "PATH": f"{os.environ.get('PATH', '')}:{_SBIN}", "LC_ALL": "C"}
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True,
                          env=env, check=False)
    if done.returncode != 0:
        raise LoopError(f"{' '.join(map(str, command))}: {done.stderr.strip() or done.stdout}")
    return done.stdout.strip()


def cannot(file_system: str) -> str | None:
    """Why such a disk cannot be had here, or None."""
    if os.geteuid() != 0:
        return "loop devices and mounts need root"
    if not Path("/dev/loop-control").exists():
        return "there is no /dev/loop-control"
    if shutil.which(f"mkfs.{file_system}", path=f"{os.environ.get('PATH', '')}:{_SBIN}") is None:
        return f"there is no mkfs.{file_system} (package " + (
            "xfsprogs)" if file_system == "xfs" else "e2fsprogs)")
    return _trial(file_system)


@functools.cache
def _trial(file_system: str) -> str | None:
    with tempfile.TemporaryDirectory() as name:
        try:
            with LoopDisk(Path(name), file_system, size=48 << 20, probe=False) as disk:
                with disk.mounted():
                    disk.cut_power()
        except (LoopError, OSError) as error:
            return f"{file_system} on a loop device: {error}"
    return None


def require(file_system: str) -> None:
    """Errors: faults.Unavailable."""
    reason = cannot(file_system)
    if reason is not None:
        raise Unavailable(f"fault power_cut on {file_system}: {reason}")


for _name in FILE_SYSTEMS:
    PROBES[f"power_cut_{_name}"] = functools.partial(cannot, _name)


def make_file_system(device: Path | str, file_system: str) -> None:
    run(*_MKFS[file_system], device)


@contextmanager
def attached(image: Path) -> Iterator[str]:
    """The name of a loop device of its own over `image`, past the page cache."""
    device = run("losetup", "--direct-io=on", "-f", "--show", image)
    try:
        yield device
    finally:
        run("losetup", "-d", device)  # Waits by itself for whoever still holds the device.


@contextmanager
def mounted(device: str, path: Path) -> Iterator[Path]:
    """Mounts what is on the device, with its journal replayed.

    Requires: nobody works below `path` when the block ends.
    """
    path.mkdir(parents=True, exist_ok=True)
    run("mount", "-o", "noatime", device, path)
    try:
        yield path
    finally:
        unmount(path)


def unmount(path: Path) -> None:
    """Waits for what the kernel still ends: the ring of a killed process holds its files a while.

    Errors: LoopError, when somebody holds it for good; it is unmounted for everyone else then.
    """
    until = time.monotonic() + _BUSY_TIMEOUT
    while True:
        try:
            run("umount", path)
            return
        except LoopError as error:
            if "busy" not in str(error):
                raise
            if time.monotonic() > until:
                run("umount", "-l", path)
                raise
            time.sleep(0.005)


def shut_down(path: Path) -> None:
    """Ends the file system at `path` without a flush of its journal."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.ioctl(fd, _SHUTDOWN, struct.pack("I", _NO_LOG_FLUSH))
    finally:
        os.close(fd)


class LoopDisk:
    """An image in `directory` with a file system; it may be mounted again and again."""

    def __init__(self, directory: Path, file_system: str, *, size: int = 192 << 20,
                 probe: bool = True) -> None:
        if probe:
            require(file_system)
        self._image = directory / f"{file_system}.img"
        self._path = directory / f"{file_system}.mnt"
        self._file_system = file_system
        self._size = size

    def __enter__(self) -> LoopDisk:
        self._image.parent.mkdir(parents=True, exist_ok=True)
        with open(self._image, "wb") as image:
            image.truncate(self._size)
        make_file_system(self._image, self._file_system)
        return self

    def __exit__(self, *_: object) -> None:
        self._image.unlink(missing_ok=True)

    @contextmanager
    def mounted(self) -> Iterator[Path]:
        with attached(self._image) as device, mounted(device, self._path) as path:
            yield path

    def cut_power(self) -> None:
        """Requires: mounted."""
        shut_down(self._path)
