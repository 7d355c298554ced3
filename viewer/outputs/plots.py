"""Figures for papers: training curves, success by path length, outcomes, languages, bars."""

import math
import textwrap
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from clipnav.envs.datasets import dataset_spec
from clipnav.envs.episodes import base_language
from clipnav.envs.metrics import Interval, bootstrap_interval
from clipnav.storage import atomic_write
from clipnav.storage.errors import UserError
from clipnav.viewer.trace import Outcome, Trace, outcome

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
_MARKERS = "osD^vP"
_LINES = ("-", "--", ":", "-.")

_WIDTH, _HEIGHT = 7.6, 3.2  # inches of every figure
_DIRECT, _SHORT = 5, 20  # most lines that are labelled at their ends, and letters of such a name
_LINE = 0.175  # inches of a line of a legend
_LETTER, _SIGN = 0.075, 0.6  # inches of a letter, and of a line or patch with its margins
_FRAME = 0.6  # inches of a figure outside of its axes
_SHARE = 0.6  # of the height of axes that a legend inside may take
_LONGEST = 30  # letters of a name in a legend inside the axes
_METRICS = ("SR", "OSR", "nDTW")
_OUTCOME_COLOURS = {
    "success": "#009e73",
    "wrong stop": "#e69f00",
    "lost": "#d55e00",
    "unknown": "#999999",
}
_BIN = 5.0  # metres of a bin of path lengths
Event = Mapping[str, Any]
ByAgent = Mapping[str, Sequence[Trace]]


@dataclass(frozen=True)
class SeriesStyle:
    """Look of a series of a figure; the first 24 differ from each other.

    Attributes:
        cycle: Number of earlier series of the same colour.
    """

    cycle: int
    colour: str
    line: str
    marker: str


def series_style(place: int) -> SeriesStyle:
    """Return the look of a series, counted from 0."""
    cycle, colour = divmod(place, len(COLOURS))
    shape = (place + cycle) % len(_MARKERS)
    line = _LINES[cycle % len(_LINES)]
    return SeriesStyle(cycle, COLOURS[colour], line, _MARKERS[shape])


def _shown_name(name: str, width: int = 44) -> str:
    r"""Return a name as matplotlib shows it, in lines of at most `width` letters.

    Matplotlib takes text between two `$` for a formula and leaves names that begin with `_` out of
    legends.
    """
    text = textwrap.fill(name, width).replace("$", r"\$")
    return f" {text}" if text.startswith("_") else text


def panels(count: int) -> tuple["Figure", "Sequence[Axes]"]:
    """Return a figure and its axes, beside each other."""
    # Figure directly, because pyplot keeps figures in global state.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_WIDTH, _HEIGHT), layout="constrained")
    axes = figure.subplots(1, count, squeeze=False)[0]
    for one in axes:
        one.spines[["top", "right"]].set_visible(False)
        one.grid(axis="both", color="#e5e8ec", linewidth=0.8)
        one.set_axisbelow(True)
    return figure, axes


def _add_legends(figure: "Figure", axes: "Sequence[Axes]") -> None:
    """Label few lines at their ends; otherwise add a legend: inside if it is small, else below.

    The figure grows by the legends below, so that the axes keep their size.
    """
    width, height = figure.get_size_inches()
    added = 0.0
    for one in axes:
        names = one.get_legend_handles_labels()[1]
        if not names or (len(axes) < 2 and _label_lines(one)):
            continue
        lines = sum(_lines(name) for name in names)
        inside = lines * _LINE <= _SHARE * (height - _FRAME)
        if inside and max(map(_letters, names)) <= _LONGEST:
            one.legend(frameon=False, fontsize="small")
            continue
        columns, rows = _table(names, width / len(axes) - _FRAME)
        place = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.2)}
        one.legend(**place, ncols=columns, frameon=False, fontsize="small")
        added = max(added, rows * _LINE)
    figure.set_figheight(height + added)


def _label_lines(axes: "Axes") -> bool:
    """Write the names of few lines at their ends, in their colours; return whether they fit."""
    handles, names = axes.get_legend_handles_labels()
    lines = [getattr(handle, "lines", [handle])[0] for handle in handles]
    ends = [np.asarray(line.get_xydata(), float) for line in lines]
    ends = [points[np.isfinite(points).all(1)] for points in ends]
    few = len(names) <= _DIRECT and all(len(name.strip()) <= _SHORT for name in names)
    if not few or not all(len(points) > 1 for points in ends):
        return False
    low, high = axes.get_ylim()
    gap = 0.065 * (high - low)
    order = sorted(range(len(names)), key=lambda number: ends[number][-1, 1])
    below = -math.inf
    for number in order:
        x, y = ends[number][-1]
        below = max(y, below + gap)
        place = {"xytext": (8, 0), "textcoords": "offset points"}
        colour = lines[number].get_color()
        axes.annotate(names[number], (x, below), va="center", color=colour, **place)
    return True


def points(
    axes: "Axes", places: Any, values: tuple[Any, Any, Any], style: SeriesStyle, name: str,
    across: bool = False,
) -> None:  # fmt: skip
    """Draw points with whiskers.

    Args:
        places: Positions of the points on the other axis.
        values: Values, and the low and high ends of their whiskers.
        across: Whether values lie on the horizontal axis.
    """
    value, low, high = map(np.asarray, values)
    bars = np.maximum(0, [value - low, high - value])
    bars = np.where((bars > 0).any(0), bars, np.nan)
    look = {"fmt": style.marker, "color": style.colour, "markersize": 6, "label": _shown_name(name)}
    if across:
        axes.errorbar(value, places, xerr=bars, **look)
    else:
        axes.errorbar(places, value, yerr=bars, **look)


def _add_shared_legend(figure: "Figure", handles: Sequence[Any], names: Sequence[str]) -> None:
    """Add a legend above all axes, in as many columns as fit.

    The figure grows by all rows but the first.
    """
    width, height = figure.get_size_inches()
    columns, rows = _table(names, width)
    figure.set_figheight(height + (rows - 1) * _LINE)
    figure.legend(handles, names, loc="outside upper center", ncols=columns, frameon=False)


def _letters(name: str) -> int:
    return max(map(len, name.split("\n")))


def _lines(name: str) -> int:
    return 1 + name.count("\n")


def _table(names: Sequence[str], width: float) -> tuple[int, int]:
    """Return the number of columns and of rows, in lines, of a legend of a width in inches."""
    column = _SIGN + _LETTER * max(map(_letters, names))
    columns = max(1, min(len(names), int(width / column)))
    return columns, math.ceil(len(names) / columns) * max(map(_lines, names))


def _check_measures(trace: Trace) -> None:
    """Check that a trace with a known goal has the measures that the figures show.

    The page and videos also show traces of other programs that contain fewer measures.
    """
    final = trace.steps[-1].metrics
    missing = [f"metrics.{name} of the last step" for name in _METRICS if name not in final]
    if trace.steps[0].distance_to_goal is None:
        missing.insert(0, "distance_to_goal of the first step")
    if missing:
        raise UserError(
            f"trace of {trace.instr_id} by {trace.agent}: the figures require "
            f"{', '.join(missing)}; record the trace with clipnav, or add the values"
        )


def training_curves(logs: Mapping[str, Sequence[Event]]) -> "Figure":
    """Plot loss, and success or accuracy, over iterations."""
    figure, (losses, successes) = panels(2)
    shown: dict[str, None] = {}  # names of the metrics in order
    for place, (run, events) in enumerate(logs.items()):
        style = series_style(place)
        _draw_losses(losses, events, run, style)
        metric = "SR" if any("SR" in event for event in events) else "accuracy"
        # Logged batches of pre-training have an accuracy, too.
        left_out = () if metric == "SR" else ("train",)
        scored = [
            event
            for event in events
            if metric in event and "/" not in event["kind"] and event["kind"] not in left_out
        ]
        if scored:
            shown["success" if metric == "SR" else metric] = None
        for number, split in enumerate(dict.fromkeys(event["kind"] for event in scored)):
            evaluations = [event for event in scored if event["kind"] == split]
            successes.plot(
                [event["iteration"] for event in evaluations],
                [100 * event[metric] for event in evaluations],
                color=style.colour,
                marker=_MARKERS[(number + 3 * style.cycle) % len(_MARKERS)],
                fillstyle="full" if style.cycle % 4 < 2 else "none",
                linestyle=_LINES[number % 3],
                label=_shown_name(f"{run}, {split}" if len(logs) > 1 else split),
            )
    if not losses.lines and not successes.lines:
        raise UserError("the logs contain neither losses nor metrics; name a run that logged some")
    for axes, content in ((losses, "losses"), (successes, "metrics")):
        if not any(np.isfinite(line.get_ydata()).any() for line in axes.lines):
            text = f"all {content} are NaN" if axes.lines else f"no {content} logged"
            axes.text(0.5, 0.5, text, ha="center", transform=axes.transAxes)
    losses.set(xlabel="iteration", ylabel="loss")
    name = ", ".join(shown) or "metrics"
    successes.set(xlabel="iteration", ylabel=f"{name} (%)", ylim=(0, None))
    _add_legends(figure, (losses, successes))
    return figure


def success_by_length(traces: ByAgent) -> "Figure":
    """Plot success against the length of the shortest path, with 95 % intervals over buildings.

    A point has no bar if its walks are in one building, or all buildings have the same success.
    """
    figure, (axes,) = panels(1)
    longest = max(_length(trace) for own in traces.values() for trace in own)
    edges = np.arange(0.0, longest + _BIN, _BIN)
    for place, (agent, own) in enumerate(traces.items()):
        lengths = np.array([_length(trace) for trace in own])
        won = np.array([trace.steps[-1].metrics["SR"] for trace in own])
        bins = np.clip(np.digitize(lengths, edges) - 1, 0, len(edges) - 2)
        filled = np.unique(bins)
        rates = np.array([won[bins == b].mean() for b in filled])
        scans = np.array([trace.scan for trace in own])
        found = [
            bootstrap_interval(won[bins == b], clusters=scans[bins == b].tolist()) for b in filled
        ]
        _, low, high = np.array(found).T
        low[low == high] = np.nan
        axes.errorbar(
            (edges[filled] + edges[filled + 1]) / 2 + 0.25 * place,
            100 * rates,
            yerr=100 * np.maximum(0, [rates - low, high - rates]),
            color=series_style(place).colour,
            marker=series_style(place).marker,
            label=_shown_name(agent),
        )
    axes.set(xlabel="shortest path (m)", ylabel="success (%)", ylim=(0, 102))
    _add_legends(figure, (axes,))
    return figure


def outcomes(traces: ByAgent) -> "Figure":
    """Plot the shares of walks that ended in success, at a wrong stop, or lost."""
    figure, (axes,) = panels(1)
    agents = list(traces)
    names = [_shown_name(agent, 28) for agent in agents]
    lines = sum(name.count("\n") + 1.5 for name in names)
    figure.set_figheight(max(figure.get_figheight(), 1 + 0.2 * lines))
    left = np.zeros(len(agents))
    kinds = [kind for kind in get_args(Outcome) if kind != "unknown"]
    for kind in kinds:
        shares = [
            100 * np.mean([outcome(trace) == kind for trace in traces[agent]]) for agent in agents
        ]
        colour = _OUTCOME_COLOURS[kind]
        axes.barh(
            range(len(agents)),
            shares,
            0.6,
            left=left,
            color=colour,
            edgecolor="white",
            label=kind,
        )
        for row, share in enumerate(shares):
            if share >= 6:
                place = left[row] + share / 2, row
                axes.text(*place, f"{share:.0f}", ha="center", va="center", color="black")
        left += shares
    axes.set_yticks(range(len(agents)), names)
    axes.invert_yaxis()
    axes.set(xlabel="walks (%)", xlim=(0, 100))
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, frameon=False)
    return figure


def languages(traces: ByAgent) -> "Figure":
    """Plot success and nDTW per language; "no walks" marks a language that an agent lacks."""
    figure, both = panels(2)
    names = sorted({base_language(t.language) for own in traces.values() for t in own})
    width = 0.8 / len(traces)
    for axes, (metric, label) in zip(both, {"SR": "success", "nDTW": "nDTW"}.items(), strict=True):
        for place, (agent, own) in enumerate(traces.items()):
            groups: dict[str, list[float]] = defaultdict(list)
            for trace in own:
                groups[base_language(trace.language)].append(trace.steps[-1].metrics[metric])
            centres = np.arange(len(names)) + (place - (len(traces) - 1) / 2) * width
            known = [one for one in names if groups[one]]
            for name, centre in zip(names, centres, strict=True):
                if not groups[name]:
                    axes.text(centre, 1, "no walks", ha="center", va="bottom", rotation=90)
            values = [100 * float(np.mean(groups[one])) for one in known]
            shown = [centre for name, centre in zip(names, centres, strict=True) if groups[name]]
            points(axes, shown, (values, values, values), series_style(place), agent)
        axes.set_xticks(range(len(names)), names)
        axes.set(ylabel=f"{label} (%)", ylim=(0, 102))
    _add_shared_legend(figure, *both[0].get_legend_handles_labels())
    return figure


def intervals(metrics: Mapping[str, Mapping[str, Mapping[str, Interval]]]) -> "Figure":
    """Plot points with intervals, one panel per metric."""
    figure, axes = panels(len(metrics))
    by_split = next(iter(metrics.values()))
    splits, agents = list(by_split), list(next(iter(by_split.values())))
    width = 0.8 / len(splits)
    figure.set_figheight(1.2 + 0.2 * len(agents) * (1 + len(splits)))
    for panel, (metric, rows) in zip(axes, metrics.items(), strict=True):
        for place, split in enumerate(splits):
            values = np.array([rows[split][agent] for agent in agents])  # (agents, 3)
            rows_of = np.arange(len(agents)) + (place - (len(splits) - 1) / 2) * width
            points(panel, rows_of, tuple(100 * values.T), series_style(place), split, across=True)
        panel.set_yticks(range(len(agents)), [_shown_name(agent, 28) for agent in agents])
        panel.invert_yaxis()
        panel.set(xlabel=f"{metric} (%)", xlim=(0, None))
    for panel in axes[1:]:
        panel.set_yticklabels([])
    _add_shared_legend(figure, *axes[0].get_legend_handles_labels())
    return figure


def risk_coverage(curves: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> "Figure":
    """Plot the risk of the answers against the coverage.

    Args:
        curves: Coverage and risk in percent by name of the model; a model of the form
            "MODEL, METHOD" shares its colour with the other methods of MODEL.
    """
    figure, (axes,) = panels(1)
    figure.set_figheight(4.2)
    colours: dict[str, str] = {}
    drawn: dict[str, int] = defaultdict(int)
    for name, (coverage, risk) in curves.items():
        model = name.partition(",")[0] if len(curves) > len(COLOURS) // 2 else name
        colour = colours.setdefault(model, COLOURS[len(colours) % len(COLOURS)])
        style = _LINES[drawn[model] % len(_LINES)]
        drawn[model] += 1
        axes.plot(
            coverage, risk, color=colour, linestyle=style, linewidth=1.4, label=_shown_name(name)
        )
    axes.set(xlabel="coverage (%)", ylabel="risk (%)", xlim=(0, 100), ylim=(0, None))
    _add_legends(figure, (axes,))
    return figure


def answers_by_language(scores: Mapping[str, Mapping[str, Any]]) -> "Figure":
    """Plot the accuracy of answers per language, and the share of equal answers."""
    figure, (axes,) = panels(1)
    languages = list(dict.fromkeys(name for one in scores.values() for name in one["languages"]))
    width = 0.8 / len(scores)
    for place, (name, one) in enumerate(scores.items()):
        accuracies = {language: own["overall"] for language, own in one["languages"].items()}
        heights = [*(accuracies.get(language) for language in languages), one["consistency"]]
        known = [number for number, height in enumerate(heights) if height is not None]
        values = [heights[number] for number in known]
        centres = np.array(known) + (place - (len(scores) - 1) / 2) * width
        points(axes, centres, (values, values, values), series_style(place), name)
    axes.set_xticks(range(len(languages) + 1), [*languages, "same\nanswer\nin all"])
    axes.set(ylabel="accuracy, consistency (%)", ylim=(0, 102))
    _add_shared_legend(figure, *axes.get_legend_handles_labels())
    return figure


def by_agent(traces: Sequence[Trace]) -> dict[str, list[Trace]]:
    """Return the traces whose goal is known, by agent.

    If there are several worlds, datasets or splits, they are part of the names.
    """
    groups: dict[str, list[Trace]] = defaultdict(list)
    known = [trace for trace in traces if trace.has_goal]
    for trace in known:
        _check_measures(trace)
    kinds = [(trace.world, trace.dataset, trace.split) for trace in known]
    varies = [len(set(column)) > 1 for column in zip(*kinds, strict=True)]
    for trace, kind in zip(known, kinds, strict=True):
        name = " ".join(compress(kind, varies))
        groups[f"{trace.agent}, {name}" if name else trace.agent].append(trace)
    if not groups:
        raise UserError("no trace has a known goal; record traces of a split with public goals")
    return dict(groups)


def titled(figure: "Figure", traces: ByAgent) -> "Figure":
    """Write data sets and splits of the walks above a figure; return the figure."""
    shown = [trace for own in traces.values() for trace in own]
    kinds = dict.fromkeys((trace.dataset, trace.split, trace.world) for trace in shown)
    names = [f"{dataset_spec(one).label} {split}, {world}" for one, split, world in kinds]
    figure.suptitle(", ".join(names), fontsize="medium", fontweight="bold")
    return figure


def darken(figure: "Figure") -> None:
    """Change paper and ink of a figure for dark pages."""
    paper, ink, line = "#1d232b", "#e4e9f0", "#343d49"
    from matplotlib.text import Text

    figure.set_facecolor(paper)
    for axes in figure.axes:
        axes.set_facecolor(paper)
        axes.tick_params(colors=ink)
        axes.grid(color=line)
        for spine in axes.spines.values():
            spine.set_color(ink)
    for text in figure.findobj(Text):
        if text.get_color() in ("black", "k") and text.get_horizontalalignment() != "center":
            text.set_color(ink)
    for axes in figure.axes:
        for text in (axes.xaxis.label, axes.yaxis.label, axes.title):
            text.set_color(ink)
    if figure._suptitle is not None:  # type: ignore[attr-defined]
        figure._suptitle.set_color(ink)  # type: ignore[attr-defined]


def save(figure: "Figure", path: Path, dark: bool = False) -> None:
    """Write a figure in the format given by the file's suffix."""
    if dark:
        darken(figure)
    with atomic_write(path) as beside:
        figure.savefig(beside, dpi=200, bbox_inches="tight")


def _draw_losses(axes: "Axes", events: Sequence[Event], run: str, style: SeriesStyle) -> None:
    steps = [event for event in events if "loss" in event]
    if not steps:
        return
    iterations = [event["iteration"] for event in steps]
    values = np.array([event["loss"] for event in steps], float)
    known = np.pad(np.isfinite(values), 1)
    alone = np.flatnonzero(known[1:-1] & ~known[:-2] & ~known[2:])  # no line leads to these points
    (line,) = axes.plot(iterations, values, style.line, color=style.colour, label=_shown_name(run))
    if alone.size:
        line.set(marker="o", markersize=4, markevery=alone.tolist())


def _length(trace: Trace) -> float:
    length = trace.steps[0].distance_to_goal
    assert length is not None, "traces here have goals"
    return length
