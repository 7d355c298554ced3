"""Convex polygons of rings of corners, joined as in Recast."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from clipnav.envs.continuous.floor.contours import Corner, cross, in_cone, meet, turn

MOST_CORNERS = 6  # of a polygon
_SAME_HEIGHT = 2  # voxels between heights of corners that are joined


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
    if not in_cone(before, start, after, end) and not (
        loose and _in_loose_cone(before, start, after, end)
    ):
        return False
    ends, meets = (start[::2], end[::2]), cross if loose else meet
    return not any(
        a[::2] not in ends and b[::2] not in ends and meets(start, end, a, b)
        for a, b in zip(ring, ring[1:] + ring[:1], strict=True)
    )


def _in_loose_cone(before: Corner, corner: Corner, after: Corner, point: Corner) -> bool:
    return (
        turn(before, corner, after) <= 0
        and turn(corner, point, before) <= 0
        and turn(point, corner, after) <= 0
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
