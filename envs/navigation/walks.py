"""Walks: positions, paths and metrics of a batch of agents.

The state of each agent is a column of one block. Another block contains the initial state of each
episode as a row, so starting episodes copies rows into columns. Steps update whole rows of the
state; they leave the columns of agents that do not move unchanged.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from clipnav.envs.episodes import Episode
from clipnav.envs.graphs.nav_world import NavWorld
from clipnav.envs.metrics import SUCCESS_THRESHOLD, path_metrics
from clipnav.envs.metrics.path_scores import align_walks, next_dtw_rows
from clipnav.envs.navigation.references import (
    ReferenceTeacher,
    Teacher,
    shared_starts,
    state_block,
)
from clipnav.envs.navigation.rewards import (
    Reward,
    distance_reward,
    distance_rewards,
    ndtw_rewards,
)
from clipnav.storage.features.view_grid import NUM_VIEWS, view_direction


class Walks:
    """State of B agents as arrays.

    Attributes:
        references: Reference paths of the episodes.
        terminated: (B,) bool, whether the agent has stopped.
        truncated: (B,) bool, whether the episode was truncated.
        ended_now: (B,) bool, whether the episode ended with the last step.
    """

    def __init__(
        self,
        world: NavWorld,
        episodes: Sequence[Episode],
        num_agents: int,
        teacher: Teacher = "shortest",
        reward: Reward = "distance",
    ) -> None:
        self._world = world
        self._dtw: np.ndarray | None = None  # (R, B) last rows of the tables, for rewards only
        self._starts = shared_starts(world, episodes)
        self.references = self._starts.references
        self._has_secret_goals = not self.references.has_goal.all()
        self._state = np.zeros((), dtype=self.references.layout(num_agents))
        if reward == "ndtw":
            self._dtw = np.zeros((self.references.longest, num_agents))
        self.terminated = np.zeros(num_agents, dtype=bool)
        self.truncated = np.zeros(num_agents, dtype=bool)
        self.ended_now = np.zeros(num_agents, dtype=bool)
        self._history = np.zeros((num_agents, 64), dtype=np.int32)  # 36 * node + view
        self._most_visits = 1  # upper bound over the agents
        self._agents = np.arange(num_agents)
        self._teacher = None
        if teacher == "reference":
            self._teacher = ReferenceTeacher(world, self.references, num_agents)
        has_targets = self.references.radii is not None
        self._is_simple = num_agents == 1 and not (
            self._has_secret_goals or has_targets or reward == "ndtw" or self._teacher
        )

    @property
    def episodes(self) -> np.ndarray:
        """(B,) index of the episode of each agent."""
        return self._state["episode"]

    @property
    def nodes(self) -> np.ndarray:
        """(B,) node of each agent."""
        return self._state["node"]

    @property
    def views(self) -> np.ndarray:
        """(B,) view 0..35 that each agent faces."""
        return self._state["view"]

    @property
    def distances(self) -> np.ndarray:
        """(B,) distance to the goal in metres, NaN where the goal is secret."""
        return self._state["distance"]

    @property
    def has_goal(self) -> np.ndarray:
        """(B,) bool, whether the goal is known."""
        return self.references.has_goal[self.episodes]

    def start(self, agents: np.ndarray, episodes: np.ndarray) -> None:
        """Start episodes.

        Args:
            agents: (M,) agents that start.
            episodes: (M,) indices of their episodes.
        """
        initial_states = self._starts.states.take(episodes, axis=0)  # (M, F)
        state_block(self._state)[:, agents] = initial_states.T
        self.terminated[agents] = self.truncated[agents] = False
        self._history[agents, 0] = _packed(self.nodes[agents], self.views[agents])
        if self._dtw is not None:
            self._dtw[:, agents] = self._to_references(self._state)[:, agents].cumsum(axis=0)
        if self._teacher:
            self._teacher.start(agents, episodes)

    def step(
        self, actions: np.ndarray, max_steps: int, acting: np.ndarray | None = None
    ) -> np.ndarray:
        """Apply the actions of the agents whose episodes have not ended.

        Args:
            actions: (B,) actions in 0..K - 1.
            acting: (B,) bool, False for agents that wait, which counts as no step; None if none
                does.

        Returns:
            (B,) rewards.
        """
        if self._is_simple and acting is None:
            return np.array([self._step_one(int(actions[0]), max_steps)])
        state = self._state
        active = ~(self.terminated | self.truncated)
        if acting is not None:
            active &= acting
        # Action 0 stays at the node, as agents that do not act do.
        actions = np.where(active, actions, 0)
        stop = active & (actions == 0)
        before = state["distance"].copy()
        ndtw_before = None if self._dtw is None else self._ndtw(self._dtw)
        self._move(actions)
        state["steps"] += active
        self.ended_now = stop | (active & (state["steps"] >= max_steps))
        self.terminated |= stop
        self.truncated |= self.ended_now ^ stop
        if self._dtw is None or ndtw_before is None:
            rewards = distance_rewards(before, self.distances, stop, self._radius())
        else:
            ndtw_after, radius = self._ndtw(self._dtw), self._radius()
            rewards = ndtw_rewards(before, self.distances, stop, ndtw_before, ndtw_after, radius)
        return np.where(self.has_goal, rewards, 0.0) if self._has_secret_goals else rewards

    def _step_one(self, action: int, max_steps: int) -> float:
        """`step` of a single agent without a teacher, on plain numbers; its goal is a viewpoint."""
        state, world = self._state, self._world
        if self.terminated[0] or self.truncated[0]:
            self.ended_now[0] = False
            return 0.0
        node, goal = state["node"].item(), state["goal"].item()
        before = after = state["distance"].item()
        target = world.targets.item(node, action)
        if target != node:
            row, visits = world.pair_starts.item(target), state["visits"].item()
            length = world.distances.item(state["row"].item() + world.locals.item(target))
            after = world.distances.item(row + goal)
            view = world.views.item(node, action)
            state["node"], state["view"], state["row"] = target, view, row
            state["length"] += length
            state["distance"], state["visits"] = after, visits + 1
            if visits == self._history.shape[1]:
                self._grow_history()
            self._history[0, visits] = NUM_VIEWS * target + view
            self._most_visits = visits + 1
        steps = state["steps"].item() + 1
        state["steps"] = steps
        stop = action == 0
        self.ended_now[0] = ended = stop or steps >= max_steps
        self.terminated[0], self.truncated[0] = stop, ended and not stop
        return distance_reward(before, after, stop)

    def follow(self, moves: np.ndarray, stop: np.ndarray, max_steps: int) -> np.ndarray:
        """Take several actions of each agent, then stop some of them.

        Args:
            moves: (B, H) actions, padded with -1 at the end.
            stop: (B,) bool, agents that stop afterwards.

        Returns:
            (B,) sums of the rewards.
        """
        rewards, ended = np.zeros(len(stop)), np.zeros(len(stop), dtype=bool)
        for actions in (*moves.T, np.where(stop, 0, -1)):
            rewards += self.step(actions, max_steps, actions >= 0)
            ended |= self.ended_now
        self.ended_now = ended
        return rewards

    def teacher_actions(self) -> np.ndarray:
        """Return the (B,) int64 actions of the teacher; 0 to stop or where the goal is secret."""
        state = self._state
        if self._teacher:
            actions = self._teacher.actions(state["episode"], state["node"])
        else:
            actions = self._world.teachers.take(state["row"] + state["goal"]).astype(np.int64)
        # The path of an episode with a secret goal ends at its start, which is not a target.
        return np.where(self.has_goal, actions, 0) if self._has_secret_goals else actions

    def metrics(self, agents: np.ndarray) -> dict[str, np.ndarray]:
        """Return the metrics of the paths of M agents so far, named as in `score_path`.

        Args:
            agents: (M,) agents, whose goals must not be secret.
        """
        return self.score(self.record(agents))

    def record(self, agents: np.ndarray) -> "WalkRecord":
        """Return a copy of the state and the history of M agents, for a later call of `score`."""
        longest = self._state["visits"].take(agents).max()
        columns = state_block(self._state).take(agents, axis=1)
        return WalkRecord(columns, self._history[:, :longest].take(agents, axis=0))

    def score(self, record: "WalkRecord") -> dict[str, np.ndarray]:
        """Return the metrics of M agents from a record of their walks, see `record`."""
        count, radii = record.columns.shape[1], self.references.radii
        state = record.columns.reshape(-1).view(self.references.layout(count)).reshape(())
        episodes, sizes = state["episode"], state["size"]
        rows = self._world.pair_starts[record.history.T // NUM_VIEWS][:, None]  # (T, 1, M)
        # Entries after the last visit may be outside the table.
        between = self._world.distances.take(rows + state["references"], mode="clip")
        dtw, coverage = align_walks(between, state["visits"])
        oracle_error = coverage[-1]  # reference paths are padded with the goal
        if radii is not None:
            to_goals = self._world.distances.take(rows + state["goals"], mode="clip").min(axis=1)
            walked = np.arange(len(to_goals))[:, None] < state["visits"]
            oracle_error = np.where(walked, to_goals, np.inf).min(axis=0)
        return path_metrics(
            trajectory_length=state["length"],
            nav_error=state["distance"],
            oracle_error=oracle_error,
            dtw=dtw[sizes - 1, np.arange(count)],
            coverage_distances=coverage.T,
            shortest_path_length=self.references.shortest_lengths[episodes],
            reference_length=self.references.lengths[episodes],
            reference_size=sizes,
            radius=None if radii is None else radii[episodes],
        )

    def trajectory(self, agent: int) -> list[tuple[str, float, float]]:
        """Return viewpoint, heading and elevation (radians) of each visit of an agent."""
        nodes, views = np.divmod(self._history[agent, : self._state["visits"][agent]], NUM_VIEWS)
        return [
            (str(self._world.viewpoint_ids[node]), *view_direction(view))
            for node, view in zip(nodes, views, strict=True)
        ]

    def _move(self, actions: np.ndarray) -> None:
        """Move the agents along their actions (B,)."""
        state, world = self._state, self._world
        nodes = state["node"]
        choice = nodes * world.num_actions + actions
        targets = world.targets.take(choice)
        moving = targets != nodes
        state["length"] += world.distances.take(state["row"] + world.locals.take(targets))
        state["node"] = targets
        np.copyto(state["view"], world.views.take(choice), where=moving)
        state["row"] = rows = world.pair_starts.take(targets)

        if self._dtw is not None:
            dtw = next_dtw_rows(self._dtw, self._to_references(state))
            np.copyto(self._dtw, dtw, where=moving)
        if self.references.radii is not None:
            nearest = world.distances.take(rows + state["goals"]).argmin(axis=0)
            state["goal"] = np.take_along_axis(state["goals"], nearest[None], 0)[0]
        distances = world.distances.take(rows + state["goal"])
        if self._has_secret_goals:
            # The path of an episode with a secret goal ends at its start, which is not a goal.
            distances = np.where(self.has_goal, distances, np.nan)
        state["distance"] = distances
        visits, length = state["visits"], self._history.shape[1]
        if self._most_visits >= length:
            self._most_visits = int(visits.max())
        if self._most_visits >= length:
            self._grow_history()
        # The entries of agents that stay are beyond their number of visits, so they are ignored.
        self._history[self._agents, visits] = _packed(self.nodes, self.views)
        visits += moving
        self._most_visits += 1
        if self._teacher:
            agents = np.flatnonzero(moving)
            self._teacher.arrive(agents, state["episode"][agents], targets[agents])

    def _radius(self) -> Any:
        """Return the success radius of all agents in metres, or that (B,) of each."""
        radii = self.references.radii
        return SUCCESS_THRESHOLD if radii is None else radii[self.episodes]

    def _grow_history(self) -> None:
        self._history = np.concatenate([self._history, np.zeros_like(self._history)], axis=1)

    def _to_references(self, state: np.ndarray) -> np.ndarray:
        """Return (R, B) metres from the nodes of a state to the viewpoints of their references."""
        return self._world.distances.take(state["row"] + state["references"])

    def _ndtw(self, dtw: np.ndarray) -> np.ndarray:
        """Return the (B,) nDTW of the paths so far, given the last rows (R, B) of their tables."""
        sizes = self._state["size"]
        return np.exp(-dtw[sizes - 1, self._agents] / (SUCCESS_THRESHOLD * sizes))


class WalkRecord(NamedTuple):
    """Copy of the walks of M agents.

    Attributes:
        columns: (F, M) state.
        history: (M, T) packed nodes and views; entries after an agent's last visit are ignored.
    """

    columns: np.ndarray
    history: np.ndarray


def _packed(nodes: np.ndarray, views: np.ndarray) -> np.ndarray:
    """Return one integer (M,) for each pair of node and view."""
    return NUM_VIEWS * nodes + views
