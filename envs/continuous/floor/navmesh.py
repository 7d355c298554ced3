"""Navigation mesh: convex polygons on which agents slide as in Detour, which habitat-sim uses."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from clipnav.envs.continuous.floor.polygons import convex_polygons, region_outlines
from clipnav.envs.continuous.floor.regions import watershed_regions
from clipnav.envs.continuous.floor.voxels import MeshSettings, walkable_spans, window_of

_MARGIN = 1.0  # metres around a house; farther floor cannot stop a step
_SEARCH_SLACK = 0.001  # metres, of the circle in which Detour looks for polygons
_ALONG = 1e-9  # of a direction that leaves a polygon
_CLIMB = 0.2  # metres above or below a polygon that do not count for a point over it
_REACH = 0.3  # metres, more than a step, in which other pieces are looked for

Point = tuple[float, float]
Edge = tuple[float, float, float, float, int]  # ends x0, y0, x1, y1 and the polygon behind, or -1
Box = tuple[float, float, float, float]


@dataclass(frozen=True, eq=False)
class NavMesh:
    """P convex polygons in the axes of the navigation graphs, z up.

    Attributes:
        corners: (V, 3) metres.
        polygons: Corners of each polygon, counter-clockwise seen from above.
    """

    corners: np.ndarray
    polygons: Sequence[Sequence[int]]

    @cached_property
    def edges(self) -> list[list[Edge]]:
        """Edges of each polygon."""
        sides: dict[frozenset[int], list[int]] = {}
        for number, polygon in enumerate(self.polygons):
            for a, b in _sides(polygon):
                sides.setdefault(frozenset((a, b)), []).append(number)
        points = self.corners[:, :2].tolist()
        edges: list[list[Edge]] = []
        for number, polygon in enumerate(self.polygons):
            edges.append([])
            for a, b in _sides(polygon):
                behind = [other for other in sides[frozenset((a, b))] if other != number]
                (x0, y0), (x1, y1) = points[a], points[b]
                edges[-1].append((x0, y0, x1, y1, behind[0] if behind else -1))
        return edges

    @cached_property
    def pieces(self) -> np.ndarray:
        """(P,) number of the connected piece of each polygon."""
        pairs = [(k, edge[4]) for k, edges in enumerate(self.edges) for edge in edges]
        pairs = np.array([pair for pair in pairs if pair[1] >= 0], int).reshape(-1, 2)
        size = len(self.polygons)
        links = csr_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), (size, size))
        return connected_components(links, directed=False)[1]

    @cached_property
    def areas(self) -> np.ndarray:
        """(P,) area of each polygon on the plan in square metres."""
        areas = []
        for polygon in self.polygons:
            x, y = self.corners[list(polygon), :2].T
            areas.append(abs(float(x @ np.roll(y, 1) - y @ np.roll(x, 1))) / 2)
        return np.array(areas)

    def parts(self) -> tuple[NavMesh, NavMesh]:
        """Return the piece with the largest area, and all others."""
        is_largest = self.pieces == np.bincount(self.pieces, self.areas).argmax()
        largest, others = (
            [p for p, kept in zip(self.polygons, mask, strict=True) if kept]
            for mask in (is_largest, ~is_largest)
        )
        return NavMesh(self.corners, largest), NavMesh(self.corners, others)

    def height(self, polygon: int, points: np.ndarray) -> np.ndarray:
        """Return the heights (N,) in metres of a polygon at points (N, 2)."""
        corners = self.corners[list(self.polygons[polygon])]
        result = np.full(len(points), corners[0, 2])
        if (corners[:, 2] == corners[0, 2]).all():
            return result
        for k in range(1, len(corners) - 1):
            triangle = corners[[0, k, k + 1]]
            sides = (triangle[1:] - triangle[0])[:, :2]
            if abs(np.linalg.det(sides)) < 1e-12:
                continue
            shares = np.linalg.solve(sides.T, (points - triangle[0, :2]).T)
            inside = (shares >= -1e-6).all(axis=0) & (shares.sum(axis=0) <= 1 + 1e-6)
            rise = shares.T @ (triangle[1:, 2] - triangle[0, 2])
            result = np.where(inside, triangle[0, 2] + rise, result)
        return result

    def slide(self, polygon: int, start: Point, end: Point) -> Point:
        """Move from a polygon towards a point along the surface, as Detour's moveAlongSurface.

        Polygons are visited whose common edges lie in the circle around the way. The result is
        the end if a visited polygon contains it, else the point nearest to it on their walls.
        """
        middle = (start[0] + end[0]) / 2, (start[1] + end[1]) / 2
        limit = (math.dist(start, end) / 2 + _SEARCH_SLACK) ** 2
        visited, seen = [polygon], {polygon}
        best, nearest = start, math.inf
        for current in visited:
            edges = self.edges[current]
            if _contains(edges, end):
                return end
            for edge in edges:
                behind = edge[4]
                if behind < 0:
                    point, distance = _nearest_on(edge, end)
                    if distance < nearest:
                        best, nearest = point, distance
                elif behind not in seen and _nearest_on(edge, middle)[1] <= limit:
                    seen.add(behind)
                    visited.append(behind)
        return best

    def go(self, polygon: int, start: Point, end: Point) -> Point:
        """Move from a polygon straight towards a point, as far as the first wall."""
        dx, dy = end[0] - start[0], end[1] - start[1]
        for _ in range(len(self.polygons)):
            leaves, behind = 1.0, -2
            for x0, y0, x1, y1, other in self.edges[polygon]:
                # The inside of a polygon lies to the left of its edges.
                across = dx * (y1 - y0) - dy * (x1 - x0)
                if across > _ALONG * (abs(dx) + abs(dy)):
                    share = ((x0 - start[0]) * (y1 - y0) - (y0 - start[1]) * (x1 - x0)) / across
                    if share < leaves:
                        leaves, behind = max(share, 0.0), other
            if behind == -2:
                return end
            if behind == -1:
                return start[0] + leaves * dx, start[1] + leaves * dy
            polygon = behind
        return start

    def polygon_at(self, guess: int, point: Point, tolerance: float) -> tuple[int, float]:
        """Return the polygon that contains a point, or the nearest one, and the distance to it.

        Only the surroundings of a guess are searched: two polygons in each direction.
        """
        ring, seen = [guess], {guess}
        best, nearest = guess, math.inf
        for _ in range(3):
            for polygon in ring:
                distance = self.distance(polygon, point)
                if distance < nearest:
                    best, nearest = polygon, distance
            if nearest <= tolerance:
                break
            ring = [edge[4] for polygon in ring for edge in self.edges[polygon] if edge[4] >= 0]
            ring = [polygon for polygon in dict.fromkeys(ring) if polygon not in seen]
            seen.update(ring)
        return best, nearest

    def distance(self, polygon: int, point: Point) -> float:
        """Return the distance on the plan between a polygon and a point, 0 inside."""
        edges = self.edges[polygon]
        if _contains(edges, point):
            return 0.0
        # As `_nearest_on` for every edge, without a call and a tuple for each.
        x, y = point
        least = math.inf
        for x0, y0, x1, y1, _ in edges:
            dx, dy = x1 - x0, y1 - y0
            length = dx * dx + dy * dy
            share = ((x - x0) * dx + (y - y0) * dy) / length if length else 0.0
            share = 0.0 if share < 0 else 1.0 if share > 1 else share
            squared = (x0 + share * dx - x) ** 2 + (y0 + share * dy - y) ** 2
            if squared < least:
                least = squared
        return math.sqrt(least)

    def attracts(self, points: np.ndarray, limits: np.ndarray) -> np.ndarray:
        """Return to which points (N, 3) a polygon is nearer than limits (N,), as findNearestPoly.

        Limits are below 0.3 m.
        """
        lower, upper = self._boxes
        result = np.zeros(len(points), bool)
        rows = np.flatnonzero(limits > 0)
        some = points[rows, None]
        near = ((some >= lower) & (some <= upper)).all(axis=2)
        for index, polygon in zip(*np.nonzero(near), strict=True):
            row = rows[index]
            x, y, z = points[row].tolist()
            distance = self.distance(int(polygon), (x, y))
            if distance < limits[row]:
                rise = abs(float(self.height(int(polygon), points[row : row + 1, :2])[0]) - z)
                rise = rise if distance else max(rise - _CLIMB, 0.0)
                result[row] |= math.hypot(distance, rise) < limits[row]
        return result

    @cached_property
    def _boxes(self) -> tuple[np.ndarray, np.ndarray]:
        corners = [self.corners[list(polygon)] for polygon in self.polygons]
        lower = np.array([c.min(axis=0) for c in corners]).reshape(-1, 3)
        upper = np.array([c.max(axis=0) for c in corners]).reshape(-1, 3)
        margin = np.array([_REACH, _REACH, _REACH + _CLIMB])
        return lower - margin, upper + margin


def mesh_of_triangles(
    positions: np.ndarray, faces: np.ndarray, inner: np.ndarray, settings: MeshSettings
) -> NavMesh:
    """Build the navigation mesh that habitat-sim computes for a 3D model.

    Args:
        positions: (V, 3) float32 vertices, z up.
        faces: (F, 3) triangles, counter-clockwise seen from outside.
        inner: (2, 2) lower and upper corner on the plan of the part whose mesh is needed.
    """
    upright = np.stack([positions[:, 0], positions[:, 2], -positions[:, 1]], axis=1)
    flipped = np.array([[inner[0, 0], -inner[1, 1]], [inner[1, 0], -inner[0, 1]]])
    lattice = window_of(upright, flipped, settings.cell, _MARGIN)
    spans = walkable_spans(upright, faces, lattice, settings)
    region = watershed_regions(spans, settings.min_region**2)
    corners, polygons = convex_polygons(region_outlines(spans, region, settings))
    if not polygons:
        return NavMesh(np.zeros((0, 3)), [])
    start = np.array([lattice.start[0], 0, lattice.start[1]])
    x, height, z = (lattice.lower + lattice.cell * (corners + start).astype(np.float32)).T
    return NavMesh(np.stack([x, -z, height], axis=1).astype(float), polygons)


def _sides(polygon: Sequence[int]) -> list[tuple[int, int]]:
    return list(zip(polygon, [*polygon[1:], polygon[0]], strict=True))


def _contains(edges: list[Edge], point: Point) -> bool:
    """Return whether a polygon contains a point, by the crossings of a ray."""
    x, y = point
    inside = False
    for x0, y0, x1, y1, _ in edges:
        if (y0 > y) != (y1 > y) and x < (x1 - x0) * (y - y0) / (y1 - y0) + x0:
            inside = not inside
    return inside


def _nearest_on(edge: Edge, point: Point) -> tuple[Point, float]:
    """Return the nearest point of an edge and the squared distance to it."""
    x0, y0, x1, y1, _ = edge
    dx, dy = x1 - x0, y1 - y0
    length = dx * dx + dy * dy
    share = ((point[0] - x0) * dx + (point[1] - y0) * dy) / length if length else 0.0
    share = 0.0 if share < 0 else 1.0 if share > 1 else share
    x, y = x0 + share * dx, y0 + share * dy
    return (x, y), (x - point[0]) ** 2 + (y - point[1]) ** 2


def mesh_of_boxes(
    rooms: Sequence[Box], holes: Sequence[Box], height: float, radius: float
) -> NavMesh:
    """Build the mesh of one storey of rectangles (x0, y0, x1, y1) without some others.

    Args:
        height: Height of the floor in metres.
        radius: Metres by which all borders are moved inwards.
    """
    boxes = np.array([*rooms, *holes], float).reshape(-1, 4)
    far = np.array([boxes[:, :2].min() - 1, boxes[:, 2:].max() + 1])
    lines = [np.unique([*far, *boxes[:, axis], *boxes[:, axis + 2]]) for axis in (0, 1)]
    blocked = ~_covered(lines, rooms) | _covered(lines, holes)
    i, j = np.nonzero(blocked)
    walls = np.stack([lines[0][i], lines[1][j], lines[0][i + 1], lines[1][j + 1]], axis=1)
    walls += (-radius, -radius, radius, radius)
    inner = [np.unique(walls[:, [axis, axis + 2]].round(9)) for axis in (0, 1)]
    free = ~_covered(inner, walls.tolist())
    shape = len(inner[0]), len(inner[1])
    numbers = np.arange(shape[0] * shape[1]).reshape(shape)
    i, j = np.nonzero(free)
    polygons = np.stack(
        [numbers[i, j], numbers[i + 1, j], numbers[i + 1, j + 1], numbers[i, j + 1]], axis=1
    )
    x, y = np.meshgrid(*inner, indexing="ij")
    corners = np.stack([x.ravel(), y.ravel(), np.full(x.size, height)], axis=1)
    return NavMesh(corners, polygons.tolist())


def _covered(lines: list[np.ndarray], boxes: Sequence[Sequence[float]]) -> np.ndarray:
    """Return which cells (X, Y) between lines have their centre in a box."""
    x, y = ((line[1:] + line[:-1]) / 2 for line in lines)
    covered = np.zeros((len(x), len(y)), bool)
    for x0, y0, x1, y1 in boxes:
        covered |= ((x > x0) & (x < x1))[:, None] & ((y > y0) & (y < y1))[None]
    return covered
