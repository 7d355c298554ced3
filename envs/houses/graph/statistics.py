"""Statistics of navigation graphs, to compare the built-in houses with Matterport3D."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from clipnav.connectivity import read_scans
from clipnav.envs.graphs.nav_graph import NavGraph
from clipnav.storage.errors import UserError


@dataclass(frozen=True)
class GraphStatistics:
    """Statistics over the included viewpoints of some buildings.

    Attributes:
        buildings: Number of buildings.
        viewpoints: Mean number of viewpoints per building.
        edge_length: Mean length of all edges in metres.
        edge_lengths: 5th, 50th and 95th percentile of the edge lengths in metres.
        degree: Mean number of neighbours of a viewpoint.
        components: Maximum number of connected components of a building.
        storeys: Mean number of floors of a building, at least 1.8 m apart.
    """

    buildings: int
    viewpoints: float
    edge_length: float
    edge_lengths: tuple[float, float, float]
    degree: float
    components: int
    storeys: float


_STOREY_GAP = 1.8


def graph_statistics(graphs: Sequence[NavGraph]) -> GraphStatistics:
    """Return statistics of some buildings; each edge counts once."""
    from scipy.sparse.csgraph import connected_components

    if not graphs:
        raise UserError("no graphs to compute statistics of; add some to the folder")
    lengths, degrees, components, storeys = [], [], [], []
    for graph in graphs:
        first, second = np.nonzero(np.triu(graph.adjacency))
        steps = graph.positions[first] - graph.positions[second]
        lengths.append(np.linalg.norm(steps, axis=1))
        degrees.append(graph.adjacency.sum(axis=1))
        components.append(connected_components(graph.adjacency)[0])
        heights = np.sort(graph.positions[:, 2])
        storeys.append(_floors(heights))
    edge_lengths = np.concatenate(lengths)
    if not len(edge_lengths):
        raise UserError("the graphs have no edges")
    low, middle, high = (float(value) for value in np.percentile(edge_lengths, [5, 50, 95]))
    return GraphStatistics(
        buildings=len(graphs),
        viewpoints=float(np.mean([len(graph) for graph in graphs])),
        edge_length=float(edge_lengths.mean()),
        edge_lengths=(low, middle, high),
        degree=float(np.concatenate(degrees).mean()),
        components=int(max(components)),
        storeys=float(np.mean(storeys)),
    )


def _floors(heights: np.ndarray) -> int:
    """Return the number of floors among sorted camera heights; stairs count to the lower floor."""
    count, base = 1, heights[0]
    for height in heights:
        if height - base >= _STOREY_GAP:
            count, base = count + 1, height
    return count


def statistics_table(directories: Sequence[Path]) -> str:
    """Return a header and one line of statistics for each folder of graphs with a `scans.txt`."""
    head = "buildings  viewpoints  edge m (5 %, 50 %, 95 %)   degree  components  storeys"
    lines = [head]
    for directory in directories:
        graphs = [NavGraph.load(scan, directory) for scan in read_scans(directory)]
        s = graph_statistics(graphs)
        low, middle, high = s.edge_lengths
        lines.append(
            f"{s.buildings:9d}  {s.viewpoints:10.1f}  {s.edge_length:.2f} "
            f"({low:.2f}, {middle:.2f}, {high:.2f})     {s.degree:6.2f}  {s.components:10d}  "
            f"{s.storeys:7.2f}  {directory}"
        )
    return "\n".join(lines)
