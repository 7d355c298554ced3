"""VlnEnv: one agent that follows an instruction, with pictures of what happens."""

import operator
import sys
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode

from envs.episodes import Episode
from envs.episodes.splits import LoadedSplit
from envs.navigation.settings import RENDER_MODES, EnvSettings
from envs.navigation.vector_env import DEFAULT_SETTINGS, VlnVectorEnv

_UNLIMITED = sys.maxsize


class VlnEnv(gym.Env):
    """Vision-and-language navigation for one agent: a `VlnVectorEnv` of size one.

    ## Description
    See `VlnVectorEnv`, also for spaces, rewards and the end of an episode.

    ## Action Space
    `Discrete(K)`: 0 stops, k goes to candidate k; an action that `action_mask` rules out stays.

    ## Observation Space
    `instruction` (L,), `panorama` (36, D + A), `candidates` (K, D + A), `action_mask` (K,),
    `heading` () and `elevation` (); with `observe="indices"` as said there.

    ## Rewards
    +1 for coming nearer to the goal, -1 for going away from it; stopping gives +2 less than 3 m
    from the goal, else -2. `reward="ndtw"` adds the gain in nDTW.

    ## Episode End
    Terminates at stop. Truncates after `max_episode_steps` actions; an environment from
    `gymnasium.make` leaves that to the TimeLimit wrapper, which takes the same argument.

    ## Info
    `instr_id`, `instruction`, `scan`, `viewpoint`, `distance_to_goal`, `teacher_action`, and
    `metrics` of the path walked so far (where the goal is not secret), whatever ends the episode.

    ## Arguments
    Those of `VlnVectorEnv` but `num_envs` and `autoreset_mode`.
    `reset(options={"episode_id": "2390_1"})` starts a chosen episode.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": [*RENDER_MODES], "render_fps": 2}

    def __init__(self, split: LoadedSplit, settings: EnvSettings = DEFAULT_SETTINGS) -> None:
        """Build an environment over a loaded split.

        Args:
            split: Episodes, graphs, tokenizer and features, see `envs.episodes.splits.load_split`.
            settings: How the environment behaves.

        Raises:
            ValueError, KeyError: As for `VlnVectorEnv`.
        """
        self.core = VlnVectorEnv(split, 1, settings, AutoresetMode.DISABLED)
        self.render_mode = self.core.render_mode
        self.action_space = self.core.single_action_space
        self.observation_space = self.core.single_observation_space
        self._max_episode_steps = self.core.max_episode_steps

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Start an episode.

        Args:
            seed: Seed of the random choice of episodes.
            options: `episode_id`, the `instr_id` of an episode.

        Raises:
            ValueError: Options do not fit.
        """
        super().reset(seed=seed)
        if unknown := sorted(set(options or {}) - {"episode_id"}):
            raise ValueError(
                f"options of one agent are 'episode_id', the instr_id of an episode, not {unknown}"
                "; many agents (gymnasium.make_vec) take 'episode_ids' and 'reset_mask'"
            )
        chosen = {"episode_ids": [options["episode_id"]]} if options else None
        self.core.sampler.seed([seed])
        self.core.sampler.draw_from(self.np_random)
        self.core.max_episode_steps = self._max_episode_steps if self.spec is None else _UNLIMITED
        observation, info = self.core.reset(options=chosen)
        return _only(observation), self._info(info)

    def step(self, action: int) -> tuple[dict[str, np.ndarray], float, bool, bool, dict[str, Any]]:
        """Take an action in 0..K - 1.

        Raises:
            ValueError: It is not such a number.
        """
        try:
            number = operator.index(action)
        except TypeError as error:
            raise ValueError(
                f"action {action!r} is no whole number in 0..{self.core.nav_world.num_actions - 1}"
            ) from error
        observation, reward, terminated, truncated, info = self.core.step(np.array([number]))
        return (
            _only(observation),
            float(reward[0]),
            bool(terminated[0]),
            bool(truncated[0]),
            self._info(info),
        )

    def render(self) -> np.ndarray | None:  # type: ignore[override]
        """Picture of the panorama, the map and the instruction: (H, W, 3) uint8 RGB."""
        frames = self.core.render()
        return None if frames is None else frames[0]

    @property
    def episode(self) -> Episode:
        """The episode that is being played."""
        return self.core.current_episodes()[0]

    def _info(self, info: dict[str, Any]) -> dict[str, Any]:
        single = {
            name: values[0] if values.dtype == object else values[0].item()
            for name, values in info.items()
            if not name.startswith("_") and name != "metrics"
        }
        if self.episode.has_goal:
            metrics = self.core.metrics()
            single["metrics"] = {name: values[0].item() for name, values in metrics.items()}
        return single


def _only(observation: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Observation of the only agent; its own arrays, also where they have no dimension."""
    return {name: np.array(values[0]) for name, values in observation.items()}
