"""Runs an experiment: interleaved trials, raw data of each, and at the end the summary, figures and
report.

An experiment is a folder: `experiment.toml` says what is asked and measured
(experiments/definition.py), `experiment.py` has three functions:

    run_trial(trial: Trial) -> None                     leaves raw files in trial.directory
    observe(directory, parameters) -> list[Observation]   a pure function of those files
    draw(run: report.Run, figures: Path) -> dict[str, str]  what each figure says

A run leaves `results/NAME/<utc>-<id>/`: run.json (plan and fate of every trial), provenance.json,
trials/ (raw data), summary.json, figures/, report.html; `results/NAME/latest` names the newest.
Raw data are packed (experiments/raw_data.py) when their trial is over.
"""

from __future__ import annotations

import importlib
import json
import random
import shutil
import sys
import time
import traceback
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from types import ModuleType
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from experiments import definition as definitions
from experiments import provenance, raw_data, report
from experiments.definition import Definition, Plan, Value, system_of

RESULTS = provenance.ROOT / "results"


@dataclass(frozen=True)
class Trial:
    """One run of one cell of the matrix."""

    number: int
    """From 1, in the order of running."""
    cell: dict[str, str]
    parameters: dict[str, Value]
    seed: int
    directory: Path
    """For raw data; exists, empty, and stays."""
    scratch: Path
    """For the data directories of what is tested; exists, empty, removed after the trial."""
    say: Callable[[str], None]
    """Shows what the trial is doing."""


class Unavailable(Exception):
    """Raised by run_trial when this machine lacks what the trial needs: it says what. The trial is
    reported as unavailable; it is not a failure, and its figures are missing."""


class TrialsFailed(click.ClickException):
    """A system has no trial that ended well; what there is has been written."""


def main(experiment: str, *, quick: bool = False, overrides: dict[str, str] | None = None,
         trials: int | None = None) -> Path:
    """Runs an experiment and returns the path of its summary.json.

    Errors: definition.ConfigError, before anything runs; TrialsFailed.
    """
    chosen = definitions.load(experiment)
    plan = definitions.plan(chosen, quick=quick, overrides=overrides or {}, trials=trials)
    module = importlib.import_module(definitions.module_of(experiment))
    return run(chosen, plan, module, RESULTS)


def schedule(plan: Plan) -> list[dict[str, str]]:
    """The cells in the order of running: each round has every cell once, in an order drawn from the
    seed, and every second round repeats the one before backwards (A B B A), so that a machine that
    drifts favours no cell."""
    draw = random.Random(plan.seed)
    order: list[dict[str, str]] = []
    cells = plan.cells()
    for number in range(plan.trials):
        if number % 2 == 0:
            cells = draw.sample(cells, len(cells))
        order += cells if number % 2 == 0 else cells[::-1]
    return order


def run(chosen: Definition, plan: Plan, module: ModuleType, results: Path) -> Path:
    """As `main`, with everything handed in. An interrupted run is reported with the trials it
    has."""
    stamp = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    directory = results / chosen.name / f"{stamp}-{uuid.uuid4().hex[:6]}"
    directory.mkdir(parents=True)
    state = _state(chosen, plan, directory.name)
    origin = provenance.collect(directory, {**plan.parameters, "seed": plan.seed,
                                            "quick": plan.quick, **plan.axes})
    _write(directory / "run.json", state)
    _write(directory / "provenance.json", origin)
    try:
        with _progress(chosen.name, len(state["trials"])) as show:
            for entry in state["trials"]:
                _run_trial(directory, plan, entry, module, show)
                _write(directory / "run.json", state)
    finally:
        _write(directory / "run.json", state)
        provenance.finish(origin)
        _write(directory / "provenance.json", origin)
        if any(t["status"] != "pending" for t in state["trials"]):
            report.build(directory, module)
            (directory.parent / "latest").write_text(directory.name + "\n")
            report.write_index(results)
    _complain(state, directory)
    return directory / "summary.json"


def _state(chosen: Definition, plan: Plan, name: str) -> dict[str, Any]:
    trials = []
    for number, cell in enumerate(schedule(plan), 1):
        system = system_of(cell)
        trials.append({"number": number, "cell": cell, "system": system, "seed": plan.seed + number,
                       "directory": f"trials/{number:03}-{system.replace('/', '-')}",
                       "status": "pending"})
    return {"experiment": chosen.name, "run": name, "quick": plan.quick, "seed": plan.seed,
            "axes": plan.axes, "parameters": plan.parameters, "trials": trials}


def _run_trial(directory: Path, plan: Plan, entry: dict[str, Any], module: ModuleType,
               show: Callable[[int, str], None]) -> None:
    raw = directory / entry["directory"]
    scratch = directory / "scratch"
    below = (directory, provenance.ROOT)
    raw.mkdir(parents=True)
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    started = time.monotonic()
    done = entry["number"] - 1
    trial = Trial(entry["number"], entry["cell"], dict(plan.parameters), entry["seed"], raw,
                  scratch, lambda words: show(done, f"{entry['system']}: {words}"))
    entry["started"] = provenance.now()
    entry["status"] = "interrupted"
    try:
        trial.say("starting")
        module.run_trial(trial)
        entry["status"] = "done"
    except Unavailable as reason:
        entry["status"] = "unavailable"
        entry["error"] = raw_data.relative(str(reason), below)
        show(done, f"{entry['system']}: not available here: {entry['error']}")
    except Exception as error:  # A failed trial is a result; the others still run.
        entry["status"] = "failed"
        entry["error"] = raw_data.relative(f"{type(error).__name__}: {error}", below)
        (raw / "error.txt").write_text(traceback.format_exc())
        show(done, f"{entry['system']}: trial {entry['number']} failed: {entry['error']}")
    finally:
        entry["seconds"] = round(time.monotonic() - started, 3)
        shutil.rmtree(scratch, ignore_errors=True)
        trial.say("packing its files")
        raw_data.pack(raw, below)
    show(entry["number"], f"{entry['system']}: {entry['status']} in {entry['seconds']:.0f} s")


@contextmanager
def _progress(name: str, total: int) -> Iterator[Callable[[int, str], None]]:
    """Calls of what it yields show trials done, and words. On a pipe each call with new words is a
    line."""
    console = Console(stderr=True)
    if not console.is_terminal:
        def say(done: int, words: str) -> None:
            print(f"{name} {done}/{total} {words}", file=sys.stderr, flush=True)
        yield say
        return
    columns = [TextColumn("{task.description}"), BarColumn(bar_width=24), MofNCompleteColumn(),
               TimeElapsedColumn(), TextColumn("{task.fields[words]}", style="dim")]
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(name, total=total, words="")
        yield lambda done, words: bar.update(task, completed=done, words=words[:80])


def _complain(state: dict[str, Any], directory: Path) -> None:
    """Errors: TrialsFailed."""
    failed = [t for t in state["trials"] if t["status"] == "failed"]
    for trial in failed:
        print(f"trial {trial['number']} ({trial['system']}) failed: {trial['error']}; see "
              f"{directory / trial['directory']}", file=sys.stderr)
    good = {t["system"] for t in state["trials"] if t["status"] in ("done", "unavailable")}
    without = sorted({t["system"] for t in state["trials"]} - good)
    if without:
        raise TrialsFailed(f"no trial of {', '.join(without)} ended well; see "
                           f"{directory / 'report.html'}")


def _write(path: Path, value: Any) -> None:
    scratch = path.with_suffix(".new")
    scratch.write_text(json.dumps(value, indent=1) + "\n")
    scratch.replace(path)
