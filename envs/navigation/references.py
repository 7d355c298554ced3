"""ReferencePaths: the paths that the episodes of a split describe, as arrays."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from envs.episodes import Episode
from envs.graphs.candidates import start_views
from envs.graphs.nav_world import NavWorld


@dataclass(frozen=True, eq=False)
class ReferencePaths:
    """Paths of E episodes, padded with their last viewpoint to the longest, R.

    Attributes:
        nodes: (E, R) int32 viewpoints.
        sizes: (E,) int64 viewpoints of each path.
        lengths: (E,) metres along each path, the shortest way from viewpoint to viewpoint.
        shortest_lengths: (E,) metres from start to end by the shortest way.
        has_goal: (E,) bool, whether the last viewpoint is known to be the goal.
        start_views: (E,) int32 view 0..35 that the agent looks along at the beginning.
    """

    nodes: np.ndarray
    sizes: np.ndarray
    lengths: np.ndarray
    shortest_lengths: np.ndarray
    has_goal: np.ndarray
    start_views: np.ndarray

    @classmethod
    def of(cls, world: NavWorld, episodes: Sequence[Episode]) -> "ReferencePaths":
        """Paths of some episodes in a world.

        Raises:
            KeyError: The world lacks a viewpoint.
        """
        paths = [[world.node(e.scan, v) for v in e.path] for e in episodes]
        longest = max(len(path) for path in paths)
        padded = [path + path[-1:] * (longest - len(path)) for path in paths]
        nodes = np.array(padded, dtype=np.int32)
        return cls(
            nodes=nodes,
            sizes=np.array([len(path) for path in paths]),
            lengths=world.distance(nodes[:, :-1], nodes[:, 1:]).sum(axis=1),
            shortest_lengths=world.distance(nodes[:, 0], nodes[:, -1]),
            has_goal=np.array([episode.has_goal for episode in episodes]),
            start_views=start_views(np.array([episode.heading for episode in episodes])),
        )

    @property
    def longest(self) -> int:
        """R."""
        return self.nodes.shape[1]

    @property
    def starts(self) -> np.ndarray:
        """(E,) int32 first viewpoints."""
        return self.nodes[:, 0]

    @property
    def goals(self) -> np.ndarray:
        """(E,) int32 last viewpoints."""
        return self.nodes[:, -1]
