"""`qlab cluster`: a local cluster that keeps running."""

from __future__ import annotations

import click

from qlab import builder, paths
from qlab.command import Command, Group, parse_settings

_ENGINES = ["buffered", "mmap", "uring", "direct", "memory"]
_PLANES = ["raft", "kraft", "zk"]
_CONTROLLERS = ["quorum", "zk"]
_MODULES = ["raft", "kraft", "zab"]
_PER_PROCESS = 25
_LAYOUTS = ["per_partition", "shared"]


@click.group(cls=Group, example="cluster up --brokers 3 --engine uring",
             short_help="start, stop and look at a local cluster")
def cluster() -> None:
    """Starts, stops and looks at a cluster of real processes on this machine."""


@cluster.command(cls=Command, example="cluster up --brokers 3 --engine uring")
@click.option("--brokers", type=click.IntRange(1, 300), help="How many nodes.  [default: 3]")
@click.option("--controllers", type=click.IntRange(1, 9),
              help="How many of them vote on the metadata.  [default: 3, or 1 of fewer]")
@click.option("--virtual", is_flag=True,
              help="Brokers that do not vote share processes.")
@click.option("--per-process", type=click.IntRange(2, 300), metavar="K",
              help=f"With --virtual: so many to a process.  [default: {_PER_PROCESS}]")
@click.option("--engine", type=click.Choice(_ENGINES),
              help="How a segment's bytes reach the disk.  [default: buffered]")
@click.option("--plane", type=click.Choice(_PLANES),
              help="Preset of the next two.  [default: raft]")
@click.option("--controller", type=click.Choice(_CONTROLLERS),
              help="The controller's design.  [default: the plane's]")
@click.option("--module", type=click.Choice(_MODULES),
              help="The consensus module beneath it.  [default: the plane's]")
@click.option("--layout", type=click.Choice(_LAYOUTS),
              help="How partitions share files.  [default: per_partition]")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE",
              help="A key of the node's configuration; may be repeated.")
def up(*, brokers: int | None, controllers: int | None, virtual: bool,
       per_process: int | None, engine: str | None, plane: str | None, controller: str | None,
       module: str | None, layout: str | None, settings: tuple[str, ...]) -> None:
    """Starts a cluster, returns when it serves and leaves it running.

    A cluster larger than this machine has room for processes takes --virtual: then only the nodes
    that vote have a process of their own.

    A cluster that was stopped is started again over its data. The last line printed is the
    bootstrap servers.
    """
    if brokers and controllers and controllers > brokers:
        raise click.BadParameter(f"{controllers} of {brokers} brokers; at most all of them",
                                 param_hint="--controllers")
    if per_process and not virtual:
        raise click.BadParameter(f"{per_process} without --virtual; every node then has a process "
                                 "of its own", param_hint="--per-process")
    overrides = parse_settings(settings)
    if layout is not None:
        overrides["log.layout"] = layout
    builder.build("release", targets=[paths.NODE])
    from harness import cli as harness
    raise SystemExit(harness.up(brokers=brokers, controllers=controllers, engine=engine,
                                plane=plane, controller=controller, module=module,
                                per_process=(per_process or _PER_PROCESS) if virtual else None,
                                config=overrides or None))


@cluster.command(cls=Command, example="cluster down --wipe")
@click.option("--wipe", is_flag=True, help="Forget its data too.")
def down(wipe: bool) -> None:
    """Stops the cluster; its data stays unless --wipe is given."""
    builder.ensure_packages()
    from harness import cli as harness
    raise SystemExit(harness.down(wipe=wipe))


@cluster.command(cls=Command, example="cluster status")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of lines.")
def status(as_json: bool) -> None:
    """Shows nodes, roles, partitions, leaders and in-sync replicas."""
    builder.ensure_packages()
    from harness import cli as harness
    raise SystemExit(harness.status(as_json=as_json))
