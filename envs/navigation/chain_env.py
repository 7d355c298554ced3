"""ChainEnv: a chain of goals as one episode of an environment with one agent."""

from __future__ import annotations

from typing import Any, cast

import gymnasium as gym

from clipnav.envs.base.vector_env import Observation
from clipnav.envs.episodes.chains import moved
from clipnav.envs.navigation.vln_env import VlnEnv


class ChainEnv(gym.Wrapper):
    """A chain of goals as one episode: a stop ends a goal, and the last stop the episode.

    Where a walk to a goal ends, by a stop or at the limit of steps of a goal, the agent stays, and
    the step returns the first observation of the next goal. Its info contains `goal_metrics`, the
    metrics of the walk that has ended; those of the last one are `metrics`, as in other episodes.

    Args:
        env: `gymnasium.make("GOAT-CLIP-v0", ...)`. Other episodes are chains of one goal.
    """

    def __init__(self, env: gym.Env) -> None:
        super().__init__(env)
        self._vln = cast(VlnEnv, env.unwrapped)
        self._whole = self._vln.core
        self._episodes = {episode.instr_id: episode for episode in self._whole.episodes}
        self._next = {one.follows: one for one in self._whole.episodes if one.follows}

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Start the chain of the episode that is drawn, or at the goal of a chosen `episode_id`."""
        self._vln.core = self._whole
        result = self.env.reset(seed=seed, options=options)
        episode = self._vln.episode
        if options or not episode.follows:
            return result
        while episode.follows:
            episode = self._episodes[episode.follows]
        return self.env.reset(options={"episode_id": episode.instr_id})

    def step(self, action: int) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Take an action; where it ends the walk to a goal, go on to the next goal."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        following = self._next.get(self._vln.episode.instr_id)
        if following is None or not (terminated or truncated):
            return observation, float(reward), terminated, truncated, info
        viewpoint, heading, _ = self._vln.core.trajectories()[0][-1]
        ends = {following.follows: (viewpoint, heading)}
        self._vln.core = self._whole.over(moved([following], self._whole.nav_world.graphs, ends))
        metrics = info["metrics"]
        observation, info = self.env.reset(options={"episode_id": following.instr_id})
        info["goal_metrics"] = metrics
        return observation, float(reward), False, False, info
