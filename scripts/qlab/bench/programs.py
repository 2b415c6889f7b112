"""Runs the measuring programs, ours and fio, each on equal terms."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass

from qlab import paths

STORAGE = "storage/bench/qlab-bench-storage"
MICRO = "storage/bench/micro/qlab-bench-micro"

# Both programs run ahead of whoever else wants the CPU, where that is allowed: a scheduler's
# time slice (4 ms) is forty times what is measured.
_NICENESS = -15


class BenchError(Exception):
    """A measurement failed; the message says which and why."""


def _ahead_of_others() -> None:
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, _NICENESS)


def _run(command: list[str], timeout_s: float, *, kills_itself: bool = False) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False,
                          timeout=timeout_s, preexec_fn=_ahead_of_others)
    if done.returncode != (-signal.SIGKILL if kills_itself else 0):
        said = (done.stderr or done.stdout).strip().splitlines()
        raise BenchError(f"{' '.join(command)}: status {done.returncode}: "
                         f"{said[-1] if said else 'no word'}")
    return done.stdout


def measure(arguments: list[str], *, program: pathlib.Path | None = None, timeout_s: float = 900,
            kills_itself: bool = False) -> list[dict]:
    """The lines of one call of qlab-bench-storage. Errors: BenchError.

    `kills_itself`: it ends as `--stage=fill` does when what it leaves is to be recovered.
    """
    command = [str(program or paths.build_dir("release") / STORAGE), *arguments]
    said = _run(command, timeout_s, kills_itself=kills_itself)
    lines = [json.loads(line) for line in said.splitlines()]
    for line in lines:
        if line.get("errors"):
            raise BenchError(f"{' '.join(command)}: {line['errors']} operations failed; the "
                             f"first: {line['first_error']}")
    return lines


def plugs(program: pathlib.Path | None = None) -> dict[str, list[str]]:
    """The engines and layouts of this build: {"engines": [...], "layouts": [...]}."""
    return measure(["plugs"], program=program)[0]


def micro(name: str) -> list[dict]:
    """The lines of qlab-bench-micro about `name`. Errors: BenchError."""
    program = paths.build_dir("release") / MICRO
    if not program.exists():
        raise BenchError(f"{MICRO} is not built")
    family = "crc32c" if name == "crc32c_64k" else name
    return [json.loads(line) for line in
            _run([str(program), "--json", f"--benchmark_filter=^{family}(_baseline)?(/|$)"],
                 300).splitlines()]


# --- fio ---------------------------------------------------------------------------------------

@dataclass(frozen=True)
class FioResult:
    """What fio measured: of the whole job after its ramp."""

    p50_us: float
    p99_us: float
    bytes_per_s: float
    operations_per_s: float
    command: str


def fio_missing() -> str | None:
    """Why there is no limit, or None."""
    return None if shutil.which("fio") else "fio is not installed (apt-get install fio)"


def parse_fio(text: str, direction: str, command: str) -> FioResult:
    """Reads fio's json+ output. Errors: BenchError, when a job failed or nothing was done."""
    try:
        job = json.loads(text[text.index("{"):])["jobs"][0]
        side = job[direction]
        if job["error"]:
            raise BenchError(f"{command}: error {job['error']}")
        percentiles = side["lat_ns"]["percentile"]
        return FioResult(p50_us=percentiles["50.000000"] / 1e3,
                         p99_us=percentiles["99.000000"] / 1e3,
                         bytes_per_s=float(side["bw_bytes"]),
                         operations_per_s=float(side["iops"]), command=command)
    except (ValueError, KeyError, IndexError) as error:
        raise BenchError(f"{command}: what it printed is not understood ({error!r})") from error


def write_zeros(path: pathlib.Path, size: int) -> None:
    """Writes a file of zeros durably, so that overwriting it changes data only."""
    block = bytes(1 << 20)
    with path.open("wb", buffering=0) as file:
        for at in range(0, size, len(block)):
            file.write(block[:size - at])
        os.fsync(file.fileno())


@contextlib.contextmanager
def zero_filled_file(directory: pathlib.Path, size: int) -> Iterator[pathlib.Path]:
    """A file of written zeros that is removed at the end."""
    handle, name = tempfile.mkstemp(prefix="limit-", dir=directory)
    os.close(handle)
    path = pathlib.Path(name)
    try:
        write_zeros(path, size)
        yield path
    finally:
        path.unlink(missing_ok=True)


def fio_sync_writes(file: pathlib.Path, *, block: int, depth: int, runtime_s: float = 0,
                    ramp_s: float = 0, total: int | None = None) -> FioResult:
    """The limit of durable appends: sequential overwrites, each durable when it ends.

    For a time, or `total` bytes of the file, once.
    """
    size = total or file.stat().st_size
    span = [] if total else ["--time_based", f"--runtime={_millis(runtime_s)}",
                             f"--ramp_time={_millis(ramp_s)}"]
    return _fio(file, "write", ["--direct=1", "--sync=dsync", "--rw=write", "--overwrite=1",
                                f"--bs={block}", f"--iodepth={depth}", f"--size={size}", *span],
                runtime_s)


def _millis(seconds: float) -> str:
    """As fio reads it: of `0.5s` it would make something else than half a second."""
    return f"{round(seconds * 1000)}ms"


def fio_sequential_read(file: pathlib.Path, *, block: int, depth: int, direct: bool,
                        size: int | None = None) -> FioResult:
    """The limit of a scan: the file's first `size` bytes (all, if none) once, from a cold cache."""
    size = size or file.stat().st_size
    return _fio(file, "read", ["--rw=read", f"--bs={block}", f"--iodepth={depth}",
                               f"--direct={int(direct)}", "--invalidate=1",
                               f"--size={size}"], 120)


def _fio(file: pathlib.Path, direction: str, words: list[str], runtime_s: float) -> FioResult:
    command = ["fio", "--name=limit", f"--filename={file}",
               "--ioengine=io_uring", "--fixedbufs=1", "--registerfiles=1", "--thread=1",
               "--group_reporting=1", "--output-format=json+", "--percentile_list=50:90:99:99.9",
               "--lat_percentiles=1", "--clat_percentiles=0", *words]
    return parse_fio(_run(command, runtime_s + 120), direction, " ".join(command))
