"""ContinuousEnv: one agent that follows an instruction without a navigation graph."""

import operator
import sys
from functools import partial
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode

from envs.continuous.environments.infos import INFO_NAMES
from envs.continuous.environments.vector_env import ContinuousVectorEnv
from envs.continuous.episodes import ContinuousEpisode, ContinuousSplit
from envs.continuous.sensors import ImageEncoder, Observation
from envs.continuous.settings import RENDER_MODES, ContinuousSettings
from envs.continuous.simulator import Simulator
from envs.navigation.infos import LazyInfo

_UNLIMITED = sys.maxsize


class ContinuousEnv(gym.Env):
    """Vision-and-language navigation in continuous space: a `ContinuousVectorEnv` of size one.

    ## Description
    The agent stands on the floor of a building and follows an instruction to another place by short
    steps and turns, as in VLN-CE. `ContinuousVectorEnv` gives more detail.

    ## Action Space
    `Discrete(4)`: 0 stop, 1 move forward, 2 turn left, 3 turn right. With `tilt_actions` (RxR-CE)
    `Discrete(6)`: 4 look up, 5 look down.

    ## Observation Space
    `Dict` with `instruction` (L,) and the sensors of `observe`, by default `rgb` (H, W, 3) uint8
    and `depth` (H, W, 1) float32.

    ## Rewards
    Metres by which the geodesic distance to the goal decreases, minus 0.05 per action, plus 2.5 for
    a stop less than 3 m from the goal; see `reward` in `ContinuousSettings`.

    ## Starting State
    The start position and heading of an episode. `reset(options={"episode_id": "32000_0"})` starts
    the episode with that `instr_id`.

    ## Episode End
    Terminates at stop. Truncates after `max_episode_steps` actions; in an environment from
    `gymnasium.make` the TimeLimit wrapper truncates, which takes the same argument.

    ## Info
    As in `ContinuousVectorEnv` for one agent; `metrics` of the walk so far is always present unless
    the goal is secret. Entries are computed when they are read.

    ## Arguments
    `gymnasium.make("R2R-CE-CLIP-v0", split="val_unseen")` takes the arguments of
    `envs.continuous.environments.making.make_continuous_env` and every field of
    `envs.continuous.settings.ContinuousSettings`.

    ## Registered Configurations
    `R2R-CE-CLIP-v0` and `RxR-CE-CLIP-v0`.

    ## Version History
    * v0: initial version.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": [*RENDER_MODES], "render_fps": 4}

    def __init__(
        self,
        split: ContinuousSplit,
        simulator: Simulator,
        settings: ContinuousSettings | None = None,
        encoder: ImageEncoder | None = None,
    ) -> None:
        """Build an environment over a loaded split.

        Args:
            split: Episodes and tokenizer, see `envs.continuous.episodes.load_continuous_split`.
            simulator: Floors and cameras.
            settings: The task; None for that of the split's dataset.
            encoder: Encoder of the sensors "clip" and "clip_panorama".

        Raises:
            ValueError: The arguments do not fit each other.
        """
        self.core = ContinuousVectorEnv(
            split, simulator, 1, settings, AutoresetMode.DISABLED, encoder
        )
        self.render_mode = self.core.render_mode
        self.action_space = self.core.single_action_space
        self.observation_space = self.core.single_observation_space
        self._max_episode_steps = self.core.max_episode_steps

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Start an episode.

        Args:
            seed: Random seed for the choice of episodes.
            options: `episode_id`, the `instr_id` of the episode to start.

        Raises:
            ValueError: An option is unknown, or there is no such episode.
        """
        super().reset(seed=seed)
        if unknown := sorted(set(options or {}) - {"episode_id"}):
            raise ValueError(
                "the only option of an environment with one agent is 'episode_id', the instr_id of "
                f"an episode, not {unknown}; environments with several agents "
                "(gymnasium.make_vec) take 'episode_ids' and 'reset_mask'"
            )
        chosen = {"episode_ids": [options["episode_id"]]} if options else None
        self.core.sampler.seed([seed])
        self.core.sampler.draw_from(self.np_random)
        self.core.max_episode_steps = self._max_episode_steps if self.spec is None else _UNLIMITED
        observation, info = self.core.reset(options=chosen)
        return _only(observation), self._info(info)

    def step(self, action: int) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Take an action.

        Raises:
            ValueError: The action is not an integer in the action space.
        """
        try:
            number = operator.index(action)
        except TypeError as error:
            last = self.core.settings.num_actions - 1
            raise ValueError(f"action {action!r} is not an integer in 0..{last}") from error
        observation, reward, terminated, truncated, info = self.core.step(np.array([number]))
        return (
            _only(observation),
            float(reward[0]),
            bool(terminated[0]),
            bool(truncated[0]),
            self._info(info),
        )

    def render(self) -> np.ndarray | None:  # type: ignore[override]
        """Return an (H, W, 3) uint8 RGB frame of the view, the plan and the instruction."""
        frames = self.core.render()
        return None if frames is None else frames[0]

    def metrics(self) -> dict[str, float]:
        """Return the measures of the walk so far; empty where the goal is secret."""
        return self.core.metrics()[0]

    def _info(self, info: dict[str, Any]) -> LazyInfo:
        """Return the info of the only agent, whose entries are computed when they are read."""
        core = self.core
        names = [name for name in INFO_NAMES if name in info]
        makers = {name: partial(_value, info, name) for name in names}
        record = core.record(0)
        if record is not None:
            makers["metrics"] = partial(core.experts.measure, *record)
        return LazyInfo({}, makers)

    @property
    def episode(self) -> ContinuousEpisode:
        """The current episode."""
        return self.core.current_episodes()[0]


def _only(observation: Observation) -> Observation:
    return {name: values[0] for name, values in observation.items()}


def _value(info: dict[str, Any], name: str) -> Any:
    """Return an entry of the only agent; numbers are Python's."""
    value = info[name][0]
    return value.item() if isinstance(value, np.generic) else value
