"""Walks along reference paths: viewpoint after viewpoint, and the views that an agent faces."""

from typing import NamedTuple

import numpy as np

from clipnav.envs.graphs.nav_world import NavWorld, route_moves
from clipnav.envs.navigation.references import ReferencePaths


class ReferenceWalks(NamedTuple):
    """Walks along the reference paths of B episodes; U of them are different.

    Attributes:
        nodes: (U, T) nodes, padded with -1; consecutive nodes are neighbours.
        views: (U, T) views 0..35 that the agents face; 0 for padding.
        owners: (B,) walk of each episode.
    """

    nodes: np.ndarray
    views: np.ndarray
    owners: np.ndarray

    @classmethod
    def of(
        cls, world: NavWorld, references: ReferencePaths, episodes: np.ndarray
    ) -> "ReferenceWalks":
        """Follow the paths of episodes (B,) step by step, also if they pass their goal early.

        Shortest paths are inserted between viewpoints that are not neighbours.
        """
        nodes = references.nodes[episodes].astype(np.int64)
        sizes, views = references.sizes[episodes], references.start_views[episodes]
        nodes[np.arange(nodes.shape[1]) >= sizes[:, None]] = -1
        nodes = nodes[:, : int(sizes.max())]
        keys = np.column_stack([nodes, views])
        unique, owners = np.unique(keys, axis=0, return_inverse=True)
        nodes = along_edges(world, unique[:, :-1])
        return cls(nodes, path_views(world, nodes, unique[:, -1]), owners.reshape(-1))


def along_edges(world: NavWorld, nodes: np.ndarray) -> np.ndarray:
    """Insert shortest paths between the nodes of paths that are not neighbours.

    Args:
        nodes: (B, T) nodes of the paths, padded with -1.
    """
    starts, ends = nodes[:, :-1], nodes[:, 1:]
    is_edge = (world.targets[starts, 1:] == ends[..., None]) & world.valid[starts, 1:]
    if (is_edge.any(2) | (ends < 0)).all():
        return nodes
    paths = []
    for row in nodes:
        path = [int(row[0])]
        for target in row[row >= 0][1:].tolist():
            while path[-1] != target:
                here = np.array(path[-1:])
                action = world.teacher_action(here, np.array([target]))
                path.append(int(world.targets[here, action][0]))
        paths.append(path)
    longest = max(map(len, paths))
    return np.array([path + [-1] * (longest - len(path)) for path in paths])


def path_views(world: NavWorld, nodes: np.ndarray, start_views: np.ndarray) -> np.ndarray:
    """Return the views that an agent faces along paths.

    Args:
        nodes: (B, T) neighbouring nodes, padded with -1.
        start_views: (B,) views 0..35 at the starts.

    Returns:
        (B, T) views; 0 for padding.
    """
    moves = route_moves(world, nodes[:, 0], nodes[:, 1:])
    faced = world.views[nodes[:, :-1], moves]  # (B, T - 1)
    views = np.column_stack([start_views, faced])
    return np.where(nodes >= 0, views, 0)
