"""Reads traces: one NDJSON line per event, of one node or of many, merged by time."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import click


@dataclass(frozen=True)
class Event:
    t: int  # Nanoseconds, of a clock that all nodes of the trace share.
    node: int
    name: str
    fields: dict = field(hash=False)

    def __getitem__(self, name: str):
        return self.fields[name]

    def get(self, name: str, default=None):
        return self.fields.get(name, default)


@dataclass
class Trace:
    events: list[Event]  # By time; those of one node in the order in which it told them.
    torn: int = 0  # Lines that are no JSON: the end of a killed process's file.

    @property
    def begin(self) -> int:
        return self.events[0].t

    @property
    def end(self) -> int:
        return self.events[-1].t

    @property
    def nodes(self) -> list[int]:
        return sorted({event.node for event in self.events})

    def named(self, *names: str) -> list[Event]:
        return [event for event in self.events if event.name in names]


def parse(lines: Iterable[str]) -> Trace:
    events, torn = [], 0
    for line in lines:
        if not line.strip():
            continue
        try:
            fields = json.loads(line)
            events.append(Event(fields.pop("t_ns"), fields.pop("node"), fields.pop("event"),
                                fields))
        except (ValueError, KeyError, TypeError, AttributeError):
            torn += 1
    events.sort(key=lambda event: event.t)  # Stable: equal times stay in the order of the lines.
    return Trace(events, torn)


def read(paths: Iterable[Path]) -> Trace:
    """Errors: click.ClickException, naming the file, when one has no event."""
    lines: list[str] = []
    for path in paths:
        own = path.read_text(encoding="utf-8", errors="replace").splitlines()
        if not parse(own[:100]).events:
            raise click.ClickException(f"{path} is no trace: none of its first lines is an event "
                                       "(docs/trace.md)")
        lines += own
    return parse(lines)
