"""`qlab sim`: a consensus group, or a whole cluster, in one thread from one seed."""

from __future__ import annotations

import pathlib
import subprocess

import click

from qlab import builder, paths
from qlab.command import Command

_PROGRAM = "sim/qlab-sim"


@click.command(cls=Command, example="sim --module raft --seeds 1:1000",
               short_help="run seeds of a simulated consensus group or cluster")
@click.option("--plane", metavar="P",
              help="A whole cluster with this control plane: kraft, raft, zk or DESIGN-MODULE, "
                   "as in quorum-zab.")
@click.option("--replicator", type=click.Choice(["isr", "consensus"]), default="isr",
              show_default=True, help="With --plane: how partitions are copied.")
@click.option("--module", default="raft", show_default=True,
              help="A single group of this consensus module: raft, kraft, zab.")
@click.option("--seeds", metavar="A:B", default="1:101", show_default=True,
              help="Seeds A up to and without B.")
@click.option("--twice", is_flag=True, help="Run each seed twice: both must do the same.")
@click.option("--jobs", type=click.IntRange(1, 256), default=1, show_default=True,
              help="Processes that share the seeds.")
@click.option("--mutant", default="none", show_default=True,
              help="A bug to put in: the seeds should find it.")
@click.option("--mutants", is_flag=True,
              help="List the bugs, and how many of the seeds find each.")
@click.option("--elections", type=click.IntRange(1, 1_000_000), metavar="N",
              help="Time N elections of raft per setting of the dissertation's chapter 9.")
@click.option("--replay", type=click.IntRange(0, 2**64 - 1), metavar="SEED",
              help="Run one seed once, and show the end of its trace if it finds anything.")
@click.option("--trace", type=click.Path(dir_okay=False, path_type=pathlib.Path),
              help="With --replay: the whole trace as NDJSON.")
@click.option("--faults-ms", type=click.IntRange(1, 3_600_000), default=20_000, show_default=True,
              help="Virtual time under faults, before all must recover.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per seed.")
def sim(plane: str | None, replicator: str, module: str, seeds: str, twice: bool, jobs: int,
        mutant: str, mutants: bool, elections: int | None, replay: int | None,
        trace: pathlib.Path | None, faults_ms: int, as_json: bool) -> None:
    """Runs a consensus group, or with --plane a cluster, in virtual time.

    Load and faults are drawn from the seed.

    Invariants are checked after every event, and in the end all must recover. The exit
    status is 1 when a seed finds anything; the command that replays it is printed.
    """
    if trace is not None and replay is None:
        raise click.BadParameter("one seed has a trace: name it with --replay",
                                 param_hint="--trace")
    words = ["--module", module, "--mutant", mutant, "--faults-ms", str(faults_ms)]
    words += ["--seeds", seeds] if replay is None else ["--replay", str(replay)]
    if trace is not None:
        words += ["--trace", str(trace)]
    if plane is not None:
        words += ["--plane", plane, "--replicator", replicator]
    words += ["--jobs", str(jobs)]
    if elections is not None:
        words += ["--elections", str(elections)]
    words += ["--twice"] * twice + ["--mutants"] * mutants
    if as_json:
        words.append("--json")
    builder.build("release", targets=[_PROGRAM])
    program = paths.build_dir("release") / _PROGRAM
    raise SystemExit(subprocess.run([str(program), *words], check=False).returncode)
