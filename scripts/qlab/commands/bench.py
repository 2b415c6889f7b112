"""`qlab bench`: one part alone, beside the physical limit."""

from __future__ import annotations

import json
import pathlib
import signal
import sys
import tempfile

import click

from qlab import builder, paths, progress
from qlab.command import Command, not_there

_PARTS_LATER = {"consensus": "the consensus modules", "wire": "the codec",
                "broker": "one broker's request path"}


@click.command(cls=Command, example="bench storage --json",
               short_help="measure one part alone, beside the limit of the machine")
@click.argument("part", type=click.Choice(["storage", *_PARTS_LATER]))
@click.option("--json", "as_json", is_flag=True,
              help="One object per line: name, engine, value, unit, limit, ratio, and more.")
@click.option("--quick", is_flag=True, help="Short rounds: does it work, roughly where is it?")
@click.option("--rounds", type=click.IntRange(1, 100), help="3 with --quick, else 5.")
@click.option("--only", multiple=True, metavar="NAME", help="These rows alone; may be repeated.")
@click.option("--dir", "directory", type=click.Path(file_okay=False, path_type=pathlib.Path),
              help="Measure the file system of this directory; default: that of build/.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=pathlib.Path),
              help="Write the lines to this file too.")
def bench(part: str, as_json: bool, quick: bool, rounds: int | None, only: tuple[str, ...],
          directory: pathlib.Path | None, out: pathlib.Path | None) -> None:
    """Measures a PART alone.

    storage: appends, group commit, recovery and many partitions, each engine against what fio
    reaches on the same file system in the same minutes (O_DIRECT, O_DSYNC, a zero-filled file that
    is overwritten). Rounds alternate between ours and fio; a line holds medians over the rounds,
    and its ratio is the median of the rounds' own ratios. A run that is to be believed wants a
    quiet machine.
    """
    if part in _PARTS_LATER:
        not_there(f"qlab bench {part}", f"it will measure {_PARTS_LATER[part]} alone",
                  "./qlab bench storage")
    from qlab.bench import machine, programs, rows, table
    known_names = [row.name for row in rows.ROWS]
    for name in only:
        if name not in known_names:
            raise click.BadParameter(f"no row '{name}'; there are: {', '.join(known_names)}",
                                     param_hint="--only")
    builder.build("release", targets=[programs.STORAGE, programs.MICRO])
    note = machine.warning(machine.busy_share())
    if note:
        progress.say(note)
    missing = programs.fio_missing()
    if missing:
        progress.say(f"{missing}: limit and ratio stay empty")
    # The scratch files go, gigabytes at times, when this is ended from outside too.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    lines: list[rows.Line] = []
    parent = directory or paths.build_dir("release")
    parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="qlab-bench.", dir=parent) as scratch:
        settings = rows.Settings(
            directory=pathlib.Path(scratch), rounds=rounds or (3 if quick else 5),
            seconds=0.8 if quick else 3.0, warmup_s=0.2 if quick else 0.5,
            with_fio=missing is None, scan_bytes=(256 if quick else 1024) * rows.MIB)
        known = programs.plugs()
        for row in rows.ROWS:
            if only and row.name not in only:
                continue
            for line in rows.run(row, known, settings, progress.say):
                lines.append(line)
                if as_json:
                    click.echo(json.dumps(line.as_json()))
    if not as_json:
        table.show(lines)
    note = machine.disturbance([line.more["other_cpu_share"] for line in lines
                                if line.more.get("other_cpu_share") is not None])
    if note:
        progress.say(note)
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text("".join(json.dumps(line.as_json()) + "\n" for line in lines),
                       encoding="utf-8")
