"""Reference paths of the episodes of a split as arrays, and the initial states of walks."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from clipnav.envs.episodes import Episode
from clipnav.envs.graphs.candidates import start_views
from clipnav.envs.graphs.nav_world import NavWorld
from clipnav.envs.sharing import SharedObjects
from clipnav.storage.errors import UserError


@dataclass(frozen=True, eq=False)
class ReferencePaths:
    """Reference paths of E episodes, padded with their last viewpoint to the largest size R.

    Attributes:
        nodes: (E, R) int32 nodes of the viewpoints.
        sizes: (E,) int64 number of viewpoints of each path.
        lengths: (E,) length of each path in metres, with shortest paths between its viewpoints.
        shortest_lengths: (E,) length of the shortest path from start to end in metres.
        has_goal: (E,) bool, whether the goal is known; otherwise the path is only the start.
        start_views: (E,) int32 view 0..35 that the agent faces at the start.
    """

    nodes: np.ndarray
    sizes: np.ndarray
    lengths: np.ndarray
    shortest_lengths: np.ndarray
    has_goal: np.ndarray
    start_views: np.ndarray

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
        return cls(
            nodes=nodes,
            sizes=np.array([len(path) for path in paths])[order],
            lengths=lengths,
            shortest_lengths=world.distance(nodes[:, 0], nodes[:, -1]),
            has_goal=np.array([episode.has_goal for episode in episodes]),
            start_views=start_views(headings),
        )

    @property
    def longest(self) -> int:
        """Number R of viewpoints of the longest path."""
        return self.nodes.shape[1]

    @property
    def starts(self) -> np.ndarray:
        """(E,) int32 nodes of the first viewpoints."""
        return self.nodes[:, 0]

    @property
    def goals(self) -> np.ndarray:
        """(E,) int32 nodes of the last viewpoints."""
        return self.nodes[:, -1]


def state_layout(columns: int, longest: int) -> np.dtype:
    """Return the data type of the state of B agents: F rows of 8 bytes per agent.

    Returns:
        Fields of shape (B,) unless noted otherwise: `episode`, `node`, `view`, the numbers of
        `steps` and of `visits` (including the start) and the `size` of the reference path; `row`,
        the start of the node's row in the world's tables of pairs, and the columns of the `goal`
        and of the viewpoints of the `references` (R, B) in that row; in metres, the `distance` to
        the goal and the `length` of the path.
    """
    whole = ("episode", "node", "view", "steps", "visits", "size", "row", "goal")
    fields = [
        *((name, np.int64, (columns,)) for name in whole),
        ("references", np.int64, (longest, columns)),
        *((name, np.float64, (columns,)) for name in ("distance", "length")),
    ]
    return np.dtype(fields)


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
            array.flags.writeable = False
        return Starts(world, episodes, references, states)

    # A list may change, a tuple of episodes cannot.
    return _STARTS.get((id(world), id(episodes)), make) if type(episodes) is tuple else make()


def _initial_states(world: NavWorld, references: ReferencePaths) -> np.ndarray:
    """Return the (E, F) initial states of all episodes."""
    state = np.zeros((), dtype=state_layout(len(references.nodes), references.longest))
    state["episode"] = np.arange(len(references.nodes))
    state["node"], state["view"] = references.starts, references.start_views
    state["visits"], state["size"] = 1, references.sizes
    state["row"] = world.pair_starts[references.starts]
    state["goal"] = world.locals[references.goals]
    state["references"] = world.locals[references.nodes.T]
    distances = world.distance(references.starts, references.goals)
    state["distance"] = np.where(references.has_goal, distances, np.nan)
    return np.ascontiguousarray(state_block(state).T)
