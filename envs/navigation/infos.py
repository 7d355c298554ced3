"""Infos of a batch of agents on navigation graphs."""

from functools import partial

import numpy as np

from clipnav.envs.base.infos import LazyInfo, batch_info, scattered
from clipnav.envs.episodes.splits import LoadedSplit
from clipnav.envs.navigation.walks import Walks


def navigation_info(split: LoadedSplit, walks: Walks) -> LazyInfo:
    """Return the info of B agents: names, distances, action masks and actions of the teacher."""
    world, nodes = split.nav_world, walks.nodes.copy()
    numbers = {
        "distance_to_goal": walks.distances.copy(),
        "teacher_action": walks.teacher_actions(),
    }
    makers = {
        **split.lazy_names(walks.episodes.copy(), nodes),
        "candidates": partial(world.candidate_ids.take, nodes, axis=0),
        "action_mask": partial(world.valid.take, nodes, axis=0),
    }
    return batch_info(numbers, makers, len(nodes))


def set_lazy_metrics(info: LazyInfo, walks: Walks, ended: np.ndarray) -> None:
    """Register in an info the metrics of the agents `ended` (M,) whose goal is known."""
    scored = ended[walks.has_goal[ended]]
    if scored.size:
        mask = np.zeros(len(walks.nodes), dtype=bool)
        mask[scored] = True
        record, score = walks.record(scored), walks.score
        info["_metrics"] = mask
        info.set_lazy("metrics", lambda: scattered(score(record), mask))
