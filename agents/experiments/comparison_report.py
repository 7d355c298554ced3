"""Report of a comparison: means with confidence intervals, as text, Markdown and JSON."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from agents.experiments.comparison import METRICS, Scores
from envs.metrics import Interval, aligned, bootstrap_interval, paired_difference, seed_interval


@dataclass(frozen=True)
class Figure:
    """One metric of one row on one split, as fractions.

    Attributes:
        runs: Mean of each training.
        over_seeds: Mean with Student's 95 % interval over seeds; NaN ends for a single training.
        over_paths: Mean with the bootstrap's 95 % interval over paths.
        against_first: Difference from the first row on the same paths, with the bootstrap's 95 %
            interval; None for the first row.
    """

    runs: tuple[float, ...]
    over_seeds: Interval
    over_paths: Interval
    against_first: Interval | None


# Figures by split, row and metric.
Report = dict[str, dict[str, dict[str, Figure]]]


def make_report(rows: Mapping[str, Sequence[Scores]]) -> Report:
    """Compute the figures of each row.

    Args:
        rows: Scores of each training, by name of the row; others are compared with the first row.

    Raises:
        ValueError: The rows were not scored on the same episodes.
    """
    first, *_ = rows
    report: Report = {}
    for split in rows[first][0]:
        ids = sorted(rows[first][0][split])
        paths = [rows[first][0][split][instr_id]["path"] for instr_id in ids]
        values = {
            name: {metric: _values(name, runs, split, ids, metric) for metric in METRICS}
            for name, runs in rows.items()
        }
        report[split] = {
            name: {
                metric: _figure(
                    row_values[metric], None if name == first else values[first][metric], paths
                )
                for metric in METRICS
            }
            for name, row_values in values.items()
        }
    return report


def _values(
    name: str, runs: Sequence[Scores], split: str, ids: Sequence[str], metric: str
) -> np.ndarray:
    """Return the values (runs, episodes) of a metric."""
    for scores in runs:
        if scores[split].keys() != set(ids):
            raise ValueError(
                f"{name} was scored on other episodes of {split} than the first row; remove its "
                "runs and train them again"
            )
    return np.array([[scores[split][instr_id][metric] for instr_id in ids] for scores in runs])


def _figure(values: np.ndarray, first: np.ndarray | None, paths: Sequence[float]) -> Figure:
    means = values.mean(0)  # (episodes,)
    return Figure(
        runs=tuple(values.mean(1).tolist()),
        over_seeds=seed_interval(values.mean(1)),
        over_paths=bootstrap_interval(means, clusters=paths),
        against_first=(
            None if first is None else paired_difference(first.mean(0), means, clusters=paths)
        ),
    )


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
            name: {metric: _json_figure(figure) for metric, figure in figures.items()}
            for name, figures in rows.items()
        }
        for split, rows in report.items()
    }


def seed_intervals(report: Report) -> dict[str, dict[str, dict[str, Interval]]]:
    """Return the means with intervals over seeds, by metric, split and row."""
    return {
        metric: {
            split: {name: figures[metric].over_seeds for name, figures in rows.items()}
            for split, rows in report.items()
        }
        for metric in METRICS
    }


def _cells(report: Report) -> list[list[str]]:
    against = [f"{metric} - first" for metric in METRICS]
    cells = [["split", "agent", "runs", *METRICS, *against]]
    for split, rows in report.items():
        for name, figures in rows.items():
            means = [_with_half(figures[metric].over_seeds) for metric in METRICS]
            differences = [_with_ends(figures[metric].against_first) for metric in METRICS]
            runs = str(len(figures[METRICS[0]].runs))
            cells.append([split, name, runs, *means, *differences])
    return cells


def _legend(report: Report) -> list[str]:
    first = next(iter(next(iter(report.values()))))
    return [
        "Per cent; ± is half of Student's 95 % interval over training seeds.",
        f'"- first": difference from {first} on the same paths, averaged over seeds, with the '
        "bootstrap's 95 % interval over paths.",
    ]


def _with_half(interval: Interval) -> str:
    half = "" if math.isnan(interval.low) else f" ± {100 * (interval.high - interval.mean):.1f}"
    return f"{100 * interval.mean:.1f}{half}"


def _with_ends(interval: Interval | None) -> str:
    if interval is None:
        return ""
    mean, low, high = (100 * end for end in interval)
    return f"{mean:+.1f} [{low:+.1f}, {high:+.1f}]"


def _json_figure(figure: Figure) -> dict[str, Any]:
    return {
        "runs": list(figure.runs),
        "over_seeds": _json_interval(figure.over_seeds),
        "over_paths": _json_interval(figure.over_paths),
        "against_first": _json_interval(figure.against_first),
    }


def _json_interval(interval: Interval | None) -> dict[str, float | None] | None:
    if interval is None:
        return None
    return {
        name: None if math.isnan(value) else value for name, value in interval._asdict().items()
    }
