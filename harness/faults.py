"""Faults that always heal.

    with faults.kill(cluster.leader(topic), history=history):
        ...            # the node is down
    ...                # and serves again

Every fault is a context manager: it heals when the block ends, however it ends. Its two ends go
into the history as operations of the process "nemesis". A fault that this machine cannot do raises
Unavailable with the reason when it is entered, and a test that meets it is skipped; it is never
weakened in silence.
"""

from __future__ import annotations

import functools
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ParamSpec, TypeVar

from harness.cluster import Node
from harness.history import INFO, INVOKE, NEMESIS, History

P = ParamSpec("P")
T = TypeVar("T")


class Unavailable(Exception):
    """This machine cannot do the fault; the message says why."""


PROBES: dict[str, Callable[[], str | None]] = {}
"""Every fault's name -> a function that gives the reason why it cannot be done here, or None."""


def register(name: str, probe: Callable[[], str | None]) -> Callable[
        [Callable[P, Iterator[T]]], Callable[P, AbstractContextManager[T]]]:
    """Makes a fault of a generator: what is before its yield injects, what is after it heals.

    Requires: the generator heals in a `finally`.
    """

    def decorate(body: Callable[P, Iterator[T]]) -> Callable[P, AbstractContextManager[T]]:
        @contextmanager
        @functools.wraps(body)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
            reason = probe()
            if reason is not None:
                raise Unavailable(f"fault {name}: {reason}")
            yield from body(*args, **kwargs)

        PROBES[name] = probe
        return guarded

    return decorate


def missing() -> dict[str, str]:
    """The faults that this machine cannot do, with the reasons."""
    return {name: reason for name, probe in PROBES.items() if (reason := probe()) is not None}


@register("kill", lambda: None)
def kill(node: Node, *, history: History | None = None) -> Iterator[Node]:
    """SIGKILL, then a restart that waits until the node is ready. The page cache survives.

    Errors: cluster.ClusterError when the node does not come back.
    """
    try:
        with _recorded(history, "kill", node):
            node.kill()
        yield node
    finally:
        if not node.alive:
            with _recorded(history, "restart", node):
                node.restart()


@register("pause", lambda: None)
def pause(node: Node, *, history: History | None = None) -> Iterator[Node]:
    """SIGSTOP, then SIGCONT: a node that is silent for a while and does not know it."""
    try:
        with _recorded(history, "pause", node):
            node.pause()
        yield node
    finally:
        with _recorded(history, "resume", node):
            node.resume()


@dataclass
class SmallDisk:
    """A file system of its own at `path`; `size` in bytes."""

    path: Path
    size: int

    def resize(self, size: int) -> None:
        """Makes room, or takes it away. Errors: subprocess.CalledProcessError."""
        subprocess.run(["mount", "-o", f"remount,size={size}", str(self.path)], check=True)
        self.size = size


def _cannot_mount() -> str | None:
    if os.geteuid() != 0:
        return "mounting a tmpfs needs root"
    return _mount_trial()


@functools.cache
def _mount_trial() -> str | None:
    with tempfile.TemporaryDirectory() as path:
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "qlab", path],
                              capture_output=True, text=True, check=False)
        if done.returncode != 0:
            return f"mounting a tmpfs fails: {done.stderr.strip()}"
        subprocess.run(["umount", path], check=True)
    return None


@register("small_disk", _cannot_mount)
def small_disk(path: Path, size: int) -> Iterator[SmallDisk]:
    """Mounts a tmpfs of `size` bytes at `path` and unmounts it; what was on it is gone then.

    Requires: no process works below `path` at the end. tmpfs has no O_DIRECT before Linux 6.6.
    """
    path.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "qlab", str(path)], check=True)
    try:
        yield SmallDisk(path, size)
    finally:
        subprocess.run(["umount", str(path)], check=True)


@contextmanager
def _recorded(history: History | None, f: str, node: Node) -> Iterator[None]:
    """Writes the invoke before and the info after; an error becomes part of the info."""
    value = {"node": node.id}
    if history is not None:
        history.append(INVOKE, NEMESIS, f, value)
    error: str | None = None
    try:
        yield
    except BaseException as failure:
        error = f"{type(failure).__name__}: {failure}"
        raise
    finally:
        if history is not None:
            history.append(INFO, NEMESIS, f, value, error)
