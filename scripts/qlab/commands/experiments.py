"""`qlab run` and `qlab report`: the doors to the experiments."""

from __future__ import annotations

import pathlib

import click

from qlab import builder, paths
from qlab.command import Command, parse_settings

_MARKS = ("experiment.toml", "experiment.py")


def known_experiments(root: pathlib.Path = paths.ROOT) -> list[str]:
    """The folders of experiments/ that hold an experiment."""
    folder = root / "experiments"
    if not folder.is_dir():
        return []
    return sorted(entry.name.replace("_", "-") for entry in folder.iterdir()
                  if any((entry / mark).is_file() for mark in _MARKS))


class _RunCommand(Command):
    """Its help tells of the experiment that is named, or names all of them."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.meta["experiments"] = [word for word in args if word in known_experiments()]
        return super().parse_args(ctx, args)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_options(ctx, formatter)
        from experiments import definition
        for name in ctx.meta["experiments"][:1]:
            chosen = definition.load(name)
            with formatter.section(chosen.title):
                formatter.write_text(chosen.question)
            with formatter.section("Values of --set, with their defaults"):
                formatter.write_dl(list(definition.settings_of(chosen)))
            return
        with formatter.section("Experiments (--help with one of them tells more)"):
            formatter.write_dl([(name, definition.load(name).title)
                                for name in known_experiments()])


@click.command(cls=_RunCommand, example="run quickstart --quick --set engine=uring",
               short_help="run an experiment: raw data, figures and a report under results/")
@click.argument("experiment")
@click.option("--quick", is_flag=True, help="Fewer and shorter trials: does it work at all?")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE",
              help="Override a value of the experiment; may be repeated.")
@click.option("--trials", type=click.IntRange(1, 10_000), help="How often each cell is repeated.")
def run(experiment: str, quick: bool, settings: tuple[str, ...], trials: int | None) -> None:
    """Runs EXPERIMENT and leaves raw data, summary.json, figures and report.html under results/.

    The last line printed is the path of summary.json.
    """
    known = known_experiments()
    if experiment not in known:
        raise click.BadParameter(
            f"no experiment '{experiment}'; there are: {', '.join(known) or 'none'}",
            param_hint="EXPERIMENT")
    overrides = parse_settings(settings)
    builder.ensure_packages()
    from experiments import definition, runner
    builder.build("release", targets=list(definition.load(experiment).programs))
    summary = runner.main(experiment, quick=quick, overrides=overrides, trials=trials)
    click.echo(str(summary))


@click.command(cls=Command, example="report results/quickstart/reference",
               short_help="draw figures and report again from a run's raw data")
@click.argument("runs", nargs=-1)
def report(runs: tuple[str, ...]) -> None:
    """Draws the figures and report.html of each RUN again (all of results/, if none is named).

    A RUN is a folder, or its name under results/.

    Nothing is measured again: figures are functions of the raw data.
    """
    builder.ensure_packages()
    from experiments import report as reporter
    reporter.main(list(runs))
