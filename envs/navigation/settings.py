"""EnvSettings: how an environment behaves, whatever split it plays."""

from dataclasses import dataclass

from envs.arguments import check_choice, whole_number
from envs.navigation.observations import Observe
from envs.navigation.reference_teacher import Teacher
from envs.navigation.rewards import Reward

RENDER_MODES = ("rgb_array",)


@dataclass(frozen=True)
class EnvSettings:
    """Settings of an environment that do not depend on its split.

    Attributes:
        max_episode_steps: Number of actions before truncation; None for the default of the
            dataset, 20 (R2R) or 35 (RxR, R4R).
        angle_feature_size: Size A of the direction feature, a multiple of 4.
        shuffle: Whether episodes are drawn at random; otherwise they follow the order of the file.
        render_mode: None or "rgb_array".
        teacher: Source of `info["teacher_action"]`: "shortest" leads to the goal along the shortest
            path, "reference" along the annotated path and back to it after a deviation, see
            `envs.navigation.reference_teacher`.
        reward: "distance" as in EnvDrop, or "ndtw" as in CLEAR, see `envs.navigation.rewards`.
        observe: "features", or "indices" for networks that gather features on their own device
            with `envs.navigation.device_features`.
        copy: Whether every observation consists of new arrays; otherwise each step overwrites the
            arrays of the step before.

    Raises:
        ValueError: A value is out of range.
    """

    max_episode_steps: int | None = None
    angle_feature_size: int = 128
    shuffle: bool = True
    render_mode: str | None = None
    teacher: Teacher = "shortest"
    reward: Reward = "distance"
    observe: Observe = "features"
    copy: bool = True

    def __post_init__(self) -> None:
        """Check the values."""
        if self.max_episode_steps is not None:
            whole_number("max_episode_steps", self.max_episode_steps)
        if self.render_mode not in (None, *RENDER_MODES):
            raise ValueError(f"render_mode {self.render_mode!r} is neither None nor 'rgb_array'")
        check_choice("teacher", self.teacher, Teacher)
        check_choice("reward", self.reward, Reward)
        check_choice("observe", self.observe, Observe)
