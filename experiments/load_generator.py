"""Starts qlab-load and reads what it leaves."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from experiments.provenance import ROOT
from experiments.raw_data import lines
from harness.checkers import PartitionRead, ReadBack
from harness.history import FAIL, INFO, INVOKE, OK, Send

STOP_TIMEOUT = 60.0  # Seconds; beyond the longest message timeout that an experiment here uses.


class LoadError(Exception):
    """qlab-load did not do what was asked; the message has its own words."""


def binary() -> Path:
    """Errors: LoadError when it is not built."""
    path = Path(os.environ.get("QLAB_BUILD_DIR", ROOT / "build")) / "experiments" / "qlab-load"
    if not os.access(path, os.X_OK):
        raise LoadError(f"{path} is missing; build it with ./qlab build")
    return path


def command(mode: str, bootstrap: str, output: Path, flags: dict[str, Any]) -> list[str]:
    """Flags are named as qlab-load's, with _ for -; a list repeats its flag."""
    words = [str(binary()), mode, f"--bootstrap={bootstrap}", f"--output={output}"]
    for name, value in flags.items():
        for one in value if isinstance(value, list) else [value]:
            text = str(one).lower() if isinstance(one, bool) else str(one)
            words.append(f"--{name.replace('_', '-')}={text}")
    return words


class LoadGenerator:
    """A running `produce` or `probe`. Leaving the block stops it and waits until its files are
    whole.

    Errors: LoadError from any method when it ended with an error.
    """

    def __init__(self, mode: str, bootstrap: str, output: Path, **flags: Any) -> None:
        self.output = output
        self._command = command(mode, bootstrap, output, {"duration": 0, **flags})
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> LoadGenerator:
        self.output.mkdir(parents=True, exist_ok=True)
        with open(self.output / "progress.log", "w", encoding="utf-8") as log:
            self._process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL,
                                             stdout=subprocess.PIPE, stderr=log, text=True)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        try:
            self.stop()
        except LoadError:
            if error is None:  # Else the first error is the one to see.
                raise

    def wait_measuring(self, timeout: float) -> int:
        """Returns the time (monotonic ns) at which the warm-up ended."""
        process = self._running()
        assert process.stdout is not None
        with selectors.DefaultSelector() as ready:
            ready.register(process.stdout, selectors.EVENT_READ)
            line = process.stdout.readline() if ready.select(timeout) else ""
        if not line.startswith("measuring t_ns="):
            if process.poll() is None and not line:
                raise LoadError(f"qlab-load still warmed up after {timeout:g} s; {self._words()}")
            self.check()
            raise LoadError(f"qlab-load ended before it measured; {self._words()}")
        return int(line.split()[1].removeprefix("t_ns="))

    def check(self) -> None:
        """Errors: LoadError when it has ended by itself."""
        if self._running().poll() is not None:
            raise LoadError(
                f"qlab-load ended with status {self._running().returncode}; {self._words()}")

    def stop(self) -> None:
        """SIGTERM; returns when every outstanding record has its outcome."""
        process = self._running()
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise LoadError(
                f"qlab-load did not stop within {STOP_TIMEOUT:g} s; {self._words()}") from None
        finally:
            if process.stdout is not None:
                process.stdout.close()
        if process.returncode != 0:
            raise LoadError(f"qlab-load ended with status {process.returncode}; {self._words()}")

    def _running(self) -> subprocess.Popen[str]:
        assert self._process is not None, "use it in a with block"
        return self._process

    def _words(self) -> str:
        lines = (self.output / "progress.log").read_text(errors="replace").splitlines()
        return "its last words: " + (" | ".join(lines[-3:]) or "none")


def read_all(bootstrap: str, topic: str, output: Path, timeout: float = 60.0) -> None:
    """Writes records.jsonl.gz and read.json: everything up to the high watermarks. Errors:
    LoadError."""
    try:
        done = subprocess.run(command("read-all", bootstrap, output, {"topic": topic}),
                              capture_output=True, text=True, check=False, timeout=timeout)
    except subprocess.TimeoutExpired:
        raise LoadError(f"reading {topic} back took longer than {timeout:g} s") from None
    if done.returncode != 0:
        raise LoadError(f"reading {topic} back: status {done.returncode}: {done.stderr.strip()}")


@dataclass(frozen=True)
class Operations:
    """The operations of a history as columns, in the order of their invocation. Times are monotonic
    ns."""

    ids: np.ndarray
    processes: np.ndarray
    partitions: np.ndarray
    """-1 when unknown."""
    offsets: np.ndarray
    """-1 when unknown."""
    intended: np.ndarray
    sent: np.ndarray
    completed: np.ndarray
    """When the outcome was known; -1 for an operation without one."""
    outcomes: np.ndarray
    """ok, fail or info."""
    topic: str

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def ok(self) -> np.ndarray:
        return self.outcomes == OK

    def acks_ns(self, partition: int) -> np.ndarray:
        """When records of the partition were acknowledged."""
        return self.completed[self.ok & (self.partitions == partition)]

    @cached_property
    def response_ms(self) -> np.ndarray:
        """From the intended time to the outcome. For a fail or info this is a lower bound of what
        an ack would have taken; NaN without an outcome."""
        return np.where(self.completed < 0, np.nan, (self.completed - self.intended) / 1e6)

    def sends(self) -> list[Send]:
        """As the harness's checkers want them."""
        return [Send(int(process), self.topic, None if partition < 0 else int(partition), int(id_),
                     str(outcome), None if offset < 0 else int(offset))
                for process, partition, id_, outcome, offset in zip(
                    self.processes, self.partitions, self.ids, self.outcomes, self.offsets,
                    strict=True)]


def load_operations(directory: Path) -> Operations:
    """Reads history.jsonl. Errors: FileNotFoundError; ValueError for a completion without an
    invoke."""
    rows: dict[int, list[Any]] = {}
    topic = ""
    for op in lines(directory / "history.jsonl"):
        value = op["value"]
        id_ = value["id"]
        partition = -1 if value["partition"] is None else value["partition"]
        if op["type"] == INVOKE:
            topic = value["topic"]
            rows[id_] = [id_, op["process"], partition, -1, value["intended"], op["time"], -1, INFO]
            continue
        if op["type"] not in (OK, FAIL, INFO) or id_ not in rows:
            raise ValueError(f"{directory}/history.jsonl: line {op['index']} completes nothing")
        row = rows[id_]
        if partition >= 0:
            row[2] = partition
        row[3], row[6], row[7] = value.get("offset", -1), op["time"], op["type"]
    columns = list(zip(*rows.values(), strict=True)) or [()] * 8
    return Operations(*(np.array(c, np.int64) for c in columns[:7]), np.array(columns[7]), topic)


def load_read_back(directory: Path) -> ReadBack:
    """What read_all left. A record that is not ours, or damaged, has an id of its own: ("foreign",
    partition, offset)."""
    summary = json.loads((directory / "read.json").read_text())
    read = ReadBack()
    for p in summary["partitions"]:
        read.partitions[summary["topic"], p["partition"]] = PartitionRead(p["low"], p["high"])
    for line in lines(directory / "records.jsonl"):
        part = read.partitions[summary["topic"], line["partition"]]
        part.offsets.append(line["offset"])
        place = ("foreign", line["partition"], line["offset"])
        part.ids.append(place if line["id"] is None else line["id"])
    return read


def wait_until(condition: Any, timeout: float, what: str, load: LoadGenerator | None = None) -> int:
    """Waits for `condition()` and returns the monotonic ns at which it was seen; an exception is
    "not yet". `load` is watched meanwhile. Errors: LoadError, also after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    last = "false"
    while time.monotonic() < deadline:
        if load is not None:
            load.check()
        try:
            if condition():
                return time.monotonic_ns()
            last = "false"
        except Exception as error:
            last = f"{type(error).__name__}: {error}"
        time.sleep(0.02)
    raise LoadError(f"waited {timeout:g} s for {what}, in vain; last: {last}")
