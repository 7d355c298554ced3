"""Checking many paths against the navigation graphs of their scans at once."""

from collections import defaultdict
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

import numpy as np

from envs.graphs.nav_graph import NavGraph

_SUFFIX = "_connectivity.json"


def without_turns(path: Sequence[str]) -> tuple[str, ...]:
    """A path with each stay at a viewpoint written once."""
    return tuple(viewpoint for viewpoint, _ in groupby(path))


def path_problems(
    scans: Sequence[str],
    paths: Sequence[Sequence[str]],
    connectivity_dir: Path,
    adjacent: bool = False,
) -> dict[int, str]:
    """Find what is wrong with paths.

    Args:
        scans: Scan of each path.
        paths: Viewpoint ids, in the order of walking.
        connectivity_dir: Folder of the graphs.
        adjacent: Whether each viewpoint must be a neighbour of the one before it or the same;
            else it need only be reachable.

    Returns:
        By the number of the path, its first problem; nothing for sound paths.

    Raises:
        ValueError: A graph is damaged.
    """
    numbers_of: dict[str, list[int]] = defaultdict(list)
    for number, scan in enumerate(scans):
        numbers_of[scan].append(number)
    # A name from a file never becomes part of a path before it is known to be a scan.
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
    for place in np.flatnonzero(nodes < 0):
        problems.setdefault(
            int(owners[place]),
            f"field 'path': scan {graph.scan!r} has no viewpoint {viewpoints[place]!r} that one "
            "can stand on",
        )
    before, after = nodes[:-1], nodes[1:]
    if adjacent:
        sound = graph.adjacency[before, after] | (before == after)
    else:
        sound = np.isfinite(graph.distances[before, after])
    step = (owners[:-1] == owners[1:]) & (before >= 0) & (after >= 0)
    joins = "are no neighbours" if adjacent else "are not joined"
    for place in np.flatnonzero(step & ~sound):
        one, other = viewpoints[place : place + 2]
        text = f"field 'path': {one!r} and {other!r} {joins} in scan {graph.scan!r}"
        problems.setdefault(int(owners[place]), text)
    return problems
