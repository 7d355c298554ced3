"""Walks: where each of many agents is, where it has been, and how well it does.

The numbers of an agent stand in a column of one block, and those of an agent that has just begun an
episode in a row of another: to start episodes is to copy some rows into columns. Steps work on
whole rows of the block; agents that stay where they are go along, as nothing changes for them.
"""

from collections.abc import Sequence

import numpy as np

from envs.episodes import Episode
from envs.graphs.nav_world import NavWorld
from envs.metrics import SUCCESS_THRESHOLD, path_metrics
from envs.navigation.reference_teacher import ReferenceTeacher, Teacher
from envs.navigation.references import ReferencePaths
from envs.navigation.rewards import Reward, distance_rewards, ndtw_rewards
from storage.features.view_grid import NUM_VIEWS, view_direction


class Walks:
    """The state of B agents, kept in arrays.

    Attributes:
        references: Paths of the episodes.
        terminated: (B,) bool, the agent has stopped.
        truncated: (B,) bool, it was cut off.
        ended_now: (B,) bool, the episode of the agent ended with the last step.
    """

    def __init__(
        self,
        world: NavWorld,
        episodes: Sequence[Episode],
        num_agents: int,
        teacher: Teacher = "shortest",
        reward: Reward = "distance",
    ) -> None:
        """Prepare to walk.

        Args:
            world: The graphs.
            episodes: What can be walked.
            num_agents: B.
            teacher: Who `teacher_actions` follows: the shortest path to the goal, or the reference
                path, see `envs.navigation.reference_teacher`.
            reward: What `step` pays for, see `envs.navigation.rewards`.

        Raises:
            ValueError: No such teacher or reward.
        """
        self._world = world
        self._reward: Reward = reward
        self.references = ReferencePaths.of(world, episodes)
        self._secrets = not self.references.has_goal.all()
        self._beginnings = _beginnings(world, self.references)  # (E, F)
        self._state = np.zeros((), dtype=_layout(num_agents, self.references.longest))
        self.terminated = np.zeros(num_agents, dtype=bool)
        self.truncated = np.zeros(num_agents, dtype=bool)
        self.ended_now = np.zeros(num_agents, dtype=bool)
        self._history = np.zeros((num_agents, 64), dtype=np.int32)  # 36 * node + view
        self._most_visits = 1  # nobody has made more
        self._agents = np.arange(num_agents)
        self._teacher = None
        if teacher == "reference":
            self._teacher = ReferenceTeacher(world, self.references, num_agents)

    @property
    def episodes(self) -> np.ndarray:
        """(B,) number of the episode of each agent."""
        return self._state["episode"]

    @property
    def nodes(self) -> np.ndarray:
        """(B,) viewpoint where it stands."""
        return self._state["node"]

    @property
    def views(self) -> np.ndarray:
        """(B,) view 0..35 that it looks along."""
        return self._state["view"]

    @property
    def distances(self) -> np.ndarray:
        """(B,) metres to the goal, NaN where the goal is secret."""
        return self._state["distance"]

    @property
    def has_goal(self) -> np.ndarray:
        """(B,) bool: whether the goal is known."""
        return self.references.has_goal[self.episodes]

    def start(self, agents: np.ndarray, episodes: np.ndarray) -> None:
        """Put some agents at the start of episodes.

        Args:
            agents: (M,) which agents.
            episodes: (M,) numbers of their episodes.
        """
        beginnings = self._beginnings.take(episodes, axis=0)  # (M, F)
        _block(self._state)[:, agents] = beginnings.T
        self.terminated[agents] = self.truncated[agents] = False
        self._history[agents, 0] = _packed(self.nodes[agents], self.views[agents])
        if self._teacher:
            self._teacher.start(agents, episodes)

    def step(self, actions: np.ndarray, max_steps: int) -> np.ndarray:
        """Let the agents whose episodes are not over act.

        Args:
            actions: (B,) within 0..K - 1.
            max_steps: Actions after which an episode is truncated.

        Returns:
            (B,) rewards.
        """
        state = self._state
        active = ~(self.terminated | self.truncated)
        stop = active & (actions == 0)
        before = state["distance"].copy()
        ndtw_before = self._ndtw() if self._reward == "ndtw" else before
        self._move(actions, active)
        state["steps"] += active
        self.terminated |= stop
        self.truncated |= active & ~stop & (state["steps"] >= max_steps)
        self.ended_now = active & (self.terminated | self.truncated)
        if self._reward == "ndtw":
            rewards = ndtw_rewards(before, self.distances, stop, ndtw_before, self._ndtw())
        else:
            rewards = distance_rewards(before, self.distances, stop)
        return np.where(self.has_goal, rewards, 0.0) if self._secrets else rewards

    def teacher_actions(self) -> np.ndarray:
        """(B,) int64 action of the teacher; 0 where to stop, or if the goal is secret."""
        state = self._state
        if self._teacher:
            actions = self._teacher.actions(state["episode"], state["node"])
        else:
            actions = self._world.teachers.take(state["row"] + state["goal"]).astype(np.int64)
        # The goal of an episode whose goal is secret is its start, whither nothing should lead.
        return np.where(self.has_goal, actions, 0) if self._secrets else actions

    def metrics(self, agents: np.ndarray) -> dict[str, np.ndarray]:
        """Metrics of the paths walked so far by some agents, named as in `score_path`.

        Args:
            agents: (M,) which agents; their goals must not be secret.
        """
        return self.score(self.columns(agents))

    def columns(self, agents: np.ndarray) -> np.ndarray:
        """(F, M) copy of what is known of some agents, for `score` to read later."""
        return _block(self._state).take(agents, axis=1)

    def score(self, columns: np.ndarray) -> dict[str, np.ndarray]:
        """Metrics from the `columns` of M agents, as `metrics` gives them."""
        layout = _layout(columns.shape[1], self.references.longest)
        state = columns.reshape(-1).view(layout).reshape(())
        episodes, sizes = state["episode"], state["size"]
        return path_metrics(
            trajectory_length=state["length"],
            nav_error=state["distance"],
            oracle_error=state["oracle_error"],
            dtw=state["dtw"][sizes - 1, np.arange(len(sizes))],
            coverage_distances=state["coverage"].T,
            shortest_path_length=self.references.shortest_lengths[episodes],
            reference_length=self.references.lengths[episodes],
            reference_size=sizes,
        )

    def trajectory(self, agent: int) -> list[tuple[str, float, float]]:
        """Viewpoint, heading and elevation (radians) at each viewpoint that an agent visited."""
        nodes, views = np.divmod(self._history[agent, : self._state["visits"][agent]], NUM_VIEWS)
        return [
            (str(self._world.viewpoint_ids[node]), *view_direction(view))
            for node, view in zip(nodes, views, strict=True)
        ]

    def _move(self, actions: np.ndarray, active: np.ndarray) -> None:
        """Bring the active agents (B,) where their actions (B,) lead."""
        state, world = self._state, self._world
        nodes = state["node"]
        choice = nodes * world.num_actions + actions
        targets = world.targets.take(choice)
        moving = active & (targets != nodes)
        targets = np.where(moving, targets, nodes)
        state["length"] += world.distances.take(state["row"] + world.locals.take(targets))
        state["node"] = targets
        np.copyto(state["view"], world.views.take(choice), where=moving)
        state["row"] = rows = world.pair_starts.take(targets)

        between = world.distances.take(rows + state["references"])  # (R, B)
        coverage, dtw = state["coverage"], state["dtw"]
        np.minimum(coverage, between, out=coverage)
        np.copyto(dtw, _next_dtw_rows(dtw, between), where=moving)
        # References are padded with their goal, or, where it is secret, with their start.
        distances = between[-1]
        if self._secrets:
            distances = np.where(self.has_goal, distances, np.nan)
        state["distance"] = distances
        np.minimum(state["oracle_error"], distances, out=state["oracle_error"])
        self._remember(moving)
        if self._teacher:
            agents = np.flatnonzero(moving)
            self._teacher.arrive(agents, state["episode"][agents], targets[agents])

    def _remember(self, moving: np.ndarray) -> None:
        """Note where the moving agents (B,) have come to."""
        visits, length = self._state["visits"], self._history.shape[1]
        if self._most_visits >= length:
            self._most_visits = int(visits.max())
        if self._most_visits >= length:
            self._history = np.concatenate([self._history, np.zeros_like(self._history)], axis=1)
        # What is noted for those who stay lies beyond their visits and is written over.
        self._history[self._agents, visits] = _packed(self.nodes, self.views)
        visits += moving
        self._most_visits += 1

    def _ndtw(self) -> np.ndarray:
        """(B,) nDTW of the paths walked so far."""
        sizes = self._state["size"]
        dtw = self._state["dtw"][sizes - 1, self._agents]
        return np.exp(-dtw / (SUCCESS_THRESHOLD * sizes))


def _layout(columns: int, longest: int) -> np.dtype:
    """What is known of some agents in F rows of as many columns.

    Args:
        columns: B, agents.
        longest: R, viewpoints of the longest reference path.

    Returns:
        Fields (B,) unless said otherwise: `episode`; `node`, `view`, and the number of `steps` and
        of `visits`, the start included; `size` of the reference path; `row`, the node's in the
        world's tables of pairs, and the columns there of the `goal` and of all viewpoints of the
        `references` (R, B); metres to the goal (`distance`), walked (`length`), from the nearest
        place so far to the goal (`oracle_error`) and to each viewpoint of the reference path
        (`coverage`, (R, B)); the last row of the `dtw` table (R, B).
    """
    whole = ("episode", "node", "view", "steps", "visits", "size", "row", "goal")
    fields = [
        *((name, np.int64, (columns,)) for name in whole),
        ("references", np.int64, (longest, columns)),
        *((name, np.float64, (columns,)) for name in ("distance", "length", "oracle_error")),
        *((name, np.float64, (longest, columns)) for name in ("coverage", "dtw")),
    ]
    return np.dtype(fields)


def _block(state: np.ndarray) -> np.ndarray:
    """(F, B) view of a state as whole numbers, for copying."""
    return state.reshape(1).view(np.int64).reshape(-1, len(state["node"]))


def _beginnings(world: NavWorld, references: ReferencePaths) -> np.ndarray:
    """(E, F) rows of agents that have just begun each episode."""
    state = np.zeros((), dtype=_layout(len(references.nodes), references.longest))
    between = world.distance(references.starts, references.nodes.T)  # (R, E)
    state["episode"] = np.arange(len(references.nodes))
    state["node"], state["view"] = references.starts, references.start_views
    state["visits"], state["size"] = 1, references.sizes
    state["row"] = world.pair_starts[references.starts]
    state["goal"] = world.locals[references.goals]
    state["references"] = world.locals[references.nodes.T]
    state["distance"] = np.where(references.has_goal, between[-1], np.nan)
    state["oracle_error"] = state["distance"]
    state["coverage"] = between
    state["dtw"] = np.cumsum(between, axis=0)
    return np.ascontiguousarray(_block(state).T)


def _packed(nodes: np.ndarray, views: np.ndarray) -> np.ndarray:
    """(M,) one number for each pair of viewpoint and view."""
    return NUM_VIEWS * nodes + views


def _next_dtw_rows(rows: np.ndarray, distances: np.ndarray) -> np.ndarray:
    """Dynamic time warping: (R, B) rows of the table after one more viewpoint was walked."""
    result = np.empty_like(rows)
    result[0] = rows[0]
    np.minimum(rows[1:], rows[:-1], out=result[1:])
    result[0] += distances[0]
    for place in range(1, len(rows)):
        np.minimum(result[place], result[place - 1], out=result[place])
        result[place] += distances[place]
    return result
