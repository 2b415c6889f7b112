"""`qlab trace`: what happened in a consensus group, told from its trace."""

from __future__ import annotations

import json
import pathlib

import click

from qlab.command import Command, Group

_FILES = click.argument("files", nargs=-1, required=True, metavar="FILE...",
                        type=click.Path(exists=True, dir_okay=False, path_type=pathlib.Path))
_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON object per line.")

_EPILOG = """\b
Where traces come from (docs/trace.md tells every event and field):
  ./qlab sim --module raft --replay 7 --trace t.ndjson      a simulated group, virtual time
  qlab-consensus-node --trace=n1.ndjson --trace-details=true --trace-entries-every=100 ...
  trace.file=n1.ndjson in a broker's properties             actions alone, no messages
\b
Files of several nodes of one host go together: they share a clock.
\b
Example: ./qlab trace why t.ndjson"""


@click.group(cls=Group, example="trace why t.ndjson",
             short_help="why elections began, where time goes, pictures: from a trace")
def trace() -> None:
    """Tells what happened in a consensus group, from the traces of its nodes."""


trace.epilog = _EPILOG


def _read(files: tuple[pathlib.Path, ...]):
    from qlab.trace import events
    found = events.read(files)
    if found.torn:
        click.echo(f"{found.torn} lines are torn and left out", err=True)
    return found


@trace.command(cls=Command, example="trace why t.ndjson",
               short_help="why each election began, who voted what, how it ended")
@_FILES
@click.option("--from", "begin", type=float, metavar="MS", help="Only elections from here on.")
@click.option("--to", "end", type=float, metavar="MS", help="Only elections before this.")
@_JSON
def why(files: tuple[pathlib.Path, ...], begin: float | None, end: float | None,
        as_json: bool) -> None:
    """Explains every election: who wanted to lead and why, what it had last heard from its leader,
    what became of that leader, who voted what for which reason, how it ended, and when.

    Times are milliseconds from the first event; those with + from the begin of the election. The
    message that was heard last is told when the trace has details.
    """
    from qlab.trace import why as reasons
    found = _read(files)
    low, high = begin or 0.0, float("inf") if end is None else end
    shown = 0
    for number, row in enumerate(reasons.as_rows(found), start=1):
        if not low <= row["t_ns"] / 1e6 < high:
            continue
        shown += 1
        if as_json:
            click.echo(json.dumps({"election": number, **row}))
    if as_json:
        return
    for number, election in enumerate(reasons.find(found), start=1):
        if low <= (election.started.t - found.begin) / 1e6 < high:
            click.echo(reasons.describe(found, election, number))
    if shown == 0:
        click.echo("no election began")


@trace.command(cls=Command, example="trace split n1.ndjson n2.ndjson n3.ndjson",
               short_help="where the latency of an entry goes, stage by stage")
@_FILES
@_JSON
def split(files: tuple[pathlib.Path, ...], as_json: bool) -> None:
    """Splits the latency of entries, per node: from the proposal (the leader appended it) until it
    is durable here, durable at a quorum (the leader's row: by the nodes' own clocks), known to be
    committed here, and applied here. Microseconds, percentiles over the entries.

    Traces need entries that were followed: of the simulator all are, of a node every N-th with
    --trace-entries-every=N. Give the traces of all nodes, or there is no quorum to see.
    """
    from qlab.trace import split as splitting
    rows = splitting.rows(_read(files))
    if not rows:
        raise click.ClickException("no entry was followed in these traces from its proposal on; "
                                   "a node does with --trace-entries-every=N")
    names = [f"p{quantile:g}" for quantile in splitting.QUANTILES]
    if as_json:
        for row in rows:
            click.echo(json.dumps({"node": row.node, "role": row.role, "stage": row.stage,
                                   "count": row.count, "unit": "us",
                                   **dict(zip(names, row.quantiles_us, strict=True))}))
        return
    click.echo(f"{'node':<8}{'role':<10}{'since proposed':<18}{'entries':>9}"
               + "".join(f"{name:>12}" for name in names) + "  us")
    before = None
    for row in rows:
        who = f"{row.node:<8}{row.role:<10}" if (row.node, row.role) != before else " " * 18
        before = (row.node, row.role)
        click.echo(f"{who}{row.stage:<18}{row.count:>9}"
                   + "".join(f"{value:>12.1f}" for value in row.quantiles_us))


@trace.command(cls=Command, example="trace picture t.ndjson --election 2 -o election.html",
               short_help="a swim-lane picture: roles, epochs, messages, commits")
@_FILES
@click.option("-o", "--output", required=True, type=click.Path(dir_okay=False,
                                                               path_type=pathlib.Path),
              help="A .svg, or an .html that zooms and tells what is pointed at.")
@click.option("--from", "begin", type=float, metavar="MS", help="Default: the first event.")
@click.option("--to", "end", type=float, metavar="MS", help="Default: the last event.")
@click.option("--election", type=click.IntRange(min=1), metavar="N",
              help="Around the N-th election, as `trace why` counts them.")
def picture(files: tuple[pathlib.Path, ...], output: pathlib.Path, begin: float | None,
            end: float | None, election: int | None) -> None:
    """Draws one lane per node: its role in colour with its epoch, messages as arrows (crossed out:
    never came), commits as ticks; elections, crashes, configurations and images as signs.
    """
    from qlab.trace import lanes, picture as drawing, why as reasons
    if output.suffix not in (".svg", ".html"):
        raise click.BadParameter(f"'{output}' ends neither in .svg nor in .html",
                                 param_hint="--output")
    found = _read(files)
    low = found.begin if begin is None else found.begin + round(begin * 1e6)
    high = found.end if end is None else found.begin + round(end * 1e6)
    title = ", ".join(path.name for path in files)
    if election is not None:
        all_of_them = reasons.find(found)
        if election > len(all_of_them):
            raise click.BadParameter(f"there are {len(all_of_them)}", param_hint="--election")
        low, high = reasons.window(found, all_of_them[election - 1])
        title += f": election {election}"
    if high <= low:
        raise click.BadParameter("the window ends before it begins", param_hint="--from, --to")
    svg = drawing.draw_svg(lanes.build(found), title, low, high)
    text = svg if output.suffix == ".svg" else drawing.wrap_html(svg, title)
    output.write_text(text, encoding="utf-8")
    click.echo(output)


@trace.command(cls=Command, example="trace perfetto t.ndjson -o t.json",
               short_help="a file for ui.perfetto.dev")
@_FILES
@click.option("-o", "--output", required=True,
              type=click.Path(dir_okay=False, path_type=pathlib.Path), help="A .json file.")
def perfetto(files: tuple[pathlib.Path, ...], output: pathlib.Path) -> None:
    """Writes Chrome's trace events: open the file at ui.perfetto.dev or in chrome://tracing. A
    process per node: roles as slices, messages with arrows, commit and applied as counters.
    """
    from qlab.trace import lanes, perfetto as converting
    output.write_text(json.dumps(converting.convert(lanes.build(_read(files)))), encoding="utf-8")
    click.echo(output)
