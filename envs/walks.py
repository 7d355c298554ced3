"""Walks: where each of many agents is, where it has been, and how well it does."""

from collections.abc import Sequence
from typing import get_args

import numpy as np

from envs.candidates import NUM_HEADINGS, STEP
from envs.episodes import Episode
from envs.metrics import SUCCESS_THRESHOLD, path_metrics
from envs.nav_world import NavWorld
from envs.reference_teacher import ReferenceTeacher, Teacher
from envs.rewards import Reward, distance_rewards, ndtw_rewards


class Walks:
    """The state of B agents, kept in arrays.

    Attributes:
        episodes: (B,) number of the episode of each agent.
        nodes: (B,) viewpoint where it stands.
        views: (B,) view 0..35 that it looks along.
        steps: (B,) actions taken.
        terminated: (B,) bool, it has stopped.
        truncated: (B,) bool, it was cut off.
        ended_now: (B,) bool, its episode ended with the last step.
        distances: (B,) metres to the goal, NaN where the goal is secret.
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
                path, see `envs.reference_teacher`.
            reward: What `step` pays for, see `envs.rewards`.

        Raises:
            ValueError: No such teacher or reward.
        """
        if teacher not in get_args(Teacher):
            raise ValueError(f"teacher {teacher!r} is none of {', '.join(get_args(Teacher))}")
        if reward not in get_args(Reward):
            raise ValueError(f"reward {reward!r} is none of {', '.join(get_args(Reward))}")
        self._world = world
        self._reward: Reward = reward
        self._read_episodes(episodes)
        longest = self._references.shape[1]
        self._teacher = None
        if teacher == "reference":
            self._teacher = ReferenceTeacher(world, self._references, self._sizes, num_agents)
        self.episodes = np.zeros(num_agents, dtype=np.int64)
        self.nodes = np.zeros(num_agents, dtype=np.int32)
        self.views = np.zeros(num_agents, dtype=np.int32)
        self.steps = np.zeros(num_agents, dtype=np.int64)
        self.terminated = np.zeros(num_agents, dtype=bool)
        self.truncated = np.zeros(num_agents, dtype=bool)
        self.ended_now = np.zeros(num_agents, dtype=bool)
        self.distances = np.zeros(num_agents)
        self._lengths = np.zeros(num_agents)
        self._oracle_errors = np.zeros(num_agents)
        self._dtw_rows = np.zeros((num_agents, longest))
        self._coverage = np.zeros((num_agents, longest))
        self._visits = np.zeros(num_agents, dtype=np.int64)
        self._history = np.zeros((num_agents, 64, 2), dtype=np.int32)  # node and view

    def _read_episodes(self, episodes: Sequence[Episode]) -> None:
        """Turn E episodes into arrays: goals, references padded with their last node, sizes."""
        paths = [[self._world.node(e.scan, v) for v in e.path] for e in episodes]
        self._has_goal = np.array([episode.has_goal for episode in episodes])
        self._sizes = np.array([len(path) for path in paths])
        longest = int(self._sizes.max())
        padded = [path + path[-1:] * (longest - len(path)) for path in paths]
        self._references = np.array(padded, dtype=np.int32)
        self._goals = self._references[:, -1]
        # MatterSim snaps the initial heading to its 12 headings, halves up, and looks level.
        steps = np.floor(np.array([episode.heading for episode in episodes]) / STEP + 0.5)
        self._start_views = NUM_HEADINGS + steps.astype(np.int32) % NUM_HEADINGS
        hops = self._world.distance(self._references[:, :-1], self._references[:, 1:])
        self._reference_lengths = hops.sum(axis=1)

    def start(self, agents: np.ndarray, episodes: np.ndarray) -> None:
        """Put some agents at the start of episodes.

        Args:
            agents: (M,) which agents.
            episodes: (M,) numbers of their episodes.
        """
        self.episodes[agents] = episodes
        self.nodes[agents] = self._references[episodes, 0]
        self.views[agents] = self._start_views[episodes]
        for array in (self.steps, self.terminated, self.truncated, self._lengths, self._visits):
            array[agents] = 0
        if self._teacher:
            self._teacher.start(agents)
        between = self._to_references(agents)
        self._dtw_rows[agents] = np.cumsum(between, axis=1)
        self._coverage[agents] = between
        self._oracle_errors[agents] = np.inf
        self._arrive(agents)

    def step(self, actions: np.ndarray, max_steps: int) -> np.ndarray:
        """Let the agents whose episodes are not over act.

        Args:
            actions: (B,) within 0..K - 1.
            max_steps: Actions after which an episode is truncated.

        Returns:
            (B,) rewards.
        """
        active = ~(self.terminated | self.truncated)
        stop = active & (actions == 0)
        targets = self._world.targets[self.nodes, actions]
        moving = np.flatnonzero(active & (targets != self.nodes))
        before, ndtw_before = self.distances.copy(), self._ndtw()
        self._move(moving, actions[moving], targets[moving])
        self.steps += active
        self.terminated |= stop
        self.truncated |= active & ~stop & (self.steps >= max_steps)
        self.ended_now = active & (self.terminated | self.truncated)

        if self._reward == "ndtw":
            rewards = ndtw_rewards(before, self.distances, stop, ndtw_before, self._ndtw())
        else:
            rewards = distance_rewards(before, self.distances, stop)
        return np.where(self._has_goal[self.episodes], rewards, 0.0)

    def teacher_actions(self) -> np.ndarray:
        """(B,) int64 action of the teacher; 0 where to stop, or if the goal is secret."""
        # The goal of an episode whose goal is secret is its start, whither nothing should lead.
        if self._teacher:
            actions = self._teacher.actions(self.episodes, self.nodes)
        else:
            actions = self._world.teacher_action(self.nodes, self._goals[self.episodes])
        return np.where(self._has_goal[self.episodes], actions, 0)

    def metrics(self, agents: np.ndarray) -> dict[str, np.ndarray]:
        """Metrics of the paths walked so far by some agents, named as in `score_path`.

        Args:
            agents: (M,) which agents; their goals must not be secret.
        """
        episodes = self.episodes[agents]
        last = self._sizes[episodes] - 1
        starts = self._references[episodes, 0]
        return path_metrics(
            trajectory_length=self._lengths[agents],
            nav_error=self.distances[agents],
            oracle_error=self._oracle_errors[agents],
            dtw=self._dtw_rows[agents, last],
            coverage_distances=self._coverage[agents],
            shortest_path_length=self._world.distance(starts, self._goals[episodes]),
            reference_length=self._reference_lengths[episodes],
            reference_size=self._sizes[episodes],
        )

    def has_goal(self) -> np.ndarray:
        """(B,) bool: whether the goal of each agent is known."""
        return self._has_goal[self.episodes]

    def trajectory(self, agent: int) -> list[tuple[str, float, float]]:
        """Viewpoint, heading and elevation (radians) at each viewpoint that an agent visited."""
        return [
            (
                str(self._world.viewpoint_ids[node]),
                float(view % NUM_HEADINGS * STEP),
                float((view // NUM_HEADINGS - 1) * STEP),
            )
            for node, view in self._history[agent, : self._visits[agent]]
        ]

    def _move(self, agents: np.ndarray, actions: np.ndarray, targets: np.ndarray) -> None:
        origins = self.nodes[agents]
        self.nodes[agents] = targets
        self.views[agents] = self._world.views[origins, actions]
        self._lengths[agents] += self._world.distance(origins, targets)
        between = self._to_references(agents)
        self._coverage[agents] = np.minimum(self._coverage[agents], between)
        self._dtw_rows[agents] = _next_dtw_rows(self._dtw_rows[agents], between)
        self._arrive(agents)

    def _arrive(self, agents: np.ndarray) -> None:
        """Note that agents are where they now are."""
        episodes = self.episodes[agents]
        distances = self._world.distance(self.nodes[agents], self._goals[episodes])
        self.distances[agents] = np.where(self._has_goal[episodes], distances, np.nan)
        self._oracle_errors[agents] = np.minimum(self._oracle_errors[agents], distances)
        if self._teacher:
            self._teacher.arrive(agents, episodes, self.nodes[agents])
        visits = self._visits[agents]
        if visits.max(initial=0) >= self._history.shape[1]:
            self._history = np.concatenate([self._history, np.zeros_like(self._history)], axis=1)
        self._history[agents, visits, 0] = self.nodes[agents]
        self._history[agents, visits, 1] = self.views[agents]
        self._visits[agents] += 1

    def _ndtw(self) -> np.ndarray:
        """(B,) nDTW of the paths walked so far."""
        sizes = self._sizes[self.episodes]
        dtw = self._dtw_rows[np.arange(len(sizes)), sizes - 1]
        return np.exp(-dtw / (SUCCESS_THRESHOLD * sizes))

    def _to_references(self, agents: np.ndarray) -> np.ndarray:
        """(M, R) metres from each agent to the viewpoints of its reference path."""
        references = self._references[self.episodes[agents]]
        return self._world.distance(self.nodes[agents, None], references)


def _next_dtw_rows(rows: np.ndarray, distances: np.ndarray) -> np.ndarray:
    """Dynamic time warping: (M, R) rows of the table after one more viewpoint was walked."""
    result = np.empty_like(rows)
    left = corner = np.full(len(rows), np.inf)
    for column in range(rows.shape[1]):
        above = rows[:, column]
        left = distances[:, column] + np.minimum(np.minimum(above, left), corner)
        result[:, column] = left
        corner = above
    return result
