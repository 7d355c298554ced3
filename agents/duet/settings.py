"""Settings of the network, training and pre-training of a map agent, and their presets.

`presets.toml` has those of DUET, and of BEVBert's RxR agent.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal, TypeVar

from clipnav.agents.settings.command_line import parse_training
from clipnav.agents.settings.networks import ExpertKind
from clipnav.agents.settings.runs import RunConfig
from clipnav.agents.transformer.settings import (
    MinibatchesConfig,
    TransformerAgentConfig,
    TransformerConfig,
)
from clipnav.envs.datasets import dataset_spec
from clipnav.envs.worlds import World, is_built_in
from clipnav.storage.errors import UserError
from clipnav.training.run_settings import read_presets
from clipnav.training.settings import check_counts, check_numbers

Fusion = Literal["dynamic", "average", "global", "local"]
MapRecipe = Literal[
    "duet-r2r", "duet-r4r", "duet-reverie", "duet-soon", "bevbert-rxr", "map-houses"
]


@dataclass(frozen=True)
class MapTransformerConfig(TransformerConfig):
    """Layer sizes and dropout of the map transformer (DUET)."""

    fusion: Fusion = "dynamic"
    """Scores that decide: a learned mixture of both branches (dynamic), both with weight 1/2
    (average), or those of one branch."""
    local_candidates_only: bool = False
    """Let the local branch read [stop], candidates and objects only, no other views (DUET: no).
    The panorama encoder has already mixed the views, and the local branch is the larger one."""
    revisits: bool = False
    """Allow visited nodes as targets, except the current one (DUET: --act_visited_nodes)."""


@dataclass(frozen=True)
class MapAgentConfig(TransformerAgentConfig):
    """Settings of the fine-tuning and of the pre-training of a map agent."""

    agent: str = "map"
    """Agent to train: the map agent, which builds a map and may go to any node of it."""
    preset: MapRecipe | None = None
    """Hyper-parameters, dataset included, as defaults of the other flags."""
    teacher: Literal["reference"] = "reference"
    """Path of the teacher: the annotated reference path."""
    max_objects: int | None = 20
    """Number of objects of a viewpoint that the network reads in training; None for all of them, as
    in evaluation (DUET: 20 for REVERIE, 100 for SOON)."""
    max_decisions: int = 15
    """Maximum number of decisions of an episode; one decision may be several hops away."""
    stops_at_best: bool = True
    """At the end of an episode, walk to the visited viewpoint whose probability of stop was the
    highest; otherwise the episode ends at the current viewpoint."""
    network: MapTransformerConfig = field(default_factory=MapTransformerConfig)
    start_from: Path | None = None
    """Run whose network provides the initial weights: of clipnav pretrain-agent, of a map agent,
    or of a follower, whose word encoder is used (--network.text-encoder lstm). Words that both
    vocabularies contain keep their embeddings."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_counts(self, ("max_decisions", "max_objects"))
        if self.max_decisions >= self.network.max_steps:
            raise UserError(
                f"--max-decisions {self.max_decisions}: must be below --network.max-steps "
                f"{self.network.max_steps}, the size of the table of steps"
            )

    def unused_options(self) -> dict[str, str]:
        """Return the settings without effect and the reasons, see `RunConfig.unused_options`."""
        unused = super().unused_options()
        unused["angle_feature_size"] = "with --agent map, which computes its own directions"
        if not dataset_spec(self.dataset).objects:
            unused["max_objects"] = f"with --dataset {self.dataset}, which has no objects"
        return unused


@dataclass(frozen=True)
class MapTrainConfig(MapAgentConfig, MinibatchesConfig):
    """Settings of a map agent's fine-tuning by behaviour cloning and DAgger.

    An iteration has two minibatches: teacher forcing on reference paths, and walks with sampled
    decisions that an expert labels (DAgger), which reinforcement (A2C) can use as well.
    """

    expert: ExpertKind = "spl"
    """Expert that labels the states of sampled walks: the unvisited node on the shortest path to
    the goal (spl), or the one whose path agrees best with the reference path (ndtw)."""
    object_weight: float = 1.0
    """Weight of the loss of the chosen objects at the viewpoints of a goal, relative to that of the
    decisions (DUET: 1)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_numbers(self, ("object_weight",))

    def unused_options(self) -> dict[str, str]:
        """Return the settings without effect and the reasons, see `RunConfig.unused_options`."""
        unused = super().unused_options()
        if not self.sampled_weight:
            unused["expert"] = "with --sampled-weight 0"
        if "max_objects" in unused:
            unused["object_weight"] = unused["max_objects"]
        return unused


@dataclass(frozen=True)
class MapPretrainConfig(MapAgentConfig):
    """Settings of a map agent's pre-training on known paths.

    Every iteration has one task, drawn with a probability proportional to its weight. Greedy walks
    on the evaluation splits select the best weights.
    """

    COMMAND: ClassVar = "clipnav pretrain-agent"
    COMMON: ClassVar = (*RunConfig.COMMON, "start_from", "speaker")

    masked_words: float = 1.0
    """Weight of masked language modelling on whole paths."""
    actions: float = 1.0
    """Weight of action prediction at every viewpoint of a path, by each branch and by both."""
    masked_views: float = 0.0
    """Weight of masked region classification at the end of a path; requires --class-scores."""
    class_scores: Path | None = None
    """Feature store with the logits of image classes for every view, such as those of ImageNet."""
    objects: float = 0.0
    """Weight of object grounding at the end of a path, for datasets with objects."""
    mask_rate: float = 0.15
    """Share of the words, and of the views of a panorama, to mask."""
    speaker: Path | None = None
    """Run of a speaker (clipnav train-speaker) that describes sampled paths."""
    paths: int = 20_000
    """Number of paths to sample in the training scans for the speaker."""
    generated_share: float = 0.5
    """Share of the iterations on the speaker's instructions; the others use the training split."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_counts(self, ("paths",))
        check_numbers(self, ("masked_words", "actions", "masked_views", "objects"))
        check_numbers(self, ("mask_rate", "generated_share"), most=1)
        if not any((self.masked_words, self.actions, self.masked_views, self.objects)):
            raise UserError(
                "--masked-words 0, --actions 0, --masked-views 0 and --objects 0: the run has no "
                "task; set one of them above 0"
            )
        if bool(self.masked_views) != (self.class_scores is not None):
            raise UserError(
                "--masked-views requires --class-scores, and the other way round; give both or "
                "neither"
            )

    @property
    def run_name(self) -> str:
        """Name of the run's default folder."""
        return f"pretrained-{super().run_name}"

    def unused_options(self) -> dict[str, str]:
        """Return the settings without effect and the reasons, see `RunConfig.unused_options`."""
        unused = super().unused_options()
        names = ("text.learning_rate", "clear.language_learning_rate")
        unused |= dict.fromkeys(names, "in pre-training, where all weights have the same one")
        if self.speaker is None:
            unused |= dict.fromkeys(("paths", "generated_share"), "without --speaker")
        else:
            del unused["angle_feature_size"]  # of the speaker
        if "max_objects" in unused:
            unused["objects"] = unused["max_objects"]
        if not self.masked_words and not self.masked_views:
            unused["mask_rate"] = "with --masked-words 0 and --masked-views 0"
        return unused


Config = TypeVar("Config", bound=MapAgentConfig)

_FILE = Path(__file__).with_name("presets.toml")


def map_preset(dataset: str, world: World, recipe: MapRecipe | None = None) -> MapTrainConfig:
    """Return the default settings of a map agent.

    Without a recipe they are those of DUET for Matterport3D, with a text encoder that requires no
    download, and of "map-houses" for the built-in houses, with the expert and the metric of the
    dataset.

    Args:
        dataset: Dataset of instructions; ignored with a published recipe, which has its own.
    """
    return _preset(MapTrainConfig(dataset=dataset, world=world, preset=recipe), "map")


def pretraining_preset(
    dataset: str, world: World, recipe: MapRecipe | None = None
) -> MapPretrainConfig:
    """Return the default settings of a pre-training; the arguments are those of `map_preset`.

    The published settings have no feature dropout.
    """
    return _preset(MapPretrainConfig(dataset=dataset, world=world, preset=recipe), "pretraining")


def _preset(start: Config, training: str) -> Config:
    if start.preset not in (None, "map-houses"):
        return read_presets(start, _FILE, "presets", training=training)
    in_houses = start.preset == "map-houses" and not is_built_in(start.world)
    world = "houses" if in_houses else start.world
    return read_presets(start, _FILE, "defaults", training=training, world=world)


def map_defaults(
    dataset: str, world: World, recipe: MapRecipe | None, flag: Callable[[str], str | None]
) -> MapTrainConfig:
    """Return the settings of a map agent without flags, see `AgentSpec.defaults`."""
    return map_preset(dataset, world, recipe)


def parse_pretraining(
    arguments: Sequence[str], description: str | None = None
) -> MapPretrainConfig:
    """Return the settings of a map agent's pre-training from its command line."""
    return parse_training(MapPretrainConfig, pretraining_preset, arguments, description)
