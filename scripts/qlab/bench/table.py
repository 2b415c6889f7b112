"""The figures as a table for people."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.table import Table

from qlab.bench.rows import Line


def number(value: float | None) -> str:
    """Three significant digits, and no exponent."""
    if value is None:
        return "-"
    if abs(value) >= 1000:
        return f"{value:,.0f}".replace(",", " ")
    return f"{value:.3g}" if abs(value) >= 0.001 or value == 0 else f"{value:.2g}"


def verdict(line: Line) -> str:
    met = line.more.get("met")
    return "" if met is None else "met" if met else "not met"


def show(lines: Iterable[Line], console: Console | None = None) -> None:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for title, justify in (("", "left"), ("engine", "left"), ("value", "right"),
                           ("spread", "right"), ("unit", "left"), ("limit", "right"),
                           ("ratio", "right"), ("target", "left"), ("", "left")):
        table.add_column(title, justify=justify, no_wrap=True)
    notes: list[str] = []
    before = ""
    for line in lines:
        name = line.name if line.name != before else ""
        before = line.name
        low, high = line.more.get("value_min"), line.more.get("value_max")
        spread = f"{number(low)} .. {number(high)}" if low is not None else ""
        table.add_row(name, line.engine or "", number(line.value), spread, line.unit,
                      number(line.limit), number(line.ratio), line.more.get("target") or "",
                      verdict(line))
        if line.more.get("reason"):
            notes.append(f"{line.name} {line.engine or ''}: {line.more['reason']}")
    # A pipe has no width of its own, and a cut figure is worse than a wide line.
    console = console or Console(width=None if Console().is_terminal else 130)
    console.print(table)
    for note in notes:
        console.print(note, highlight=False, soft_wrap=True)
