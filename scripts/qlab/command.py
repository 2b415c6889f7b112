"""The kind of command that this program has: one that shows an example in its help."""

from __future__ import annotations

from typing import NoReturn

import click

# The exit status of what has its place in the command line, but no code behind it yet.
NOT_THERE = 4


class Command(click.Command):
    """A command with an example: `./qlab <example>`."""

    def __init__(self, *args, example: str, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.example = example
        self.epilog = f"Example: ./qlab {example}"


class Group(click.Group):
    """A group of commands with an example of one of them."""

    def __init__(self, *args, example: str, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.example = example
        self.epilog = f"Example: ./qlab {example}"


def not_there(what: str, will: str, instead: str = "") -> NoReturn:
    """Says that something is still missing, and ends with status 4."""
    click.echo(f"{what} is not there yet: {will}", err=True)
    if instead:
        click.echo(f"until then: {instead}", err=True)
    raise SystemExit(NOT_THERE)


def parse_settings(pairs: tuple[str, ...]) -> dict[str, str]:
    """`--set key=value ...` as a mapping.

    Errors: click.BadParameter naming the pair; a key given twice is one.
    """
    settings: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise click.BadParameter(f"'{pair}' is not key=value", param_hint="--set")
        if key in settings:
            raise click.BadParameter(f"'{key}' is given twice", param_hint="--set")
        settings[key] = value
    return settings
