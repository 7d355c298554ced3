"""Rows and settings, as the author of another package would write them; no import of torch."""

from dataclasses import dataclass

from clipnav import AgentConfig, AgentSpec, DatasetSpec, Metric, TaskSpec, WorldFiles, WorldSpec
from clipnav.vl_tasks.settings.runs import QuestionConfig

WANDERER = AgentSpec(
    name="wanderer",
    label="wanderer",
    settings="clipnav_wanderer:WandererConfig",
    defaults="clipnav_wanderer:defaults",
    learner="clipnav_wanderer.agent:WandererLearner",
    load="clipnav_wanderer.agent:load",
)
# The paths of R2R under another name; files of its own would stand there by absolute paths.
STROLL = DatasetSpec("stroll", ("r2r/R2R_{}.json",), ("R2R_{}.json",))
COLOURS = TaskSpec(
    "colours", f"{__name__}:TaskConfig", f"{__name__}:task_defaults", f"{__name__}.task:ColourTask"
)
NEAR = Metric(
    "near",
    "near",
    label="the trajectory ends less than 10 m from the goal",
    derived=f"{__name__}:near",
    needs=("nav_error",),
    places=("table", "comparison", "page"),
)
MEDIAN = Metric("NE_median", "nav_error", 1, "m", reduce="median", places=("table",))

MANOR = WorldSpec("manor", f"{__name__}:manor_files", "the manor", remedy="manor build")


def manor_files(folder):
    return WorldFiles(
        "manor", folder / "matterport" / "connectivity", folder / "features.safetensors", folder
    )


def near(columns):
    return 1.0 * (columns["nav_error"] < 10)


@dataclass(frozen=True)
class WandererConfig(AgentConfig):
    """Settings of the wanderer's training by imitation."""

    hidden_size: int = 32
    """Width of the embeddings."""


def defaults(dataset, world, preset, flag):
    return WandererConfig(dataset=dataset, world=world, iterations=200, evaluate_every=100)


@dataclass(frozen=True)
class TaskConfig(QuestionConfig):
    """Settings of the training on colours."""

    COMMAND = "clipnav finetune colours"
    TASK = "colours"


def task_defaults(flag):
    return TaskConfig(iterations=200, min_count=1)
