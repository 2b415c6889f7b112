"""What the control-plane experiments make of their lines: observations, figures over the number of
partitions or of brokers, and words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from experiments import figures, scaling, stats, storage_bench
from experiments.control_plane import NODES
from experiments.definition import numbers
from experiments.phases import Phases
from experiments.report import Observation, Run, number
from experiments.storage_bench import Line

Values = Mapping[str, float | None]
Params = Mapping[str, str]
AXES = ("partitions", "brokers")  # A run varies one of them.


@dataclass(frozen=True)
class Reading:
    """How one experiment reads a line."""

    phases: Callable[[Line], Phases]
    """With `total`."""
    values: Callable[[Line, Phases], Values]
    """Metric -> number."""


def observe(directory: Path, reading: Reading, primary: Params | None = None,
            headline: str = "") -> list[Observation]:
    """Each number of each line under the line's point. Of the lines of `primary` the metric
    `headline` stands once more by that number alone: `headline` = `after_detection_s`
    gives `failover_after_detection_s` its rows, say."""
    found = [Observation("failures", 0)]
    for line in storage_bench.read(directory):
        if "failed" in line:
            found.append(Observation("failures", 1))
            continue
        params = line["point"]
        phases = reading.phases(line)
        found += [Observation("phase_s", seconds, {**params, "phase": name})
                  for name, seconds in phases.items() if name != "total"]
        found.append(Observation("total_s", phases["total"], params))
        values = reading.values(line, phases)
        found += [Observation(metric, value, params) for metric, value in values.items()]
        found += [Observation("count", value, {**params, "what": what})
                  for what, value in counts(line).items()]
        if headline and all(params[key] == value for key, value in (primary or {}).items()):
            name, metric = headline.split("=")
            over = {key: params[key] for key in AXES if key in params}
            found.append(Observation(name, values[metric], over))
    return found


def counts(line: Line) -> dict[str, float]:
    """What it took, by the traces and by the nodes' own counters."""
    found: dict[str, float] = {f"consensus {name.replace('_', ' ')}": value
                               for name, value in line["traffic"].items()}
    committed = [e for e in line["events"] if e["event"] == "metadata_committed"]
    for name in ("records", "entries", "bytes") if committed else ():
        found[f"metadata {name}"] = sum(e[name] for e in committed)
    reloads = {"topics read": "reload_topics_read", "states read": "reload_states_read"}
    for what, name in reloads.items():
        read = [e for e in line["events"] if e["event"] == name]
        if read:
            found[f"{what} back"] = sum(e["topics" if "topics" in e else "partitions"]
                                        for e in read)
            found[f"bytes of {what} back"] = sum(e["bytes"] for e in read)
    requests = ("leader_and_isr", "update_metadata", "stop_replica")
    told = [e for e in line["events"] if e["event"] in ("control_requests_sent", "reload_sent")]
    if told:
        for name in requests:
            found[f"{name} requests"] = sum(e[name] for e in told)
        found["request bytes"] = sum(e["leader_and_isr_bytes"] + e["update_metadata_bytes"]
                                     for e in told)
    return found


def sizes(run: Run) -> list[int]:
    """Along the axis of the run."""
    return sorted(numbers(run.parameters[axis(run)]))


def axis(run: Run) -> str:
    """What the run varies: the number of partitions, or that of brokers."""
    return "brokers" if str(run.parameters.get("brokers", NODES)) != str(NODES) else "partitions"


def conditions(run: Run, metric: str) -> list[dict[str, str]]:
    """Under what a metric was measured, but for the run's axis; in order."""
    seen = [{k: v for k, v in row["params"].items() if k not in AXES}
            for row in run.summary if row["metric"] == metric]
    return list({tuple(s.items()): s for s in seen}.values())


def samples(run: Run, metric: str, system: str, **params: str) -> list[float]:
    """The numbers behind an estimate, of all trials."""
    return [o.value for t in run.trials if t.system == system for o in t.observations
            if o.metric == metric and o.params == params and o.value is not None]


def words_of(condition: Params) -> str:
    return ", ".join(value.replace("_", " ") for value in condition.values())


def draw_scale(run: Run, metric: str, path: Path, y_label: str) -> None:
    """A panel for each condition: the metric along the run's axis."""
    over = axis(run)
    panels = [figures.Chart(words_of(c), over, y_label,
                            {s: storage_bench.curve(run, metric, s, over, sizes(run), **c)
                             for s in run.systems})
              for c in conditions(run, metric)]
    if panels:
        figures.charts(panels, path, columns=2, order=run.systems)


def draw_phases(run: Run, path: Path, condition: Params, *, x_label: str) -> None:
    """Bars of phases for each system and size, under one condition."""
    bars = []
    for system in run.systems:
        for size in sizes(run):
            point = {axis(run): str(size), **condition}
            total = run.estimate("total_s", system, **point)
            if total is None:
                continue
            names = list(dict.fromkeys(
                row["params"]["phase"] for row in run.summary if row["metric"] == "phase_s"))
            phases = {name: e for name in names
                      if (e := run.estimate("phase_s", system, **point, phase=name)) is not None}
            bars.append(figures.Bar(size_words(size), system, phases, total,
                                    samples(run, "total_s", system, **point)))
    if bars:
        figures.stacked_phases(bars, path, x_label=x_label)


def size_words(size: int) -> str:
    for bound, unit in ((1_000_000, "M"), (1_000, "k")):
        if size >= bound:
            return f"{size / bound:.3g}{unit}"
    return str(size)


def say_growth(run: Run, metric: str, system: str, condition: Params, *, unit: str = "s",
               base: int | None = None) -> str:
    """`kraft: 0.06 s at 1k partitions; at 10k 1.1 times (0.9 to 1.3) that`: each size beside the
    smallest, or the smallest from `base` on."""
    found = {size: values for size in sizes(run)
             if (values := samples(run, metric, system, **{axis(run): str(size)}, **condition))
             and (base is None or size >= base)}
    if not found:
        return f"{system}: not measured."
    first, *others = found
    seed = stats.seed_of(run.state["seed"], metric, system)
    said = [f"{number(stats.median_ci(found[first], seed=seed).median)} {unit} at "
            f"{size_words(first)} {axis(run)}"]
    for size in others:
        ratio = scaling.ratio(found[size], found[first], seed=seed)
        said.append(f"at {size_words(size)} {ratio_words(ratio)} that")
    return f"{system}: {'; '.join(said)}."


def ratio_words(ratio: stats.Estimate) -> str:
    if ratio.ci_low is None:
        return f"{number(ratio.median)} times (no interval)"
    return f"{number(ratio.median)} times ({number(ratio.ci_low)} to {number(ratio.ci_high)})"


def say_slopes(run: Run, system: str, condition: Params, phases: Sequence[str],
               whole_metric: str = "total_s") -> str:
    """What 100,000 partitions more cost, or 100 brokers, in whole and in each of the phases that
    make it up."""
    step, words = (1e5, "100 000 partitions") if axis(run) == "partitions" else (
        1e2, "100 brokers")
    def per_100k(metric: str, **params: str) -> stats.Estimate | None:
        by_size = {float(s): v for s in sizes(run) if (v := samples(
            run, metric, system, **{axis(run): str(s)}, **condition, **params))}
        if len(by_size) < 2:
            return None
        slope = scaling.slope(by_size, seed=stats.seed_of(run.state["seed"], metric, system))
        times = step
        return stats.Estimate(slope.n, slope.median * times,
                              None if slope.ci_low is None else slope.ci_low * times,
                              None if slope.ci_high is None else slope.ci_high * times)

    whole = per_100k(whole_metric)
    if whole is None:
        return ""
    parts = {p: e for p in phases if (e := per_100k("phase_s", phase=p)) is not None}
    parts = dict(sorted(parts.items(), key=lambda item: -abs(item[1].median)))
    said = ", ".join(f"{p.replace('_', ' ')} {number(e.median * 1e3)}" for p, e in parts.items())
    return (f"{system}: {words} more take {storage_bench.interval(whole, 's')} longer; "
            f"by phase, in ms: {said}.")


def say_counts(run: Run, condition: Params) -> str:
    """What an operation took at the largest size that was measured."""
    said = []
    for system in run.systems:
        for size in reversed(sizes(run)):
            point = {axis(run): str(size), **condition}
            rows = [r for r in run.summary if r["metric"] == "count" and r["system"] == system
                    and {k: v for k, v in r["params"].items() if k != "what"} == point]
            if rows:
                words = ", ".join(f"{number(r['median'])} {r['params']['what']}"
                                  for r in rows if r["median"])
                said.append(f"{system} at {size_words(size)}: {words}")
                break
    return "Of the nodes that live on, while it was measured: " + "; ".join(said) + "."


def say_failures(run: Run) -> str:
    bad = [f"{r['system']} {number(r['median'])}" for r in run.summary
           if r["metric"] == "failures" and r["median"]]
    return f" Failed and not among the figures: {', '.join(bad)}." if bad else ""
