"""Division of walkable voxels into regions without holes, by Recast's watershed.

Regions grow from the middles of rooms towards their borders, level by level. Where two regions
meet, the outline of the floor keeps a corner, so that the order of all steps matters: it is
Recast's, as far as only one house is regarded.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from clipnav.envs.continuous.floor.voxels import Spans, border_distance

_STACKS = 8  # levels that are sorted at a time
_EXPANSIONS = 8  # steps by which regions grow at each level


def watershed_regions(spans: Spans, min_area: int) -> np.ndarray:
    """Return the region (N,) of each span, from 1 on; 0 for spans of small pieces.

    Args:
        min_area: Spans of the smallest piece that is kept; smaller regions join a neighbour.
    """
    return _merged(_Watershed(spans).divide(), spans, min_area)


class _Watershed:
    """Growing regions.

    Attributes:
        depth: (N,) smoothed distance to the border, in half voxels.
        links, diagonals: Neighbours, see `Spans`.
        region: (N + 1,) region, 0 for none; the last one stands for missing neighbours.
        steps: (N + 1,) distance from where the region began.
        deepest: Largest distance to the border, before it is smoothed.
    """

    def __init__(self, spans: Spans) -> None:
        self.spans, distance = spans, border_distance(spans)
        # Means over 3 x 3 voxels, at least two steps from the border.
        total = distance.copy()
        for links in (spans.links, spans.diagonals()):
            total += np.where(links >= 0, distance[links], distance[:, None]).sum(axis=1)
        self.depth = np.where(distance <= 2, distance, (total + 5) // 9)
        self.links, self.diagonals = spans.links.tolist(), spans.diagonals().tolist()
        self.region = np.zeros(len(distance) + 1, int)
        self.steps = np.zeros(len(distance) + 1, int)
        self.deepest, self.regions = int(distance.max(initial=0)), 0

    def divide(self) -> np.ndarray:
        depth = self.depth
        level = (self.deepest + 1) & ~1
        stacks: list[np.ndarray] = []
        while level > 0:
            level = max(level - 2, 0)
            turn = len(stacks) % _STACKS
            if turn == 0:
                stacks = []
                free = np.flatnonzero(self.region[:-1] == 0)
                ranks = np.maximum(level // 2 - depth[free] // 2, 0)
                sorted_cells = [free[ranks == rank] for rank in range(_STACKS)]
            stack = sorted_cells[turn]
            if turn:
                stack = np.concatenate([stack, stacks[-1][self.region[stacks[-1]] == 0]])
            stacks.append(stack)
            self._expand(stack, _EXPANSIONS if level else None)
            for cell in stack[self.region[stack] == 0].tolist():
                if not self.region[cell] and self._flood(cell, max(level - 2, 0)):
                    self.regions += 1
        self._expand(np.arange(len(depth)), None)
        return self.region[:-1]

    def _expand(self, stack: np.ndarray, limit: int | None) -> None:
        """Let free cells join the region of the neighbour that is nearest to its beginning."""
        region = self.region
        stack = stack[region[stack] == 0]
        count = 0
        while len(stack):
            beside = self.spans.links[stack]
            steps = np.where(region[beside] > 0, self.steps[beside] + 2, 1 << 16)
            choice = steps.argmin(axis=1)
            rows = np.arange(len(stack))
            joined = steps[rows, choice] < 1 << 16
            if not joined.any():
                break
            cells = stack[joined]
            region[cells] = region[beside[rows, choice]][joined]
            self.steps[cells] = steps[rows, choice][joined]
            stack = stack[~joined]
            count += 1
            if count == limit:
                break

    def _flood(self, start: int, level: int) -> bool:
        """Begin a region at a cell; return whether it has any."""
        number, depth = self.regions + 1, self.depth
        region = self.region.data  # faster than the array for single values
        links, diagonals = self.links, self.diagonals
        region[start] = number
        self.steps[start] = 0
        stack, count = [start], 0
        while stack:
            cell = stack.pop()
            beside = [other for other in links[cell] if other >= 0]
            around = [other for other in diagonals[cell] if other >= 0]
            if any(region[other] not in (0, number) for other in (*beside, *around)):
                region[cell] = 0
                continue
            count += 1
            for other in beside:
                if not region[other] and depth[other] >= level:
                    region[other] = number
                    self.steps[other] = 0
                    stack.append(other)
        return count > 0


@dataclass(eq=False)
class _Region:
    """A region while regions are merged.

    Attributes:
        area: Number of its spans.
        around: Regions along its outline, in order.
        stacked: Regions above and below it.
        overlaps: Whether it lies above itself.
    """

    number: int
    area: int = 0
    around: list[int] = field(default_factory=list)
    stacked: set[int] = field(default_factory=set)
    overlaps: bool = False


def _merged(region: np.ndarray, spans: Spans, min_area: int) -> np.ndarray:
    """Remove small pieces, and merge small regions and those without a wall into neighbours."""
    regions = _regions(region, spans)
    _remove_small(regions, min_area)
    merging = True
    while merging:
        merging = False
        for one in regions:
            if not one.number or one.overlaps or not one.area:
                continue
            if one.area > min_area and 0 in one.around:
                continue
            target = _neighbour(one, regions)
            if target is not None and _join(target, one):
                merging = True
                old = one.number
                new = target.number
                for other in [other for other in regions if other.number]:
                    if other.number == old:
                        other.number = new
                    if old in other.around:
                        around = [new if number == old else number for number in other.around]
                        other.around = _without_repeats(around)
                    if old in other.stacked:
                        other.stacked = (other.stacked - {old}) | {new}
    numbers = np.array([one.number for one in regions])
    kept = {number: k + 1 for k, number in enumerate(dict.fromkeys(n for n in numbers if n))}
    return np.array([kept.get(number, 0) for number in numbers])[region]


def _regions(region: np.ndarray, spans: Spans) -> list[_Region]:
    regions = [_Region(number) for number in range(int(region.max(initial=0)) + 1)]
    for one, area in zip(regions, np.bincount(region).tolist(), strict=True):
        one.area = area if one.number else 0
    for step in range(1, len(region)):  # spans of a column follow each other
        same = (spans.x[step:] == spans.x[:-step]) & (spans.z[step:] == spans.z[:-step])
        if not same.any():
            break
        pairs = np.stack([region[step:][same], region[:-step][same]], axis=1)
        for a, b in np.unique(pairs[(pairs > 0).all(axis=1)], axis=0).tolist():
            regions[a].overlaps |= a == b
            regions[a].stacked.add(b)
            regions[b].stacked.add(a)
    beside = np.where(spans.links >= 0, region[spans.links], 0)
    edges = beside != region[:, None]
    at_edge = np.flatnonzero(edges.any(axis=1) & (region > 0))
    links, beside = spans.links.tolist(), beside.tolist()
    firsts = np.unique(region[at_edge], return_index=True)
    for number, first in zip(*firsts, strict=True):
        cell = int(at_edge[first])
        direction = int(edges[cell].argmax())
        regions[number].around = _outline(cell, direction, region, links, beside)
    return regions


def _outline(
    start: int, first: int, region: np.ndarray, links: list[list[int]], beside: list[list[int]]
) -> list[int]:
    """Return the regions along the outline of a region, each once per stretch."""
    number, cell, direction = int(region[start]), start, first
    found = [beside[cell][direction]]
    while True:
        other = beside[cell][direction]
        if other != number:
            if other != found[-1]:
                found.append(other)
            direction = (direction + 1) % 4
        else:
            cell, direction = links[cell][direction], (direction + 3) % 4
        if (cell, direction) == (start, first):
            return _without_repeats(found)


def _without_repeats(ring: list[int]) -> list[int]:
    ring, k = list(ring), 0
    while k < len(ring) and len(ring) > 1:
        if ring[k] == ring[(k + 1) % len(ring)]:
            del ring[k]
        else:
            k += 1
    return ring


def _remove_small(regions: list[_Region], min_area: int) -> None:
    seen: set[int] = {0}
    for one in regions:
        if one.number in seen or not one.area:
            continue
        seen.add(one.number)
        stack, piece = [one], []
        while stack:
            current = stack.pop()
            piece.append(current)
            for number in current.around:
                if number not in seen:
                    seen.add(number)
                    stack.append(regions[number])
        if sum(part.area for part in piece) < min_area:
            for part in piece:
                part.area = part.number = 0


def _neighbour(one: _Region, regions: list[_Region]) -> _Region | None:
    """Return the smallest neighbour that a region may join."""
    best = None
    for number in one.around:
        other = regions[number]
        if not other.number or other.overlaps:
            continue
        if (best is None or other.area < best.area) and _may(one, other) and _may(other, one):
            best = other
    return None if best is None or best.number == one.number else best


def _may(one: _Region, other: _Region) -> bool:
    return one.around.count(other.number) <= 1 and other.number not in one.stacked


def _join(target: _Region, one: _Region) -> bool:
    """Add a region to another; return whether they are neighbours."""
    if one.number not in target.around or target.number not in one.around:
        return False
    a, b = target.around.index(one.number), one.around.index(target.number)
    ring = target.around[a + 1 :] + target.around[:a] + one.around[b + 1 :] + one.around[:b]
    target.around = _without_repeats(ring)
    target.stacked |= one.stacked
    target.area += one.area
    one.area, one.around = 0, []
    return True
