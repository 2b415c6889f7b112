"""`qlab test`."""

from __future__ import annotations

import click

from qlab import builder, paths, progress, suites
from qlab.command import Command
from qlab.tally import Tally


def _choose(wanted: tuple[str, ...], known: list[str]) -> list[str]:
    for name in wanted:
        if name not in known:
            raise click.BadParameter(f"no suite '{name}'; there are: {' '.join(known)}",
                                     param_hint="SUITE")
    return [name for name in known if name in wanted] if wanted else known


def _summary(tally: Tally) -> None:
    if tally.skipped:
        click.echo("skipped:")
        for name, reason in tally.skipped:
            click.echo(f"  {name}: {reason}")
    if tally.failed:
        click.echo("failed:")
        for name in tally.failed:
            click.echo(f"  {name}")


@click.command(cls=Command, example="test storage raft",
               short_help="run the tests; the last line counts them")
@click.argument("names", nargs=-1, metavar="[SUITE]...")
@click.option("--profile", type=click.Choice(list(paths.PROFILES)), default="release",
              show_default=True, help="asan and tsan run everything under a sanitizer.")
@click.option("-j", "--jobs", type=click.IntRange(1, 1024), help="Compilers and tests at once.")
@click.option("--list", "list_only", is_flag=True, help="List the suites and run nothing.")
def test(names: tuple[str, ...], profile: str, jobs: int | None, list_only: bool) -> None:
    """Builds what is missing and runs the test suites (all, if none is named).

    A suite is a folder's C++ tests and Python tests; `style` checks the sources, and `cluster`
    holds the tests that start real processes. The last line is exactly
    `N passed, N failed, N skipped`.
    """
    builder.ensure_packages()
    tally = Tally()
    try:
        builder.configure(profile)
        # Lets Meson configure again where a meson.build changed, so that its list is true.
        builder.ninja(profile, ["build.ninja"], jobs, "configuring")
        in_meson, in_pytest = suites.meson_suites(profile), suites.pytest_folders()
        known = list(dict.fromkeys([*in_meson, *in_pytest, suites.CLUSTER]))
        chosen = _choose(names, known)
        if list_only:
            click.echo("\n".join(known))
            return
        cpp = [name for name in chosen if name in in_meson]
        python = [name for name in chosen if name in in_pytest or name == suites.CLUSTER]
        targets = [] if python or not names else suites.programs_of(profile, cpp)
        if python or targets or not names:
            builder.build(profile, targets=targets, jobs=jobs)
    except builder.StepFailed as error:
        click.echo(f"Error: {error.message}", err=True)
        tally.add("build", "failed", error.message)
        _finish(tally)
    if cpp:
        tally.merge(suites.run_meson(profile, cpp, jobs))
    for suite in python:
        folders = in_pytest if suite == suites.CLUSTER else [suite]
        one = suites.run_pytest(profile, suite, folders)
        if names and one.count() == 0:
            progress.say(f"suite {suite} has no tests")
        tally.merge(one)
    _finish(tally)


def _finish(tally: Tally) -> None:
    """Nothing at all having run is a failure too."""
    _summary(tally)
    click.echo(tally.line())
    raise SystemExit(1 if tally.failed or tally.count() == 0 else 0)
