"""Infos of a batch of agents in continuous environments."""

from functools import partial
from typing import Any

import numpy as np

from clipnav.envs.base.infos import LazyInfo, batch_info, scattered
from clipnav.envs.continuous.coordinates import heading_to_rotation, to_habitat
from clipnav.envs.continuous.environments.experts import ExpertWalks
from clipnav.envs.continuous.environments.walks import ContinuousWalks
from clipnav.envs.continuous.episodes import ContinuousSplit


def continuous_info(
    split: ContinuousSplit, walks: ContinuousWalks, experts: ExpertWalks
) -> LazyInfo:
    """Return the info of B agents: names, poses, distances and actions of the teacher."""
    episodes, headings = walks.episodes.copy(), walks.headings
    positions = walks.positions.copy()
    values: dict[str, Any] = {
        "position": positions,
        "heading": headings,
        "tilt": walks.tilt_angles,
        "collided": walks.collided.copy(),
        "steps": walks.steps.copy(),
        "distance_to_goal": walks.distances.copy(),
    }
    makers = {
        "instr_id": partial(split.instr_ids.take, episodes),
        "episode_id": partial(split.episode_ids.take, episodes),
        "instruction": partial(split.instructions.take, episodes),
        "scan": partial(split.scans.take, episodes),
        "habitat_position": partial(to_habitat, positions),
        "rotation": partial(heading_to_rotation, headings),
    }
    if experts.has_teacher:
        makers["teacher_action"] = partial(experts.actions, episodes, walks.traces())
    return batch_info(values, makers, len(episodes))


def set_lazy_measures(
    info: LazyInfo, walks: ContinuousWalks, experts: ExpertWalks, ended: np.ndarray
) -> None:
    """Register in an info the measures of the agents `ended` (M,) whose goal is known."""
    scored = ended[walks.has_goal[ended]]
    if not scored.size:
        return
    mask = np.zeros(len(walks.episodes), dtype=bool)
    mask[scored] = True
    records = [(int(walks.episodes[agent]), walks.walk(int(agent))) for agent in scored]

    def measures() -> dict[str, Any]:
        rows = [experts.measure(*record) for record in records]
        return scattered({name: np.array([row[name] for row in rows]) for name in rows[0]}, mask)

    info["_metrics"] = mask
    info.set_lazy("metrics", measures)
