"""Visibility of objects from the viewpoints of a house: the ground truth of its instructions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from clipnav.envs.panoramas.cameras import equirectangular_camera

if TYPE_CHECKING:
    from clipnav.envs.houses.building.house import House
    from clipnav.envs.models.scene import ObjectInfo
    from clipnav.envs.panoramas.ray_tracer import RayTracer

HEADING_STEPS = 12
_VIEW_ANGLE = np.radians(60)  # field of view of a square view
_VIEW_SOLID_ANGLE = 4 * np.arcsin(np.sin(_VIEW_ANGLE / 2) ** 2)  # steradians of such a view
# The view extends further down than up, so that objects directly ahead on the floor count.
LOWEST, HIGHEST = np.radians(-45), np.radians(30)
_SMALLEST_AREA = 0.002  # fraction of a square view; smaller objects count as invisible
_SURVEY_WIDTH = 512  # width in pixels of the panoramas that a survey renders
NEAR = 1.6  # largest distance in metres from a viewpoint to an object for "stop by it"
_LEVEL = 0.2  # metres; edges with a smaller difference in height are not stairs


@dataclass(frozen=True, eq=False)
class Survey:
    """Visibility at each of the V included viewpoints of a house with N objects.

    Attributes:
        scan: Name of the house.
        viewpoints: Ids of the V viewpoints.
        positions: (V, 2) metres.
        edges: (V, V) bool.
        rooms: (V,) index of each viewpoint's room.
        room_kinds: Kind of each room.
        objects: The N objects.
        areas: (V, 12, N) fraction of the level view at each heading step that an object covers.
        distances: (V, N) metres to the visible part of an object, inf if it is not visible.
        heights: (V,) height of the camera above the ground floor in metres; None if all are equal.
    """

    scan: str
    viewpoints: tuple[str, ...]
    positions: np.ndarray
    edges: np.ndarray
    rooms: np.ndarray
    room_kinds: tuple[str, ...]
    objects: tuple[ObjectInfo, ...]
    areas: np.ndarray
    distances: np.ndarray
    heights: np.ndarray | None = None

    @property
    def cameras(self) -> np.ndarray:
        """(V, 3) metres, or (V, 2) if all heights are equal."""
        if self.heights is None:
            return self.positions
        return np.column_stack([self.positions, self.heights])

    def heading(self, start: int, end: int) -> float:
        """Return the heading in radians from one viewpoint to another."""
        return self._headings[start][end]

    def view(self, start: int, end: int) -> int:
        """Return the heading step (0 to 11) of the view nearest to the direction of an edge."""
        return round(self.heading(start, end) / _VIEW_ANGLE * 2) % HEADING_STEPS

    def climb(self, start: int, end: int) -> int:
        """Return 1 if an edge leads upstairs, -1 if downstairs, 0 if it is level."""
        if self.heights is None or abs(self.heights[end] - self.heights[start]) < _LEVEL:
            return 0
        return 1 if self.heights[end] > self.heights[start] else -1

    def room_kind(self, viewpoint: int) -> str:
        """Return the kind of the room of a viewpoint."""
        return self.room_kinds[self.rooms[viewpoint]]

    def near(self, viewpoint: int) -> np.ndarray:
        """Return the visible objects near a viewpoint, in its room: (N,) bool."""
        return (
            (self.object_rooms == self.rooms[viewpoint])
            & np.isfinite(self.distances[viewpoint])
            & (self.gaps[viewpoint] <= NEAR)
        )

    @cached_property
    def _headings(self) -> list[list[float]]:
        """Headings in radians from each viewpoint (V) to each viewpoint (V)."""
        xs, ys = (self.positions - self.positions[:, None]).transpose(2, 0, 1)
        return np.arctan2(xs, ys).tolist()

    @cached_property
    def boxes(self) -> np.ndarray:
        """Bounding boxes on the floor plan: (N, 2, 2) metres, lower then upper x, y."""
        corners = [(thing.lower[:2], thing.upper[:2]) for thing in self.objects]
        return np.array(corners).reshape(-1, 2, 2)

    @cached_property
    def categories(self) -> np.ndarray:
        """Categories of the objects: (N,) strings."""
        return np.array([thing.category for thing in self.objects])

    @cached_property
    def colours(self) -> np.ndarray:
        """Colours of the objects: (N,) strings."""
        return np.array([thing.colour for thing in self.objects])

    @cached_property
    def object_rooms(self) -> np.ndarray:
        """Index of each object's room, -1 for none: (N,)."""
        return np.array([thing.room for thing in self.objects])

    @cached_property
    def gaps(self) -> np.ndarray:
        """Horizontal distances from viewpoints to bounding boxes, 0 inside: (V, N) metres."""
        return np.stack([self.gaps_at(position) for position in self.positions])

    def gaps_at(self, point: np.ndarray) -> np.ndarray:
        """Return the horizontal distances from a point (2,) to bounding boxes: (N,) metres."""
        outside = np.maximum(self.boxes[:, 0] - point, point - self.boxes[:, 1])
        return np.hypot(*np.maximum(outside, 0).T)


def seen_distances(object_id: np.ndarray, depth: np.ndarray, count: int) -> np.ndarray:
    """Return the median distance to the visible part of each object: (count,) metres.

    The distance is inf for objects that are not visible or cover less than `_SMALLEST_AREA`.

    Args:
        object_id: (H, 2H) object ids of a panorama.
        depth: (H, 2H) distances in metres.
    """
    areas = _totals(object_id, _pixel_areas(*object_id.shape), count)
    distances = np.full(count, np.inf, np.float32)
    for index in np.flatnonzero(areas >= _SMALLEST_AREA):
        distances[index] = np.median(depth[object_id == index])
    return distances


def view_areas(object_id: np.ndarray, count: int) -> np.ndarray:
    """Return the fraction of the level view that each object covers: (12, count) float32.

    Args:
        object_id: (H, 2H) object ids of a panorama.
    """
    height, width = object_id.shape
    elevation = _elevations(height)
    rows = (elevation >= LOWEST) & (elevation <= HIGHEST)
    ids, weight = object_id[rows], _pixel_areas(height, width)[rows]
    areas = np.zeros((HEADING_STEPS, count), np.float32)
    for step in range(HEADING_STEPS):
        offset = _headings(width) - step * _VIEW_ANGLE / 2
        columns = np.abs((offset + np.pi) % (2 * np.pi) - np.pi) <= _VIEW_ANGLE / 2
        areas[step] = _totals(ids[:, columns], weight[:, columns], count)
    return areas


def survey_house(
    house: House,
    tracer: RayTracer,
    records: list[dict[str, Any]],
    visit: Callable[[str, np.ndarray, np.ndarray], None] | None = None,
) -> Survey:
    """Look around at every included viewpoint of a house and measure what is visible.

    Args:
        visit: Function that is called with each viewpoint, its object ids (H, 2H), and the
            distances (N,) to the visible parts of the objects.
    """
    height, width = _SURVEY_WIDTH // 2, _SURVEY_WIDTH
    columns, rows = np.arange(width) + 0.5, np.arange(height)[:, None] + 0.5
    rays = equirectangular_camera(width)(columns, rows).reshape(-1, 3)
    included = [i for i, record in enumerate(records) if record["included"]]
    poses = np.array([records[i]["pose"] for i in included]).reshape(-1, 4, 4)
    eyes = poses[:, :3, 3]
    count = len(house.scene.objects)
    areas = np.zeros((len(included), HEADING_STEPS, count), np.float32)
    distances = np.zeros((len(included), count), np.float32)
    for number, eye in enumerate(eyes):
        depth, object_id = (v.reshape(height, width) for v in tracer.first_hits(eye, rays))
        areas[number] = view_areas(object_id, count)
        distances[number] = seen_distances(object_id, depth, count)
        if visit is not None:
            visit(records[included[number]]["image_id"], object_id, distances[number])
    edges = np.array([records[i]["unobstructed"] for i in included], bool)[:, included]
    return Survey(
        scan=house.spec.scan,
        viewpoints=tuple(records[i]["image_id"] for i in included),
        positions=eyes[:, :2],
        edges=edges,
        rooms=np.array([house.plan.room_at(*eye) for eye in eyes]),
        room_kinds=tuple(room.kind for room in house.plan.rooms),
        objects=house.scene.objects,
        areas=areas,
        distances=distances,
        heights=eyes[:, 2],
    )


def _headings(width: int) -> np.ndarray:
    """Return the heading in radians of each panorama column: (width,)."""
    return 2 * np.pi * (np.arange(width) + 0.5) / width - np.pi


def _elevations(height: int) -> np.ndarray:
    """Return the elevation in radians of each panorama row: (height,)."""
    return np.pi / 2 - np.pi * (np.arange(height) + 0.5) / height


def _pixel_areas(height: int, width: int) -> np.ndarray:
    """Return the solid angle of each pixel as a fraction of a square view: (height, width)."""
    rows = np.cos(_elevations(height)) * (np.pi / height) * (2 * np.pi / width) / _VIEW_SOLID_ANGLE
    return np.broadcast_to(rows[:, None], (height, width))


def _totals(ids: np.ndarray, weight: np.ndarray, count: int) -> np.ndarray:
    """Return the sum of `weight` over the pixels of each object: (count,); id -1 is the sky."""
    return np.bincount(ids.ravel() + 1, weights=weight.ravel(), minlength=count + 1)[1:]
