"""One storey of a house: visibility between its points and edges between them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from clipnav.envs.houses.graph.clearance import CELL, ClearanceMap
from clipnav.envs.houses.plan.elements import EYE_HEIGHT

if TYPE_CHECKING:
    from clipnav.envs.panoramas.ray_tracer import RayTracer

WALKING_CLEARANCE = 0.14  # minimum clearance in metres along an edge
# Minimum clearance of a walk from cell to cell; a straight line deviates from it by up to one cell.
PATH_CLEARANCE = WALKING_CLEARANCE + CELL


LONGEST_EDGE = 4.8  # metres


@dataclass(frozen=True, eq=False)
class Ground:
    """A storey of a house.

    Attributes:
        floor: Clearance map of the storey.
        tracer: Ray tracer of the whole house.
    """

    floor: ClearanceMap
    tracer: RayTracer

    def eyes(self, points: np.ndarray) -> np.ndarray:
        """Return camera positions (N, 3) above points (N, 2)."""
        return np.hstack([points, np.full((len(points), 1), self.floor.floor + EYE_HEIGHT)])

    def sees(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Return a mask (N,) bool of the pairs of points (N, 2) with sight at eye height."""
        return see_each_other(self.eyes(first), self.eyes(second), self.tracer)

    def edges(self, points: np.ndarray) -> np.ndarray:
        """Return edges (N, N) bool between points (N, 2): short, visible and with clearance."""
        distance = np.linalg.norm(points[:, None] - points[None], axis=2)
        edges = visibility(self.eyes(points), self.tracer) & (distance <= LONGEST_EDGE)
        for i, j in np.argwhere(np.triu(edges)):
            clearance = self.floor.along(points[i], points[j])
            edges[i, j] = edges[j, i] = clearance >= WALKING_CLEARANCE
        return edges


def visibility(eyes: np.ndarray, tracer: RayTracer) -> np.ndarray:
    """Return which cameras (N, 3) see each other: (N, N) bool, False on the diagonal."""
    first, second = np.triu_indices(len(eyes), 1)
    visible = np.zeros((len(eyes), len(eyes)), bool)
    visible[first, second] = see_each_other(eyes[first], eyes[second], tracer)
    return visible | visible.T


def see_each_other(first: np.ndarray, second: np.ndarray, tracer: RayTracer) -> np.ndarray:
    """Return a mask (N,) bool of the pairs of cameras (N, 3) that see each other both ways."""
    return ~(tracer.occluded(first, second) | tracer.occluded(second, first))
