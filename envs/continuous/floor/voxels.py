"""Walkable voxels of a triangle mesh, as Recast finds them for the meshes of habitat-sim.

Axes are Recast's: x right, y up, z towards the viewer. Each column of voxels contains solid spans;
the top of a span is a floor if its surface is level enough and there is room above it. Arithmetic
is float32 in Recast's order, because the walls of houses lie on the borders of voxels, where
rounding decides.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

# Steps (x, z) to the four neighbours, in Recast's order.
_DIRECTIONS = ((-1, 0), (0, 1), (1, 0), (0, -1))
_CORNERS = 7  # at most, of a triangle that is clipped by a voxel's four sides
_CHUNK = 40_000  # triangles that are clipped at a time
_OPEN = 1 << 16  # height of the ceiling of a column's highest span
_FAR = 1 << 15  # a distance that no span has
_HIGHEST = (1 << 13) - 1  # height of the last voxel, in voxels


@dataclass(frozen=True)
class MeshSettings:
    """Settings of habitat-sim's navigation meshes; lengths in metres.

    Attributes:
        radius: Radius of the agent.
        height: Height of the agent.
        climb: Highest step that an agent climbs.
        slope: Steepest floor in degrees.
        cell: Edge of a voxel.
        min_region: Side, in voxels, of a square as large as the smallest piece that is kept.
        max_error: Voxels between an outline and its simplified form.
        max_edge: Longest edge of a wall.
    """

    radius: float = 0.1
    height: float = 1.5
    climb: float = 0.2
    slope: float = 45.0
    cell: float = 0.05
    min_region: int = 20
    max_error: float = 1.3
    max_edge: float = 12.0

    def voxels(self, length: float, rounding: np.ufunc = np.ceil) -> int:
        """Return a length in voxels, computed in float32."""
        return int(rounding(np.float32(length) / np.float32(self.cell)))


@dataclass(frozen=True)
class Lattice:
    """Position of the voxels: a window of a lattice that begins at the corner of the whole mesh.

    Attributes:
        lower, upper: Corners (3,) float32 of the mesh.
        start, size: First column (x, z) of the window, and its number of columns.
        cell: Edge of a voxel.
    """

    lower: np.ndarray
    upper: np.ndarray
    start: tuple[int, int]
    size: tuple[int, int]
    cell: np.float32


@dataclass(frozen=True, eq=False)
class Spans:
    """N floors on which an agent can stand, sorted by z, x and height.

    Attributes:
        x, z: (N,) column.
        y: (N,) height in voxels.
        links: (N, 4) index of the neighbour in each direction, -1 where an agent cannot step.
    """

    x: np.ndarray
    z: np.ndarray
    y: np.ndarray
    links: np.ndarray

    def diagonals(self, turn: int = 1) -> np.ndarray:
        """Return the neighbours (N, 4) in each direction and then `turn` directions on, or -1."""
        onward = self.links[self.links, (np.arange(4) + turn) % 4]
        return np.where(self.links < 0, -1, onward)

    def part(self, kept: np.ndarray) -> Spans:
        """Return the spans of a mask (N,) bool, linked among each other."""
        numbers = np.append(np.where(kept, np.cumsum(kept) - 1, -1), -1)
        return Spans(self.x[kept], self.z[kept], self.y[kept], numbers[self.links[kept]])


def window_of(positions: np.ndarray, inner: np.ndarray, cell: float, margin: float) -> Lattice:
    """Return the window of the columns around an inner part of a mesh.

    Args:
        positions: (V, 3) float32 vertices of the whole mesh.
        inner: (2, 2) lower and upper corner (x, z) of the part.
        margin: Metres around it.
    """
    lower, upper = positions.min(axis=0), positions.max(axis=0)
    edge = np.float32(cell)
    count = ((upper - lower) / edge + np.float32(0.5)).astype(int)[[0, 2]]
    first = np.floor((inner[0] - margin - lower[[0, 2]]) / edge).astype(int).clip(0)
    last = np.ceil((inner[1] + margin - lower[[0, 2]]) / edge).astype(int)
    (x, z), (width, depth) = first.tolist(), (np.minimum(last, count) - first).tolist()
    return Lattice(lower, upper, (x, z), (width, depth), edge)


def walkable_spans(
    positions: np.ndarray, faces: np.ndarray, lattice: Lattice, settings: MeshSettings
) -> Spans:
    """Return the floors of a mesh for the centre of an agent.

    Args:
        positions: (V, 3) float32 vertices.
        faces: (F, 3) vertices of the triangles, counter-clockwise seen from outside.
    """
    solid = _Columns.of_triangles(positions, faces, lattice, settings)
    height, climb = settings.voxels(settings.height), settings.voxels(settings.climb, np.floor)
    spans = solid.filtered(height, climb).floors(height, climb)
    distance = border_distance(spans)
    return spans.part(distance >= 2 * settings.voxels(settings.radius))


def border_distance(spans: Spans) -> np.ndarray:
    """Return the distances (N,) to spans with a missing neighbour: 2 a step, 3 diagonally."""
    distance = np.full(len(spans.x) + 1, _FAR, np.int32)
    distance[:-1] = np.where((spans.links >= 0).all(axis=1), _FAR, 0)
    ways = [(2, beside) for beside in spans.links.T] + [(3, far) for far in spans.diagonals(3).T]
    ways = [(step, np.ascontiguousarray(neighbours)) for step, neighbours in ways]
    while True:
        before = distance.copy()
        for step, neighbours in ways:
            np.minimum(distance[:-1], distance[neighbours] + step, out=distance[:-1])
        if (distance == before).all():
            return distance[:-1]


@dataclass(frozen=True, eq=False)
class _Columns:
    """Solid spans of C columns, at most K in each, from below.

    Attributes:
        size: Number of columns along x and z.
        low, high: (C, K) first voxel, and the one after the last; `_OPEN` where there is no span.
        level: (C, K) bool, whether the top is level enough to stand on.
    """

    size: tuple[int, int]
    low: np.ndarray
    high: np.ndarray
    level: np.ndarray

    @classmethod
    def of_triangles(
        cls, positions: np.ndarray, faces: np.ndarray, lattice: Lattice, settings: MeshSettings
    ) -> _Columns:
        triangles = positions[faces]
        normals = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
        length = np.linalg.norm(normals, axis=1)
        level = normals[:, 1] > np.cos(np.radians(settings.slope)) * np.maximum(length, 1e-12)
        parts = [
            _pieces(triangles[k : k + _CHUNK], level[k : k + _CHUNK], lattice)
            for k in range(0, len(faces), _CHUNK)
        ]
        column, low, high, level = map(np.concatenate, zip(*parts, strict=True))
        size, climb = lattice.size, settings.voxels(settings.climb, np.floor)
        # Pieces that touch are merged; the top is level if a level piece ends at most a step below.
        order = np.argsort(column * _OPEN + low, kind="stable")
        column, low, high, level = column[order], low[order], high[order], level[order]
        reached = np.maximum.accumulate(column * _OPEN + high)
        begins = np.ones(len(column), bool)
        begins[1:] = column[1:] * _OPEN + low[1:] > reached[:-1]
        group = np.cumsum(begins) - 1
        first = np.flatnonzero(begins)
        top = np.maximum.reduceat(high, first)
        is_level = np.logical_or.reduceat(level & (high >= top[group] - climb), first)
        column, bottom = column[first], low[first]
        rank = np.arange(len(column)) - np.searchsorted(column, column)
        shape = (size[0] * size[1], int(rank.max()) + 1)
        dense = [np.full(shape, _OPEN), np.full(shape, _OPEN), np.zeros(shape, bool)]
        for table, values in zip(dense, (bottom, top, is_level), strict=True):
            table[column, rank] = values
        return cls(size, *dense)

    @cached_property
    def ceiling(self) -> np.ndarray:
        """(C, K) bottom of the next span above."""
        return np.pad(self.low[:, 1:], ((0, 0), (0, 1)), constant_values=_OPEN)

    def beside(self, columns: np.ndarray, direction: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the neighbours (N,) of columns in a direction, and which of them exist."""
        width, depth = self.size
        dx, dz = _DIRECTIONS[direction]
        x, z = columns % width + dx, columns // width + dz
        exists = (x >= 0) & (z >= 0) & (x < width) & (z < depth)
        return np.where(exists, x + z * width, 0), exists

    def filtered(self, height: int, climb: int) -> _Columns:
        """Let low things be stepped on, and remove tops beside a ledge or below a ceiling."""
        level = self.level.copy()
        low_things = self.high[:, 1:] - self.high[:, :-1] <= climb
        level[:, 1:] |= self.level[:, :-1] & low_things & (self.high[:, 1:] < _OPEN)
        columns, rank = np.nonzero(level)
        floor, ceiling = self.high[columns, rank], self.ceiling[columns, rank]
        lowest, highest, falls = floor.copy(), floor.copy(), np.zeros(len(floor), bool)
        for direction in range(len(_DIRECTIONS)):
            beside, exists = self.beside(columns, direction)
            falls |= ~exists
            falls |= np.minimum(ceiling, self.low[beside, 0]) - floor >= height
            for k in range(self.high.shape[1]):
                other = self.high[beside, k]
                room = np.minimum(ceiling, self.ceiling[beside, k]) - np.maximum(floor, other)
                passable = (other < _OPEN) & (room >= height)
                step = other - floor
                falls |= passable & (step < -climb)
                near = passable & (np.abs(step) <= climb)
                lowest = np.where(near, np.minimum(lowest, other), lowest)
                highest = np.where(near, np.maximum(highest, other), highest)
        kept = ~falls & (highest - lowest <= climb) & (ceiling - floor >= height)
        level[columns, rank] = kept
        return replace(self, level=level)

    def floors(self, height: int, climb: int) -> Spans:
        """Return the level tops, linked to the lowest ones beside them that a step reaches."""
        columns, rank = np.nonzero(self.level)
        numbers = np.full(self.level.shape, -1)
        numbers[columns, rank] = np.arange(len(columns))
        floor, ceiling = self.high[columns, rank], self.ceiling[columns, rank]
        links = np.full((len(columns), len(_DIRECTIONS)), -1)
        for direction in range(len(_DIRECTIONS)):
            beside, exists = self.beside(columns, direction)
            for k in reversed(range(self.level.shape[1])):
                other = self.high[beside, k]
                room = np.minimum(ceiling, self.ceiling[beside, k]) - np.maximum(floor, other)
                joined = exists & self.level[beside, k] & (room >= height)
                joined &= np.abs(other - floor) <= climb
                links[joined, direction] = numbers[beside[joined], k]
        return Spans(columns % self.size[0], columns // self.size[0], floor, links)


def _pieces(
    triangles: np.ndarray, level: np.ndarray, lattice: Lattice
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Cut triangles (F, 3, 3) into columns.

    Returns:
        For each piece its column, its first voxel, the one after the last, and the triangle's
        `level`.
    """
    polygons = np.zeros((_CORNERS, 3, len(triangles)), np.float32)
    polygons[:3] = triangles.transpose(1, 2, 0)
    polygons[3:] = polygons[2]
    corners, source = np.full(len(triangles), 3), np.arange(len(triangles))
    rows, polygons, corners, source = _slices(polygons, corners, source, lattice, 1)
    columns, polygons, _, numbers = _slices(polygons, corners, np.arange(len(rows)), lattice, 0)
    bottom, inverse = lattice.lower[1], np.float32(1) / lattice.cell
    low, high = polygons[:, 1].min(axis=0) - bottom, polygons[:, 1].max(axis=0) - bottom
    low = np.floor(low * inverse).astype(int).clip(0, _HIGHEST)
    high = np.clip(np.ceil(high * inverse).astype(int), low + 1, _HIGHEST)
    return columns + rows[numbers] * lattice.size[0], low, high, level[source[numbers]]


def _slices(
    polygons: np.ndarray, corners: np.ndarray, source: np.ndarray, lattice: Lattice, side: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Cut polygons (7, 3, M) at the borders of the columns along an axis.

    Args:
        polygons: Corners; the last one is repeated.
        corners: (M,) number of corners.
        source: (M,) number of each polygon.
        side: 0 for x, 1 for z.

    Returns:
        For each piece its column along the axis, counted from the window, its corners and their
        number, and the number of its polygon.
    """
    axis, cell, inverse = 2 * side, lattice.cell, np.float32(1) / lattice.cell
    start, count, lower = lattice.start[side], lattice.size[side], lattice.lower[2 * side]
    first = ((polygons[:, axis].min(axis=0) - lower) * inverse).astype(int)
    last = ((polygons[:, axis].max(axis=0) - lower) * inverse).astype(int)
    inside = np.flatnonzero((last >= start) & (first < start + count))
    polygons, corners, source = polygons[..., inside], corners[inside], source[inside]
    # One column before the window cuts off what lies outside it.
    at = np.clip(first[inside], start - 1, None)
    last = np.clip(last[inside], None, start + count - 1)
    found = [(at[:0], polygons[..., :0], corners[:0], source[:0])]
    while len(at):
        border = (lower + at.astype(np.float32) * cell) + cell
        # Most triangles are small: what ends before the next border needs no division.
        whole = (at == last) & (polygons[:, axis].max(axis=0) <= border)
        kept, rest = whole & (at >= start), ~whole
        found.append((at[kept] - start, polygons[..., kept], corners[kept], source[kept]))
        corners, source, at, last = corners[rest], source[rest], at[rest], last[rest]
        parts = _divided(polygons[..., rest], corners, border[rest], axis)
        here, number, polygons, corners = parts
        kept = (number >= 3) & (at >= start)
        found.append((at[kept] - start, here[..., kept], number[kept], source[kept]))
        at = at + 1
        going = (at <= last) & (corners >= 3)
        polygons, corners = polygons[..., going], corners[going]
        source, at, last = source[going], at[going], last[going]
    columns, pieces, numbers, sources = zip(*found, strict=True)
    joined = np.concatenate(pieces, axis=2)
    return np.concatenate(columns), joined, np.concatenate(numbers), np.concatenate(sources)


def _divided(
    polygons: np.ndarray, corners: np.ndarray, border: np.ndarray, axis: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Divide polygons (7, 3, M) at borders (M,): those before them, their corners, and the rest.

    A corner on the border belongs to both parts.
    """
    columns = np.arange(len(corners))
    offset = border - polygons[:, axis]
    parts = np.zeros_like(polygons), np.zeros_like(polygons)
    counts = np.zeros(len(corners), int), np.zeros(len(corners), int)

    def add(part: int, mask: np.ndarray, points: np.ndarray) -> None:
        chosen = columns[mask]
        parts[part][counts[part][chosen], :, chosen] = points[:, chosen].T
        counts[part][chosen] += 1

    before = corners - 1
    for k in range(int(corners.max(initial=0))):
        real = k < corners
        b, a = polygons[before, :, columns].T, polygons[k]
        db, da = offset[before, columns], offset[k]
        crosses = real & ((da >= 0) != (db >= 0))
        share = db / np.where(crosses, db - da, np.float32(1))
        cut = b + (a - b) * share
        add(0, crosses, cut)
        add(1, crosses, cut)
        add(0, real & np.where(crosses, da > 0, da >= 0), a)
        add(1, real & np.where(crosses, da < 0, da <= 0), a)
        before = np.where(real, k, before)
    for part, count in zip(parts, counts, strict=True):
        final = part[np.maximum(count - 1, 0), :, columns].T
        for k in range(1, _CORNERS):
            np.copyto(part[k], final, where=k >= count)
    return parts[0], counts[0], parts[1], counts[1]
