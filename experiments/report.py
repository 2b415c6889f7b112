"""From the raw data of a run to summary.json, figures and report.html. Never runs anything."""

from __future__ import annotations

import base64
import importlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import jinja2

from experiments import definition as definitions
from experiments import provenance, stats
from experiments.definition import Definition, Value

RESULTS = provenance.ROOT / "results"
Params = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Observation:
    """One number that a trial gave. None: it was looked for and is not there."""

    metric: str
    value: float | None
    params: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class TrialData:
    """A finished trial, as a figure needs it."""

    number: int
    system: str
    directory: Path
    observations: tuple[Observation, ...]

    def value(self, metric: str, **params: str) -> float | None:
        """The trial's own number, or None."""
        for o in self.observations:
            if o.metric == metric and o.params == params:
                return o.value
        return None


@dataclass(frozen=True)
class Run:
    """A run's raw data and what follows from it."""

    directory: Path
    definition: Definition
    parameters: dict[str, Value]
    trials: tuple[TrialData, ...]
    summary: list[dict[str, Any]]
    state: dict[str, Any]

    @property
    def systems(self) -> list[str]:
        return sorted({t["system"] for t in self.state["trials"]})

    def row(self, metric: str, system: str, **params: str) -> dict[str, Any] | None:
        """A row of the summary, or None."""
        for row in self.summary:
            if (row["metric"], row["system"], row["params"]) == (metric, system, params):
                return row
        return None

    def estimate(self, metric: str, system: str, **params: str) -> stats.Estimate | None:
        row = self.row(metric, system, **params)
        if row is None:
            return None
        return stats.Estimate(row["n"], row["median"], row["ci_low"], row["ci_high"])


def main(runs: Iterable[str] = (), results: Path = RESULTS) -> None:
    """Makes the figures and reports of runs anew, of all when none is named, and the index page. A
    name is a path, or what stands under results/: a run, or an experiment (all its runs).

    Errors: click.ClickException for a name that holds no run.
    """
    chosen = [d for name in runs for d in _find(name, results)] or _all_runs(results)
    for directory in chosen:
        build(directory)
        click.echo(str(directory / "report.html"))
    write_index(results)
    click.echo(str(results / "index.html"))


def build(directory: Path, module: ModuleType | None = None) -> Run:
    """Writes summary.json, figures/ and report.html of one run. `module` is imported unless it is
    given."""
    state = json.loads((directory / "run.json").read_text())
    name = state["experiment"]
    module = module or importlib.import_module(definitions.module_of(name))
    definition = getattr(module, "DEFINITION", None) or definitions.load(name)
    trials = tuple(
        TrialData(t["number"], t["system"], directory / t["directory"],
                  tuple(module.observe(directory / t["directory"], state["parameters"])))
        for t in state["trials"] if t["status"] == "done")
    summary = summarise(definition, trials, state)
    (directory / "summary.json").write_text(_rows_json(summary))
    run = Run(directory, definition, state["parameters"], trials, summary, state)
    figures = directory / "figures"
    figures.mkdir(exist_ok=True)
    says = module.draw(run, figures) if trials else {}
    (directory / "report.html").write_text(_page(run, figures, says))
    return run


def summarise(definition: Definition, trials: Iterable[TrialData],
              state: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of summary.json, ordered as the definition's measures, then by system and
    parameters.

    Of a measure with statistic `total`, median and interval are the sum over all trials: where one
    is too many, a median would hide it. Errors: ValueError for an observation of an undefined
    metric.
    """
    values: dict[tuple[str, str, Params], list[float]] = {}
    order = list(definition.measures)
    for trial in trials:
        for o in trial.observations:
            if o.metric not in definition.measures:
                raise ValueError(f"{o.metric} is observed but not among the measures")
            key = (o.metric, trial.system, tuple(o.params.items()))
            values.setdefault(key, [])
            if o.value is not None:
                values[key].append(o.value)
    rows = [_row(definition, key, found, state["seed"]) for key, found in values.items() if found]
    rows.sort(key=lambda r: (order.index(r["metric"]), r["system"]))
    for system in sorted({t["system"] for t in state["trials"]}):
        bad = sum(t["status"] in ("failed", "interrupted") for t in state["trials"]
                  if t["system"] == system)
        ran = sum(t["status"] != "pending" for t in state["trials"] if t["system"] == system)
        rows.append({"metric": "trials_failed", "system": system, "params": {}, "unit": "trials",
                     "n": ran, "median": bad, "ci_low": bad, "ci_high": bad, "statistic": "total",
                     "min": None, "max": None})
    return rows


def _row(definition: Definition, key: tuple[str, str, Params], found: list[float],
         seed: int) -> dict[str, Any]:
    metric, system, params = key
    measure = definition.measures[metric]
    if measure.statistic == "total":
        total = sum(found)
        estimate = stats.Estimate(len(found), total, total, total)
    else:
        estimate = stats.median_ci(found, seed=stats.seed_of(seed, *key))
    return {"metric": metric, "system": system, "params": dict(params), "unit": measure.unit,
            "n": estimate.n, "median": estimate.median, "ci_low": estimate.ci_low,
            "ci_high": estimate.ci_high, "statistic": measure.statistic,
            "min": min(found), "max": max(found)}


def write_index(results: Path = RESULTS) -> Path:
    """results/index.html: every run, newest first."""
    rows = []
    for directory in _all_runs(results):
        state = json.loads((directory / "run.json").read_text())
        origin = json.loads((directory / "provenance.json").read_text())
        statuses = [t["status"] for t in state["trials"]]
        rows.append({"experiment": state["experiment"], "run": directory.name,
                     "path": directory.relative_to(results).as_posix(), "quick": state["quick"],
                     "done": statuses.count("done"), "failed": statuses.count("failed"),
                     "planned": len(statuses), "started": origin["started"],
                     "commit": (origin["code"]["commit"] or "")[:10],
                     "dirty": origin["code"]["dirty"]})
    rows.sort(key=lambda r: r["started"], reverse=True)
    path = results / "index.html"
    path.write_text(_templates().get_template("index.html").render(rows=rows))
    return path


def _page(run: Run, figures: Path, says: dict[str, str]) -> str:
    shown = []
    for figure in run.definition.figures:
        image = figures / f"{figure.name}.svg"
        if image.exists():
            data = base64.b64encode(image.read_bytes()).decode()
            shown.append({"name": figure.name, "title": figure.title, "how": figure.how,
                          "says": says.get(figure.name, ""), "data": data})
    origin = json.loads((run.directory / "provenance.json").read_text())
    return _templates().get_template("report.html").render(
        run=run, definition=run.definition, figures=shown, verdict=says.get("verdict", ""),
        alarms=_alarms(run), unavailable=_unavailable(run), provenance=origin,
        trials=run.state["trials"])


def _alarms(run: Run) -> list[str]:
    """What a reader must see first: failed trials, and counts that should be zero and are not."""
    alarms = []
    for row in run.summary:
        measure = run.definition.measures.get(row["metric"])
        zero = measure is not None and measure.statistic == "total" and measure.must_be_zero
        if (zero or row["metric"] == "trials_failed") and row["median"]:
            alarms.append(f"{row['metric']} is {row['median']:g} for {row['system']}")
    return alarms


def _unavailable(run: Run) -> list[str]:
    """Why figures of some systems are missing, once each."""
    missing = {(t["system"], t["error"]) for t in run.state["trials"]
               if t["status"] == "unavailable"}
    return [f"{system} is missing: {reason}" for system, reason in sorted(missing)]


def _templates() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True,
        trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined)
    environment.filters["number"] = number
    environment.filters["words"] = lambda name: name.replace("_", " ")
    return environment


def number(value: float | None) -> str:
    """Three significant digits, whole numbers in full, a dash for nothing."""
    if value is None:
        return "–"
    if float(value).is_integer():
        return f"{int(value):,}".replace(",", "\u202f")
    return f"{value:.3g}" if abs(value) < 1000 else number(round(value))


def _rows_json(rows: list[dict[str, Any]]) -> str:
    """One row per line: readable, and a small diff."""
    return "[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n"


def _all_runs(results: Path) -> list[Path]:
    return sorted(p.parent for p in results.glob("*/*/run.json"))


def _find(name: str, results: Path) -> list[Path]:
    for path in (Path(name), results / name):
        if path.name in ("run.json", "summary.json", "report.html"):
            path = path.parent
        if (path / "run.json").is_file():
            return [path.resolve()]
        runs = sorted(p.parent for p in path.glob("*/run.json")) if path.is_dir() else []
        if runs:
            return runs
    raise click.ClickException(
        f"{name}: no run there; runs are {', '.join(_names(results)) or 'none yet'}")


def _names(results: Path) -> list[str]:
    return [p.relative_to(results).as_posix() for p in _all_runs(results)]
