"""Experts: the map token that an agent should choose, given the complete graph.

DUET trains on states that the agent reaches by itself; the expert labels them (`r2r/agent.py:
_teacher_action_r4r`). The target of an agent at the goal is [stop].
"""

import numpy as np

from clipnav.agents.maps.topological_maps import MapTokens, TopologicalMaps
from clipnav.agents.settings.networks import ExpertKind
from clipnav.envs.graphs.nav_world import NavWorld
from clipnav.envs.metrics import SUCCESS_THRESHOLD
from clipnav.envs.metrics.path_scores import next_dtw_rows

NO_TARGET = -100  # ignored by PyTorch's cross-entropy
STOP_TOKEN = 0
_TIE = 1e-9  # costs closer than this are equal


class Expert:
    """Labels of the states of B episodes.

    Kind "spl" chooses the unvisited node with the shortest path to it and on to the goal; "ndtw"
    the one whose path there, after the path so far, agrees best with the reference path by nDTW.
    With `revisits`, visited nodes can be chosen as well.
    Ways are shortest paths of the complete graph. The target at the goal is [stop]; if the
    reference path passes its goal early, "ndtw" stops there only if every other path agrees worse
    (the original stops at the first visit). Among equally good nodes the first token wins: all
    unvisited nodes on a shortest path to the goal are equally good for "spl". (The original
    compares rounded sums, so that rounding decides between them.)
    """

    def __init__(
        self,
        world: NavWorld,
        references: np.ndarray,
        sizes: np.ndarray,
        kind: ExpertKind = "spl",
        revisits: bool = False,
        goals: np.ndarray | None = None,
    ) -> None:
        """Start at the first viewpoints of the reference paths.

        Args:
            references: (B, R) nodes of the reference paths, padded with their last node.
            sizes: (B,) number of viewpoints of each reference path.
            goals: (B, G) nodes of the goals, of which the nearest counts, padded with repetitions;
                None for the ends of the reference paths.
        """
        self._world = world
        self._references = references
        self._sizes = sizes
        self._kind: ExpertKind = kind
        self._revisits = revisits
        ends = references[np.arange(len(sizes)), sizes - 1]
        self._goals = ends[:, None] if goals is None else goals
        between = world.distance(references[:, :1], references)
        self._dtw = np.cumsum(between, axis=1)  # (B, R) last row of the alignment so far
        before_end = np.arange(references.shape[1]) < sizes[:, None] - 1
        at_goal = (references[:, :, None] == self._goals[:, None]).any(2)
        self._passes_goal = (at_goal & before_end).any(1)

    def walk(self, rows: np.ndarray, routes: np.ndarray) -> None:
        """Record the viewpoints that R agents have passed, which the ndtw expert aligns.

        Args:
            rows: (R,) episodes.
            routes: (R, H) nodes after the current one, padded with -1.
        """
        for nodes in routes.T:
            moving = nodes >= 0
            own = rows[moving]
            between = self._world.distance(nodes[moving][:, None], self._references[own])
            self._dtw[own] = next_dtw_rows(self._dtw[own].T, between.T).T

    def targets(self, maps: TopologicalMaps, rows: np.ndarray, tokens: MapTokens) -> np.ndarray:
        """Return the (R,) map tokens that R agents should choose.

        `NO_TARGET` if no node can be chosen.

        Args:
            rows: (R,) episodes.
        """
        costs = self.costs(maps, rows, tokens)
        return np.where(self._stops(maps, rows, costs), STOP_TOKEN, first_best(costs))

    def frontier_costs(self, maps: TopologicalMaps, rows: np.ndarray) -> np.ndarray:
        """Return the (R, S) costs of the targets of R agents, who may stop at any visited node.

        Metres for "spl", -log nDTW for "ndtw"; infinite for nodes that are no target. Targets are
        all unvisited nodes and the goal, also if it was passed; but only the current node where
        the agent should stop.

        Args:
            rows: (R,) episodes.
        """
        width = int(maps.counts[rows].max())
        nodes, here = maps.nodes[rows, :width], maps.current[rows]
        at_goal = (nodes[:, :, None] == self._goals[rows][:, None]).any(2)
        allowed = (nodes >= 0) & ((maps.visit_steps[rows, :width] == 0) | at_goal)
        allowed[np.arange(len(rows)), here] = False
        row, slot = np.nonzero(allowed)
        costs = np.full(allowed.shape, np.inf)
        costs[row, slot] = self._measure(rows[row], maps.nodes[rows, here][row], nodes[row, slot])
        stops = self._stops(maps, rows, costs)
        costs[stops] = np.inf
        costs[stops, here[stops]] = 0.0
        return costs

    def costs(self, maps: TopologicalMaps, rows: np.ndarray, tokens: MapTokens) -> np.ndarray:
        """Return the (R, N) costs of the map tokens that R agents can choose.

        Metres for "spl", -log nDTW for "ndtw"; infinite for [stop], padding and nodes that cannot
        be chosen.
        The arguments are those of `targets`.
        """
        here = maps.nodes[rows, maps.current[rows]]
        forbidden = tokens.visited
        if self._revisits:
            forbidden = tokens.slots == maps.current[rows][:, None]
        row, column = np.nonzero(tokens.mask & ~forbidden & (tokens.slots >= 0))
        nodes = maps.nodes[rows[row], tokens.slots[row, column]]
        costs = np.full(tokens.mask.shape, np.inf)
        costs[row, column] = self._measure(rows[row], here[row], nodes)
        return costs

    def _stops(self, maps: TopologicalMaps, rows: np.ndarray, costs: np.ndarray) -> np.ndarray:
        """Return (R,) bool, whether R agents should stop here, given the costs (R, N) of nodes."""
        stops = (maps.nodes[rows, maps.current[rows]][:, None] == self._goals[rows]).any(1)
        if self._kind == "ndtw":
            stops &= ~self._passes_goal[rows] | (
                self._costs_of(self._dtw[rows], rows) < costs.min(1) - _TIE
            )
        return stops

    def _measure(self, rows: np.ndarray, here: np.ndarray, nodes: np.ndarray) -> np.ndarray:
        """Return the (M,) costs of the paths from nodes (M,) to others (M,) in episodes (M,)."""
        measure = self._detours if self._kind == "spl" else self._misalignments
        return measure(rows, here, nodes)

    def _detours(self, rows: np.ndarray, here: np.ndarray, nodes: np.ndarray) -> np.ndarray:
        """Return the (M,) lengths in metres of the paths over some nodes to the goals."""
        distance = self._world.distance
        return distance(here, nodes) + distance(nodes[:, None], self._goals[rows]).min(1)

    def _misalignments(self, rows: np.ndarray, here: np.ndarray, nodes: np.ndarray) -> np.ndarray:
        """Return the (M,) negative log of nDTW after the path so far and a path to each node.

        The log keeps the order of paths whose nDTW is close to 0.
        """
        world = self._world
        dtw = self._dtw[rows]  # (M, R)
        at = here.copy()
        while (moving := np.flatnonzero(at != nodes)).size:
            actions = world.teacher_action(at[moving], nodes[moving])
            at[moving] = world.targets[at[moving], actions]
            between = world.distance(at[moving, None], self._references[rows[moving]])
            dtw[moving] = next_dtw_rows(dtw[moving].T, between.T).T
        return self._costs_of(dtw, rows)

    def _costs_of(self, dtw: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Return the (M,) negative log of nDTW, given the last rows (M, R) of alignments."""
        sizes = self._sizes[rows]
        return dtw[np.arange(len(rows)), sizes - 1] / (SUCCESS_THRESHOLD * sizes)


def first_best(costs: np.ndarray) -> np.ndarray:
    """Return the (R,) first columns with the least of costs (R, N); `NO_TARGET` if all are inf."""
    best = (costs <= costs.min(1, keepdims=True) + _TIE).argmax(1)
    return np.where(np.isfinite(costs).any(1), best, NO_TARGET)


def mix_in_expert(chosen: np.ndarray, labels: np.ndarray, guided: np.ndarray) -> np.ndarray:
    """Return the labels of (R,) guided agents that have one, and the choices (R,) of the others."""
    return np.where(guided & (labels != NO_TARGET), labels, chosen)


def path_targets(
    maps: TopologicalMaps, rows: np.ndarray, tokens: MapTokens, nodes: np.ndarray
) -> np.ndarray:
    """Return the (R,) map tokens of the next viewpoints of known paths, for teacher forcing.

    Follow a reference path by its steps, not by its viewpoints: a path may pass its goal early, or
    a viewpoint twice. A second visit requires `MapTransformerConfig.revisits`, because visited
    nodes cannot be chosen otherwise.

    Args:
        rows: (R,) episodes.
        nodes: (R,) next nodes in the world; -1 at the end of a path, for [stop].
    """
    slots = maps.slots_of(rows, nodes)
    # Both [stop] and padding have slot -1; [stop] comes first.
    same = tokens.slots == slots[:, None]
    if ((nodes >= 0) & (slots < 0)).any():
        raise ValueError("a path leaves the known map; give paths along edges of the graph")
    return same.argmax(1)
