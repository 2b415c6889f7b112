"""`qlab build`."""

from __future__ import annotations

import click

from qlab import builder, paths
from qlab.command import Command


@click.command(cls=Command, example="build --profile asan",
               short_help="compile what changed, into a directory per profile")
@click.option("--profile", type=click.Choice(list(paths.PROFILES)), default="release",
              show_default=True, help="asan and tsan run everything under a sanitizer.")
@click.option("-j", "--jobs", type=click.IntRange(1, 1024),
              help="Compilers at once.  [default: the cores, fewer where memory is short]")
def build(profile: str, jobs: int | None) -> None:
    """Compiles what changed into build/, build-asan/ or build-tsan/."""
    builder.build(profile, jobs=jobs)
    click.echo(f"built: {paths.build_dir(profile).name}/")
