"""ReferencePaths: the reference paths of the episodes of a split as arrays."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from envs.episodes import Episode
from envs.graphs.candidates import start_views
from envs.graphs.nav_world import NavWorld


@dataclass(frozen=True, eq=False)
class ReferencePaths:
    """Reference paths of E episodes, padded with their last viewpoint to the largest size R.

    Attributes:
        nodes: (E, R) int32 nodes of the viewpoints.
        sizes: (E,) int64 number of viewpoints of each path.
        lengths: (E,) length of each path in metres, with shortest paths between its viewpoints.
        shortest_lengths: (E,) length of the shortest path from start to end in metres.
        has_goal: (E,) bool, whether the goal is known; otherwise the path is only the start.
        start_views: (E,) int32 view 0..35 that the agent faces at the start.
    """

    nodes: np.ndarray
    sizes: np.ndarray
    lengths: np.ndarray
    shortest_lengths: np.ndarray
    has_goal: np.ndarray
    start_views: np.ndarray

    @classmethod
    def of(cls, world: NavWorld, episodes: Sequence[Episode]) -> "ReferencePaths":
        """Build the paths of episodes in a world.

        Raises:
            KeyError: The world lacks a viewpoint.
        """
        # Several instructions describe the same path, which is converted once.
        rows = {key: row for row, key in enumerate({(e.scan, e.path): None for e in episodes})}
        paths = [[world.node(scan, v) for v in path] for scan, path in rows]
        longest = max(len(path) for path in paths)
        padded = [path + path[-1:] * (longest - len(path)) for path in paths]
        order = [rows[e.scan, e.path] for e in episodes]
        nodes = np.array(padded, dtype=np.int32)[order]
        return cls(
            nodes=nodes,
            sizes=np.array([len(path) for path in paths])[order],
            lengths=world.distance(nodes[:, :-1], nodes[:, 1:]).sum(axis=1),
            shortest_lengths=world.distance(nodes[:, 0], nodes[:, -1]),
            has_goal=np.array([episode.has_goal for episode in episodes]),
            start_views=start_views(np.array([episode.heading for episode in episodes])),
        )

    @property
    def longest(self) -> int:
        """Number R of viewpoints of the longest path."""
        return self.nodes.shape[1]

    @property
    def starts(self) -> np.ndarray:
        """(E,) int32 nodes of the first viewpoints."""
        return self.nodes[:, 0]

    @property
    def goals(self) -> np.ndarray:
        """(E,) int32 nodes of the last viewpoints."""
        return self.nodes[:, -1]
