"""The teacher that leads along the annotated path instead of straight to the goal."""

from typing import Literal

import numpy as np

from envs.graphs.nav_world import NavWorld
from envs.navigation.references import ReferencePaths

Teacher = Literal["shortest", "reference"]


class ReferenceTeacher:
    """Follows the reference path of each of B agents, and leads back to it who left it.

    On the path the teacher goes to its next viewpoint and stops at its end. Off the path it goes
    the shortest way to the nearest of the viewpoints that the agent has not passed yet (the
    earliest of equally near ones). A viewpoint is passed when it or a later one is reached.

    On the path this is the teacher of CLEAR (`r2r_src/agent.py: _teacher_action`) and HAMT
    (`finetune_src/r2r/env.py: _teacher_path_action`), but for paths that cross themselves: those
    look up the first visit of a viewpoint, which goes round in circles; here progress is kept. Off
    the path CLEAR goes the shortest way to the goal, leaving the rest of the instruction out, and
    HAMT gives no target at all.
    """

    def __init__(self, world: NavWorld, references: ReferencePaths, num_agents: int) -> None:
        """Teach along paths.

        Args:
            world: The graphs.
            references: Paths of E episodes.
            num_agents: B.
        """
        self._world = world
        self._references = references.nodes
        self._last = references.sizes - 1
        self._passed_at = _passed_at(references.nodes, references.sizes)
        self._passed = np.zeros(num_agents, dtype=np.int64)
        self._places = np.arange(references.nodes.shape[1])

    def start(self, agents: np.ndarray, episodes: np.ndarray) -> None:
        """Agents (M,) begin episodes (M,)."""
        self._passed[agents] = self._passed_at[episodes, 0]

    def arrive(self, agents: np.ndarray, episodes: np.ndarray, nodes: np.ndarray) -> None:
        """Note where agents have come to.

        Args:
            agents: (M,) which.
            episodes: (M,) their episodes.
            nodes: (M,) viewpoints that they have reached.
        """
        passed = self._passed[agents]
        here = self._references[episodes] == nodes[:, None]
        reached = here & (self._places >= passed[:, None])
        place = reached.argmax(axis=1)
        anew = self._passed_at[episodes, place]
        self._passed[agents] = np.where(reached.any(axis=1), anew, passed)

    def actions(self, episodes: np.ndarray, nodes: np.ndarray) -> np.ndarray:
        """(B,) int64 actions; 0, stop, at the end of the path.

        Args:
            episodes: (B,) episode of each agent.
            nodes: (B,) viewpoint of each agent.
        """
        agents, references = np.arange(len(nodes)), self._references[episodes]
        following = np.minimum(self._passed, self._last[episodes])
        distances = self._world.distance(nodes[:, None], references)
        distances = np.where(self._places >= following[:, None], distances, np.inf)
        on_path = nodes == references[agents, self._passed - 1]
        targets = references[agents, np.where(on_path, following, distances.argmin(axis=1))]
        # An edge and a way of the same length may differ in the last bit: take the edge.
        edges = self._world.targets[nodes, 1:] == targets[:, None]
        edges &= (targets != nodes)[:, None]
        direct = np.where(edges.any(axis=1), 1 + edges.argmax(axis=1), 0)
        return np.where(direct > 0, direct, self._world.teacher_action(nodes, targets))


def _passed_at(references: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """(E, R) viewpoints passed when one is reached: the place after it and its repetitions."""
    passed = np.tile(1 + np.arange(references.shape[1]), (len(references), 1))
    for place in reversed(range(references.shape[1] - 1)):
        repeated = references[:, place] == references[:, place + 1]
        passed[:, place] = np.where(repeated, passed[:, place + 1], passed[:, place])
    return np.minimum(passed, sizes[:, None])
