"""`qlab sim`: a whole cluster in one thread from one seed."""

from __future__ import annotations

import click

from qlab.command import Command, not_there


@click.command(cls=Command, example="sim --module raft --seeds 1:1000",
               short_help="run seeds of the simulated cluster (not there yet)")
@click.option("--plane", help="Preset of controller and consensus module.")
@click.option("--module", help="A single group of this consensus module.")
@click.option("--seeds", metavar="A:B", help="Seeds A up to and without B.")
@click.option("--mutant", help="A historical bug, switched on.")
@click.option("--replay", type=int, metavar="SEED", help="Run one seed with its whole trace.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per seed.")
def sim(**_options: object) -> None:
    """Runs clusters in virtual time, with faults drawn from the seed."""
    not_there("qlab sim",
              "it will run a group of any consensus module, and then whole clusters, in the "
              "simulated runtime, check the invariants after every step and print for a failing "
              "seed the command that replays it",
              "the simulated runtime has its own tests, ./qlab test runtime")
