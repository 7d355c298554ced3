"""Report of a comparison: means with confidence intervals, as text, Markdown and JSON."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from clipnav.envs.metrics.bootstrap import (
    Interval,
    bootstrap_interval,
    seed_difference,
    seed_interval,
)
from clipnav.storage.errors import UserError

# By split and id of the item (an episode or a question): its metrics and the number of its cluster.
Scores = Mapping[str, Mapping[str, Mapping[str, float]]]


def aligned(rows: Sequence[Sequence[str]], texts: int = 1) -> str:
    """Return the lines of a table with left-aligned first columns and right-aligned others."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            [
                *map(str.ljust, row[:texts], widths[:texts]),
                *map(str.rjust, row[texts:], widths[texts:]),
            ]
        ).rstrip()
        for row in rows
    )


@dataclass(frozen=True)
class Figure:
    """One metric of one row on one split, as fractions.

    Attributes:
        runs: Mean of each training.
        over_seeds: Mean with Student's 95 % interval over seeds; NaN ends for a single training.
        over_clusters: Mean with the bootstrap's 95 % interval over clusters, such as buildings.
        against_first: Difference from the first row on the same items, with its 95 % interval over
            seeds and clusters (`seed_difference`); None for the first row.
    """

    runs: tuple[float, ...]
    over_seeds: Interval
    over_clusters: Interval
    against_first: Interval | None


@dataclass(frozen=True)
class Report:
    """Figures of a comparison.

    Attributes:
        figures: Figures by split, row and metric.
        metrics: Names of the metrics.
        cluster: What is drawn together with all its items: "building" or "image".
    """

    figures: dict[str, dict[str, dict[str, Figure]]]
    metrics: tuple[str, ...]
    cluster: str


def make_report(
    rows: Mapping[str, Sequence[Scores]], metrics: Sequence[str], cluster: str = "building"
) -> Report:
    """Compute the figures of each row."""
    first, *_ = rows
    figures = {}
    for split in rows[first][0]:
        ids = sorted(rows[first][0][split])
        values = {
            name: {metric: _values(name, runs, split, ids, metric) for metric in metrics}
            for name, runs in rows.items()
        }
        clusters = _values(first, rows[first], split, ids, cluster)[0].tolist()
        figures[split] = {
            name: {
                metric: Figure(
                    runs=tuple(own.mean(1).tolist()),
                    over_seeds=seed_interval(own.mean(1)),
                    over_clusters=bootstrap_interval(own.mean(0), clusters=clusters),
                    against_first=None
                    if name == first
                    else seed_difference(values[first][metric], own, clusters),
                )
                for metric, own in of_row.items()
            }
            for name, of_row in values.items()
        }
    return Report(figures, tuple(metrics), cluster)


def _values(
    name: str, runs: Sequence[Scores], split: str, ids: Sequence[str], metric: str
) -> np.ndarray:
    """Return the values (runs, items) of a metric."""
    for scores in runs:
        if split not in scores:
            raise UserError(
                f"{name} was not scored on {split}, as the first row was; give all rows the same "
                "splits, remove its runs and train them again"
            )
        if scores[split].keys() != set(ids):
            raise UserError(
                f"{name} was scored on other items of {split} than the first row; remove its "
                "runs and train them again"
            )
        if any(metric not in scores[split][item] for item in ids):
            raise UserError(
                f"{name}: its scores on {split} lack {metric}, which earlier versions of clipnav "
                "did not compute; delete scores.json in its runs, which are then evaluated again"
            )
    return np.array([[scores[split][item][metric] for item in ids] for scores in runs])


def text_table(report: Report) -> str:
    """Return an aligned table in per cent, with half of the interval over seeds after each mean."""
    rows = _cells(report)
    lines = aligned(rows, texts=len(rows[0]))
    return "\n".join([lines, "", *_legend(report)])


def markdown_table(report: Report) -> str:
    """Return the same table as Markdown."""
    head, *rows = _cells(report)
    lines = [head, ["---", "---", *["---:"] * (len(head) - 2)], *rows]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return "\n".join([table, "", *_legend(report)]) + "\n"


def to_json(report: Report) -> dict[str, Any]:
    """Return all figures as fractions; null where there is no interval."""
    return {
        split: {
            name: {
                metric: {
                    "runs": list(figure.runs),
                    "over_seeds": figure.over_seeds.to_json(),
                    f"over_{report.cluster}s": figure.over_clusters.to_json(),
                    "against_first": figure.against_first and figure.against_first.to_json(),
                }
                for metric, figure in figures.items()
            }
            for name, figures in rows.items()
        }
        for split, rows in report.figures.items()
    }


def seed_intervals(report: Report) -> dict[str, dict[str, dict[str, Interval]]]:
    """Return the means with intervals over seeds, by metric, split and row."""
    return {
        metric: {
            split: {name: figures[metric].over_seeds for name, figures in rows.items()}
            for split, rows in report.figures.items()
        }
        for metric in report.metrics
    }


def _cells(report: Report) -> list[list[str]]:
    against = [f"{metric} - first" for metric in report.metrics]
    head = "agent" if report.cluster == "building" else "row"
    cells = [["split", head, "runs", *report.metrics, *against]]
    for split, rows in report.figures.items():
        for name, figures in rows.items():
            means = [_with_half(figures[metric].over_seeds) for metric in report.metrics]
            differences = [_with_ends(figures[metric].against_first) for metric in report.metrics]
            runs = str(len(figures[report.metrics[0]].runs))
            cells.append([split, name, runs, *means, *differences])
    return cells


def _legend(report: Report) -> list[str]:
    first = next(iter(next(iter(report.figures.values()))))
    clusters = f"{report.cluster}s"
    return [
        "Per cent; ± is half of Student's 95 % interval over training seeds.",
        f'"- first": difference from {first} on the same {clusters}, with its 95 % interval over '
        f"training seeds and {clusters}; a single seed or {report.cluster} gives no interval.",
    ]


def _with_half(interval: Interval) -> str:
    half = "" if math.isnan(interval.low) else f" ± {100 * (interval.high - interval.mean):.1f}"
    return f"{100 * interval.mean:.1f}{half}"


def _with_ends(interval: Interval | None) -> str:
    if interval is None:
        return ""
    mean, low, high = (100 * end for end in interval)
    return f"{mean:+.1f}" + ("" if math.isnan(low) else f" [{low:+.1f}, {high:+.1f}]")
