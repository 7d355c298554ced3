"""Reference paths of a split as arrays, the teacher that follows them, and their walks."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from clipnav.envs.episodes import Episode
from clipnav.envs.graphs.candidates import start_views
from clipnav.envs.graphs.nav_world import NavWorld, route_moves
from clipnav.envs.metrics import SUCCESS_THRESHOLD
from clipnav.envs.sharing import SharedObjects
from clipnav.storage.errors import UserError

Teacher = Literal["shortest", "reference"]


@dataclass(frozen=True, eq=False)
class ReferencePaths:
    """Reference paths of E episodes, padded with their last viewpoint to the largest size R.

    Attributes:
        nodes: (E, R) int32 nodes of the viewpoints.
        sizes: (E,) int64 number of viewpoints of each path.
        lengths: (E,) length of each path in metres, with shortest paths between its viewpoints.
        shortest_lengths: (E,) length of the shortest path from start to goal in metres, see
            `Goal.spl_end`.
        has_goal: (E,) bool, whether the goal is known; otherwise the path is only the start.
        start_views: (E,) int32 view 0..35 that the agent faces at the start.
        goals: (E, G) int32 nodes of the goals, padded with their last one; G = 1 and the ends of
            the paths unless an episode has a `target`.
        radii: (E,) success radius of each episode in metres; None unless an episode has a `target`.
    """

    nodes: np.ndarray
    sizes: np.ndarray
    lengths: np.ndarray
    shortest_lengths: np.ndarray
    has_goal: np.ndarray
    start_views: np.ndarray
    goals: np.ndarray
    radii: np.ndarray | None

    @classmethod
    def of(cls, world: NavWorld, episodes: Sequence[Episode]) -> "ReferencePaths":
        """Build the paths of episodes in a world."""
        headings = np.array([episode.heading for episode in episodes])
        for episode in episodes:
            if not episode.path:
                raise UserError(f"episode {episode.instr_id!r}: the path is empty; add its start")
        for row in np.flatnonzero(~np.isfinite(headings))[:1]:
            raise UserError(
                f"episode {episodes[row].instr_id!r}: the heading is {headings[row]}, but must be "
                "a number of radians"
            )
        # Several instructions describe the same path, which is converted once.
        rows = {key: row for row, key in enumerate({(e.scan, e.path): None for e in episodes})}
        paths = [[world.node(scan, v) for v in path] for scan, path in rows]
        longest = max(len(path) for path in paths)
        padded = [path + path[-1:] * (longest - len(path)) for path in paths]
        order = [rows[e.scan, e.path] for e in episodes]
        nodes = np.array(padded, dtype=np.int32)[order]
        lengths = world.distance(nodes[:, :-1], nodes[:, 1:]).sum(axis=1)
        for row in np.flatnonzero(np.isinf(lengths))[:1]:
            raise UserError(
                f"episode {episodes[row].instr_id!r}: no path connects the viewpoints of its path "
                f"in scan {episodes[row].scan!r}"
            )
        goals, radii, spl_ends = nodes[:, -1:], None, nodes[:, -1:]
        if any(episode.target is not None for episode in episodes):
            of = [episode.goal for episode in episodes]
            goals = _padded(world, episodes, [goal.viewpoints for goal in of])
            spl_ends = _padded(world, episodes, [goal.spl_ends for goal in of])
            radii = np.array([goal.success_radius(SUCCESS_THRESHOLD) for goal in of])
        return cls(
            nodes=nodes,
            sizes=np.array([len(path) for path in paths])[order],
            lengths=lengths,
            shortest_lengths=world.distance(nodes[:, :1], spl_ends).min(axis=1),
            has_goal=np.array([episode.has_goal for episode in episodes]),
            start_views=start_views(headings),
            goals=goals,
            radii=radii,
        )

    @property
    def longest(self) -> int:
        """Number R of viewpoints of the longest path."""
        return self.nodes.shape[1]

    @property
    def starts(self) -> np.ndarray:
        """(E,) int32 nodes of the first viewpoints."""
        return self.nodes[:, 0]

    def layout(self, columns: int) -> np.dtype:
        """Return the data type of the state of B agents: F rows of 8 bytes per agent.

        Returns:
            Fields of shape (B,) unless noted otherwise: `episode`, `node`, `view`, the numbers of
            `steps` and of `visits` (including the start) and the `size` of the reference path;
            `row`, the start of the node's row in the world's tables of pairs, and the columns of
            the `goal` and of the viewpoints of the `references` (R, B) in that row; in metres, the
            `distance` to the goal and the `length` of the path. With goals of up to G viewpoints,
            the columns of all `goals` (G, B); `goal` is then the nearest of them.
        """
        whole = ("episode", "node", "view", "steps", "visits", "size", "row", "goal")
        fields = [
            *((name, np.int64, (columns,)) for name in whole),
            ("references", np.int64, (self.longest, columns)),
            *((name, np.float64, (columns,)) for name in ("distance", "length")),
        ]
        if self.radii is not None:
            fields.append(("goals", np.int64, (len(self.goals[0]), columns)))
        return np.dtype(fields)


def _padded(
    world: NavWorld, episodes: Sequence[Episode], viewpoints: Sequence[tuple[str, ...]]
) -> np.ndarray:
    """Return the (E, G) int32 nodes of viewpoints, padded with the last one of each episode."""
    most = max(map(len, viewpoints))
    rows = [
        [world.node(e.scan, v) for v in (*names, *names[-1:] * (most - len(names)))]
        for e, names in zip(episodes, viewpoints, strict=True)
    ]
    return np.array(rows, dtype=np.int32)


def state_block(state: np.ndarray) -> np.ndarray:
    """Return an (F, B) int64 view of a state, for copying."""
    return state.reshape(1).view(np.int64).reshape(-1, len(state["node"]))


@dataclass(frozen=True, eq=False)
class Starts:
    """Reference paths and initial states (E, F) of the episodes of a world, read-only."""

    world: NavWorld
    episodes: Sequence[Episode]
    references: ReferencePaths
    states: np.ndarray


_STARTS: SharedObjects[Starts] = SharedObjects()


def shared_starts(world: NavWorld, episodes: Sequence[Episode]) -> Starts:
    """Return the starts of episodes, shared by all environments over one loaded split."""

    def make() -> Starts:
        references = ReferencePaths.of(world, episodes)
        states = _initial_states(world, references)
        for array in (states, *vars(references).values()):
            if array is not None:
                array.flags.writeable = False
        return Starts(world, episodes, references, states)

    # A list may change, a tuple of episodes cannot.
    return _STARTS.get((id(world), id(episodes)), make) if type(episodes) is tuple else make()


def _initial_states(world: NavWorld, references: ReferencePaths) -> np.ndarray:
    """Return the (E, F) initial states of all episodes."""
    state = np.zeros((), dtype=references.layout(len(references.nodes)))
    state["episode"] = np.arange(len(references.nodes))
    state["node"], state["view"] = references.starts, references.start_views
    state["visits"], state["size"] = 1, references.sizes
    state["row"] = world.pair_starts[references.starts]
    between = world.distance(references.starts[:, None], references.goals)  # (E, G)
    nearest = between.argmin(axis=1)[:, None]
    state["goal"] = np.take_along_axis(world.locals[references.goals], nearest, 1)[:, 0]
    state["references"] = world.locals[references.nodes.T]
    state["distance"] = np.where(references.has_goal, between.min(axis=1), np.nan)
    if references.radii is not None:
        state["goals"] = world.locals[references.goals.T]
    return np.ascontiguousarray(state_block(state).T)


class ReferenceTeacher:
    """Teacher that follows the reference path of each of B agents and returns to it if necessary.

    On the path the teacher moves to the next viewpoint and stops at the end. Off the path it takes
    the shortest path to the nearest viewpoint that the agent has not passed yet (the earliest of
    equally near ones). A viewpoint is passed when it or a later one is reached.

    On the path the actions equal those of CLEAR (`r2r_src/agent.py: _teacher_action`) and HAMT
    (`finetune_src/r2r/env.py: _teacher_path_action`), except for paths that cross themselves and
    after walking back: CLEAR and HAMT look up the first visit of a viewpoint, so that they walk in
    a cycle, or pass again what was passed, whereas this teacher tracks progress. Off the path CLEAR
    takes the shortest path to the goal, which skips the rest of the instruction, and HAMT gives no
    target.
    """

    def __init__(self, world: NavWorld, references: ReferencePaths, num_agents: int) -> None:
        self._world = world
        self._references = references.nodes
        self._last = references.sizes - 1
        self._passed_at = _passed_at(references.nodes, references.sizes)
        self._passed = np.zeros(num_agents, dtype=np.int64)
        self._positions = np.arange(references.nodes.shape[1])

    def start(self, agents: np.ndarray, episodes: np.ndarray) -> None:
        """Start episodes (M,) of agents (M,)."""
        self._passed[agents] = self._passed_at[episodes, 0]

    def arrive(self, agents: np.ndarray, episodes: np.ndarray, nodes: np.ndarray) -> None:
        """Update the progress of agents that have moved.

        Args:
            agents: (M,) agents that have moved.
            episodes: (M,) episodes of these agents.
            nodes: (M,) nodes that they have reached.
        """
        passed = self._passed[agents]
        here = self._references[episodes] == nodes[:, None]
        reached = here & (self._positions >= passed[:, None])
        updated = self._passed_at[episodes, reached.argmax(axis=1)]
        self._passed[agents] = np.where(reached.any(axis=1), updated, passed)

    def actions(self, episodes: np.ndarray, nodes: np.ndarray) -> np.ndarray:
        """Return the (B,) int64 actions of the teacher; 0 (stop) at the end of the path.

        Args:
            episodes: (B,) episode of each agent.
            nodes: (B,) node of each agent.
        """
        agents, references = np.arange(len(nodes)), self._references[episodes]
        following = np.minimum(self._passed, self._last[episodes])
        distances = self._world.distance(nodes[:, None], references)
        distances = np.where(self._positions >= following[:, None], distances, np.inf)
        on_path = nodes == references[agents, self._passed - 1]
        targets = references[agents, np.where(on_path, following, distances.argmin(axis=1))]
        # An edge and a detour of equal length may differ in the last bit; prefer the edge.
        edges = self._world.targets[nodes, 1:] == targets[:, None]
        edges &= (targets != nodes)[:, None]
        direct = np.where(edges.any(axis=1), 1 + edges.argmax(axis=1), 0)
        return np.where(direct > 0, direct, self._world.teacher_action(nodes, targets))


def _passed_at(references: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Return (E, R) the number of viewpoints passed when each is reached, with repetitions."""
    passed = np.tile(1 + np.arange(references.shape[1]), (len(references), 1))
    for position in reversed(range(references.shape[1] - 1)):
        repeated = references[:, position] == references[:, position + 1]
        passed[:, position] = np.where(repeated, passed[:, position + 1], passed[:, position])
    return np.minimum(passed, sizes[:, None])


class ReferenceWalks(NamedTuple):
    """Walks along the reference paths of B episodes; U of them are different.

    Attributes:
        nodes: (U, T) nodes, padded with -1; consecutive nodes are neighbours.
        views: (U, T) views 0..35 that the agents face; 0 for padding.
        owners: (B,) walk of each episode.
    """

    nodes: np.ndarray
    views: np.ndarray
    owners: np.ndarray

    @classmethod
    def of(
        cls, world: NavWorld, references: ReferencePaths, episodes: np.ndarray
    ) -> "ReferenceWalks":
        """Follow the paths of episodes (B,) step by step, also if they pass their goal early.

        Shortest paths are inserted between viewpoints that are not neighbours.
        """
        nodes = references.nodes[episodes].astype(np.int64)
        sizes, views = references.sizes[episodes], references.start_views[episodes]
        nodes[np.arange(nodes.shape[1]) >= sizes[:, None]] = -1
        nodes = nodes[:, : int(sizes.max())]
        keys = np.column_stack([nodes, views])
        unique, owners = np.unique(keys, axis=0, return_inverse=True)
        nodes = along_edges(world, unique[:, :-1])
        return cls(nodes, path_views(world, nodes, unique[:, -1]), owners.reshape(-1))


def along_edges(world: NavWorld, nodes: np.ndarray) -> np.ndarray:
    """Insert shortest paths between the nodes of paths that are not neighbours.

    Args:
        nodes: (B, T) nodes of the paths, padded with -1.
    """
    starts, ends = nodes[:, :-1], nodes[:, 1:]
    is_edge = (world.targets[starts, 1:] == ends[..., None]) & world.valid[starts, 1:]
    if (is_edge.any(2) | (ends < 0)).all():
        return nodes
    paths = []
    for row in nodes:
        path = [int(row[0])]
        for target in row[row >= 0][1:].tolist():
            while path[-1] != target:
                here = np.array(path[-1:])
                action = world.teacher_action(here, np.array([target]))
                path.append(int(world.targets[here, action][0]))
        paths.append(path)
    longest = max(map(len, paths))
    return np.array([path + [-1] * (longest - len(path)) for path in paths])


def path_views(world: NavWorld, nodes: np.ndarray, start_views: np.ndarray) -> np.ndarray:
    """Return the views that an agent faces along paths.

    Args:
        nodes: (B, T) neighbouring nodes, padded with -1.
        start_views: (B,) views 0..35 at the starts.

    Returns:
        (B, T) views; 0 for padding.
    """
    moves = route_moves(world, nodes[:, 0], nodes[:, 1:])
    faced = world.views[nodes[:, :-1], moves]  # (B, T - 1)
    views = np.column_stack([start_views, faced])
    return np.where(nodes >= 0, views, 0)
