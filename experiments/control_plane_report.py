"""What the control-plane experiments make of their lines: observations, figures over the number of
partitions or of brokers, and words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from experiments import figures, scaling, stats, storage_bench
from experiments.control_plane import FAULTS, NODES, PROFILES
from experiments.definition import numbers
from experiments.phases import Phases
from experiments.report import Observation, Run, number
from experiments.storage_bench import Line

Values = Mapping[str, float | None | Sequence[float]]
Params = Mapping[str, str]
AXES = ("partitions", "brokers")  # A run varies one of them.
BESIDE = "kraft"  # What the others are compared with.
SECONDS_FROM = 0.1  # Less is said in milliseconds.


@dataclass(frozen=True)
class Reading:
    """How one experiment reads a line."""

    phases: Callable[[Line], Phases]
    """With `total`."""
    values: Callable[[Line, Phases], Values]
    """Metric -> number, or several."""


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
        found += [Observation(metric, value, params) for metric, given in values.items()
                  for value in (given if isinstance(given, Sequence) else [given])]
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
        found["request bytes"] = sum(e.get(f"{name}_bytes", 0) for e in told for name in requests)
    used = [e for e in line["events"] if e["event"] == "znodes_used"]
    for what in ("reads", "read_bytes", "writes", "written_bytes") if used else ():
        found[f"znode {what.replace('_', ' ')}"] = sum(e[what] for e in used)
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


def primary(run: Run, wanted: Params) -> dict[str, str]:
    """The condition of headlines: `wanted`, but for what the run has left out."""
    only = {"profile": ("profiles", PROFILES), "fault": ("kinds", FAULTS)}
    chosen = dict(wanted)
    for key in chosen.keys() & only.keys():
        name, allowed = only[key]
        if (given := run.parameters.get(name)) in allowed:
            chosen[key] = str(given)
    return chosen


def samples(run: Run, metric: str, system: str, **params: str) -> list[float]:
    """The numbers behind an estimate, of all trials."""
    return [o.value for t in run.trials if t.system == system for o in t.observations
            if o.metric == metric and o.params == params and o.value is not None]


def words_of(condition: Params) -> str:
    return ", ".join(f"quantile {value}" if key == "quantile" else value.replace("_", " ")
                     for key, value in condition.items())


def draw_scale(run: Run, metric: str, path: Path, y_label: str) -> None:
    """A panel for each condition: the metric along the run's axis."""
    over = axis(run)
    panels = [figures.Chart(words_of(c), over, y_label,
                            {s: storage_bench.curve(run, metric, s, over, sizes(run), **c)
                             for s in run.systems})
              for c in conditions(run, metric)]
    if panels:
        figures.charts(panels, path, columns=2, order=run.systems)


def draw_phases(run: Run, path: Path, condition: Params, order: Sequence[str], *,
                x_label: str) -> None:
    """Bars of phases, in their order, for each system and size, under one condition."""
    bars = []
    for system in run.systems:
        for size in sizes(run):
            point = {axis(run): str(size), **condition}
            total = run.estimate("total_s", system, **point)
            if total is None:
                continue
            phases = {name: e for name in order
                      if (e := run.estimate("phase_s", system, **point, phase=name)) is not None}
            bars.append(figures.Bar(size_words(size), system, phases, total,
                                    samples(run, "total_s", system, **point)))
    if bars:
        figures.stacked_phases(bars, path, order=order, x_label=x_label)


def size_words(size: int) -> str:
    for bound, unit in ((1_000_000, "M"), (1_000, "k")):
        if size >= bound:
            return f"{size / bound:.3g}{unit}"
    return str(size)


def duration_words(seconds: stats.Estimate) -> str:
    """Of an estimate in seconds; in milliseconds where that is easier to read."""
    if abs(seconds.median) >= SECONDS_FROM:
        return storage_bench.interval(seconds, "s")
    bounds = (None if b is None else b * 1e3 for b in (seconds.ci_low, seconds.ci_high))
    return storage_bench.interval(stats.Estimate(seconds.n, seconds.median * 1e3, *bounds), "ms")


def say_all(run: Run, metric: str) -> str:
    """The growth of a metric in seconds in every system, and the systems beside each other; under
    every condition that it was measured in."""
    said = []
    for condition in conditions(run, metric):
        words = words_of(condition)
        growth = " ".join(say_growth(run, metric, s, condition) for s in run.systems
                          if has(run, metric, s, condition))
        said.append(f"{words[:1].upper()}{words[1:]}: {growth} "
                    f"{say_beside(run, metric, condition)}")
    return " ".join(said) or "Nothing was measured."


def has(run: Run, metric: str, system: str, condition: Params) -> bool:
    return any(samples(run, metric, system, **{axis(run): str(s)}, **condition)
               for s in sizes(run))


def say_beside(run: Run, metric: str, condition: Params) -> str:
    """`Beside kraft: raft 0.9 times (0.7 to 1.2) at 1k, ...; zk ...`: every system's numbers over
    those of BESIDE, or of the first there is, at the same size."""
    base, *_ = [s for s in (BESIDE, *run.systems) if s in run.systems]
    said = []
    for system in (s for s in run.systems if s != base):
        ratios = []
        for size in sizes(run):
            one, other = (samples(run, metric, s, **{axis(run): str(size)}, **condition)
                          for s in (system, base))
            if one and other and stats.median_ci(other, seed=0).median > 0:
                seed = stats.seed_of(run.state["seed"], metric, system, size)
                ratio = scaling.ratio(one, other, seed=seed)
                ratios.append(f"{ratio_words(ratio)} at {size_words(size)}")
        if ratios:
            said.append(f"{system} {', '.join(ratios)}")
    words = f"Beside {base} at the same number of {axis(run)}"
    return f"{words}: {'; '.join(said)}." if said else ""


def say_growth(run: Run, metric: str, system: str, condition: Params, *,
               base: int | None = None) -> str:
    """`kraft: 60 ms at 1k partitions; at 10k 1.1 times (0.9 to 1.3) that`: each size beside the
    smallest, or the smallest from `base` on. The metric is in seconds."""
    found = {size: values for size in sizes(run)
             if (values := samples(run, metric, system, **{axis(run): str(size)}, **condition))
             and (base is None or size >= base)}
    if not found:
        return f"{system}: not measured."
    first, *others = found
    seed = stats.seed_of(run.state["seed"], metric, system)
    said = [f"{duration_words(stats.median_ci(found[first], seed=seed))} at "
            f"{size_words(first)} {axis(run)}"]
    for size in others:
        if stats.median_ci(found[first], seed=seed).median > 0:
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
    return (f"{system}: {words} more take {duration_words(whole)} longer; "
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
