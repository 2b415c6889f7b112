"""Figures as pure functions of data: each takes numbers and a path without suffix, and leaves an
SVG and a PNG.

Colours are Okabe and Ito's, which differ for every kind of sight; intervals are drawn wherever
there are trials.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt  # noqa: E402
import numpy as np  # noqa: E402
from matplotlib.axes import Axes  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402

from experiments import stats  # noqa: E402

SYSTEM_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
PHASE_COLOURS = ("#56B4E9", "#E69F00", "#009E73", "#CC79A7", "#999999", "#0072B2", "#D55E00",
                 "#F0E442", "#555555")
OUTCOME_COLOURS = {"ok": "#0072B2", "info": "#E69F00", "fail": "#D55E00"}
BAND_COLOURS = ("#C04F00", "#A8437F", "#8A6D00")
STYLE = {"font.size": 10, "axes.spines.top": False, "axes.spines.right": False,
         "axes.grid": True, "grid.alpha": 0.25, "axes.axisbelow": True, "legend.frameon": False,
         "svg.hashsalt": "quorumlab", "svg.fonttype": "path", "font.family": "DejaVu Sans"}


def save(figure: Figure, path: Path) -> None:
    """Writes path.svg and path.png; the same figure gives the same bytes."""
    figure.savefig(path.with_suffix(".svg"), metadata={"Date": None}, bbox_inches="tight")
    figure.savefig(path.with_suffix(".png"), dpi=130, bbox_inches="tight",
                   metadata={"Software": None})
    plt.close(figure)


def colour_of(system: str, systems: Sequence[str]) -> str:
    return SYSTEM_COLOURS[list(systems).index(system) % len(SYSTEM_COLOURS)]


def quantile_curves(samples: Mapping[str, Sequence[np.ndarray]], path: Path, *, seed: int,
                    unit: str = "ms") -> None:
    """Quantiles of each trial's samples: thin lines; the median over trials: a thick one, with its
    interval as a band. The axis stretches the tail: each step to the right has a tenth as many
    samples beyond it.

    Requires: at least one trial per system, each with samples.
    """
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(7.2, 4.2))
        least = min(len(trial) for trials in samples.values() for trial in trials)
        # Deeper, a quantile of the smallest trial is its maximum and nothing else.
        deepest = max(2.0, np.log10(least))
        nines = np.linspace(0, deepest, 120)
        quantiles = 1 - 10.0 ** -nines
        for system, trials in samples.items():
            colour = colour_of(system, list(samples))
            curves = np.array([[stats.quantile(t, max(q, 1e-9)) for q in quantiles]
                               for t in map(np.sort, trials)])
            for curve in curves:
                axes.plot(nines, curve, color=colour, alpha=0.25, linewidth=0.7)
            if len(curves) > 1:
                band = [stats.median_ci(column, seed=seed) for column in curves.T]
                axes.fill_between(nines, [e.ci_low for e in band], [e.ci_high for e in band],
                                  color=colour, alpha=0.2, linewidth=0)
            axes.plot(nines, np.median(curves, axis=0), color=colour, linewidth=2,
                      label=f"{system} (n={len(curves)})")
        ticks = [t for t in (0, 0.30103, 1, 2, 3, 4, 5) if t <= deepest]
        names = {0: "min", 0.30103: "50 %", 1: "90 %", 2: "99 %", 3: "99.9 %", 4: "99.99 %",
                 5: "99.999 %"}
        axes.set_xticks(ticks, [names[t] for t in ticks])
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(matplotlib.ticker.FormatStrFormatter("%g"))
        axes.set_xlabel("share of records that were at least as fast")
        axes.set_ylabel(f"latency from the intended send time ({unit})")
        axes.legend(loc="upper left")
        save(figure, path)


@dataclass(frozen=True)
class Bar:
    """A stacked bar: each phase and the whole, as medians with their intervals; in seconds."""

    label: str
    group: str
    phases: Mapping[str, stats.Estimate]
    total: stats.Estimate
    points: Sequence[float]
    """The whole, of each trial."""


ZERO_MS = 0.01  # Where a phase of length zero stands on the logarithmic axis.


def stacked_phases(bars: Sequence[Bar], path: Path, *, order: Sequence[str] = (),
                   x_label: str = "time since SIGKILL (s)") -> None:
    """Horizontal bars in groups. Left, the whole: the diamond is its median with its interval, the
    dots are the trials; medians of phases need not add up to the median of the whole. Right, each
    phase with its interval, on a logarithmic axis, since phases differ a thousandfold. Phases
    follow one another in `order`, or else as the bars name them.

    Requires: at least one bar.
    """
    found = dict.fromkeys(name for bar in bars for name in bar.phases)
    names = [name for name in order if name in found] or list(found)
    with plt.rc_context(STYLE):
        figure, (whole, each) = plt.subplots(1, 2, figsize=(9.4, 1.5 + 0.85 * len(bars)),
                                             sharey=True, width_ratios=(3, 2))
        places = _places(bars)
        for place, bar in zip(places, bars, strict=True):
            left = 0.0
            for number, name in enumerate(names):
                colour = PHASE_COLOURS[number % len(PHASE_COLOURS)]
                estimate = bar.phases.get(name)
                length = estimate.median if estimate else 0.0
                whole.barh(place, length, left=left, height=0.6, edgecolor="white", linewidth=0.5,
                           color=colour, label=name.replace("_", " ") if bar is bars[0] else None)
                left += length
                if estimate:
                    step = 0.7 * ((number + 0.5) / len(names) - 0.5)
                    _phase(each, place + step, estimate, colour)
            _whole(whole, place, bar)
        whole.set_yticks(places, [f"{bar.group}\n{bar.label}" for bar in bars])
        whole.invert_yaxis()
        whole.set_xlim(left=0)
        whole.set_xlabel(x_label)
        each.set_xscale("log")
        each.set_xlim(left=ZERO_MS * 0.7)
        each.xaxis.set_major_formatter(matplotlib.ticker.FuncFormatter(
            lambda value, _: "0" if np.isclose(value, ZERO_MS) else f"{value:g}"))
        each.xaxis.set_minor_locator(matplotlib.ticker.NullLocator())
        each.set_xlabel("length of each phase (ms)")
        for axes in (whole, each):
            axes.grid(axis="y", visible=False)
        each.tick_params(axis="y", length=0)
        figure.legend(*whole.get_legend_handles_labels(), loc="lower center", ncols=len(names),
                      bbox_to_anchor=(0.5, 0.99), columnspacing=1.4, handlelength=1.2)
        figure.tight_layout(w_pad=1.5)
        save(figure, path)


def _places(bars: Sequence[Bar]) -> list[float]:
    """Heights of the bars, with some air between groups."""
    places, at, group = [], 0.0, bars[0].group
    for bar in bars:
        at += 0.25 if bar.group != group else 0
        group = bar.group
        places.append(at)
        at += 1
    return places


def _phase(axes: Axes, place: float, estimate: stats.Estimate, colour: str) -> None:
    def milliseconds(seconds: float) -> float:
        return max(seconds * 1e3, ZERO_MS)

    if estimate.ci_low is not None and estimate.ci_high is not None:
        axes.plot([milliseconds(estimate.ci_low), milliseconds(estimate.ci_high)], [place, place],
                  color=colour, linewidth=2, solid_capstyle="butt")
    axes.plot(milliseconds(estimate.median), place, "o", color=colour, markersize=5,
              markeredgecolor="white", markeredgewidth=0.6)


def _whole(axes: Axes, place: float, bar: Bar) -> None:
    whole = bar.total
    axes.plot(bar.points, [place + 0.4] * len(bar.points), ".", color="#333333", alpha=0.55,
              markersize=4)
    if whole.ci_low is not None and whole.ci_high is not None:
        axes.plot([whole.ci_low, whole.ci_high], [place, place], color="black", linewidth=1.4,
                  solid_capstyle="butt")
        for end in (whole.ci_low, whole.ci_high):
            axes.plot([end, end], [place - 0.12, place + 0.12], color="black", linewidth=1.4)
    axes.plot(whole.median, place, "D", color="white", markeredgecolor="black", markersize=5.5)


@dataclass(frozen=True)
class Band:
    """A stretch of time in which something was broken; seconds."""

    start: float
    end: float
    label: str


@dataclass(frozen=True)
class Panel:
    """One trial over time. Times are seconds since its measuring began."""

    title: str
    at: np.ndarray
    """The intended time of each operation."""
    response_ms: np.ndarray
    outcomes: np.ndarray
    acked_at: Mapping[str, np.ndarray]
    """Line label -> times of acks."""
    bands: Sequence[Band] = field(default_factory=tuple)


def timelines(panels: Sequence[Panel], path: Path, *, window_s: float = 0.1,
              start_s: float = -1.0) -> None:
    """For each trial, above: the latency of every operation, coloured by outcome; below: acks per
    second, by line. Bands are faults. What was before `start_s` is warm-up and not shown.

    Requires: at least one panel, each with operations after `start_s`.
    """
    with plt.rc_context(STYLE):
        figure, grid = plt.subplots(2, len(panels), figsize=(4.8 * len(panels) + 0.6, 5.4),
                                    sharex="col", sharey="row", squeeze=False,
                                    height_ratios=(3, 2))
        for column, panel in enumerate(panels):
            above, below = grid[0][column], grid[1][column]
            for outcome, colour in OUTCOME_COLOURS.items():
                chosen = (panel.outcomes == outcome) & (panel.at >= start_s)
                if chosen.any():
                    above.scatter(panel.at[chosen], panel.response_ms[chosen], s=3, color=colour,
                                  alpha=0.5, linewidths=0, rasterized=True,
                                  label=f"record, {outcome}")
            above.set_yscale("log")
            above.set_title(panel.title, fontsize=11, pad=32)
            ends = np.arange(start_s, panel.at.max() + 2 * window_s, window_s)
            for number, (label, times) in enumerate(panel.acked_at.items()):
                counts, edges = np.histogram(times, ends)
                below.step(edges[:-1], counts / window_s, where="post", linewidth=1, label=label,
                           color=PHASE_COLOURS[number % len(PHASE_COLOURS)])
            _draw_bands(above, below, panel.bands)
            below.set_xlim(start_s, ends[-1])
            below.set_xlabel("seconds since measuring began")
        grid[0][0].set_ylabel("latency (ms)")
        grid[1][0].set_ylabel("acks per second")
        grid[0][0].yaxis.set_major_formatter(matplotlib.ticker.FormatStrFormatter("%g"))
        figure.align_ylabels()
        figure.subplots_adjust(hspace=0.08, wspace=0.06)
        _legend_below(figure, grid)
        save(figure, path)


def _legend_below(figure: Figure, grid: np.ndarray) -> None:
    """One legend for all panels, outside of them."""
    named = {label: handle for axes in grid.flat
             for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend(named.values(), named.keys(), loc="upper center", bbox_to_anchor=(0.5, 0.02),
                  ncols=len(named), markerscale=3, fontsize=9, columnspacing=1.4, handlelength=1.4)


def _draw_bands(above: Axes, below: Axes, bands: Sequence[Band]) -> None:
    for number, band in enumerate(bands):
        colour = BAND_COLOURS[number % len(BAND_COLOURS)]
        for axes in (above, below):
            axes.axvspan(band.start, band.end, color=colour, alpha=0.14, linewidth=0)
            axes.axvline(band.start, color=colour, linewidth=1)
        above.annotate(band.label, (band.start, 1), xycoords=("data", "axes fraction"),
                       xytext=(0, 4), textcoords="offset points", fontsize=8, color=colour)


Point = tuple[float, stats.Estimate]


@dataclass(frozen=True)
class Chart:
    """A panel of curves over a quantity, each point an estimate."""

    title: str
    x_label: str
    y_label: str
    curves: Mapping[str, Sequence[Point]]
    """Label -> points, by x."""
    log_x: bool = True
    log_y: bool = True
    joined: bool = True
    """False for an x that is words and no quantity: points beside each other, without a line."""


def charts(panels: Sequence[Chart], path: Path, *, columns: int = 3,
           order: Sequence[str] = (), x_names: Mapping[float, str] | None = None) -> None:
    """Medians as lines with dots, intervals as bars; the same label has one colour in all panels.

    `order` gives labels their colours, `x_names` the ticks their words. Requires: at least one
    panel.
    """
    labels = list(order) or list(dict.fromkeys(label for p in panels for label in p.curves))
    with plt.rc_context(STYLE):
        columns = min(columns, len(panels))
        rows = -(-len(panels) // columns)
        figure, grid = plt.subplots(rows, columns, figsize=(3.9 * columns + 0.4, 3.1 * rows + 0.5),
                                    squeeze=False)
        for axes, panel in zip(grid.flat, panels):
            _chart(axes, panel, labels, x_names or {})
        for axes in grid.flat[len(panels):]:
            axes.set_visible(False)
        figure.tight_layout(rect=(0, 0.06, 1, 1))
        _shared_legend(figure, grid)
        save(figure, path)


def _chart(axes: Axes, panel: Chart, labels: Sequence[str], x_names: Mapping[float, str]) -> None:
    for label, points in panel.curves.items():
        if not points:
            continue
        colour = colour_of(label, labels)
        aside = 0.0 if panel.joined else 0.09 * (list(labels).index(label) - (len(labels) - 1) / 2)
        at = [x + aside for x, _ in points]
        middle = [e.median for _, e in points]
        low = [e.median - (e.median if e.ci_low is None else e.ci_low) for _, e in points]
        high = [(e.median if e.ci_high is None else e.ci_high) - e.median for _, e in points]
        axes.errorbar(at, middle, yerr=[low, high], color=colour, marker="o", markersize=3.5,
                      linewidth=1.5, capsize=2, label=label,
                      linestyle="-" if panel.joined else "none")
    if panel.log_x:
        axes.set_xscale("log")
    if panel.log_y:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(matplotlib.ticker.FormatStrFormatter("%g"))
        low_y, high_y = axes.get_ylim()
        if high_y < 10 * low_y:  # Perhaps without a power of ten, and then without a number.
            axes.yaxis.set_minor_locator(matplotlib.ticker.LogLocator(subs=(2, 3, 5, 7)))
            axes.yaxis.set_minor_formatter(matplotlib.ticker.FormatStrFormatter("%g"))
        else:
            axes.yaxis.set_minor_formatter(matplotlib.ticker.NullFormatter())
    ticks = sorted({x for points in panel.curves.values() for x, _ in points})
    if x_names:
        axes.set_xticks(ticks, [x_names.get(x, f"{x:g}") for x in ticks])
        axes.minorticks_off()
    axes.set_title(panel.title, fontsize=10)
    axes.set_xlabel(panel.x_label)
    axes.set_ylabel(panel.y_label)


@dataclass(frozen=True)
class Distribution:
    """A panel of cumulative distributions."""

    title: str
    curves: Mapping[str, Sequence[tuple[np.ndarray, np.ndarray]]]
    """Label -> of each trial: values, and the share of samples that are at most that."""


def distributions(panels: Sequence[Distribution], path: Path, *, x_label: str, columns: int = 3,
                  order: Sequence[str] = ()) -> None:
    """Cumulative distributions, a thin line per trial and the first of each label in full colour.

    Requires: at least one panel.
    """
    labels = list(order) or list(dict.fromkeys(label for p in panels for label in p.curves))
    with plt.rc_context(STYLE):
        columns = min(columns, len(panels))
        rows = -(-len(panels) // columns)
        figure, grid = plt.subplots(rows, columns, figsize=(3.9 * columns + 0.4, 2.8 * rows + 0.5),
                                    squeeze=False, sharey=True)
        for axes, panel in zip(grid.flat, panels):
            for label, trials in panel.curves.items():
                for number, (values, shares) in enumerate(trials):
                    axes.step(values, shares, where="post", linewidth=1.2, alpha=0.75,
                              color=colour_of(label, labels),
                              label=label if number == 0 else "_nolegend_")
            axes.set_xscale("log")
            axes.xaxis.set_major_formatter(matplotlib.ticker.FormatStrFormatter("%g"))
            axes.set_title(panel.title, fontsize=10)
            axes.set_xlabel(x_label)
        for axes in grid.flat[len(panels):]:
            axes.set_visible(False)
        for row in grid:
            row[0].set_ylabel("share of appends")
        figure.tight_layout(rect=(0, 0.06, 1, 1))
        _shared_legend(figure, grid)
        save(figure, path)


def _shared_legend(figure: Figure, grid: np.ndarray) -> None:
    named = {label: handle for axes in grid.flat
             for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend(named.values(), named.keys(), loc="lower center", ncols=min(len(named), 7),
                  fontsize=9, columnspacing=1.4, handlelength=1.6)
