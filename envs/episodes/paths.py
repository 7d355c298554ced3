"""Checks of many paths against the navigation graphs of their scans."""

from collections import defaultdict
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

import numpy as np

from clipnav.envs.graphs.nav_graph import NavGraph

_SUFFIX = "_connectivity.json"


def without_turns(path: Sequence[str]) -> tuple[str, ...]:
    """Return a path without consecutive repetitions of a viewpoint."""
    return tuple(viewpoint for viewpoint, _ in groupby(path))


def path_problems(
    scans: Sequence[str],
    paths: Sequence[Sequence[str]],
    connectivity_dir: Path,
    adjacent: bool = False,
) -> dict[int, str]:
    """Return the first problem of each path that does not fit its graph.

    Args:
        adjacent: Whether each viewpoint must equal or be a neighbour of the one before it;
            otherwise it must only be reachable.
    """
    numbers_of: dict[str, list[int]] = defaultdict(list)
    for number, scan in enumerate(scans):
        numbers_of[scan].append(number)
    # A name from an annotation file must not become part of a file path unless it is a known scan.
    known = {path.name.removesuffix(_SUFFIX) for path in connectivity_dir.glob(f"*{_SUFFIX}")}
    problems: dict[int, str] = {}
    for scan, numbers in numbers_of.items():
        if scan in known:
            graph = NavGraph.load(scan, connectivity_dir)
            problems |= _scan_problems(graph, numbers, [paths[n] for n in numbers], adjacent)
        else:
            text = f"field 'scan': {scan!r} has no navigation graph in {connectivity_dir}"
            problems |= dict.fromkeys(numbers, text)
    return problems


def _scan_problems(
    graph: NavGraph, numbers: Sequence[int], paths: Sequence[Sequence[str]], adjacent: bool
) -> dict[int, str]:
    viewpoints = [viewpoint for path in paths for viewpoint in path]
    indices = {viewpoint: i for i, viewpoint in enumerate(graph.viewpoint_ids)}
    nodes = np.array([indices.get(viewpoint, -1) for viewpoint in viewpoints], dtype=np.intp)
    owners = np.repeat(numbers, [len(path) for path in paths])
    problems: dict[int, str] = {}
    for position in np.flatnonzero(nodes < 0):
        problems.setdefault(
            int(owners[position]),
            f"field 'path': scan {graph.scan!r} has no viewpoint {viewpoints[position]!r} that is "
            "included in navigation",
        )
    before, after = nodes[:-1], nodes[1:]
    if adjacent:
        valid = graph.adjacency[before, after] | (before == after)
    else:
        valid = np.isfinite(graph.distances[before, after])
    is_step = (owners[:-1] == owners[1:]) & (before >= 0) & (after >= 0)
    relation = "are not neighbours" if adjacent else "are not connected"
    for position in np.flatnonzero(is_step & ~valid):
        start, end = viewpoints[position : position + 2]
        text = f"field 'path': {start!r} and {end!r} {relation} in scan {graph.scan!r}"
        problems.setdefault(int(owners[position]), text)
    return problems
