"""The command line: `./qlab COMMAND`. Commands are imported when they are used."""

from __future__ import annotations

import importlib

import click

# Command -> module under qlab.commands, in the order of the help.
COMMANDS = {
    "setup": "setup", "build": "build", "test": "test",
    "run": "experiments", "report": "experiments", "compare": "later", "serve": "later",
    "cluster": "cluster", "fault": "later", "topic": "later",
    "sim": "sim", "trace": "trace", "check": "later", "bench": "bench", "peer": "later",
}

_EPILOG = """\b
Start here:
  ./qlab test               build everything and run every test
  ./qlab run quickstart     three brokers, a killed leader, a figure
Each sets up and builds what is missing. Results are printed on standard output and progress on
standard error. Exit status: 0 done, 1 failed, 2 wrong usage, 4 not there yet."""


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"qlab.commands.{COMMANDS[cmd_name]}")
        return getattr(module, cmd_name)

    def resolve_command(self, ctx: click.Context, args: list[str]):
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            raise click.UsageError(
                f"no command '{args[0]}'; there are: {', '.join(COMMANDS)}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands, each with an example"):
            rows = []
            for name in COMMANDS:
                command = self.get_command(ctx, name)
                assert command is not None
                rows.append((name, f"{command.short_help}"))
                rows.append(("", f"./qlab {command.example}"))
            formatter.write_dl(rows)


@click.group(cls=_Commands, epilog=_EPILOG, invoke_without_command=True,
             context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Quorumlab: a research testbed for replicated logs."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def main() -> None:
    cli.main(prog_name="qlab")
