"""`qlab setup`."""

import click

from qlab import builder, packages
from qlab.command import Command


@click.command(cls=Command, example="setup",
               short_help="install the Debian packages that are missing")
def setup() -> None:
    """Installs the Debian packages that are missing (scripts/packages.txt).

    Needs root or passwordless sudo; without, it prints the line to run and exits with status 1. It
    never removes a package.
    """
    if not builder.ensure_packages(everything=True):
        wanted = packages.read_packages(packages.PACKAGES_FILE.read_text(encoding="utf-8"))
        click.echo(f"nothing to do: all {len(wanted)} packages are installed")
