"""One storey to walk on: what its points see of each other, and which of them an edge can join."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from envs.houses.graph.clearance import CELL, ClearanceMap
from envs.houses.plan.plan_elements import EYE_HEIGHT

if TYPE_CHECKING:
    from envs.panoramas.ray_tracer import RayTracer

WALKING_CLEARANCE = 0.14  # metres around the straight walk along an edge
# Around a walk from cell to cell; a straight line between two of its cells strays by up to a cell.
PATH_CLEARANCE = WALKING_CLEARANCE + CELL


@dataclass(frozen=True)
class GraphRule:
    """How dense a navigation graph is.

    Attributes:
        most_viewpoints: of a storey, before repairs; each costs 36 views of features.
        closest: metres between viewpoints, if that gives no more than `most_viewpoints`.
        longest_edge: metres.
    """

    most_viewpoints: int
    closest: float
    longest_edge: float


@dataclass(frozen=True, eq=False)
class Ground:
    """A storey of a house as one who stands on it finds it.

    Attributes:
        floor: where one can walk.
        tracer: of the whole house; says what is visible.
        rule: which edges there are.
    """

    floor: ClearanceMap
    tracer: RayTracer
    rule: GraphRule

    def eyes(self, points: np.ndarray) -> np.ndarray:
        """Eyes (N, 3) of people who stand at points (N, 2)."""
        return np.hstack([points, np.full((len(points), 1), self.floor.floor + EYE_HEIGHT)])

    def sees(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Whether N pairs of points (N, 2) see each other at eye height, both ways: (N,) bool."""
        return see_each_other(self.eyes(first), self.eyes(second), self.tracer)

    def edges(self, points: np.ndarray) -> np.ndarray:
        """Which points (N, 2) a straight walk in sight of each other joins: (N, N) bool."""
        distance = np.linalg.norm(points[:, None] - points[None], axis=2)
        edges = visibility(self.eyes(points), self.tracer) & (distance <= self.rule.longest_edge)
        for i, j in np.argwhere(np.triu(edges)):
            clearance = self.floor.along(points[i], points[j])
            edges[i, j] = edges[j, i] = clearance >= WALKING_CLEARANCE
        return edges


def visibility(eyes: np.ndarray, tracer: RayTracer) -> np.ndarray:
    """Which eyes (N, 3) see each other: (N, N) bool, False on the diagonal."""
    first, second = np.triu_indices(len(eyes), 1)
    visible = np.zeros((len(eyes), len(eyes)), bool)
    visible[first, second] = see_each_other(eyes[first], eyes[second], tracer)
    return visible | visible.T


def see_each_other(first: np.ndarray, second: np.ndarray, tracer: RayTracer) -> np.ndarray:
    """Whether N pairs of eyes (N, 3) see each other, both ways: (N,) bool."""
    return ~(tracer.occluded(first, second) | tracer.occluded(second, first))
