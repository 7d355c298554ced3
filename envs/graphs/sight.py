"""Sight between cameras, and edges that pass a third camera."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from clipnav.envs.panoramas.ray_tracer import RayTracer

SHORTCUT_ANGLE = np.radians(16)  # between an edge and a viewpoint that it passes


def visibility(eyes: np.ndarray, tracer: RayTracer) -> np.ndarray:
    """Return which cameras (N, 3) see each other: (N, N) bool, False on the diagonal."""
    first, second = np.triu_indices(len(eyes), 1)
    visible = np.zeros((len(eyes), len(eyes)), bool)
    visible[first, second] = see_each_other(eyes[first], eyes[second], tracer)
    return visible | visible.T


def see_each_other(first: np.ndarray, second: np.ndarray, tracer: RayTracer) -> np.ndarray:
    """Return a mask (N,) bool of the mutually visible pairs of cameras (N, 3)."""
    return ~(tracer.occluded(first, second) | tracer.occluded(second, first))


def without_shortcuts(eyes: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Remove the edges (N, N) between cameras (N, 3) that pass a neighbour of both ends.

    Such a neighbour is closer to both ends and within `SHORTCUT_ANGLE` of the edge, as seen from
    both: the edge and the way through the neighbour would look the same. Two viewpoints that were
    connected remain so, because the way through the neighbour remains.
    """
    steps = eyes[None] - eyes[:, None]
    gaps = np.linalg.norm(steps, axis=2)
    edges = edges.copy()
    pairs = np.argwhere(np.triu(edges))
    for i, j in pairs[np.argsort(-gaps[tuple(pairs.T)], kind="stable")]:
        if is_shortcut(i, j, steps, gaps, edges, SHORTCUT_ANGLE):
            edges[i, j] = edges[j, i] = False
    return edges


def is_shortcut(
    i: int, j: int, steps: np.ndarray, gaps: np.ndarray, edges: np.ndarray, angle: float
) -> bool:
    """Return whether the edge between cameras i and j passes a neighbour of both, see above.

    Args:
        steps: (N, N, 3) metres from each camera to each.
        gaps: (N, N) their lengths.
        edges: (N, N) bool.
        angle: Largest angle in radians between the edge and the neighbour.
    """
    length = gaps[i, j]
    others = np.flatnonzero(edges[i] & edges[j] & (gaps[i] < length) & (gaps[j] < length))
    from_i = steps[i, others] @ steps[i, j] / gaps[i, others]
    from_j = steps[j, others] @ steps[j, i] / gaps[j, others]
    return bool((np.minimum(from_i, from_j) > length * np.cos(angle)).any())
