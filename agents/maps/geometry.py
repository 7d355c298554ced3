"""MapGeometry: static tables of a world for agents with a map."""

from dataclasses import dataclass

import numpy as np

from clipnav.envs.graphs.candidates import candidate_edges
from clipnav.envs.graphs.nav_world import NavWorld
from clipnav.storage.features.view_grid import NUM_VIEWS, VIEW_ELEVATIONS, VIEW_HEADINGS


@dataclass(frozen=True, eq=False)
class MapGeometry:
    """Positions, edge lengths and panorama tokens of the V viewpoints of a world.

    The tokens of a panorama are the candidates in the order of the environment, each with its own
    view, and then the views that no candidate uses, by index (DUET `r2r/agent.py:
    _panorama_feature_variable`). Several candidates may share a view, so the number of tokens
    differs between viewpoints; T is the largest.

    Attributes:
        positions: (V, 3) float64 metres, rounded to float32 as in MatterSim.
        edge_lengths: (V, K - 1) float64 metres to each candidate, 0 for padding.
        candidates: (V, K - 1) int32 node of each candidate, -1 for padding.
        candidate_counts: (V,) int64 number of candidates.
        token_counts: (V,) int64 number of tokens.
        token_views: (V, T) int64 view of each token, 0 for padding.
        token_headings: (V, T) float64 absolute heading of each token in radians: that of the
            neighbour for candidates, otherwise that of the view.
        token_elevations: (V, T) float64 absolute elevation of each token in radians.
    """

    world: NavWorld
    positions: np.ndarray
    edge_lengths: np.ndarray
    candidates: np.ndarray
    candidate_counts: np.ndarray
    token_counts: np.ndarray
    token_views: np.ndarray
    token_headings: np.ndarray
    token_elevations: np.ndarray

    @classmethod
    def of(cls, world: NavWorld) -> "MapGeometry":
        """Compute the tables of a world."""
        graphs = list(world.graphs.values())
        exact = np.concatenate([graph.positions for graph in graphs])
        positions = exact.astype(np.float32).astype(np.float64)
        valid = world.valid[:, 1:]
        candidates = np.where(valid, world.targets[:, 1:], -1)
        lengths = np.linalg.norm(positions[candidates] - positions[:, None], axis=2)
        counts = valid.sum(1)
        return cls(
            world,
            positions,
            np.where(valid, lengths, 0.0),
            candidates,
            counts,
            *_tokens(world, exact, counts),
        )


def _tokens(world: NavWorld, positions: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return the number (V,), views, headings and elevations (V, T) of the panorama tokens."""
    valid = world.valid[:, 1:]
    origins, ranks = np.nonzero(valid)
    targets = world.targets[:, 1:][valid]
    # `candidate_edges` sorts the edges of a viewpoint in the order of the environment itself.
    order = np.lexsort((targets, origins))
    edges = candidate_edges(positions, origins[order], targets[order])

    views = world.views[:, 1:]
    used = np.zeros((len(world), NUM_VIEWS), bool)
    used[origins, views[valid]] = True
    token_counts = counts + (~used).sum(1)
    shape = len(world), int(token_counts.max())
    token_views = np.zeros(shape, np.int64)
    headings, elevations = np.zeros(shape), np.zeros(shape)
    token_views[origins, ranks] = views[valid]
    headings[edges.origins, edges.ranks] = edges.headings
    elevations[edges.origins, edges.ranks] = edges.elevations
    nodes, others = np.nonzero(~used)
    columns = (counts[:, None] + np.cumsum(~used, 1) - 1)[nodes, others]
    token_views[nodes, columns] = others
    headings[nodes, columns] = VIEW_HEADINGS[others]
    elevations[nodes, columns] = VIEW_ELEVATIONS[others]
    return token_counts, token_views, headings, elevations
