"""Long campaigns of crashes, from the command line:

    /usr/bin/python3 -m harness.storage.crash --rounds 500 --engine uring --method sigkill

One JSON object per campaign and line on stdout; the status is 1 when a promise was broken, and then
the files stay where the last lines say.
"""

from __future__ import annotations

import functools
import json
import random
import shutil
import sys
import tempfile
from pathlib import Path

import click

from harness.storage import loops, methods
from harness.storage.program import Subject

METHODS = {
    "sigkill": methods.sigkill,
    "injected": methods.injected,
    **{f"{name}_{file_system}": functools.partial(method, file_system=file_system)
       for name, method in (
           ("power_cut", methods.power_cut), ("recorded", methods.recorded),
           ("failing_disk", methods.failing_disk),
           ("failing_disk_restart", functools.partial(methods.failing_disk, restarts=True)))
       for file_system in loops.FILE_SYSTEMS},
}


@click.command(help=__doc__)
@click.option("--engine", "engines", multiple=True, default=("buffered",), show_default=True)
@click.option("--layout", "layouts", multiple=True, default=("per_partition",), show_default=True)
@click.option("--preallocation", "preallocations", multiple=True, default=("none",),
              show_default=True)
@click.option("--method", "chosen", multiple=True, type=click.Choice(list(METHODS)),
              default=tuple(METHODS), show_default=True)
@click.option("--rounds", type=click.IntRange(1), default=100, show_default=True)
@click.option("--seed", type=int, default=None, help="Of all choices; a new one if none is given.")
@click.option("--partitions", type=click.IntRange(1, 64), default=3, show_default=True)
@click.option("--option", "options", multiple=True, metavar="FLAG=VALUE",
              help="Handed to qlab-storage-crash as it is, as --option=--group-sync=filesystem.")
@click.option("--scratch", type=click.Path(path_type=Path), default=None,
              help="Where files and disk images go; a temporary directory if none is given.")
def main(engines: tuple[str, ...], layouts: tuple[str, ...], preallocations: tuple[str, ...],
         chosen: tuple[str, ...], rounds: int, seed: int | None, partitions: int,
         options: tuple[str, ...], scratch: Path | None) -> None:
    seed = random.SystemRandom().randrange(1 << 32) if seed is None else seed
    broken = False
    for engine in engines:
        for layout in layouts:
            for preallocation in preallocations:
                subject = Subject(engine, layout, preallocation, seed, partitions, options)
                for method in chosen:
                    broken |= _run(method, subject, rounds, scratch)
    sys.exit(1 if broken else 0)


def _run(method: str, subject: Subject, rounds: int, scratch: Path | None) -> bool:
    if scratch is not None:
        scratch.mkdir(parents=True, exist_ok=True)
    root = Path(tempfile.mkdtemp(prefix=f"qlab-crash-{subject.name}-{method}-", dir=scratch))
    rng = random.Random(f"{subject.seed} {method} {subject.name}")
    campaign = METHODS[method](subject, root, rounds, rng)
    print(json.dumps(campaign.summary()), flush=True)
    if not campaign.violations:
        shutil.rmtree(root)
        return False
    print(f"kept {root}; again with --seed {subject.seed}", file=sys.stderr, flush=True)
    return True


if __name__ == "__main__":
    main()
