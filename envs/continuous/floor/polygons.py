"""Convex polygons of regions of voxels, as in Recast: outlines, simplified, cut and joined."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from clipnav.envs.continuous.floor.voxels import MeshSettings, Spans

Corner = tuple[int, int, int]  # x, y and z in voxels
_CORNER_OF = ((0, 1), (1, 1), (1, 0), (0, 0))  # end of the edge in each direction
MOST_CORNERS = 6  # of a polygon
_SAME_HEIGHT = 2  # voxels between heights of corners that are joined


def region_outlines(spans: Spans, region: np.ndarray, settings: MeshSettings) -> list[list[Corner]]:
    """Return the simplified outline of each region, a ring without the holes inside it.

    A hole is joined to the ring by a pair of edges.
    """
    beside = np.where(spans.links >= 0, region[spans.links], 0)
    open_edges = (beside != region[:, None]) & (region > 0)[:, None]
    walker = _Walker(spans, beside, open_edges)
    rings: list[list[Corner]] = []
    ring_of: dict[int, int] = {}
    holes: dict[int, list[list[Corner]]] = {}
    for cell in np.flatnonzero(open_edges.any(axis=1)).tolist():
        edges = walker.edges[cell]
        if not any(edges) or all(edges):  # a single voxel has no outline
            walker.edges[cell] = [False] * 4
            continue
        ring = _without_repeats(_simplified(walker.walk(cell), settings))
        if len(ring) < 3:
            continue
        number = int(region[cell])
        pairs = zip(ring, ring[-1:] + ring[:-1], strict=True)
        if sum(a[0] * b[2] - b[0] * a[2] for a, b in pairs) < 0:
            holes.setdefault(number, []).append(ring)
        else:
            ring_of[number] = len(rings)
            rings.append(ring)
    for number, ring in ring_of.items():
        rings[ring] = _opened(rings[ring], holes.get(number, []))
    return rings


class _Walker:
    """Walks along the open edges of regions, clockwise, and removes them."""

    def __init__(self, spans: Spans, beside: np.ndarray, edges: np.ndarray) -> None:
        self.edges = edges.tolist()
        self._beside, self._links = beside.tolist(), spans.links.tolist()
        self._x, self._y, self._z = spans.x.tolist(), spans.y.tolist(), spans.z.tolist()

    def walk(self, start: int) -> np.ndarray:
        """Return the corners (M, 4) of an outline: x, y, z and the region behind the edge."""
        cell, direction = start, self.edges[start].index(True)
        first, corners = direction, []
        while True:
            if self.edges[cell][direction]:
                dx, dz = _CORNER_OF[direction]
                x, z = self._x[cell] + dx, self._z[cell] + dz
                y = self._height(cell, direction)
                corners.append((x, y, z, self._beside[cell][direction]))
                self.edges[cell][direction] = False
                direction = (direction + 1) % 4
            else:
                cell, direction = self._links[cell][direction], (direction + 3) % 4
            if (cell, direction) == (start, first):
                return np.array(corners)

    def _height(self, cell: int, direction: int) -> int:
        """Return the height of the highest of the four voxels around a corner."""
        links, onward = self._links, (direction + 1) % 4
        height = self._y[cell]
        for there, then in ((direction, onward), (onward, direction)):
            beside = links[cell][there]
            if beside >= 0:
                height = max(height, self._y[beside])
                diagonal = links[beside][then]
                if diagonal >= 0:
                    height = max(height, self._y[diagonal])
        return height


def _simplified(points: np.ndarray, settings: MeshSettings) -> list[Corner]:
    """Keep the corners (M, 4) where the region behind changes, and those that the walls need."""
    kept = np.flatnonzero(points[:, 3] != np.roll(points[:, 3], -1)).tolist()
    if not kept:
        order = np.lexsort((points[:, 2], points[:, 0]))
        high = points[order[-1], [0, 2]]
        kept = [int(order[0]), int((points[:, [0, 2]] == high).all(axis=1).argmax())]
    kept = _refined(points, kept, np.float32(settings.max_error) ** 2)
    kept = _split(points, kept, settings.voxels(settings.max_edge, np.floor) ** 2)
    return [tuple(corner) for corner in points[kept, :3].tolist()]


def _refined(points: np.ndarray, kept: list[int], limit: np.floating) -> list[int]:
    """Add the corner that is farthest from an edge along a wall, until all are near."""
    count, kept, i = len(points), list(kept), 0
    while i < len(kept):
        a, b = kept[i], kept[(i + 1) % len(kept)]
        start, end = points[a, [0, 2]], points[b, [0, 2]]
        # From either side, an edge is divided at the same corner.
        if tuple(end) > tuple(start):
            between = np.arange(a + 1, b if b > a else b + count) % count
            first = (a + 1) % count
        else:
            between = (np.arange(b - 1, a if a < b else a - count, -1)) % count
            first = (b - 1) % count
            start, end = end, start
        if points[first, 3] == 0 and len(between):
            distance = _squared_distance(points[between][:, [0, 2]], start, end)
            farthest = int(distance.argmax())
            if distance[farthest] > limit:
                kept.insert(i + 1, int(between[farthest]))
                continue
        i += 1
    return kept


def _squared_distance(points: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Return the squared distances (N,) of points (N, 2) to a segment, in float32."""
    points, start, end = (value.astype(np.float32) for value in (points, start, end))
    along, offsets = end - start, points - start
    length = along[0] * along[0] + along[1] * along[1]
    share = along[0] * offsets[:, 0] + along[1] * offsets[:, 1]
    share = np.clip(share / length if length > 0 else share, 0, 1)
    dx = start[0] + share * along[0] - points[:, 0]
    dz = start[1] + share * along[1] - points[:, 1]
    return dx * dx + dz * dz


def _split(points: np.ndarray, kept: list[int], longest: int) -> list[int]:
    """Divide long edges along walls in the middle of their corners."""
    count, kept, i = len(points), list(kept), 0
    while i < len(kept):
        a, b = kept[i], kept[(i + 1) % len(kept)]
        start, end = points[a, [0, 2]], points[b, [0, 2]]
        number = (b - a) % count
        is_wall = points[(a + 1) % count, 3] == 0
        if is_wall and ((end - start) ** 2).sum() > longest and number > 1:
            half = number // 2 if tuple(end) > tuple(start) else (number + 1) // 2
            kept.insert(i + 1, (a + half) % count)
        else:
            i += 1
    return kept


def _without_repeats(ring: list[Corner]) -> list[Corner]:
    ring, k = list(ring), 0
    while k < len(ring):
        following = ring[(k + 1) % len(ring)]
        if ring[k][::2] == following[::2]:
            del ring[k]
        k += 1
    return ring


def _opened(ring: list[Corner], holes: list[list[Corner]]) -> list[Corner]:
    """Join holes to a ring, from left to right, by the shortest edges that cross nothing."""

    def leftmost(hole: list[Corner]) -> int:
        return min(range(len(hole)), key=lambda k: (hole[k][0], hole[k][2]))

    holes = sorted(holes, key=lambda hole: hole[leftmost(hole)][::2])
    for number, hole in enumerate(holes):
        start = leftmost(hole)
        for turn in range(len(hole)):
            best = (start + turn) % len(hole)
            index = _diagonal(ring, hole[best], holes[number:])
            if index is not None:
                ring = _rotated(ring, index) + _rotated(hole, best)
                break
    return ring


def _rotated(ring: list[Corner], first: int) -> list[Corner]:
    """Return a ring from a corner on, which is also its last one."""
    return ring[first:] + ring[: first + 1]


def _diagonal(ring: list[Corner], corner: Corner, holes: list[list[Corner]]) -> int | None:
    """Return the corner of a ring to which a hole's corner is joined."""
    edges = [edge for one in (ring, *holes) for edge in zip(one, one[1:] + one[:1], strict=True)]

    def length(k: int) -> int:
        return (ring[k][0] - corner[0]) ** 2 + (ring[k][2] - corner[2]) ** 2

    def is_free(k: int) -> bool:
        ends = ring[k][::2], corner[::2]
        return not any(
            a[::2] not in ends and b[::2] not in ends and meet(ring[k], corner, a, b)
            for a, b in edges
        )

    after = ring[1:] + ring[:1]
    found = [k for k in range(len(ring)) if _in_cone(ring[k - 1], ring[k], after[k], corner)]
    return next((k for k in sorted(found, key=length) if is_free(k)), None)


def turn(a: Corner, b: Corner, c: Corner) -> int:
    """Return twice the signed area of a triangle; negative if c is left of a to b."""
    return (b[0] - a[0]) * (c[2] - a[2]) - (c[0] - a[0]) * (b[2] - a[2])


def cross(a: Corner, b: Corner, c: Corner, d: Corner) -> bool:
    """Return whether two segments cross inside both."""
    sides = turn(a, b, c), turn(a, b, d), turn(c, d, a), turn(c, d, b)
    return all(sides) and (sides[0] < 0) != (sides[1] < 0) and (sides[2] < 0) != (sides[3] < 0)


def meet(a: Corner, b: Corner, c: Corner, d: Corner) -> bool:
    """Return whether two segments have a point in common."""

    def between(a: Corner, b: Corner, c: Corner) -> bool:
        axis = 0 if a[0] != b[0] else 2
        return not turn(a, b, c) and min(a[axis], b[axis]) <= c[axis] <= max(a[axis], b[axis])

    points = ((a, b, c), (a, b, d), (c, d, a), (c, d, b))
    return cross(a, b, c, d) or any(between(*three) for three in points)


def _in_cone(before: Corner, corner: Corner, after: Corner, point: Corner) -> bool:
    """Return whether the segment from a corner of a ring to a point begins inside the ring."""
    if turn(before, corner, after) <= 0:
        return turn(corner, point, before) < 0 and turn(point, corner, after) < 0
    return not (turn(corner, point, after) <= 0 and turn(point, corner, before) <= 0)


def convex_polygons(rings: list[list[Corner]]) -> tuple[np.ndarray, list[list[int]]]:
    """Divide rings into convex polygons.

    Returns:
        Corners (V, 3) in voxels, and the corners of each polygon in the order of the rings.
    """
    corners: list[Corner] = []
    known: dict[tuple[int, int], list[int]] = {}
    polygons: list[list[int]] = []

    def number(corner: Corner) -> int:
        column = known.setdefault((corner[0], corner[2]), [])
        for k in reversed(column):
            if abs(corners[k][1] - corner[1]) <= _SAME_HEIGHT:
                return k
        column.append(len(corners))
        corners.append(corner)
        return len(corners) - 1

    for ring in rings:
        numbers = [number(corner) for corner in ring]
        triangles = [[numbers[k] for k in triangle] for triangle in _triangles(ring)]
        polygons += _joined([t for t in triangles if len(set(t)) == 3], corners)
    return np.array(corners), polygons


def _triangles(ring: list[Corner]) -> list[tuple[int, int, int]]:
    """Cut off the ear with the shortest diagonal until a triangle is left."""
    numbers = list(range(len(ring)))
    is_ear = [_is_diagonal(ring, k - 1, (k + 1) % len(ring)) for k in range(len(ring))]
    left, triangles = list(ring), []
    while len(numbers) > 3:
        count = len(numbers)
        # The corner before the ear comes first, as in Recast; this decides between equal lengths.
        order = [(k + 1) % count for k in range(count)]
        ears = [k for k in order if is_ear[k]]
        if ears:
            ear = min(ears, key=lambda k: _squared_length(left[k - 1], left[(k + 1) % count]))
        else:  # edges of the ring overlap
            loose = [k for k in order if _is_diagonal(left, k - 1, (k + 1) % count, loose=True)]
            if not loose:
                break
            ear = min(loose, key=lambda k: _squared_length(left[k - 1], left[(k + 2) % count]))
        triangles.append((numbers[ear - 1], numbers[ear], numbers[(ear + 1) % count]))
        for items in (numbers, is_ear, left):
            del items[ear]
        count -= 1
        after, before = ear % count, (ear - 1) % count
        is_ear[before] = _is_diagonal(left, before - 1, after)
        is_ear[after] = _is_diagonal(left, before, (after + 1) % count)
    else:
        triangles.append((numbers[0], numbers[1], numbers[2]))
    return triangles


def _squared_length(a: Corner, b: Corner) -> int:
    return (a[0] - b[0]) ** 2 + (a[2] - b[2]) ** 2


def _is_diagonal(ring: list[Corner], i: int, j: int, loose: bool = False) -> bool:
    """Return whether the segment between two corners lies inside a ring."""
    count = len(ring)
    i, j = i % count, j % count
    start, end = ring[i], ring[j]
    before, after = ring[i - 1], ring[(i + 1) % count]
    in_loose_cone = loose and (
        turn(before, start, after) <= 0
        and turn(start, end, before) <= 0
        and turn(end, start, after) <= 0
    )
    if not in_loose_cone and not _in_cone(before, start, after, end):
        return False
    ends, meets = (start[::2], end[::2]), cross if loose else meet
    return not any(
        a[::2] not in ends and b[::2] not in ends and meets(start, end, a, b)
        for a, b in zip(ring, ring[1:] + ring[:1], strict=True)
    )


def _joined(polygons: list[list[int]], corners: list[Corner]) -> list[list[int]]:
    """Join the polygons with the longest edge in common, while the result is convex."""
    polygons = list(polygons)
    while True:
        best, longest = None, 0
        for a, b in combinations(range(len(polygons)), 2):
            edge = _common_edge(polygons[a], polygons[b], corners)
            if edge is not None and edge[0] > longest:
                longest, best = edge[0], (a, b, edge[1], edge[2])
        if best is None:
            return polygons
        a, b, i, j = best
        first, second = polygons[a], polygons[b]
        polygons[a] = (first[i + 1 :] + first[: i + 1])[:-1] + (second[j + 1 :] + second[: j + 1])[
            :-1
        ]
        polygons[b] = polygons[-1]
        polygons.pop()


def _common_edge(
    first: list[int], second: list[int], corners: list[Corner]
) -> tuple[int, int, int] | None:
    """Return the squared length and the places of the edge by which polygons may be joined."""
    if len(first) + len(second) - 2 > MOST_CORNERS or len(set(first) & set(second)) < 2:
        return None
    found = None
    for i, a in enumerate(first):
        edge = {a, first[(i + 1) % len(first)]}
        for j, b in enumerate(second):
            if {b, second[(j + 1) % len(second)]} == edge:
                found = i, j
                break
    if found is None:
        return None
    i, j = found
    for one, other, k, m in ((first, second, i, j), (second, first, j, i)):
        before, corner, after = one[k - 1], one[k], other[(m + 2) % len(other)]
        if turn(corners[before], corners[corner], corners[after]) >= 0:
            return None
    a, b = corners[first[i]], corners[first[(i + 1) % len(first)]]
    return _squared_length(a, b), i, j
