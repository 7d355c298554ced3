"""Settings of the training of a map agent."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

from agents.settings.losses import ReinforcementConfig
from agents.settings.map_transformer import MapRecipe, MapTransformerConfig
from agents.settings.runs import AgentConfig
from training.settings import check_counts, check_numbers


@dataclass(frozen=True)
class MapAgentConfig(AgentConfig):
    """Settings of the fine-tuning and of the pre-training of a map agent."""

    agent: Literal["map"] = "map"
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
            raise ValueError(
                f"--max-decisions {self.max_decisions}: must be below --network.max-steps "
                f"{self.network.max_steps}, the size of the table of steps"
            )
        if self.text.model != self.network.text_model:
            raise ValueError(
                f"--text.model {self.text.model} and --network.text-model "
                f"{self.network.text_model}: the tokenizer and the text encoder require the same "
                "model; give both"
            )
        longest = self.network.max_text_length
        own_text = self.text.model is None and self.language_representation is None
        has_table = own_text and self.network.text_encoder == "transformer"
        if has_table and self.max_instruction_length > longest:
            raise ValueError(
                f"--max-instruction-length {self.max_instruction_length}: at most "
                f"--network.max-text-length, {longest}"
            )

    @property
    def run_name(self) -> str:
        """Name of the run's default folder."""
        return f"map-{super().run_name}"


@dataclass(frozen=True)
class MapTrainConfig(MapAgentConfig):
    """Settings of a map agent's fine-tuning by behaviour cloning and DAgger.

    An iteration has two minibatches: teacher forcing on reference paths, and walks with sampled
    decisions that an expert labels (DAgger), which reinforcement (A2C) can use as well.
    """

    instructions_per_path: int = 1
    """Number of instructions of the same path that a minibatch contains together; they share the
    encoded panoramas of the path and its feature dropout."""
    teacher_weight: float = 0.2
    """Weight of the loss of teacher forcing."""
    sampled_weight: float = 1.0
    """Weight of the loss of sampled walks against the expert (DAgger)."""
    sampled_steps: float = 1.0
    """Probability that a decision of a walk is sampled; otherwise it is the expert's (DUET: 1)."""
    cloning_iterations: int = 0
    """Number of iterations at the start that only clone, with both minibatches."""
    expert: Literal["spl", "ndtw"] = "spl"
    """Expert that labels the states of sampled walks: the unvisited node on the shortest way to the
    goal (spl), or the one whose way agrees best with the reference path (ndtw)."""
    reward: Literal["distance", "ndtw"] = "distance"
    """Reward of reinforcement: reduction of the distance to the goal, or also the gain in nDTW with
    the reference path."""
    reinforcement: ReinforcementConfig = field(default_factory=ReinforcementConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_numbers(self, ("teacher_weight", "sampled_weight"))
        check_numbers(self, ("sampled_steps",), most=1)
        if self.sampled_steps < 1 and self.reinforcement.weight:
            raise ValueError(
                f"--sampled-steps {self.sampled_steps:g}: reinforcement requires walks of the "
                "agent alone; set it to 1, or --reinforcement.weight to 0"
            )
        check_counts(self, ("cloning_iterations",), least=0)
        check_counts(self, ("instructions_per_path",))
        if self.instructions_per_path > self.batch_size:
            raise ValueError(
                f"--instructions-per-path {self.instructions_per_path}: at most --batch-size "
                f"{self.batch_size}"
            )
        if not self.teacher_weight and not self.walks:
            raise ValueError(
                "--teacher-weight 0, --sampled-weight 0 and --reinforcement.weight 0: the run has "
                "no loss; set one of them above 0"
            )

    @property
    def walks(self) -> bool:
        """Whether a minibatch is walked with sampled decisions."""
        return bool(self.sampled_weight or self.reinforcement.weight)

    @property
    def run_name(self) -> str:
        """Name of the run's default folder."""
        return super().run_name + ("" if self.start_from is None else "-continued")


@dataclass(frozen=True)
class MapPretrainConfig(MapAgentConfig):
    """Settings of a map agent's pre-training on known paths.

    Every iteration has one task, drawn with a probability proportional to its weight. Greedy walks
    on the evaluation splits select the best weights.
    """

    COMMAND: ClassVar = "clipnav pretrain-agent"
    """Command that makes such runs."""

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
            raise ValueError(
                "--masked-words 0, --actions 0 and --masked-views 0: the run has no task; set one "
                "of them above 0"
            )
        if bool(self.masked_views) != (self.class_scores is not None):
            raise ValueError(
                "--masked-views requires --class-scores, and the other way round; give both or "
                "neither"
            )

    @property
    def run_name(self) -> str:
        """Name of the run's default folder."""
        return f"pretrained-{super().run_name}"
