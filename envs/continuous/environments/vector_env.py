"""ContinuousVectorEnv: a batch of agents that follow instructions without a navigation graph."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode

from clipnav.envs.base.infos import LazyInfo, batch_info
from clipnav.envs.base.vector_env import BatchEnv
from clipnav.envs.continuous.coordinates import PoseTrace, heading_to_rotation, to_habitat
from clipnav.envs.continuous.environments.experts import ExpertWalks
from clipnav.envs.continuous.environments.walks import ContinuousWalks
from clipnav.envs.continuous.episodes import ContinuousEpisode, ContinuousSplit
from clipnav.envs.continuous.measures import Walk
from clipnav.envs.continuous.sensors import ImageEncoder, Observation, Sensors
from clipnav.envs.continuous.settings import RENDER_MODES, STOP, ContinuousSettings, task_settings
from clipnav.envs.continuous.simulator import ContinuousSimulator, check_simulator
from clipnav.envs.graphs import wrap_angle
from clipnav.envs.metrics.path_scores import next_dtw_rows
from clipnav.envs.navigation.rewards import distance_rewards, ndtw_rewards


def progress_rewards(
    before: np.ndarray, after: np.ndarray, stop: np.ndarray, settings: ContinuousSettings
) -> np.ndarray:
    """Return the rewards of VLN-CE's WaypointReward for steps of fixed length.

    An action gives the metres by which the distance to the goal decreases plus the slack reward; a
    stop nearer to the goal than the success distance also gives the success reward. A decrease that
    is not finite, because the goal is unreachable, counts as -1.

    Args:
        before: (B,) distance to the goal before the step in metres.
        after: (B,) distance to the goal after the step in metres.
        stop: (B,) bool, agents that stop.

    Returns:
        (B,) rewards.
    """
    with np.errstate(invalid="ignore"):  # inf - inf
        decrease = before - after
    decrease = np.where(np.isfinite(decrease), decrease, -1.0)
    success = stop & (after < settings.success_distance)
    return decrease + settings.slack_reward + settings.success_reward * success


class RunningDtw:
    """nDTW of the walks of B agents, updated at each step.

    Positions that equal the one before as float32 do not count, as in VLN-CE.
    """

    def __init__(self, num_agents: int, scale: float) -> None:
        self._scale = scale
        self._references = np.zeros((1, num_agents, 3))
        self._rows = np.zeros((1, num_agents))  # last rows of the tables of time warping
        self._sizes = np.ones(num_agents, np.int64)
        self._positions = np.zeros((num_agents, 3), np.float32)
        self._agents = np.arange(num_agents)

    def start(
        self, agents: np.ndarray, references: Sequence[np.ndarray], positions: np.ndarray
    ) -> None:
        """Start the walks of agents (M,) at positions (M, 3) with their references (G, 3)."""
        longest = max(map(len, references))
        if longest > len(self._rows):
            grown = np.zeros((longest, *self._references.shape[1:]))
            grown[: len(self._rows)] = self._references
            rows = np.zeros((longest, len(self._agents)))
            rows[: len(self._rows)] = self._rows
            self._references, self._rows = grown, rows
        for agent, reference in zip(agents, references, strict=True):
            self._references[: len(reference), agent] = reference
            self._references[len(reference) :, agent] = reference[-1]
            self._sizes[agent] = len(reference)
        self._positions[agents] = positions
        between = np.linalg.norm(self._references[:, agents] - positions, axis=2)
        self._rows[:, agents] = between.cumsum(axis=0)

    def step(self, positions: np.ndarray) -> None:
        """Append the positions (B, 3) of the agents after a step."""
        single = positions.astype(np.float32)
        moved = (single != self._positions).any(axis=1)
        self._positions = single
        between = np.linalg.norm(self._references - positions, axis=2)
        np.copyto(self._rows, next_dtw_rows(self._rows, between), where=moved)

    def values(self) -> np.ndarray:
        """Return the (B,) nDTW of the walks so far."""
        dtw = self._rows[self._sizes - 1, self._agents]
        return np.exp(-dtw / (self._scale * self._sizes))


def step_rewards(
    before: np.ndarray,
    after: np.ndarray,
    stop: np.ndarray,
    settings: ContinuousSettings,
    ndtw: tuple[np.ndarray, np.ndarray] | None,
) -> np.ndarray:
    """Return the rewards of a step.

    Args:
        before: (B,) distance to the goal before the step in metres.
        after: (B,) distance to the goal after the step in metres.
        stop: (B,) bool, agents that stop.
        ndtw: (B,) nDTW before and after the step, for the reward "ndtw".
    """
    if settings.reward == "progress":
        return progress_rewards(before, after, stop, settings)
    with np.errstate(invalid="ignore"):
        if ndtw is None:
            rewards = distance_rewards(before, after, stop, settings.success_distance)
        else:
            rewards = ndtw_rewards(before, after, stop, *ndtw, settings.success_distance)
    # The sign of a change is undefined where the goal is unreachable.
    return np.where(np.isnan(rewards), 0.0, rewards)


class ContinuousVectorEnv(BatchEnv):
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
      `clip_panorama` (12, D), features of an encoder; `globalgps` (2,) and `heading` (1,), the
      pose as VLN-CE's sensors give it.

    ## Rewards
    Metres by which the geodesic distance to the goal decreases, minus 0.05 per action, plus 2.5 for
    a stop less than 3 m from the goal. `reward="distance"` and `"ndtw"` give the rewards of the
    environments on graphs. 0 where the goal is secret (the test splits).

    ## Starting State
    Exactly the start position and heading of an episode; the first step or turn puts an agent on
    the floor, as in habitat. Agent i of an environment that is reset with `seed` draws the same
    episodes as a single environment that is reset with `seed + i`. `reset(options={"episode_ids":
    [...]})` starts given episodes, one `instr_id` or `episode_id` per agent.

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
    `clipnav.envs.continuous.measures.measure_walk`.

    ## Arguments
    `gymnasium.make_vec("R2R-CE-CLIP-v0", num_envs=8, split="val_unseen")` takes `num_envs`,
    `autoreset_mode`, the arguments of
    `clipnav.envs.continuous.environments.making.make_continuous_env` and every field of
    `clipnav.envs.continuous.settings.ContinuousSettings`.

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
        simulator: ContinuousSimulator,
        num_envs: int = 1,
        settings: ContinuousSettings | None = None,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        encoder: ImageEncoder | None = None,
    ) -> None:
        """Build an environment over a loaded split.

        Args:
            split: Episodes and tokenizer, see
                `clipnav.envs.continuous.episodes.load_continuous_split`.
            simulator: Floors and cameras, such as
                `clipnav.envs.continuous.house_simulator.HouseSimulator` with the same settings.
            num_envs: Number of agents B.
            settings: The task; None for that of the split's dataset.
            autoreset_mode: What happens after the end of an episode, see Gymnasium.
            encoder: Encoder of the sensors "clip" and "clip_panorama".

        Raises:
            UserError: The arguments do not fit each other.
        """
        self.settings = settings or task_settings(split.dataset)
        check_simulator(simulator, self.settings)
        super().__init__(
            num_envs,
            autoreset_mode,
            split.instr_ids.tolist(),
            self.settings.shuffle,
            self.settings.max_episode_steps,
            split.episode_ids.tolist(),
        )
        self.split, self.episodes, self.simulator = split, split.episodes, simulator
        self.render_mode = self.settings.render_mode
        self.experts = ExpertWalks(split, simulator, self.settings)
        self._walks = ContinuousWalks(split, simulator, self.num_envs, self.settings)
        self._sensors = Sensors(self.settings, simulator, self.num_envs, encoder)
        self._dtw: RunningDtw | None = None
        if self.settings.reward == "ndtw":
            self._dtw = RunningDtw(self.num_envs, self.settings.success_distance)
        words = gym.spaces.Box(
            0, len(split.tokenizer) - 1, (split.max_instruction_length,), np.int32
        )
        observation = gym.spaces.Dict({"instruction": words, **self._sensors.space()})
        self._set_spaces(self.settings.num_actions, observation)

    @property
    def walks(self) -> ContinuousWalks:
        """State of the agents."""
        return self._walks

    def teacher_actions(self) -> np.ndarray:
        """Return the (B,) int64 actions of the teacher; 0 (stop) at the end of the walk.

        Raises:
            ResetNeeded: The environment was not reset.
            UserError: The settings have no teacher.
        """
        self._check_reset("reset the environment before asking for the teacher's actions")
        return self.experts.actions(self._walks.episodes, self._walks.traces())

    def action_masks(self) -> np.ndarray:
        """Return (B, A) bool, all True, for algorithms that mask actions."""
        return np.ones((self.num_envs, self.settings.num_actions), dtype=bool)

    def traces(self) -> list[PoseTrace]:
        """Return the poses of each agent after the reset and after each action."""
        self._check_reset("reset the environment before asking for traces")
        return self._walks.traces()

    def current_episodes(self) -> list[ContinuousEpisode]:
        """Return the episode of each agent."""
        return [self.episodes[number] for number in self._walks.episodes.tolist()]

    def metrics(self) -> list[dict[str, float]]:
        """Return the measures of each agent's walk so far; empty where the goal is secret."""
        self._check_reset("reset the environment before asking for metrics")
        self.experts.prepare(self._walks.episodes.tolist())
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
        from clipnav.envs.continuous.environments.rendering import draw_frames

        return draw_frames(
            self.simulator, self.current_episodes(), self.traces(), self._walks, self.settings
        )

    def _act(self, actions: np.ndarray) -> np.ndarray:
        """Apply actions (B,) and return the rewards (B,)."""
        walks = self._walks
        active = ~(walks.terminated | walks.truncated)
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
            self.experts.prepare(episodes.tolist())
            references = [self.experts.locations(number) for number in episodes.tolist()]
            self._dtw.start(agents, references, self._walks.positions[agents])

    def _info(self) -> LazyInfo:
        split, walks = self.split, self._walks
        episodes, headings, positions = (
            walks.episodes.copy(),
            walks.headings,
            walks.positions.copy(),
        )
        values: dict[str, Any] = {
            "position": positions,
            "heading": headings,
            "tilt": walks.tilt_angles,
            "collided": walks.collided.copy(),
            "steps": walks.steps.copy(),
            "distance_to_goal": walks.distances.copy(),
        }
        makers = {
            "instr_id": partial(split.instr_ids.take, episodes),
            "episode_id": partial(split.episode_ids.take, episodes),
            "instruction": partial(split.instructions.take, episodes),
            "scan": partial(split.scans.take, episodes),
            "habitat_position": partial(to_habitat, positions),
            "rotation": partial(heading_to_rotation, headings),
        }
        if self.experts.has_teacher:
            makers["teacher_action"] = partial(self.experts.actions, episodes, walks.traces())
        return batch_info(values, makers, self.num_envs)

    def _metrics_of(self, agents: np.ndarray) -> Callable[[], dict[str, np.ndarray]]:
        records = [record for agent in agents.tolist() if (record := self.record(agent))]

        def metrics() -> dict[str, np.ndarray]:
            rows = [self.experts.measure(*record) for record in records]
            return {name: np.array([row[name] for row in rows]) for name in rows[0]}

        return metrics

    def _observe(self) -> Observation:
        walks = self._walks
        words = self.split.tokens.take(walks.episodes, axis=0)
        seen = self._sensors.observe(
            walks.scans.tolist(), walks.positions, walks.headings, walks.tilt_angles
        )
        if self.settings.gps_noise or self.settings.heading_noise:
            noise = walks.sensor_noise()
            if "globalgps" in seen:
                seen["globalgps"] += (self.settings.gps_noise * noise[:, :2]).astype(np.float32)
            if "heading" in seen:
                off = np.radians(self.settings.heading_noise) * noise[:, 2:]
                seen["heading"] = wrap_angle(seen["heading"] + off).astype(np.float32)
        return {"instruction": words, **seen}
