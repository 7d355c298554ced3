"""Settings of an export of demonstrations."""

import math
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import ClassVar, Literal, NamedTuple

import tyro

from clipnav.agents.language_models.settings import Environment, PromptConfig
from clipnav.envs.datasets import continuous_version, dataset_spec
from clipnav.envs.worlds import World, is_built_in, world_spec
from clipnav.storage.errors import UserError
from clipnav.training.settings import check_counts, check_numbers, check_unused_options

Format = Literal[
    "llava", "messages", "lerobot", "streamvln", "navila", "uni-navid", "internnav", "waypoints"
]
Media = Literal["image", "video"]

# Formats whose actions are steps of 25 cm and turns, which graph walks do not have.
_PRIMITIVE: tuple[Format, ...] = ("streamvln", "navila", "uni-navid", "internnav", "waypoints")
# Formats whose labels are later positions of the teacher's walk.
_IN_SPACE: tuple[Format, ...] = ("internnav", "waypoints")
# Formats of one record for each decision, whose text is our own.
CONVERSATIONS: tuple[Format, ...] = ("llava", "messages")


class GoalCameras(NamedTuple):
    """Cameras of InternNav's data sets, such as 125_0_30.

    Attributes:
        height: Centimetres above the feet.
        ahead: Degrees below the horizon of the pictures of the history.
        down: Degrees below the horizon of the picture in which the goal lies.
    """

    height: int
    ahead: int
    down: int

    def suffix(self, pitch: int) -> str:
        """Return the ending of the names of columns and folders."""
        return f"{self.height}cm_{pitch}deg"


@dataclass(frozen=True)
class DemonstrationConfig:
    """Episodes, walks, pictures and format of an export of demonstrations."""

    COMMON: ClassVar[tuple[str, ...]] = tuple(
        "output format environment dataset split world data_dir episodes policy image_width media "
        "prompt.strategy prompt.pictures workers seed".split()
    )

    output: Path = Path("data/demonstrations")
    """Folder of the export; it must not exist, be empty, or contain an export with the same
    settings."""
    format: Format = "llava"
    """Format of the files: llava (LLaVA's conversations), messages (the variant with roles),
    lerobot (LeRobotDataset v3.0), or that of a policy; waypoints has the next eight positions."""
    environment: Environment | None = None
    """Environment of the walks: graph (decisions between viewpoints) or continuous (steps of 25 cm
    and turns); by default graph for llava, messages and lerobot, and continuous for the others."""
    dataset: str = "r2r"
    """Dataset of instructions."""
    split: str = "train"
    """Split of the episodes; test splits are refused."""
    world: World = "houses"
    """Buildings: houses, houses-standard, matterport or a package's."""
    data_dir: Path | None = None
    """Folder with matterport/ and r2r/, rxr/ or r4r/; required by --world matterport."""
    scan_dir: Path | None = None
    """Folder of Matterport3D's scans with skyboxes; by default matterport/v1/scans in the data
    folder."""
    instruction_language: str | None = None
    """Language of the instructions (rxr: en, hi or te); all languages by default."""
    episodes: int | None = None
    """Number of episodes, drawn by --seed; all by default."""
    teacher: Literal["reference", "shortest"] = "reference"
    """Path of the teacher, which labels every decision: the annotated reference path, or the
    shortest path to the goal."""
    policy: Path | None = None
    """Run of clipnav train-agent, or of clipnav train-continuous-agent for continuous walks, that
    chooses the actions (DAgger); the teacher by default. Where the policy stops too early, the
    teacher takes over."""
    teacher_probability: float = 0.0
    """Probability of the teacher's action at each step of a policy's walk (beta of DAgger)."""
    max_episode_steps: int | None = None
    """Maximum number of actions of a policy's walk; that of the environment by default."""
    image_width: int | None = None
    """Width of a picture in pixels, if it differs from its height, --image-size."""
    vertical_fov: float | None = None
    """Vertical field of view of a picture in degrees; by default 60 on a graph, as in R2R, and 90
    in continuous walks, as in R2R-CE."""
    jpeg_quality: int = 90
    """Quality of the JPEG files, 1 to 95."""
    goal_camera: Literal["125_0_30", "125_0_45", "60_15_15", "60_30_30"] = "125_0_30"
    """Cameras of internnav: height in centimetres, and the degrees below the horizon of the picture
    ahead and of the look-down picture in which the goal lies."""
    media: Media = "image"
    """Pictures of lerobot: images within the Parquet files, or videos."""
    shard_episodes: int = 64
    """Maximum number of episodes in a shard, the unit of resumption and of work of a process."""
    seed: int = 0
    """Random seed of the drawn episodes and of the teacher's steps."""
    workers: int = 1
    """Number of worker processes; the result does not depend on it."""
    device: str = "cpu"
    """Device of the policy: cpu, cuda, cuda:1, ..."""
    prompt: tyro.conf.OmitArgPrefixes[PromptConfig] = field(default_factory=PromptConfig)
    check: Path | None = None
    """Folder of an export to read back with the strict reader of its format; nothing is exported.
    """

    def __post_init__(self) -> None:
        dataset_spec(self.dataset)
        world_spec(self.world)
        counts = (
            "episodes",
            "max_episode_steps",
            "image_width",
            "jpeg_quality",
            "shard_episodes",
            "workers",
        )
        check_counts(self, counts)
        check_counts(self, ("seed",), least=0)
        check_numbers(self, ("teacher_probability",), most=1)
        if self.jpeg_quality > 95:
            raise UserError(f"--jpeg-quality {self.jpeg_quality}: must be at most 95")
        if not 10 <= self.vfov <= 120:
            raise UserError(f"--vertical-fov {self.vertical_fov}: must be in 10..120 degrees")
        if max(self.picture_shape) > 4096:
            raise UserError(f"--image-size {self.prompt.image_size}: must be at most 4096 pixels")
        has_video = self.media == "video" or self.format == "uni-navid"
        if has_video and any(side % 2 for side in self.picture_shape):
            raise UserError(f"--image-size {self.prompt.image_size}: videos require even numbers")
        self._check_environment()
        if self.prompt.strategy == "navgpt":
            raise UserError(
                "--strategy navgpt: its descriptions of views require a captioner; choose plain or "
                "mapgpt"
            )
        check_unused_options(self, self._idle())
        reason = "on demonstrations, in which the teacher may stop at any step"
        check_unused_options(self.prompt, {"stop_after": reason})
        if self.format in CONVERSATIONS:
            reason = "on demonstrations, only in requests to servers"
            check_unused_options(
                self.prompt, self.prompt.idle("graph") | {"picture_detail": reason}
            )
        else:
            names = {item.name for item in fields(PromptConfig)} - {"image_size"}
            reason = f"with --format {self.format}, whose records are no prompts"
            check_unused_options(self.prompt, dict.fromkeys(names, reason))

    def _check_environment(self) -> None:
        if self.format in _PRIMITIVE and self.environment == "graph":
            raise UserError(
                f"--format {self.format} has steps of 25 cm and turns, which a graph lacks; remove "
                "--environment graph, or export --format llava or lerobot"
            )
        if self.format in CONVERSATIONS and self.environment == "continuous":
            raise UserError(
                f"--format {self.format} has decisions between viewpoints; remove --environment "
                "continuous, or export --format streamvln, navila, uni-navid or lerobot"
            )
        if self.format in _IN_SPACE and self.policy is not None:
            raise UserError(
                f"--format {self.format}: its labels are later positions of the teacher's walk; "
                "remove --policy, or export another format"
            )
        if self.walks_in == "graph":
            return
        continuous_version(self.dataset)
        if not is_built_in(self.world):
            raise UserError(
                f"--world {self.world} has no floors for continuous walks; export the built-in "
                "houses, or walks on a graph (--format llava or lerobot)"
            )

    def _idle(self) -> dict[str, str]:
        """Return the settings without effect, with the reasons."""
        idle = {}
        if self.policy is None:
            reason = "without --policy"
            idle |= dict.fromkeys(("teacher_probability", "max_episode_steps"), reason)
        if self.format in CONVERSATIONS:
            idle["image_width"] = f"with --format {self.format}, whose prompts have square pictures"
        if self.format != "lerobot":
            idle["media"] = f"with --format {self.format}"
        if self.format != "internnav":
            idle["goal_camera"] = f"with --format {self.format}"
        return idle

    @property
    def walks_in(self) -> Environment:
        """Environment of the walks."""
        default = "continuous" if self.format in _PRIMITIVE else "graph"
        return self.environment or default

    @property
    def goal_cameras(self) -> GoalCameras:
        """Cameras of internnav."""
        return GoalCameras(*map(int, self.goal_camera.split("_")))

    @property
    def picture_shape(self) -> tuple[int, int]:
        """Height and width of a picture in pixels."""
        return self.prompt.image_size, self.image_width or self.prompt.image_size

    @property
    def vfov(self) -> float:
        """Vertical field of view of a picture in degrees."""
        default = 60.0 if self.walks_in == "graph" else 90.0
        return default if self.vertical_fov is None else self.vertical_fov


def horizontal_fov(vertical: float, height: int, width: int) -> float:
    """Return the horizontal field of view of a picture in degrees."""
    return math.degrees(2 * math.atan(math.tan(math.radians(vertical / 2)) * width / height))
