"""Scores of a run beside baselines, with confidence intervals, and counts of its answers."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from clipnav.agents.language_models.models.replies import Usage
from clipnav.agents.language_models.walks.asking import AskingWalk
from clipnav.envs.continuous.episodes import ContinuousEpisode
from clipnav.envs.episodes import Episode
from clipnav.envs.metrics import SUMMARY_METRICS, aligned
from clipnav.envs.metrics.bootstrap import Interval, bootstrap_intervals, paired_difference
from clipnav.envs.metrics.summaries import Metric
from clipnav.storage.errors import counted

# Scores of each episode, by instr_id and name of the column.
EpisodeScores = Mapping[str, Mapping[str, float]]

_COLUMNS = ("NE", "SR", "SPL", "nDTW")
_PAIRED = "SR"
_ROUNDING = 1e-9


@dataclass(frozen=True)
class AgentScores:
    """Scores of an agent on the scored episodes of a run.

    Attributes:
        episodes: Number of episodes.
        buildings: Number of their buildings.
        intervals: Mean of each metric with the bootstrap's 95 % interval over buildings; one
            without width, because all buildings have the same value, is neither printed nor
            written.
        difference: Success rate less that of the model, on the same episodes, with its interval;
            None for the model.
    """

    episodes: int
    buildings: int
    intervals: dict[str, Interval]
    difference: Interval | None = None


def score_agents(
    evaluations: Mapping[str, EpisodeScores],
    episodes: Sequence[Episode | ContinuousEpisode],
    metrics: Mapping[str, Metric] = SUMMARY_METRICS,
) -> dict[str, AgentScores]:
    """Compute the scores of agents on the same episodes, the model first.

    Args:
        evaluations: Scores of each episode by name of the agent.
        episodes: The episodes.
        metrics: Metrics by short name; one that is infinite somewhere, such as the distance to a
            goal that cannot be reached, is left out.
    """
    clusters = [episode.scan for episode in episodes]
    success = SUMMARY_METRICS[_PAIRED].column
    first: np.ndarray | None = None
    scores = {}
    for name, evaluation in evaluations.items():
        rows = [evaluation[episode.instr_id] for episode in episodes]
        columns = {
            short: np.array([row[metric.column] for row in rows])
            for short, metric in metrics.items()
        }
        columns = {short: c for short, c in columns.items() if np.isfinite(c).all()}
        intervals = bootstrap_intervals(columns, clusters=clusters)
        succeeded = np.array([row[success] for row in rows])
        difference = None
        if first is None:
            first = succeeded
        else:
            difference = paired_difference(first, succeeded, clusters=clusters)
        scores[name] = AgentScores(len(rows), len(set(clusters)), intervals, difference)
    return scores


def score_table(split: str, scores: Mapping[str, AgentScores]) -> str:
    """Return an aligned table, with a note if an interval is missing.

    NE is in metres, the other metrics are in per cent.
    """
    first = next(iter(scores))
    rows = [["split", "agent", *_COLUMNS, f"{_PAIRED} - {first}"]]
    for name, agent in scores.items():
        cells = [_cell(agent.intervals.get(column), column) for column in _COLUMNS]
        difference = "" if agent.difference is None else _cell(agent.difference, _PAIRED, sign=True)
        rows.append([split, name, *cells, difference])
    shown = [agent.intervals.get(column) for agent in scores.values() for column in _COLUMNS]
    shown += [agent.difference for agent in scores.values()]
    table = aligned(rows, texts=2)
    if all(interval is None or _has_width(interval) for interval in shown):
        return table
    buildings = counted(scores[first].buildings, "scored building")
    return f"{table}\nNo interval: the value is the same in all buildings ({buildings})."


def _cell(interval: Interval | None, column: str, sign: bool = False) -> str:
    if interval is None:
        return "-"
    factor = SUMMARY_METRICS[column].factor
    mean, low, high = (factor * value for value in interval)
    text = f"{mean:{'+' if sign else ''}.1f}"
    return f"{text} [{low:.1f}, {high:.1f}]" if _has_width(interval) else text


def _has_width(interval: Interval) -> bool:
    """Return whether buildings differ; otherwise they say nothing about other buildings."""
    return interval.high - interval.low > _ROUNDING


def answer_counts(walks: Sequence[AskingWalk]) -> dict[str, int]:
    """Return counts of episodes, decisions and answers; all but the first few should be small."""
    decisions = [decision for walk in walks for decision in walk.decisions]
    answers = [x.answer for one in decisions for x in one.exchanges if x.answer is not None]
    kinds = Counter(answer.kind for answer in answers)
    endings = Counter(walk.ending for walk in walks)
    return {
        "episodes": len(walks),
        "decisions": len(decisions),
        "answers": len(answers),
        "asked again": sum(max(0, len(one.exchanges) - 1) for one in decisions),
        "invalid": kinds["invalid"],
        "refused": kinds["refused"],
        "truncated": kinds["truncated"],
        "prompt too long": sum(x.answer is None for one in decisions for x in one.exchanges),
        "decisions without a valid answer": sum(one.kind != "valid" for one in decisions),
        "ended by an invalid answer": endings["invalid"],
        "ended by the limit": endings["limit"],
        "failed": endings["failed"],
        "revisits": sum(walk.revisits for walk in walks),
    }


def total_usage(walks: Sequence[AskingWalk]) -> Usage:
    """Return the tokens of all requests of walks."""
    usage = Usage()
    for walk in walks:
        for decision in walk.decisions:
            for exchange in decision.exchanges:
                usage = usage + exchange.reply.usage
    return usage


def to_json(split: str, scores: Mapping[str, AgentScores]) -> dict[str, Any]:
    """Return means as clipnav evaluate-agent writes them, and their intervals.

    Without an interval, there is null in its place.
    """
    return {
        "results": {
            split: {
                name: {metric: interval.mean for metric, interval in agent.intervals.items()}
                | {"episodes": agent.episodes}
                for name, agent in scores.items()
            }
        },
        "intervals": {
            split: {
                name: {
                    metric: [interval.low, interval.high] if _has_width(interval) else None
                    for metric, interval in agent.intervals.items()
                }
                for name, agent in scores.items()
            }
        },
        "differences": {
            split: {
                name: {_PAIRED: _difference(agent.difference)}
                for name, agent in scores.items()
                if agent.difference is not None
            }
        },
    }


def _difference(interval: Interval) -> list[float | None]:
    return list(interval) if _has_width(interval) else [interval.mean, None, None]
