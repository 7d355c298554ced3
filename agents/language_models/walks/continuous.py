"""Walk of one episode in continuous space: by steps and turns, or to answers in space."""

from collections.abc import Callable, Iterator
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
from clipnav.agents.language_models.settings import PointFollower
from clipnav.agents.language_models.walks.asking import AskingWalk, Ending, Strategy, WalkSettings
from clipnav.envs.continuous.coordinates import PoseTrace
from clipnav.envs.continuous.environments.vector_env import ContinuousVectorEnv
from clipnav.envs.continuous.episodes import ContinuousEpisode, ContinuousSplit
from clipnav.envs.continuous.experts import GOAL_RADIUS, GreedyFollower, waypoint_actions
from clipnav.envs.continuous.goal_labels import (
    GoalCamera,
    next_waypoints,
    pixel_goal,
    waypoint_positions,
)
from clipnav.envs.continuous.settings import FORWARD, LEFT, RIGHT, STOP, ContinuousSettings
from clipnav.envs.continuous.simulator import ContinuousSimulator
from clipnav.envs.graphs import wrap_angle
from clipnav.storage.pictures import encode_jpeg

_PITCH = 30.0  # degrees of the look-down camera below the horizon, as InternVLA-N1's
_DECIMALS = 3  # of the teacher's waypoints


class PointGuide:
    """Leads the agent of an environment to answers in space."""

    def __init__(self, env: ContinuousVectorEnv, form: PointForm, follower: PointFollower) -> None:
        settings = env.settings
        self.form, self._env, self._settings = form, env, settings
        self._is_straight = follower == "straight"
        self._camera = GoalCamera(form.size, settings.hfov, settings.camera_height, _PITCH)
        self._floor = env.simulator.floor(env.current_episodes()[0].scan)
        self._follower = GreedyFollower(1, settings, goal_radius=settings.step_size)
        self._passed = self._seen = 0  # positions of the teacher's walk, and of the own one

    def look_down(self) -> Photo:
        """Take the look-down picture; its depth leads from pixels to places."""
        position, heading = self._here()
        scan = self._env.current_episodes()[0].scan
        tilt = np.array([-np.radians(_PITCH)])
        place = [scan], position[None], np.array([heading]), tilt
        drawn = self._env.simulator.draw(*place, ("rgb", "depth"))
        self._pose = self._camera.pose(position, heading)
        self._depth = np.minimum(drawn["depth"][0], self._settings.max_depth)
        return Photo(encode_jpeg(drawn["rgb"][0], QUALITY))

    def actions(self, option: Option) -> Iterator[int]:
        """Yield the actions that lead to the points of an option; each is carried out at once.

        None follow where the pixel shows nothing, or where no walk leads.
        """
        position, heading = self._here()
        if self.form.answers == "pixel":
            pixels = np.array(option.points)
            if self._depth[pixels[0, 1], pixels[0, 0]] == 0:
                return
            goals = self._camera.unproject(self._pose, pixels, self._depth)
        else:
            goals = waypoint_positions(position, heading, np.array(option.points))
        for goal in self._floor.project(goals):
            yield from self._straight(goal) if self._is_straight else self._geodesic(goal)
        if self.form.answers == "waypoints":
            off = wrap_angle(heading - option.points[-1][2] - self._here()[1])
            turns = round(float(off / np.radians(self._settings.turn_angle)))
            yield from [RIGHT if turns > 0 else LEFT] * abs(turns)

    def label(self) -> Option | int:
        """Return the teacher's answer: points, or the next action where no goal is in view.

        The goal is a later position of the teacher's walk than those that the agent has passed.
        """
        track = self._env.experts.locations(int(self._env.walks.episodes[0]))
        positions, last = self._env.traces()[0].positions, len(track) - 1
        for position in positions[self._seen :]:  # the last one again
            while self._passed < last and self._is_near(track[self._passed], position):
                self._passed += 1
        self._seen = len(positions) - 1
        position, heading = self._here()
        if self._passed == last and self._is_near(track[last], position):
            return STOP
        later = track[self._passed :]
        if self.form.answers == "waypoints":
            waypoints = np.round(next_waypoints(position, heading, later), _DECIMALS)
            return self.form.option(waypoints.tolist())
        goal = pixel_goal(self._camera, self._pose, self._depth, later)
        if goal is not None:
            self._passed += goal.index
            return self.form.option([*goal.pixel])
        return self._next_action(later[0])

    def _is_near(self, place: np.ndarray, position: np.ndarray) -> bool:
        return float(np.linalg.norm(place - position)) < GOAL_RADIUS

    def _here(self) -> tuple[np.ndarray, float]:
        trace = self._env.traces()[0]
        return trace.positions[-1], float(trace.headings[-1])

    def _next_action(self, goal: np.ndarray) -> int:
        position, heading = self._here()
        agent = position[None], np.array([heading]), goal[None]
        return int(self._follower.next_actions(self._floor, *agent)[0])

    def _geodesic(self, goal: np.ndarray) -> Iterator[int]:
        """Yield the actions of the shortest walk to a goal (3,)."""
        self._follower.reset(0)
        length = float(self._floor.distances(self._here()[0][None], goal)[0])
        if not np.isfinite(length):
            return
        most = self._settings.turns_per_circle + 4 * int(np.ceil(length / self._settings.step_size))
        for _ in range(most):
            action = self._next_action(goal)
            if action == STOP:
                return
            yield action

    def _straight(self, goal: np.ndarray) -> Iterator[int]:
        """Yield the turns and steps towards a goal (3,), up to the first collision."""
        position, heading = self._here()
        east, north, _ = goal - position
        relative = float(wrap_angle(np.arctan2(east, north) - heading))
        for action in waypoint_actions(float(np.hypot(east, north)), relative, self._settings):
            yield action
            if action == FORWARD and self._env.walks.collided[0]:
                return


class ContinuousWalk(AskingWalk):
    """Walk of one episode in continuous space."""

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
class ContinuousVlmWalkMaker:
    """Starts walks in continuous space, each in an environment of its own, which is used again."""

    split: ContinuousSplit
    strategy: Strategy
    settings: WalkSettings
    task: ContinuousSettings
    simulator: ContinuousSimulator
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
