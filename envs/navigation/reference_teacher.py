"""ReferenceTeacher: a teacher that follows the annotated path instead of the shortest path."""

from typing import Literal

import numpy as np

from clipnav.envs.graphs.nav_world import NavWorld
from clipnav.envs.navigation.references import ReferencePaths

Teacher = Literal["shortest", "reference"]


class ReferenceTeacher:
    """Teacher that follows the reference path of each of B agents and returns to it if necessary.

    On the path the teacher moves to the next viewpoint and stops at the end. Off the path it takes
    the shortest path to the nearest viewpoint that the agent has not passed yet (the earliest of
    equally near ones). A viewpoint is passed when it or a later one is reached.

    On the path the actions equal those of CLEAR (`r2r_src/agent.py: _teacher_action`) and HAMT
    (`finetune_src/r2r/env.py: _teacher_path_action`), except for paths that cross themselves and
    after walking back: CLEAR and HAMT look up the first visit of a viewpoint, so that they walk in
    a cycle, or pass again what was passed, whereas this teacher tracks progress. Off the path CLEAR
    takes the shortest path to the goal, which skips the rest of the instruction, and HAMT gives no
    target.
    """

    def __init__(self, world: NavWorld, references: ReferencePaths, num_agents: int) -> None:
        """Prepare to teach."""
        self._world = world
        self._references = references.nodes
        self._last = references.sizes - 1
        self._passed_at = _passed_at(references.nodes, references.sizes)
        self._passed = np.zeros(num_agents, dtype=np.int64)
        self._positions = np.arange(references.nodes.shape[1])

    def start(self, agents: np.ndarray, episodes: np.ndarray) -> None:
        """Start episodes (M,) of agents (M,)."""
        self._passed[agents] = self._passed_at[episodes, 0]

    def arrive(self, agents: np.ndarray, episodes: np.ndarray, nodes: np.ndarray) -> None:
        """Update the progress of agents that have moved.

        Args:
            agents: (M,) agents that have moved.
            episodes: (M,) episodes of these agents.
            nodes: (M,) nodes that they have reached.
        """
        passed = self._passed[agents]
        here = self._references[episodes] == nodes[:, None]
        reached = here & (self._positions >= passed[:, None])
        updated = self._passed_at[episodes, reached.argmax(axis=1)]
        self._passed[agents] = np.where(reached.any(axis=1), updated, passed)

    def actions(self, episodes: np.ndarray, nodes: np.ndarray) -> np.ndarray:
        """Return the (B,) int64 actions of the teacher; 0 (stop) at the end of the path.

        Args:
            episodes: (B,) episode of each agent.
            nodes: (B,) node of each agent.
        """
        agents, references = np.arange(len(nodes)), self._references[episodes]
        following = np.minimum(self._passed, self._last[episodes])
        distances = self._world.distance(nodes[:, None], references)
        distances = np.where(self._positions >= following[:, None], distances, np.inf)
        on_path = nodes == references[agents, self._passed - 1]
        targets = references[agents, np.where(on_path, following, distances.argmin(axis=1))]
        # An edge and a detour of equal length may differ in the last bit; prefer the edge.
        edges = self._world.targets[nodes, 1:] == targets[:, None]
        edges &= (targets != nodes)[:, None]
        direct = np.where(edges.any(axis=1), 1 + edges.argmax(axis=1), 0)
        return np.where(direct > 0, direct, self._world.teacher_action(nodes, targets))


def _passed_at(references: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Return (E, R) the number of viewpoints passed when each is reached, with repetitions."""
    passed = np.tile(1 + np.arange(references.shape[1]), (len(references), 1))
    for position in reversed(range(references.shape[1] - 1)):
        repeated = references[:, position] == references[:, position + 1]
        passed[:, position] = np.where(repeated, passed[:, position + 1], passed[:, position])
    return np.minimum(passed, sizes[:, None])
