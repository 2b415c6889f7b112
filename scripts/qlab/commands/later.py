"""Commands that have their place in the command line, but no code behind them yet."""

from __future__ import annotations

import click

from qlab.command import Command, not_there


def _later(name: str, example: str, short_help: str, will: str, instead: str = "") -> click.Command:
    @click.command(name, cls=Command, example=example, short_help=f"{short_help} (not there yet)",
                   help=f"Not there yet: {will}.",
                   context_settings={"ignore_unknown_options": True, "allow_extra_args": True})
    @click.argument("args", nargs=-1)
    def command(args: tuple[str, ...]) -> None:
        not_there(f"qlab {name}", will, instead)
    return command


compare = _later(
    "compare", "compare results/RUN_A results/RUN_B", "put two runs side by side",
    "it will match the rows of two runs' summary.json and say which differences exceed their "
    "confidence intervals",
    "each run's summary.json has the rows {metric, system, params, unit, n, median, ci_low, "
    "ci_high}")
serve = _later(
    "serve", "serve", "browse the results and watch a cluster",
    "it will serve an index of results/ and the state of the running cluster as web pages",
    "open report.html in the folder of a run")
fault = _later(
    "fault", "fault pause 2 --for 10s", "inject a fault into the running cluster",
    "it will inject pauses, kills, partitions, delays and disk errors into the running cluster "
    "and heal them",
    "`./qlab cluster status` shows the process ids to send signals to")
topic = _later(
    "topic", "topic create t --partitions 3 --replication 3", "create, list and describe topics",
    "it will create, delete, list and describe topics of the running cluster",
    "any Kafka client does it; kcat -b BOOTSTRAP -L lists them")
check = _later(
    "check", "check results/RUN", "run the checkers again on a stored history",
    "it will run the history checkers again on a stored run",
    "`./qlab run` checks the history of every run when it ends")
peer = _later(
    "peer", "peer install zookeeper", "install systems to compare with",
    "it will install and list Apache Kafka, Apache ZooKeeper and etcd as systems that experiments "
    "drive with the same load")
