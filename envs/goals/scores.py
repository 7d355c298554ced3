"""GoalScores: what a dataset adds to the metrics of submissions, under the names of definitions."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from clipnav.envs.datasets import dataset_spec
from clipnav.envs.episodes import Episode
from clipnav.envs.episodes.episode import own_goals
from clipnav.envs.graphs.goal import ObjectAnswer
from clipnav.envs.graphs.nav_graph import NavGraph
from clipnav.envs.metrics import SUCCESS_THRESHOLD, Metric, score_paths
from clipnav.envs.metrics.table import derive

Columns = dict[str, np.ndarray]


class Walked:
    """Walked path with its distances.

    Attributes:
        path: Walked viewpoints, including the start.
        length: Length in metres.
    """

    def __init__(self, graph: NavGraph, path: Sequence[str]) -> None:
        self.path = tuple(path)
        self._graph, self._rows = graph, [graph.index(viewpoint) for viewpoint in path]
        self.length = graph.path_length(path)

    def distances(self, goals: Sequence[str]) -> np.ndarray:
        """Return the metres from each walked viewpoint to the nearest of some viewpoints."""
        columns = [self._graph.index(goal) for goal in goals]
        return self._graph.distances[np.ix_(self._rows, columns)].min(axis=1)

    def length_of(self, path: Sequence[str]) -> float:
        """Return the length of another path in the same building in metres."""
        return self._graph.path_length(path)


def end_scores(to_goal: np.ndarray, radius: float = SUCCESS_THRESHOLD) -> dict[str, float]:
    """Return the scores of a walk's end and of its nearest viewpoint, given metres to the goal."""
    nearest, end = float(to_goal.min()), float(to_goal[-1])
    return {
        "nav_error": end,
        "oracle_error": nearest,
        "success": float(end < radius),
        "oracle_success": float(nearest < radius),
    }


def official_efficiency(ideal: float, length: float) -> float:
    """Return `path_efficiency`, but 1 for an agent that rightly stays, as CVDN's evaluator does."""
    return ideal / max(ideal, length) if length or ideal else 1.0


@dataclass(frozen=True)
class GoalScores:
    """Scores of a dataset, named by a row of the table of datasets; see docs/goals.md.

    Attributes:
        definitions: Names of the definitions, the default one first.
        score: Function of a walked path, its episode, its answer and the name of a definition. It
            returns columns by name, which replace those of `score_paths`.
        metrics: Columns that `score_paths` lacks, by short name.
        answer: Function of a record of a submission file that returns the answer, None if it has
            none, or raises UserError.
        pointed: Function of the object that an agent points out that returns the answer.
        aliases: Function of all episodes that returns the `instr_id` of further spellings.
        joint: Function of the scored episodes and their columns that returns columns about several
            episodes together.
    """

    definitions: tuple[str, ...]
    score: Callable[[Walked, Episode, Any, str], dict[str, float]]
    metrics: Mapping[str, Metric]
    answer: Callable[[Mapping[str, Any]], Any] = lambda record: None
    pointed: Callable[[ObjectAnswer], Any] = lambda answer: None
    aliases: Callable[[Sequence[Episode]], dict[str, str]] = lambda episodes: {}
    joint: Callable[[Sequence[Episode], Mapping[str, np.ndarray]], Columns] = (
        lambda episodes, columns: {}
    )


def dataset_scores(dataset: str) -> GoalScores | None:
    """Return the scores of a dataset; None if `score_paths` says all."""
    spec = dataset_spec(dataset)
    return spec.part("scores") if spec.scores else None


def score_episodes(
    dataset: str,
    graphs: Sequence[NavGraph],
    episodes: Sequence[Episode],
    paths: Sequence[Sequence[str]],
    threshold: float = SUCCESS_THRESHOLD,
    definition: str = "",
    answers: Mapping[str, Any] = MappingProxyType({}),
) -> dict[str, np.ndarray]:
    """Return the columns (B,) of B walks: those of `score_paths`, by the definitions of a dataset.

    Args:
        threshold: Success radius in metres of datasets without definitions.
        definition: Name of a definition; "" for the default one.
        answers: Answers by `instr_id`, which some datasets ask for.
    """
    references, goals = [episode.path for episode in episodes], own_goals(episodes)
    columns = score_paths(graphs, paths, references, threshold, goals)
    own = dataset_scores(dataset)
    if own is None:
        return columns
    definition = definition or own.definitions[0]
    rows = [
        own.score(Walked(graph, path), episode, answers.get(episode.instr_id), definition)
        for graph, path, episode in zip(graphs, paths, episodes, strict=True)
    ]
    columns |= {name: np.array([row[name] for row in rows]) for name in rows[0]}
    columns |= own.joint(episodes, columns)
    return derive(columns)
