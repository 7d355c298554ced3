"""Walks to answers in space: the look-down camera, followers, and the teacher's answers."""

from collections.abc import Iterator

import numpy as np

from clipnav.agents.language_models.prompts.observations import Option
from clipnav.agents.language_models.prompts.pictures import QUALITY, Photo
from clipnav.agents.language_models.prompts.points import PointForm
from clipnav.agents.language_models.settings import PointFollower
from clipnav.envs.continuous.environments.vector_env import ContinuousVectorEnv
from clipnav.envs.continuous.experts import GOAL_RADIUS, GreedyFollower, waypoint_actions
from clipnav.envs.continuous.goal_labels import (
    GoalCamera,
    next_waypoints,
    pixel_goal,
    waypoint_positions,
)
from clipnav.envs.continuous.settings import FORWARD, LEFT, RIGHT, STOP
from clipnav.envs.graphs import wrap_angle
from clipnav.storage.pictures import encode_jpeg

PITCH = 30.0  # degrees of the look-down camera below the horizon, as InternVLA-N1's
_DECIMALS = 3  # of the teacher's waypoints


class PointGuide:
    """Leads the agent of an environment to answers in space.

    Attributes:
        form: Form of the answers.
    """

    def __init__(self, env: ContinuousVectorEnv, form: PointForm, follower: PointFollower) -> None:
        settings = env.settings
        self.form, self._env, self._settings = form, env, settings
        self._is_straight = follower == "straight"
        self._camera = GoalCamera(form.size, settings.hfov, settings.camera_height, PITCH)
        self._floor = env.simulator.floor(env.current_episodes()[0].scan)
        self._follower = GreedyFollower(1, settings, goal_radius=settings.step_size)
        self._passed = self._seen = 0  # positions of the teacher's walk, and of the own one

    def look_down(self) -> Photo:
        """Take the look-down picture; its depth leads from pixels to places."""
        position, heading = self._here()
        scan = self._env.current_episodes()[0].scan
        tilt = np.array([-np.radians(PITCH)])
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
