"""Metrics of vision-and-language navigation, of single paths and of splits, with intervals.

docs/metrics.md defines each metric and lists where published implementations differ.
"""

from clipnav.envs.metrics.bootstrap import (
    Interval,
    bootstrap_interval,
    bootstrap_intervals,
    paired_difference,
    paired_gains,
    seed_difference,
    seed_interval,
)
from clipnav.envs.metrics.comparison_report import aligned
from clipnav.envs.metrics.path_scores import (
    SUCCESS_THRESHOLD,
    path_metrics,
    score_path,
    score_paths,
)
from clipnav.envs.metrics.summaries import summarise, summarise_groups
from clipnav.envs.metrics.table import Metric, mean_metrics, metrics, register_metric

__all__ = [
    "SUCCESS_THRESHOLD",
    "Interval",
    "Metric",
    "aligned",
    "bootstrap_interval",
    "bootstrap_intervals",
    "mean_metrics",
    "metrics",
    "paired_difference",
    "paired_gains",
    "path_metrics",
    "register_metric",
    "score_path",
    "score_paths",
    "seed_difference",
    "seed_interval",
    "summarise",
    "summarise_groups",
]
