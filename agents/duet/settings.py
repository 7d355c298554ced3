"""Settings of the training of a map agent."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

from clipnav.agents.duet.network_settings import MapRecipe, MapTransformerConfig
from clipnav.agents.settings.losses import ExpertKind
from clipnav.agents.settings.runs import RunConfig
from clipnav.agents.transformer.settings import MinibatchesConfig, TransformerAgentConfig
from clipnav.storage.errors import UserError
from clipnav.training.settings import check_counts, check_numbers


@dataclass(frozen=True)
class MapAgentConfig(TransformerAgentConfig):
    """Settings of the fine-tuning and of the pre-training of a map agent."""

    agent: str = "map"
    """Agent to train: the map agent, which builds a map and may go to any node of it."""
    preset: MapRecipe | None = None
    """Hyper-parameters, dataset included, as defaults of the other flags."""
    teacher: Literal["reference"] = "reference"
    """Path of the teacher: the annotated reference path."""
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
        check_counts(self, ("max_decisions",))
        if self.max_decisions >= self.network.max_steps:
            raise UserError(
                f"--max-decisions {self.max_decisions}: must be below --network.max-steps "
                f"{self.network.max_steps}, the size of the table of steps"
            )

    def unused_options(self) -> dict[str, str]:
        """Return the settings without effect and the reasons, see `RunConfig.unused_options`."""
        unused = super().unused_options()
        unused["angle_feature_size"] = "with --agent map, which computes its own directions"
        return unused


@dataclass(frozen=True)
class MapTrainConfig(MapAgentConfig, MinibatchesConfig):
    """Settings of a map agent's fine-tuning by behaviour cloning and DAgger.

    An iteration has two minibatches: teacher forcing on reference paths, and walks with sampled
    decisions that an expert labels (DAgger), which reinforcement (A2C) can use as well.
    """

    sampled_steps: float = 1.0
    """Probability that a decision of a walk is sampled; otherwise it is the expert's (DUET: 1)."""
    expert: ExpertKind = "spl"
    """Expert that labels the states of sampled walks: the unvisited node on the shortest path to
    the goal (spl), or the one whose path agrees best with the reference path (ndtw)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_numbers(self, ("sampled_steps",), most=1)
        if self.sampled_steps < 1 and self.reinforcement.weight:
            raise UserError(
                f"--sampled-steps {self.sampled_steps:g}: reinforcement requires walks of the "
                "agent alone; set it to 1, or --reinforcement.weight to 0"
            )

    def unused_options(self) -> dict[str, str]:
        """Return the settings without effect and the reasons, see `RunConfig.unused_options`."""
        unused = super().unused_options()
        if not self.sampled_weight:
            unused |= dict.fromkeys(("expert", "sampled_steps"), "with --sampled-weight 0")
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
        check_numbers(self, ("masked_words", "actions", "masked_views"))
        check_numbers(self, ("mask_rate", "generated_share"), most=1)
        if not any((self.masked_words, self.actions, self.masked_views)):
            raise UserError(
                "--masked-words 0, --actions 0 and --masked-views 0: the run has no task; set one "
                "of them above 0"
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
        if not self.masked_words and not self.masked_views:
            unused["mask_rate"] = "with --masked-words 0 and --masked-views 0"
        return unused
