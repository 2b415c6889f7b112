"""What an experiment's experiment.toml says: the question, the matrix, the parameters with their
bounds, the measures."""

from __future__ import annotations

import itertools
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

FOLDER = Path(__file__).resolve().parent
STATISTICS = ("median", "total")
TRIALS_MAX = 10_000

Value = bool | int | float | str


class ConfigError(click.ClickException):
    """A definition or a --set that cannot be used; names the key, the value and what is allowed."""

    exit_code = 2


@dataclass(frozen=True)
class Parameter:
    """A knob of an experiment: numbers have bounds, words a list. A text with bounds is a list of
    whole numbers with commas."""

    name: str
    default: Value
    meaning: str
    unit: str = ""
    minimum: float | None = None
    maximum: float | None = None
    allowed: tuple[str, ...] = ()
    quick: Value | None = None
    """In place of the default with --quick."""

    def parse(self, text: str) -> Value:
        """Errors: ConfigError."""
        if self.allowed:
            if text in self.allowed:
                return text
            raise self._refused(text, ", ".join(self.allowed))
        if isinstance(self.default, str):
            return self._parse_numbers(text)
        kind = type(self.default)
        try:
            value = kind(text)
            if self.minimum is not None and not self.minimum <= value <= self.maximum:
                raise ValueError
        except ValueError:
            word = "a whole number" if kind is int else "a number"
            raise self._refused(text, f"{word} from {self.minimum} to {self.maximum}") from None
        return value

    def _parse_numbers(self, text: str) -> str:
        try:
            numbers = [int(word) for word in text.split(",")]
        except ValueError:
            numbers = []
        if not numbers or not all(self.minimum <= n <= self.maximum for n in numbers):
            raise self._refused(text, f"whole numbers from {self.minimum} to {self.maximum}, with "
                                      "commas between them")
        return ",".join(str(n) for n in dict.fromkeys(numbers))

    def _refused(self, text: str, allowed: str) -> ConfigError:
        return ConfigError(f"--set {self.name}={text}: allowed is {allowed}")


def numbers(value: Value) -> list[int]:
    """The numbers of a parameter that is a list of them."""
    return [int(word) for word in str(value).split(",")]


@dataclass(frozen=True)
class Measure:
    """A metric of the summary. `statistic` median: over trials, with an interval; total: the sum of
    all trials, for counts where a single one matters."""

    metric: str
    unit: str
    meaning: str
    statistic: str = "median"
    must_be_zero: bool = False
    """Anything else is an alarm at the top of the report."""


@dataclass(frozen=True)
class Figure:
    """A figure's file stem, its title, and how its numbers were measured."""

    name: str
    title: str
    how: str


@dataclass(frozen=True)
class Definition:
    name: str
    title: str
    question: str
    method: str
    axes: dict[str, tuple[str, ...]]
    axis_meanings: dict[str, str]
    parameters: dict[str, Parameter]
    trials: int
    trials_quick: int
    measures: dict[str, Measure]
    figures: tuple[Figure, ...]
    limits: tuple[str, ...]
    programs: tuple[str, ...] = ("broker/qlab-node", "experiments/qlab-load")
    """What has to be built before it runs, as paths in the build folder."""


@dataclass(frozen=True)
class Plan:
    """A definition with this run's choices made."""

    axes: dict[str, tuple[str, ...]]
    parameters: dict[str, Value]
    trials: int
    seed: int
    quick: bool

    def cells(self) -> list[dict[str, str]]:
        return [dict(zip(self.axes, values, strict=True))
                for values in itertools.product(*self.axes.values())]


def system_of(cell: Mapping[str, str]) -> str:
    """A cell's name in summaries and figures."""
    return "/".join(cell.values())


def folder_of(name: str) -> str:
    """The folder of an experiment: a Python package, so without hyphens."""
    return name.replace("-", "_")


def module_of(name: str) -> str:
    """The module that runs an experiment and draws its figures."""
    return f"experiments.{folder_of(name)}.experiment"


def load(name: str, folder: Path = FOLDER) -> Definition:
    """Errors: ConfigError when there is none or it is not complete."""
    path = folder / folder_of(name) / "experiment.toml"
    if not path.is_file():
        known = sorted(p.parent.name.replace("_", "-") for p in folder.glob("*/experiment.toml"))
        raise ConfigError(f"experiment={name}: allowed is {', '.join(known) or 'none yet'}")
    try:
        return _definition(name, tomllib.loads(path.read_text()))
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"{path}: {type(error).__name__}: {error}") from error


def plan(definition: Definition, *, quick: bool, overrides: Mapping[str, str],
         trials: int | None) -> Plan:
    """Settles axes, parameters and trials. A key of --set is an axis (`engine=uring`, or several
    with commas), a parameter, or `seed`.

    Errors: ConfigError.
    """
    axes = dict(definition.axes)
    parameters = {name: p.quick if quick and p.quick is not None else p.default
                  for name, p in definition.parameters.items()}
    seed = 1
    for key, text in overrides.items():
        if key in axes:
            axes[key] = _axis_values(definition, key, text)
        elif key in parameters:
            parameters[key] = definition.parameters[key].parse(text)
        elif key == "seed":
            seed = int(Parameter("seed", 1, "", minimum=0, maximum=2**31).parse(text))
        else:
            allowed = ", ".join([*axes, *parameters, "seed"])
            raise ConfigError(f"--set {key}={text}: {key} is unknown; allowed is {allowed}")
    count = trials or (definition.trials_quick if quick else definition.trials)
    if not 1 <= count <= TRIALS_MAX:
        raise ConfigError(f"trials={count}: allowed is 1 to {TRIALS_MAX}")
    return Plan(axes, parameters, count, seed, quick)


def settings_of(definition: Definition) -> Iterator[tuple[str, str]]:
    """What --set takes and what it means, for people: axes first."""
    for key, values in definition.axes.items():
        yield f"{key}={','.join(values)}", f"{definition.axis_meanings[key]}; any of these"
    for name, parameter in definition.parameters.items():
        allowed = ", ".join(parameter.allowed) or (
            f"{parameter.minimum} to {parameter.maximum} {parameter.unit}".rstrip())
        if isinstance(parameter.default, str) and not parameter.allowed:
            allowed += ", several with commas"
        yield f"{name}={parameter.default}", f"{parameter.meaning}; {allowed}"
    yield "seed=1", "of the order of trials, and of what is drawn in them"


def _axis_values(definition: Definition, key: str, text: str) -> tuple[str, ...]:
    chosen = tuple(dict.fromkeys(text.split(",")))
    for value in chosen:
        if value not in definition.axes[key]:
            raise ConfigError(
                f"--set {key}={text}: allowed is {', '.join(definition.axes[key])}, or several of "
                "them with commas")
    return chosen


def _definition(name: str, raw: dict[str, Any]) -> Definition:
    parameters = {}
    for key, values in raw.get("parameters", {}).items():
        given = dict(values)
        given["allowed"] = tuple(given.get("allowed", ()))
        given["minimum"], given["maximum"] = given.pop("min", None), given.pop("max", None)
        parameters[key] = Parameter(key, **given)
    measures = {m["metric"]: Measure(**m) for m in raw["measures"]}
    for measure in measures.values():
        if measure.statistic not in STATISTICS:
            raise ValueError(f"statistic={measure.statistic}: allowed is {', '.join(STATISTICS)}")
    return Definition(
        name, raw["title"], raw["question"].strip(), raw["method"].strip(),
        {key: tuple(axis["values"]) for key, axis in raw["matrix"].items()},
        {key: axis["meaning"] for key, axis in raw["matrix"].items()},
        parameters, raw["trials"]["default"], raw["trials"]["quick"], measures,
        tuple(Figure(**f) for f in raw["figures"]), tuple(raw.get("limits", ())),
        tuple(raw.get("programs", Definition.programs)))
