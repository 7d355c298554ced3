"""ContinuousSettings: everything that the tasks R2R-CE and RxR-CE fix, each value a setting."""

import math
from dataclasses import dataclass, field, replace
from pkgutil import resolve_name
from typing import Any, Literal, get_args

from clipnav.envs.arguments import (
    check_choice,
    check_flags,
    check_numbers,
    picture_size,
    whole_number,
)
from clipnav.envs.continuous.measures import Definition, Dtw
from clipnav.envs.continuous.robots import noise_names
from clipnav.envs.datasets import continuous_version
from clipnav.envs.metrics import SUCCESS_THRESHOLD
from clipnav.storage.errors import UserError

Camera = Literal["rgb", "depth", "clip", "rgb_panorama", "depth_panorama", "clip_panorama"]
Sensor = Literal[Camera, "globalgps", "heading"]
Reward = Literal["progress", "distance", "ndtw"]
Teacher = Literal["path", "goal", "none"]
Follower = Literal["greedy", "compat"]
Size = tuple[int, int]

STOP, FORWARD, LEFT, RIGHT, LOOK_UP, LOOK_DOWN = range(6)
ACTION_NAMES = ("STOP", "MOVE_FORWARD", "TURN_LEFT", "TURN_RIGHT", "LOOK_UP", "LOOK_DOWN")
RENDER_MODES = ("rgb_array",)
PANORAMA_VIEWS = 12
_NUMBERS = (
    *("turn_angle", "step_size", "tilt_angle", "hfov", "camera_height", "min_depth", "max_depth"),
    *("agent_radius", "agent_height", "success_distance", "success_reward", "slack_reward"),
    *("actuation_noise_scale", "gps_noise", "heading_noise"),
)
_IDLE_TILT = "tilt_angle has no effect without tilt_actions=True; leave it out, or set both"


@dataclass(frozen=True)
class ContinuousSettings:
    """Settings of a continuous environment; the defaults are those of R2R-CE.

    Sources: VLN-CE 729d141 `habitat_extensions/config/vlnce_task.yaml` (R2R-CE) and
    `rxr_vlnce_english_task.yaml` (RxR-CE), and the defaults of habitat-lab 0.1.7.

    Attributes:
        turn_angle: Degrees of a turn; a divisor of 360.
        step_size: Metres of a step forward.
        tilt_actions: Whether the actions LOOK_UP and LOOK_DOWN exist.
        tilt_angle: Degrees of such an action. Habitat and VLN-CE do not limit the tilt.
        rgb_size: Height and width of the colour picture in pixels.
        depth_size: Height and width of the depth picture in pixels.
        hfov: Horizontal field of view of both cameras in degrees.
        camera_height: Metres of the cameras above the feet of the agent.
        min_depth: Metres; nearer surfaces have this depth.
        max_depth: Metres; farther surfaces have this depth.
        normalize_depth: Whether depth is scaled from `min_depth`..`max_depth` to 0..1.
        agent_radius: Metres between the centre of the agent and the nearest obstacle.
        agent_height: Metres; the floor excludes lower passages.
        actuation_noise: "none", or noise of steps and turns that PyRobot measured on a robot, see
            `clipnav.envs.continuous.robots.noise_names`. An episode has the same noise each time.
        actuation_noise_scale: Factor of this noise.
        gps_noise: Standard deviation in metres of the sensor "globalgps", along each axis.
        heading_noise: Standard deviation in degrees of the sensor "heading".
        sliding: Whether an agent slides along an obstacle that it walks into.
        success_distance: Metres; a stop at a smaller distance to the goal is a success, for the
            measures and for all rewards.
        max_episode_steps: Number of actions before truncation.
        observe: Sensors. "rgb" and "depth" look ahead; "..._panorama" are 12 such pictures at
            headings 0, 30, ... degrees counter-clockwise from the agent's; "clip" and
            "clip_panorama" are features of these pictures, which require an encoder. "globalgps"
            and "heading" are VLN-CE's sensors of the pose. Nothing else is drawn; () draws nothing.
        teacher: Expert of `info["teacher_action"]`: "path" visits the viewpoints of the reference
            path in order, as VLN-CE's gt files do, "goal" takes the shortest walk to the goal, as
            VLN-CE's DAgger does; "none" omits the entry.
        follower: How the teacher walks: "greedy", as habitat-sim's follower, or "compat", as that
            of habitat-lab 0.1.4 (VLN-CE's USE_ORIGINAL_FOLLOWER), which may get stuck in corners;
            its walks differ from the original's by up to five actions. The reference walks of nDTW
            are always greedy.
        reward: "progress": metres by which the distance to the goal decreases, plus `slack_reward`
            at each action and `success_reward` at a successful stop (VLN-CE's WaypointReward).
            "distance" and "ndtw": as in the environments on graphs, see
            `clipnav.envs.navigation.rewards`.
        success_reward: Reward of a successful stop with reward="progress".
        slack_reward: Reward of each action with reward="progress".
        definition: Definition of the measures, see `clipnav.envs.continuous.measures`.
        dtw: Algorithm of nDTW, "exact" or "fastdtw".
        shuffle: Whether episodes are drawn at random; otherwise they follow the order of the file.
        render_mode: None or "rgb_array".

    Raises:
        UserError: A value is out of range, or a setting has no effect.
    """

    turn_angle: float = 15.0
    step_size: float = 0.25
    tilt_actions: bool = False
    tilt_angle: float = 30.0
    rgb_size: Size = (224, 224)
    depth_size: Size = (256, 256)
    hfov: float = 90.0
    camera_height: float = 1.25
    min_depth: float = 0.0
    max_depth: float = 10.0
    normalize_depth: bool = True
    agent_radius: float = 0.1
    agent_height: float = 1.5
    actuation_noise: str = "none"
    actuation_noise_scale: float = 1.0
    gps_noise: float = 0.0
    heading_noise: float = 0.0
    sliding: bool = True
    success_distance: float = SUCCESS_THRESHOLD
    max_episode_steps: int = 500
    observe: tuple[Sensor, ...] = ("rgb", "depth")
    teacher: Teacher = "path"
    # Not in the repr, which is the key of demonstrations on disk; these are always greedy.
    follower: Follower = field(default="greedy", repr=False)
    reward: Reward = "progress"
    success_reward: float = 2.5
    slack_reward: float = -0.05
    definition: Definition = "vlnce"
    dtw: Dtw = "exact"
    shuffle: bool = True
    render_mode: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.observe, tuple | list):
            sensors = ", ".join(get_args(Sensor))
            raise UserError(f"observe must be a tuple of sensors ({sensors}), not {self.observe!r}")
        object.__setattr__(self, "observe", tuple(self.observe))
        for name in ("rgb_size", "depth_size"):
            object.__setattr__(self, name, picture_size(name, getattr(self, name)))
        check_numbers(self, *_NUMBERS)
        check_flags(self, "tilt_actions", "normalize_depth", "sliding", "shuffle")
        turns = 360 / self.turn_angle if self.turn_angle > 0 else 0.0
        if turns < 1 or not math.isclose(turns, round(turns), rel_tol=1e-9):
            raise UserError(f"turn_angle {self.turn_angle}: must be a divisor of 360 degrees")
        if not 0 < self.tilt_angle < 360:
            raise UserError(f"tilt_angle {self.tilt_angle}: must be between 0 and 360 degrees")
        if not self.tilt_actions and self.tilt_angle != ContinuousSettings.tilt_angle:
            raise UserError(_IDLE_TILT)
        if not 0 < self.hfov < 180:
            raise UserError(f"hfov {self.hfov}: must be between 0 and 180 degrees")
        for name in ("step_size", "camera_height", "agent_radius", "agent_height"):
            _check_positive(name, getattr(self, name))
        _check_positive("success_distance", self.success_distance)
        if not 0 <= self.min_depth < self.max_depth < math.inf:
            raise UserError(
                f"min_depth {self.min_depth} and max_depth {self.max_depth} must be metres with "
                "0 <= min_depth < max_depth"
            )
        whole_number("max_episode_steps", self.max_episode_steps)
        self._check_noise()
        self._check_choices()

    def _check_noise(self) -> None:
        if self.actuation_noise not in ("none", *noise_names()):
            names = ", ".join(("none", *noise_names()))
            raise UserError(f"actuation_noise {self.actuation_noise!r}: choose from {names}")
        for name in ("actuation_noise_scale", "gps_noise", "heading_noise"):
            if not 0 <= getattr(self, name) < math.inf:
                raise UserError(f"{name} {getattr(self, name)}: must be at least 0")
        if self.actuation_noise == "none" and self.actuation_noise_scale != 1.0:
            raise UserError("actuation_noise_scale has no effect without actuation_noise")
        for name, sensor in (("gps_noise", "globalgps"), ("heading_noise", "heading")):
            if getattr(self, name) and sensor not in self.observe:
                raise UserError(f"{name} has no effect without the sensor {sensor!r} in observe")

    def _check_choices(self) -> None:
        for sensor in self.observe:
            check_choice("observe", sensor, Sensor)
        if len(set(self.observe)) < len(self.observe):
            raise UserError(f"observe {self.observe} names a sensor twice")
        check_choice("teacher", self.teacher, Teacher)
        check_choice("follower", self.follower, Follower)
        if self.follower != "greedy" and self.teacher == "none":
            raise UserError(f"follower {self.follower!r} has no effect with teacher='none'")
        check_choice("reward", self.reward, Reward)
        for name in ("success_reward", "slack_reward"):
            value = getattr(self, name)
            if not math.isfinite(value):
                raise UserError(f"{name} {value}: must be a finite number")
            if self.reward != "progress" and value != getattr(ContinuousSettings, name):
                raise UserError(f"{name} has no effect with reward={self.reward!r}; leave it out")
        check_choice("definition", self.definition, Definition)
        check_choice("dtw", self.dtw, Dtw)
        if self.render_mode not in (None, *RENDER_MODES):
            raise UserError(f"render_mode {self.render_mode!r} is neither None nor 'rgb_array'")

    @property
    def num_actions(self) -> int:
        """Number of actions: 4, or 6 with `tilt_actions`."""
        return len(ACTION_NAMES) if self.tilt_actions else LOOK_UP

    @property
    def turns_per_circle(self) -> int:
        """Number of turns after which an agent faces its first heading again."""
        return round(360 / self.turn_angle)

    @property
    def needs_encoder(self) -> bool:
        """Whether a sensor requires an encoder."""
        return any(sensor.startswith("clip") for sensor in self.observe)


def _check_positive(name: str, value: float) -> None:
    if not 0 < value < math.inf:
        raise UserError(f"{name} {value}: must be a positive number of metres")


R2R_CE = ContinuousSettings()
RXR_CE = ContinuousSettings(
    turn_angle=30.0,
    tilt_actions=True,
    rgb_size=(480, 640),
    depth_size=(480, 640),
    hfov=79.0,
    camera_height=0.88,
    min_depth=0.5,
    max_depth=5.0,
    agent_radius=0.18,
    agent_height=0.88,
    sliding=False,
)


def task_settings(dataset: str, **changes: Any) -> ContinuousSettings:
    """Return the settings of R2R-CE ("r2r"), RxR-CE ("rxr") or another task with changes."""
    version = continuous_version(dataset)
    limit = {"max_episode_steps": version.max_episode_steps}
    settings = replace(resolve_name(version.settings), **limit | changes)
    if "tilt_angle" in changes and not settings.tilt_actions:
        raise UserError(_IDLE_TILT)
    return settings
