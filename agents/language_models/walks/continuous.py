"""Walk of one episode in continuous space, by steps and turns."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode

from clipnav.agents.language_models.prompts.observations import Option, one_line
from clipnav.agents.language_models.prompts.parsing import ParsedAnswer
from clipnav.agents.language_models.prompts.pictures import QUALITY, Photo
from clipnav.agents.language_models.prompts.points import PointForm
from clipnav.agents.language_models.prompts.steps import (
    CENTIMETRES,
    StepObservation,
    make_motions,
    step_options,
)
from clipnav.agents.language_models.walks.asking import AskingWalk, Ending, Strategy, WalkSettings
from clipnav.agents.language_models.walks.points import PointGuide
from clipnav.envs.continuous.coordinates import PoseTrace
from clipnav.envs.continuous.environments.vector_env import ContinuousVectorEnv
from clipnav.envs.continuous.episodes import ContinuousEpisode, ContinuousSplit
from clipnav.envs.continuous.settings import ContinuousSettings
from clipnav.envs.continuous.simulator import Simulator
from clipnav.storage.pictures import encode_jpeg


class ContinuousWalk(AskingWalk):
    """Walk of one episode in continuous space.

    Attributes:
        episode: The episode.
    """

    def __init__(
        self,
        env: ContinuousVectorEnv,
        instr_id: str,
        strategy: Strategy,
        settings: WalkSettings,
        lock: Lock,
        release: Callable[[ContinuousVectorEnv], object],
    ) -> None:
        super().__init__(instr_id, env.max_episode_steps, strategy, settings)
        self._env, self._lock, self._release = env, lock, release
        self._motions = make_motions(env.settings, settings.prompt.most_repeats)
        self._guide: PointGuide | None = None
        if settings.answers == "waypoints":
            self._motions = self._motions[:1]
        self._history: list[str] = []
        self._photos: list[Photo] = []
        self._plan = ""
        with lock:
            observed, self._info = env.reset(options={"episode_ids": [instr_id]})
            if settings.answers != "motions":
                self._points = PointForm(settings.answers, env.settings.rgb_size)
                self._guide = PointGuide(env, self._points, settings.follower)
        self.episode: ContinuousEpisode = env.current_episodes()[0]
        self._keep(observed)
        self._ask()

    @property
    def pose(self) -> tuple[float, ...]:
        """Position x, y, z in metres, and heading in radians."""
        position = self._info["position"][0].tolist()
        return *position, float(self._info["heading"][0])

    @property
    def revisits(self) -> int:
        """0: positions in continuous space do not repeat."""
        return 0

    @property
    def trace(self) -> PoseTrace:
        """Poses after the reset and after each action, once the walk has ended."""
        return self._trace

    @property
    def measures(self) -> dict[str, float]:
        """Measures of the walk, once it has ended; empty where the goal is secret."""
        return self._measures

    def teacher_action(self) -> int:
        """Return the option that makes the teacher's next step; it is never in a prompt."""
        primitive = int(self._env.teacher_actions()[0])
        return next(i for i, m in enumerate(self._motions) if m.primitive == primitive)

    def teacher_option(self) -> Option | None:
        """Return the teacher's answer; None if the prompt does not have it."""
        label = None if self._guide is None else self._guide.label()
        if label is None:
            return super().teacher_option()
        if isinstance(label, Option):
            return label
        options = self._observation.options
        return next((o for o in options if self._motions[o.action].primitive == label), None)

    def _perform(self, option: Option | None, answer: ParsedAnswer) -> Ending:
        self._plan = answer.plan
        if option is None:
            self._history.append("stayed")
            self._photos += self._photos[-1:]  # there is one of each decision
            return ""
        if option.points:
            return self._go(option)
        motion, blocked = self._motions[option.action], ""
        with self._lock:
            for done in range(motion.repeats):
                observed, _, stopped, cut, self._info = self._env.step(np.array([motion.primitive]))
                if stopped[0] or cut[0]:
                    return "stopped" if stopped[0] else "limit"
                if self._info["collided"][0]:
                    moved = round(CENTIMETRES * self._env.settings.step_size * done)
                    blocked = f", blocked after {moved} cm"
                    break
        self._history.append(motion.words + blocked)
        self._keep(observed)
        return ""

    def _go(self, option: Option) -> Ending:
        """Walk to the points of an option."""
        assert self._guide is not None
        before = np.array(self.pose[:3])
        observed = None
        with self._lock:
            for action in self._guide.actions(option):
                observed, _, stopped, cut, self._info = self._env.step(np.array([action]))
                if stopped[0] or cut[0]:
                    return "stopped" if stopped[0] else "limit"
        moved = float(np.linalg.norm(np.array(self.pose[:3]) - before))
        self._history.append(f"{option.words}: moved {moved:.2f} m")
        if observed is None:
            self._photos += self._photos[-1:]
        else:
            self._keep(observed)
        return ""

    def _end(self, ending: Ending) -> None:
        super()._end(ending)
        with self._lock:
            self._trace = self._env.traces()[0]
            self._measures = self._env.metrics()[0]
        self._release(self._env)

    def _keep(self, observed: dict[str, Any]) -> None:
        if "rgb" in observed:
            self._photos.append(Photo(encode_jpeg(observed["rgb"][0], QUALITY)))

    def _observe(self) -> StepObservation:
        settings, step, below = self._settings.prompt, len(self.decisions), None
        if self._guide is not None and self._settings.answers == "pixel":
            with self._lock:
                below = self._guide.look_down()
        return StepObservation(
            instruction=one_line(self.episode.instruction),
            step=step,
            limit=self._limit,
            options=step_options(self._motions, step >= settings.stop_after, settings.labels),
            photos=tuple(self._photos),
            history=tuple(self._history),
            plan=self._plan,
            settings=settings,
            points=self._points,
            below=below,
        )


@dataclass
class ContinuousWalkMaker:
    """Starts walks in continuous space, each in an environment of its own, which is used again.

    Attributes:
        split: Episodes.
        strategy: Function from an observation to a prompt.
        settings: Settings of the walks.
        task: Settings of the environment.
        simulator: Floors and cameras.
    """

    split: ContinuousSplit
    strategy: Strategy
    settings: WalkSettings
    task: ContinuousSettings
    simulator: Simulator
    _lock: Lock = field(default_factory=Lock)
    _free: list[ContinuousVectorEnv] = field(default_factory=list)

    def start(self, instr_id: str) -> ContinuousWalk:
        """Start the walk of an episode; may be called from several threads."""
        with self._lock:
            env = self._free.pop() if self._free else self._env(self.task, 1)
        return ContinuousWalk(
            env, instr_id, self.strategy, self.settings, self._lock, self._free.append
        )

    def make_env(self, num_envs: int) -> ContinuousVectorEnv:
        """Build an environment of the episodes for baselines, which need no pictures."""
        return self._env(replace(self.task, observe=()), num_envs)

    def _env(self, task: ContinuousSettings, num_envs: int) -> ContinuousVectorEnv:
        return ContinuousVectorEnv(
            self.split, self.simulator, num_envs, task, AutoresetMode.DISABLED
        )
