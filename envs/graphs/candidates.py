"""Candidates of each viewpoint: the result of MatterSim's sweep over the 36 views.

EnvDrop (`r2r_src/env.py: make_candidate`) turns the simulator through 36 views and records for
each neighbour the view that faces it most directly. The result depends on the graph alone and is
computed here for all viewpoints of a world at once.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from clipnav.storage.features.view_grid import NUM_HEADINGS, NUM_VIEWS, STEP

if TYPE_CHECKING:
    from clipnav.envs.graphs.nav_graph import NavGraph

# MatterSim.cpp takes vfov * width / height for the horizontal field of view: 80 degrees of a
# 640 x 480 picture that is 60 degrees high.
_HALF_FIELD = np.deg2rad(40.0)
_TABLES = ("targets", "views", "headings", "elevations")  # of candidates that are kept


@dataclass(frozen=True, eq=False)
class CandidateEdges:
    """The M candidates of many viewpoints, sorted by viewpoint and then in EnvDrop's order.

    Attributes:
        origins: (M,) viewpoint of the agent.
        targets: (M,) neighbour that the candidate leads to.
        ranks: (M,) index of the candidate among those of its viewpoint, from 0.
        views: (M,) view 0..35 that faces the neighbour most directly (`pointId`).
        headings: (M,) float64 absolute headings in radians, within pi / 12 of the view's
            (`normalized_heading`, so between -pi / 12 and 2 pi).
        elevations: (M,) float64 absolute elevations in radians.
    """

    origins: np.ndarray
    targets: np.ndarray
    ranks: np.ndarray
    views: np.ndarray
    headings: np.ndarray
    elevations: np.ndarray

    @property
    def tables(self) -> dict[str, np.ndarray]:
        """Arrays that `from_tables` restores the candidates from, besides the origins."""
        return {f"candidate_{name}": getattr(self, name) for name in _TABLES}

    @classmethod
    def from_tables(cls, origins: np.ndarray, tables: Mapping[str, np.ndarray]) -> "CandidateEdges":
        """Restore candidates."""
        targets, *others = (tables[f"candidate_{name}"] for name in _TABLES)
        return cls(origins, targets, _ranks(origins), *others)


@dataclass(frozen=True, eq=False)
class CandidateTable:
    """Candidates of the N viewpoints of one graph, padded to the largest number D of neighbours.

    Attributes:
        targets: (N, D) int32 rows of the neighbours in EnvDrop's order, -1 where there is none.
        views: (N, D) int32, -1 where there is none.
        headings: (N, D) float64, 0 where there is none.
        elevations: (N, D) float64, 0 where there is none.
    """

    targets: np.ndarray
    views: np.ndarray
    headings: np.ndarray
    elevations: np.ndarray


def start_views(headings: np.ndarray) -> np.ndarray:
    """Return the (E,) int32 initial views of episodes with start headings (E,) in radians.

    MatterSim starts with the level view of the nearest of its 12 headings, rounding halves up.
    """
    turned = np.fmod(headings, 2 * np.pi)
    steps = np.where(turned < 0, turned + 2 * np.pi, turned) / STEP
    whole = np.floor(steps)
    return NUM_HEADINGS + (whole + (steps - whole >= 0.5)).astype(np.int32) % NUM_HEADINGS


def candidate_edges(
    positions: np.ndarray, origins: np.ndarray, targets: np.ndarray
) -> CandidateEdges:
    """Compute the candidates of viewpoints.

    Args:
        positions: (V, 3) metres.
        origins: (M,) start of each edge, ascending.
        targets: (M,) end of each edge.
    """
    # MatterSim stores positions as float32, which matters for viewpoints 0.1 mm apart.
    positions = positions.astype(np.float32)
    offsets = (positions[targets] - positions[origins]).astype(np.float64)
    heading = np.arctan2(offsets[:, 0], offsets[:, 1])
    elevation = np.arctan2(offsets[:, 2], np.hypot(offsets[:, 0], offsets[:, 1]))
    rel_heading = heading[:, None] - STEP * np.arange(NUM_HEADINGS)  # (M, 12)
    rel_heading = np.pi - (np.pi - rel_heading) % (2 * np.pi)
    rel_elevation = elevation[:, None] - STEP * np.arange(-1, 2)  # (M, 3)
    visible = np.abs(rel_heading) <= _HALF_FIELD

    # (M, 36) angle between view and neighbour as MatterSim measures it.
    offset = np.sqrt(rel_elevation[:, :, None] ** 2 + rel_heading[:, None, :] ** 2)
    offset = np.where(visible[:, None, :], offset, np.inf).reshape(-1, NUM_VIEWS)
    views = offset.argmin(axis=1)

    # EnvDrop orders neighbours by the first view that shows them, and within a view as the
    # simulator does. Visibility does not depend on the elevation, so the lowest band decides.
    edges = np.arange(len(origins))
    first = visible.argmax(axis=1)
    order = np.lexsort((offset[edges, first], first, origins))
    best_heading = views % NUM_HEADINGS
    return CandidateEdges(
        origins=origins,  # sorted before and after
        targets=targets[order],
        ranks=_ranks(origins),
        views=views[order],
        headings=(STEP * best_heading + rel_heading[edges, best_heading])[order],
        elevations=elevation[order],
    )


def candidate_table(graph: "NavGraph") -> CandidateTable:
    """Return the candidates of every viewpoint of a graph, padded."""
    edges = graph.candidates
    shape = len(graph), int(edges.ranks.max(initial=-1)) + 1

    def padded(values: np.ndarray, padding: float, dtype: type) -> np.ndarray:
        table = np.full(shape, padding, dtype=dtype)
        table[edges.origins, edges.ranks] = values
        return table

    return CandidateTable(
        targets=padded(edges.targets, -1, np.int32),
        views=padded(edges.views, -1, np.int32),
        headings=padded(edges.headings, 0.0, np.float64),
        elevations=padded(edges.elevations, 0.0, np.float64),
    )


def _ranks(origins: np.ndarray) -> np.ndarray:
    """Return the index (M,) of each edge among those of its viewpoint; `origins` are ascending."""
    return np.arange(len(origins)) - np.searchsorted(origins, origins)
