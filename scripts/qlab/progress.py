"""Progress of long steps, on standard error: standard output carries results only."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator

from rich.console import Console
from rich.progress import (BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn,
                           TimeElapsedColumn)

_PLAIN_INTERVAL_S = 10.0


class Step:
    """One long step. `update` may be called at any rate; what is shown is limited."""

    def update(self, done: int, total: int, text: str) -> None:
        raise NotImplementedError


class _PlainStep(Step):
    """A line every few seconds, for logs and pipes."""

    def __init__(self, title: str) -> None:
        self.title_ = title
        self.shown_at_ = time.monotonic()

    def update(self, done: int, total: int, text: str) -> None:
        now = time.monotonic()
        if now - self.shown_at_ >= _PLAIN_INTERVAL_S:
            self.shown_at_ = now
            say(f"{self.title_}: {done}/{total} {text}")


class _RichStep(Step):
    """A bar that moves, for a terminal."""

    def __init__(self, progress: Progress, title: str) -> None:
        self.progress_ = progress
        self.task_ = progress.add_task(title, total=None, text="")

    def update(self, done: int, total: int, text: str) -> None:
        self.progress_.update(self.task_, completed=done, total=total or None, text=text[:60])


def say(text: str) -> None:
    """A line for the person who watches."""
    print(text, file=sys.stderr, flush=True)


@contextlib.contextmanager
def step(title: str) -> Iterator[Step]:
    """Shows the step while the block runs; a step of two seconds or more leaves a line behind."""
    began = time.monotonic()
    if sys.stderr.isatty():
        columns = [SpinnerColumn(), TextColumn("{task.description}"), BarColumn(bar_width=30),
                   MofNCompleteColumn(), TimeElapsedColumn(),
                   TextColumn("{task.fields[text]}", style="dim")]
        with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
            yield _RichStep(progress, title)
    else:
        yield _PlainStep(title)
    took = time.monotonic() - began
    if took >= 2.0:
        say(f"{title}: {took:.1f} s")
