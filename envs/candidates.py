"""Where an agent can go from each viewpoint: the result of MatterSim's sweep over 36 views.

EnvDrop (`r2r_src/env.py: make_candidate`) turns the simulator through 36 views and notes for each
neighbour the view that looks at it most directly. Everything it finds is a function of the graph
alone, computed here for all viewpoints at once.
"""

from dataclasses import dataclass

import numpy as np

from envs.nav_graph import NavGraph

NUM_HEADINGS = 12
NUM_VIEWS = 36
STEP = np.pi / 6  # between neighbouring headings, and between the three elevations
# MatterSim.cpp takes vfov * width / height for the horizontal field of view: 80 degrees of a
# 640 x 480 picture that is 60 degrees high.
HALF_FIELD = np.deg2rad(40.0)


@dataclass(frozen=True, eq=False)
class CandidateTable:
    """Candidates of the N viewpoints of one graph, padded to the largest number D of neighbours.

    Attributes:
        targets: (N, D) int32 rows of the neighbours in EnvDrop's order, -1 where there is none.
        views: (N, D) int32 view 0..35 that looks at the neighbour most directly (`pointId`).
        navigable_indices: (N, D) int32 place of the neighbour in MatterSim's list of navigable
            locations when looking along that view (`idx`, from 1).
        headings: (N, D) float64 absolute headings in radians, within pi / 12 of the view's
            (`normalized_heading`, so between -pi / 12 and 2 pi).
        elevations: (N, D) float64 absolute elevations in radians.
    """

    targets: np.ndarray
    views: np.ndarray
    navigable_indices: np.ndarray
    headings: np.ndarray
    elevations: np.ndarray


def candidate_table(graph: NavGraph) -> CandidateTable:
    """Compute the candidates of every viewpoint of a graph."""
    neighbours = _padded_neighbours(graph)
    present = neighbours >= 0
    heading, elevation = _directions(graph, neighbours)
    rel_heading = heading[..., None] - STEP * np.arange(NUM_HEADINGS)  # (N, D, 12)
    rel_heading = np.pi - (np.pi - rel_heading) % (2 * np.pi)
    rel_elevation = elevation[..., None] - STEP * np.arange(-1, 2)  # (N, D, 3)
    visible = (np.abs(rel_heading) <= HALF_FIELD) & present[..., None]

    # (N, D, 36): angle between view and neighbour as MatterSim measures it.
    offset = np.sqrt(rel_elevation[..., None] ** 2 + rel_heading[..., None, :] ** 2)
    offset = np.where(visible[..., None, :], offset, np.inf).reshape(*present.shape, NUM_VIEWS)
    views = offset.argmin(axis=-1)

    # EnvDrop orders neighbours by the first view that shows them, and within a view as the
    # simulator does; the elevation plays no part in what is visible, so the lowest band decides.
    first = visible.argmax(axis=-1)
    first_offset = np.take_along_axis(offset, first[..., None], axis=-1)[..., 0]
    order = np.lexsort((first_offset, np.where(present, first, NUM_VIEWS)), axis=-1)

    best_heading = views % NUM_HEADINGS
    turn = np.take_along_axis(rel_heading, best_heading[..., None], axis=-1)[..., 0]
    table = CandidateTable(
        targets=neighbours,
        views=views,
        navigable_indices=_ranks(offset, views),
        headings=STEP * best_heading + turn,
        elevations=elevation,
    )
    return CandidateTable(
        **{name: _arranged(values, order, present) for name, values in vars(table).items()}
    )


def _padded_neighbours(graph: NavGraph) -> np.ndarray:
    """(N, D) rows of the neighbours in file order, -1 where there is none."""
    degrees = graph.adjacency.sum(axis=1)
    width = int(degrees.max(initial=0))
    first = np.argsort(~graph.adjacency, axis=1, kind="stable")[:, :width]
    return np.where(np.arange(width) < degrees[:, None], first, -1)


def _directions(graph: NavGraph, neighbours: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Absolute heading and elevation (N, D) in radians of each neighbour."""
    # MatterSim holds positions in float32, and two viewpoints 0.1 mm apart make that matter.
    positions = graph.positions.astype(np.float32)
    offsets = (positions[neighbours] - positions[:, None]).astype(np.float64)
    heading = np.arctan2(offsets[..., 0], offsets[..., 1])
    elevation = np.arctan2(offsets[..., 2], np.hypot(offsets[..., 0], offsets[..., 1]))
    return heading, elevation


def _ranks(offset: np.ndarray, views: np.ndarray) -> np.ndarray:
    """(N, D) place from 1 of each neighbour among those visible in its own best view."""
    own_view = np.broadcast_to(views[:, None], (*views.shape, views.shape[1]))
    in_own_view = np.take_along_axis(offset, own_view, axis=2)  # (N, D other, D own)
    own = np.take_along_axis(offset, views[..., None], axis=2)[..., 0]
    return 1 + (in_own_view < own[:, None]).sum(axis=1)


def _arranged(values: np.ndarray, order: np.ndarray, present: np.ndarray) -> np.ndarray:
    """Rows in candidate order; padding is -1 for integers and 0 for angles."""
    arranged = np.take_along_axis(values, order, axis=1)
    if values.dtype.kind == "f":
        return np.where(np.take_along_axis(present, order, axis=1), arranged, 0.0)
    return np.where(np.take_along_axis(present, order, axis=1), arranged, -1).astype(np.int32)
