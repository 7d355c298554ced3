"""ContinuousVectorEnv: a batch of agents that follow instructions without a navigation graph."""

from collections.abc import Sequence
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from envs.arguments import action_array, whole_number
from envs.continuous.environments.experts import ExpertWalks
from envs.continuous.environments.infos import continuous_info, set_lazy_measures
from envs.continuous.environments.rewards import RunningDtw, step_rewards
from envs.continuous.environments.walks import ContinuousWalks
from envs.continuous.episodes import ContinuousEpisode, ContinuousSplit
from envs.continuous.measures import Walk
from envs.continuous.sensors import ImageEncoder, Observation, Sensors
from envs.continuous.settings import PRESETS, RENDER_MODES, STOP, ContinuousSettings
from envs.continuous.simulator import Simulator
from envs.continuous.traces import Trace
from envs.navigation import agent_attributes
from envs.navigation.episode_sampler import EpisodeSampler, reset_options
from envs.navigation.infos import finals


class ContinuousVectorEnv(VectorEnv):
    """Vision-and-language navigation in continuous space for a batch of B agents.

    ## Description
    Each agent stands on the floor of a building and follows an instruction to another place, as in
    VLN-CE. It moves by short steps and turns and chooses where to stop. The built-in houses give
    floors and pictures; the task is R2R-CE or RxR-CE, which differ in `ContinuousSettings`.

    ## Action Space
    `Discrete(4)` per agent: 0 stop, 1 move forward, 2 turn left, 3 turn right. With `tilt_actions`
    (RxR-CE) `Discrete(6)`: 4 look up, 5 look down.

    ## Observation Space
    A dictionary of new arrays at each step:

    * `instruction` (B, L) int32: token ids, see `split.tokenizer`.
    * `rgb` (B, H, W, 3) uint8 and `depth` (B, H, W, 1) float32, planar depth, clipped and scaled to
      0..1, 0 where nothing is hit.
    * By `observe`: `rgb_panorama`, `depth_panorama` (12 such pictures), `clip` (D,) and
      `clip_panorama` (12, D), features of an encoder.

    ## Rewards
    Metres by which the geodesic distance to the goal decreases, minus 0.05 per action, plus 2.5 for
    a stop less than 3 m from the goal. `reward="distance"` and `"ndtw"` give the rewards of the
    environments on graphs. 0 where the goal is secret (the test splits).

    ## Starting State
    Exactly the start position and heading of an episode. Agent i of an environment that is reset
    with `seed` draws the same episodes as a single environment that is reset with `seed + i`.
    `reset(options={"episode_ids": [...]})` starts given episodes, one `instr_id` per agent.

    ## Episode End
    Terminates at stop; truncates after `max_episode_steps` actions, which is never a success. Under
    `AutoresetMode.DISABLED` an agent whose episode has ended stays where it is, and
    `reset(options={"reset_mask": mask})` restarts the agents of a mask.

    ## Info
    `instr_id`, `episode_id`, `instruction`, `scan`; `position` (B, 3), the point under the feet in
    metres in the axes of the navigation graphs (z up), and `heading` and `tilt`, radians clockwise
    from +y and above the horizon; `habitat_position` (B, 3) and `rotation` (B, 4), the same pose in
    habitat's axes (y up) with a quaternion [x, y, z, w]; `collided`; `steps`; `distance_to_goal`,
    geodesic (metres, NaN where the goal is secret, inf where it is unreachable); `teacher_action`,
    computed when it is read; and, for agents whose episode has just ended, `metrics`, see
    `envs.continuous.measures.measure_walk`.

    ## Arguments
    `gymnasium.make_vec("R2R-CE-CLIP-v0", num_envs=8, split="val_unseen")` takes `num_envs`,
    `autoreset_mode`, the arguments of `envs.continuous.environments.making.make_continuous_env`
    and every field of `envs.continuous.settings.ContinuousSettings`.

    ## Registered Configurations
    `R2R-CE-CLIP-v0` and `RxR-CE-CLIP-v0`.

    ## Version History
    * v0: initial version.
    """

    metadata: ClassVar[dict[str, Any]] = {
        "render_modes": [*RENDER_MODES],
        "render_fps": 4,
        "autoreset_mode": AutoresetMode.NEXT_STEP,
    }

    def __init__(
        self,
        split: ContinuousSplit,
        simulator: Simulator,
        num_envs: int = 1,
        settings: ContinuousSettings | None = None,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        encoder: ImageEncoder | None = None,
    ) -> None:
        """Build an environment over a loaded split.

        Args:
            split: Episodes and tokenizer, see `envs.continuous.episodes.load_continuous_split`.
            simulator: Floors and cameras, such as `envs.continuous.house_simulator.HouseSimulator`.
            num_envs: Number of agents B.
            settings: The task; None for that of the split's dataset.
            autoreset_mode: What happens after the end of an episode, see Gymnasium.
            encoder: Encoder of the sensors "clip" and "clip_panorama".

        Raises:
            ValueError: The arguments do not fit each other.
        """
        if autoreset_mode not in {*AutoresetMode, *(mode.value for mode in AutoresetMode)}:
            known = ", ".join(mode.value for mode in AutoresetMode)
            raise ValueError(f"autoreset_mode {autoreset_mode!r} is not one of {known}")
        self.num_envs = whole_number("num_envs", num_envs)
        self.settings = settings or PRESETS[split.dataset]
        self.split, self.episodes, self.simulator = split, split.episodes, simulator
        self.render_mode = self.settings.render_mode
        self.autoreset_mode = AutoresetMode(autoreset_mode)
        self.metadata = {**self.metadata, "autoreset_mode": self.autoreset_mode}  # type: ignore
        self.max_episode_steps = self.settings.max_episode_steps
        self.sampler = EpisodeSampler(
            split.instr_ids.tolist(), self.num_envs, self.settings.shuffle
        )
        self.experts = ExpertWalks(split, simulator, self.settings)
        self._walks = ContinuousWalks(split, simulator, self.num_envs, self.settings)
        self._sensors = Sensors(self.settings, simulator, self.num_envs, encoder)
        self._dtw: RunningDtw | None = None
        if self.settings.reward == "ndtw":
            self._dtw = RunningDtw(self.num_envs, self.settings.success_distance)
        self._make_spaces()
        self.is_reset = False

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[Observation, dict[str, Any]]:
        """Start episodes.

        Args:
            seed: Random seed; agent i draws the same episodes as a single environment with seed
                `seed + i`. A sequence contains one seed per agent.
            options: `episode_ids`, one `instr_id` per agent; `reset_mask`, (B,) bool, agents to
                restart while the others continue.

        Raises:
            ValueError: An option is unknown or does not fit the batch.
            ResetNeeded: `reset_mask` excludes agents that have no episode yet.
        """
        agents, episode_ids = reset_options(options, self.num_envs)
        if len(agents) < self.num_envs:
            self._check_reset("reset all agents once before resetting some of them")
        if isinstance(seed, int):
            super().reset(seed=seed)
        self.sampler.seed(seed)
        if episode_ids is None:
            self._start(agents, self.sampler.draw(agents))
        else:
            self._start(agents, self.sampler.find(agents, episode_ids))
        self.is_reset = True
        return self._observe(), self._info()

    def step(
        self, actions: np.ndarray
    ) -> tuple[Observation, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Take one action per agent.

        Args:
            actions: (B,) integers in 0..3, or 0..5 with `tilt_actions`.

        Returns:
            Observations, rewards (B,) float64, terminated (B,), truncated (B,) and info.

        Raises:
            ValueError: An action is outside the action space.
        """
        self._check_reset("reset the environment before the first step")
        actions = action_array(actions, self.num_envs, self.settings.num_actions)
        walks = self._walks
        over = np.flatnonzero(walks.stopped | walks.truncated)
        rewards = self._act(actions)
        ended = np.flatnonzero(walks.ended_now)
        if self.autoreset_mode is AutoresetMode.NEXT_STEP and over.size:
            self._start(over, self.sampler.draw(over))
        terminated, truncated = walks.stopped.copy(), walks.truncated.copy()
        observation, info = self._observe(), self._info()
        set_lazy_measures(info, walks, self.experts, ended)
        if self.autoreset_mode is AutoresetMode.SAME_STEP and ended.size:
            last = finals(observation, info, walks.ended_now)
            self._start(ended, self.sampler.draw(ended))
            observation, info = self._observe(), self._info()
            info.update(last)
        return observation, rewards, terminated, truncated, info

    def teacher_actions(self) -> np.ndarray:
        """Return the (B,) int64 actions of the teacher; 0 (stop) at the end of the walk.

        Raises:
            ValueError: The settings have no teacher.
        """
        return self.experts.actions(self._walks.episodes, self._walks.traces())

    def action_masks(self) -> np.ndarray:
        """Return (B, A) bool, all True, for algorithms that mask actions."""
        return np.ones((self.num_envs, self.settings.num_actions), dtype=bool)

    def call(self, name: str, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
        """Return the results of a method, or the values of an attribute, of the B agents.

        `name` is a method or attribute of an environment with one agent, see `agent_attributes`.
        """
        return agent_attributes.call(self, name, *args, **kwargs)

    def get_attr(self, name: str) -> tuple[Any, ...]:
        """Return the values of an attribute of the B agents, see `call`."""
        return self.call(name)

    def set_attr(self, name: str, values: Any) -> None:
        """Set `np_random` or `max_episode_steps` of the agents, see `agent_attributes`."""
        agent_attributes.set_attribute(self, name, values)

    def traces(self) -> list[Trace]:
        """Return the poses of each agent after the reset and after each action."""
        return self._walks.traces()

    def current_episodes(self) -> list[ContinuousEpisode]:
        """Return the episode of each agent."""
        return [self.episodes[number] for number in self._walks.episodes.tolist()]

    def metrics(self) -> list[dict[str, float]]:
        """Return the measures of each agent's walk so far; empty where the goal is secret."""
        records = map(self.record, range(self.num_envs))
        return [{} if record is None else self.experts.measure(*record) for record in records]

    def record(self, agent: int) -> tuple[int, Walk] | None:
        """Return the episode's index and a copy of the walk of an agent; None for a secret goal."""
        if not self._walks.has_goal[agent]:
            return None
        return int(self._walks.episodes[agent]), self._walks.walk(agent)

    def render(self) -> tuple[np.ndarray, ...] | None:
        """Return one (H, W, 3) uint8 RGB frame per agent, or None without a render mode."""
        if self.render_mode is None:
            return None
        self._check_reset("reset the environment before rendering it")
        from envs.continuous.environments.rendering import draw_frames

        return draw_frames(
            self.simulator, self.current_episodes(), self.traces(), self._walks, self.settings
        )

    def _act(self, actions: np.ndarray) -> np.ndarray:
        """Apply actions (B,) and return the rewards (B,)."""
        walks = self._walks
        active = ~(walks.stopped | walks.truncated)
        before = walks.distances.copy()
        ndtw_before = self._dtw.values() if self._dtw else None
        walks.step(actions, self.max_episode_steps)
        stop = active & (actions == STOP)
        ndtw = None
        if self._dtw and ndtw_before is not None:
            self._dtw.step(walks.positions)
            ndtw = ndtw_before, self._dtw.values()
        rewards = step_rewards(before, walks.distances, stop, self.settings, ndtw)
        return np.where(active & walks.has_goal, rewards, 0.0)

    def _start(self, agents: np.ndarray, episodes: np.ndarray) -> None:
        self._walks.start(agents, episodes)
        if self._dtw:
            references = [self.experts.locations(int(number)) for number in episodes]
            self._dtw.start(agents, references, self._walks.positions[agents])

    def _info(self) -> Any:
        return continuous_info(self.split, self._walks, self.experts)

    def _check_reset(self, remedy: str) -> None:
        if not self.is_reset:
            raise gym.error.ResetNeeded(remedy)

    def _make_spaces(self) -> None:
        split = self.split
        instruction = gym.spaces.Box(
            0, len(split.tokenizer) - 1, (split.max_instruction_length,), np.int32
        )
        self.single_action_space = gym.spaces.Discrete(self.settings.num_actions)
        self.single_observation_space = gym.spaces.Dict(
            {"instruction": instruction, **self._sensors.space()}
        )
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)

    def _observe(self) -> Observation:
        walks = self._walks
        words = self.split.tokens.take(walks.episodes, axis=0)
        seen = self._sensors.observe(
            walks.scans.tolist(), walks.positions, walks.headings, walks.tilt_angles
        )
        return {"instruction": words, **seen}
