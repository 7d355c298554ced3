"""EnvSettings, how an environment behaves, whatever split it plays."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

from clipnav.envs.arguments import (
    check_choice,
    check_flags,
    check_numbers,
    picture_size,
    whole_number,
)
from clipnav.envs.navigation.observations import Observe
from clipnav.envs.navigation.references import Teacher
from clipnav.envs.navigation.rewards import Reward
from clipnav.storage.errors import UserError

RENDER_MODES = ("rgb_array",)
PICTURES = ("rgb", "rgbd", "candidate_rgb", "panorama_rgb")  # values of `observe`
Geometry = Literal["exact", "matterport"]
# Settings of observations, and the values of `observe` with which they have an effect.
_OF_OBSERVATIONS = {
    "angle_feature_size": ("features", "indices"),
    **dict.fromkeys(("image_size", "field_of_view", "pictures", "scan_dir"), PICTURES),
    "max_depth": ("rgbd",),
    "geometry": ("candidate_rgb",),
}


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
            `clipnav.envs.navigation.references`.
        reward: "distance" as in EnvDrop, or "ndtw" as in CLEAR, see
            `clipnav.envs.navigation.rewards`.
        observe: "features"; "indices" for networks that gather features on their own device with
            `clipnav.envs.navigation.device_features`; or pictures: "rgb", "rgbd", "candidate_rgb"
            or "panorama_rgb".
        image_size: Height and width of a picture in pixels, or one number for both.
        field_of_view: Vertical field of view of a picture in degrees; pixels are square.
        max_depth: Depth of "rgbd" in metres at which it is clipped.
        geometry: Direction of the pictures of "candidate_rgb": "exact" centres each on its
            candidate, "matterport" shows the one of the 36 views that faces it, as in MapGPT.
        pictures: "world" for the pictures of the world: the built-in houses or Matterport3D's
            skyboxes; "habitat" for 3D models drawn by habitat-sim; or a
            `clipnav.envs.pictures.panorama_files.PanoramaSource`.
        scan_dir: Folder of the skyboxes, by default `data_dir/matterport/v1/scans`, or of the 3D
            models of "habitat", by default those of the built-in houses.
        copy: Whether every observation consists of new arrays; otherwise each step overwrites the
            arrays of the step before.

    Raises:
        UserError: A value is out of range.
    """

    max_episode_steps: int | None = None
    angle_feature_size: int = 128
    shuffle: bool = True
    render_mode: str | None = None
    teacher: Teacher = "shortest"
    reward: Reward = "distance"
    observe: Observe = "features"
    image_size: int | tuple[int, int] = 224
    field_of_view: float = 60.0
    max_depth: float = 10.0
    geometry: Geometry = "exact"
    pictures: Any = "world"
    scan_dir: str | Path | None = None
    copy: bool = True

    def __post_init__(self) -> None:
        if self.max_episode_steps is not None:
            whole_number("max_episode_steps", self.max_episode_steps)
        if self.render_mode not in (None, *RENDER_MODES):
            raise UserError(f"render_mode {self.render_mode!r} is neither None nor 'rgb_array'")
        check_flags(self, "shuffle", "copy")
        check_choice("teacher", self.teacher, Teacher)
        check_choice("reward", self.reward, Reward)
        check_choice("observe", self.observe, Observe)
        self._check_observations()

    @property
    def image_shape(self) -> tuple[int, int]:
        """Height and width of a picture in pixels."""
        size = self.image_size
        return picture_size("image_size", size if isinstance(size, tuple | list) else (size, size))

    def _check_observations(self) -> None:
        """Check the settings of observations, the defaults where they have no effect."""
        for field in fields(self):
            users = _OF_OBSERVATIONS.get(field.name, (self.observe,))
            if self.observe not in users and getattr(self, field.name) != field.default:
                raise UserError(
                    f"{field.name} has no effect with observe={self.observe!r}; it is for "
                    f"observe={' or '.join(map(repr, users))}"
                )
        _ = self.image_shape
        whole_number("angle_feature_size", self.angle_feature_size)
        check_numbers(self, "field_of_view", "max_depth")
        if not 0 < self.field_of_view < 180:
            raise UserError(f"field_of_view {self.field_of_view} is not between 0 and 180 degrees")
        if not self.max_depth > 0:  # also refuses NaN
            raise UserError(f"max_depth {self.max_depth} is not a positive number of metres")
        check_choice("geometry", self.geometry, Geometry)
        if isinstance(self.pictures, str) and self.pictures not in ("world", "habitat"):
            raise UserError(
                f"pictures {self.pictures!r} is neither 'world', 'habitat' nor a source of "
                "panoramas; pass folders of skyboxes or 3D models as scan_dir"
            )
