"""Settings of training runs: of all runs, of all recurrent agents, of followers, of speakers."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

from clipnav.agents.settings.losses import (
    BackTranslationConfig,
    Feedback,
    ReinforcementConfig,
)
from clipnav.agents.settings.networks import (
    ClearConfig,
    FollowerConfig,
    RepresentationConfig,
    SpeakerConfig,
    TextConfig,
)
from clipnav.envs.worlds import MAX_EPISODE_STEPS, Dataset, World, is_built_in
from clipnav.storage.errors import UserError
from clipnav.training.optimiser_settings import OptimiserConfig
from clipnav.training.settings import (
    check_counts,
    check_numbers,
    check_positive,
    check_selection,
    idle_training_settings,
)
from clipnav.training.tracking import TrackerName

Recipe = Literal["envdrop", "clip-vil-r2r", "clip-vil-rxr", "clear"]
InstructionAblation = Literal["none", "empty", "shuffled"]
_OPTIMISER = OptimiserConfig(name="rmsprop", learning_rate=1e-4, clip="norm", clip_at=40.0)


@dataclass(frozen=True)
class RunConfig:
    """Settings of every training run."""

    COMMAND: ClassVar[str]

    dataset: Dataset = "r2r"
    """Dataset of instructions. Determines the defaults of other flags."""
    world: World = "houses"
    """Set of buildings. Determines the defaults of other flags."""
    preset: Recipe | None = None
    """Published hyper-parameters, dataset included, as defaults of the other flags."""
    data_dir: Path | None = None
    """Folder with matterport/ and r2r/, rxr/ or r4r/; required by --world matterport."""
    features: Path | None = None
    """Feature store; the world's own by default."""
    vision: bool = True
    """Use visual features; without them, views differ by their angle features only."""
    instruction_language: str | None = None
    """Language of the instructions (rxr: en, hi or te); all languages by default."""
    max_instruction_length: int = 80
    """Maximum number of tokens of an instruction; further tokens are dropped."""
    max_episode_steps: int | None = None
    """Maximum number of actions in an episode; the environment's default if not given."""
    teacher: Literal["shortest", "reference"] = "shortest"
    """Path of the teacher: the shortest path to the goal, or the annotated reference path."""
    angle_feature_size: int = 128
    """Width of the angle features of a view."""
    batch_size: int = 64
    """Number of episodes in a minibatch. Each process of torchrun has its own minibatches."""
    evaluation_batch_size: int = 256
    """Number of episodes in an evaluation batch."""
    bucket: int = 16
    """Number of batches among which instructions are sorted by length, which reduces padding; 1
    turns sorting off."""
    iterations: int = 80_000
    """Number of weight updates."""
    minutes: float | None = None
    """Training time in minutes, evaluation excluded; replaces --iterations."""
    evaluate_every: int = 500
    """Number of iterations between two evaluations, each followed by a checkpoint."""
    evaluation_splits: tuple[str, ...] = ("val_seen", "val_unseen")
    """Evaluation splits."""
    select_by: str = "val_seen"
    """Evaluation split that selects the best weights; the scores of other splits stay unbiased."""
    select_metric: str = "SPL"
    """Metric that selects the best weights."""
    seed: int = 0
    """Random seed for weights, data order, dropout and sampled actions."""
    output: Path | None = None
    """Folder of the run; by default a folder in runs/ named after the main settings."""
    track: tuple[TrackerName, ...] = ()
    """Trackers that receive the figures of the log: tensorboard (into the run's folder), wandb or
    trackio; each requires the extra of its name."""
    config: Path | None = None
    """Settings file, such as the config.json of a run; its values are the defaults of all other
    flags."""
    resume: Path | None = None
    """Folder of a run to resume, with its settings; only --iterations, --minutes, --evaluate-every,
    --evaluation-batch-size, --data-dir, --features, --track, --threads and --device may change."""
    threads: int | None = None
    """Number of CPU threads of torch; torch's default if not given."""
    matmul_precision: Literal["highest", "high", "medium"] = "highest"
    """Argument of torch.set_float32_matmul_precision."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """Precision of large matrix products; bf16 is faster on hardware that supports it. On
    processors below AVX-512, LSTMs are computed in float32."""
    device: str = "cpu"
    """Device of the networks: cpu, cuda, cuda:1, ..."""
    optimiser: OptimiserConfig = _OPTIMISER
    text: TextConfig = field(default_factory=TextConfig)

    def __post_init__(self) -> None:
        sizes = ("batch_size", "evaluation_batch_size", "bucket", "iterations", "evaluate_every")
        check_counts(self, (*sizes, "max_episode_steps", "max_instruction_length", "threads"))
        check_counts(self, ("seed",), least=0)
        if self.angle_feature_size < 4 or self.angle_feature_size % 4:
            raise UserError(
                f"--angle-feature-size {self.angle_feature_size}: must be a multiple of 4, the "
                "sines and cosines of two angles"
            )
        check_positive(self, ("minutes",))
        check_selection(self)

    @property
    def run_name(self) -> str:
        """Name of the run's default folder."""
        name = f"{self.dataset}-{self.world}" + (
            f"-{self.instruction_language}" if self.instruction_language else ""
        )
        return name + ("" if self.vision else "-no-vision")

    @property
    def exchanged_words(self) -> int | None:
        """Seed of the exchange of instructions between paths; None without an exchange."""
        return None

    def unused_options(self) -> dict[str, str]:
        """Return the dotted names of settings that others make ineffective, with the reasons.

        A preset may contain such settings; a command line may not add them. Settings whose defaults
        no preset changes are checked in `__post_init__` instead. --features is accepted with
        --no-vision, so that runs with and without vision can share their flags.
        """
        unused = idle_training_settings(self)
        if self.text.tokens != "subwords":
            unused["text.vocabulary_size"] = (
                f"with --text.tokens {self.text.tokens}, only with subwords"
            )
        if self.text.model is None:
            unused["text.tune"] = "without --text.model"
        if self.text.model is None or not self.text.tune:
            unused["text.learning_rate"] = "without --text.tune"
        if is_built_in(self.world):
            unused["data_dir"] = f"with --world {self.world}"
        if self.dataset != "rxr":
            unused["instruction_language"] = (
                f"with --dataset {self.dataset}, whose instructions are in English"
            )
        return unused

    def _unused_features(
        self, network: FollowerConfig | SpeakerConfig, part: str
    ) -> dict[str, str]:
        """Return the unused settings of visual features of a network, the field `part`."""
        if not self.vision:
            names = ("standardise", "feature_dropout", "feature_dropout_kind")
            return {f"{part}.{name}": "with --no-vision" for name in names}
        if not network.feature_dropout:
            return {f"{part}.feature_dropout_kind": f"with --{part}.feature-dropout 0"}
        return {}


@dataclass(frozen=True)
class AgentConfig(RunConfig):
    """Settings of every training of an agent."""

    COMMAND: ClassVar = "clipnav train-agent"
    """Command that makes such runs."""

    agent: str = "follower"
    """Agent to train: follower, the recurrent agent; frontier, the same network that chooses among
    all viewpoints it has seen; map, the map agent (DUET); hamt; an agent of an installed package;
    or package.module:SPEC, a row of the table of agents. --agent NAME --help lists the flags of an
    agent."""
    instruction_ablation: InstructionAblation = "none"
    """Ablation of the instructions in training and evaluation: empty instructions, or instructions
    shuffled between the paths of a split (within a language, by --seed)."""
    select_metric: Literal["SR", "SPL", "nDTW", "sDTW"] = "SPL"
    """Metric on the split --select-by that selects the best weights."""
    language_representation: Path | None = None
    """Run of clipnav train-language-representation that encodes the instructions, with its
    tokenizer."""
    visual_representation: Path | None = None
    """Run of clipnav train-visual-representation that encodes the views."""
    clear: RepresentationConfig = field(default_factory=RepresentationConfig)

    @property
    def run_name(self) -> str:
        """Name of the run's default folder."""
        name = super().run_name
        if self.instruction_ablation != "none":
            name += f"-{self.instruction_ablation}-instructions"
        name += "" if self.language_representation is None else "-language"
        return name + ("" if self.visual_representation is None else "-visual")

    @property
    def language_learning_rate(self) -> float:
        """Peak learning rate of a fine-tuned text model or language representation."""
        if self.language_representation is not None:
            return self.clear.language_learning_rate
        return self.text.learning_rate

    @property
    def reads_instructions(self) -> bool:
        """Whether the agent reads more than empty instructions."""
        return self.instruction_ablation != "empty"

    @property
    def exchanged_words(self) -> int | None:
        """Seed of the exchange of instructions between paths; None without an exchange."""
        return self.seed if self.instruction_ablation == "shuffled" else None

    @property
    def only_clones(self) -> bool:
        """Whether the agent could act on its own decisions in training, but never will."""
        return False

    def unused_options(self) -> dict[str, str]:
        """Return the settings without effect and the reasons, see `RunConfig.unused_options`."""
        unused = super().unused_options()
        if not self.reads_instructions:
            unused["max_instruction_length"] = "with --instruction-ablation empty"
        if self.language_representation is None:
            names = ("tune_language", "language_learning_rate")
            unused |= {f"clear.{name}": "without --language-representation" for name in names}
        else:
            unused["text"] = "with --language-representation"
            if not self.clear.tune_language:
                unused["clear.language_learning_rate"] = "without --clear.tune-language"
        if not self.vision:
            unused["visual_representation"] = "with --no-vision"
        if self.visual_representation is None or not self.vision:
            unused["clear.tune_visual"] = "without --visual-representation"
        return unused


@dataclass(frozen=True)
class RecurrentAgentConfig(AgentConfig):
    """Settings of every training of an agent whose network is a follower."""

    sampled_steps: float = 0.0
    """Probability of a sampled action at each step of a teacher-forced episode (DAgger, Ross et al.
    2011)."""
    imitation_weight: float = 1.0
    """Weight of the imitation loss."""
    reward: Literal["distance", "ndtw"] = "distance"
    """Reward of reinforcement: reduction of the distance to the goal, or also the gain in nDTW with
    the reference path."""
    reinforcement: ReinforcementConfig = field(default_factory=ReinforcementConfig)
    follower: FollowerConfig = field(default_factory=FollowerConfig)
    start_from: Path | None = None
    """Run whose follower provides the initial weights. From a run on another dataset or world, the
    embeddings of shared words are used. Determines the defaults of other flags: from a run on the
    same data in the built-in houses, training is shorter, and has reinforcement, unless a frontier
    agent starts from a follower."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_numbers(self, ("sampled_steps",), most=1)
        check_numbers(self, ("imitation_weight",))
        if not self.has_loss:
            raise UserError(
                "--imitation-weight 0 and --reinforcement.weight 0: the run has no loss; set one "
                "of them above 0"
            )

    @property
    def run_name(self) -> str:
        """Name of the run's default folder."""
        return super().run_name + ("" if self.start_from is None else "-continued")

    @property
    def has_critic(self) -> bool:
        """Whether the weights of the run include a critic."""
        return bool(self.reinforcement.weight)

    @property
    def has_loss(self) -> bool:
        """Whether the run has something to learn from."""
        return bool(self.imitation_weight or self.reinforcement.weight)

    def unused_options(self) -> dict[str, str]:
        """Return the settings without effect and the reasons, see `RunConfig.unused_options`."""
        unused = super().unused_options() | self._unused_features(self.follower, "follower")
        if self.language_representation is not None:
            unused["follower.embedding_size"] = "with --language-representation"
        elif self.text.tokens == "pretrained":
            unused["follower.embedding_size"] = "with --text.tokens pretrained"
        else:
            unused["follower.read_states"] = "without --text.model and --language-representation"
        if self.visual_representation is not None and self.vision:
            unused["follower.standardise"] = "with --visual-representation, which has its own"
        if not self.reinforcement.weight:
            unused["reward"] = "with --reinforcement.weight 0"
        return unused


@dataclass(frozen=True)
class TrainConfig(RecurrentAgentConfig):
    """Settings of a follower's training."""

    batch_size: int = 64
    """Number of episodes in a minibatch; imitation and reinforcement have one minibatch each. Each
    process of torchrun has its own minibatches."""
    feedback: Feedback = "teacher"
    """Source of the actions during imitation: teacher forcing (teacher), student forcing (sample),
    or one of them in each half of the batch (mixed)."""
    max_training_steps: int | None = None
    """Maximum number of actions in a training episode, if smaller than --max-episode-steps."""
    back_translation: BackTranslationConfig = field(default_factory=BackTranslationConfig)
    clear: ClearConfig = field(default_factory=ClearConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_counts(self, ("max_training_steps",))

    @property
    def run_name(self) -> str:
        """Name of the run's default folder."""
        return super().run_name + (
            "" if self.back_translation.speaker is None else "-back-translation"
        )

    @property
    def has_loss(self) -> bool:
        """Whether the run has something to learn from."""
        return super().has_loss or self.back_translation.speaker is not None

    def unused_options(self) -> dict[str, str]:
        """Return the settings without effect and the reasons, see `RunConfig.unused_options`."""
        unused = super().unused_options()
        if not self.imitation_weight and self.back_translation.speaker is None:
            names = ("feedback", "sampled_steps", "teacher")
            unused |= dict.fromkeys(names, "with --imitation-weight 0")
        elif self.feedback == "sample":
            unused["sampled_steps"] = "with --feedback sample, which samples every action"
        unused |= self._unused_back_translation()
        if self.visual_representation is None or not self.vision:
            unused["clear.encode_stop"] = "without --visual-representation"
        if not self.imitation_weight:
            unused["clear.contrastive_weight"] = "with --imitation-weight 0"
        if self.instruction_ablation != "none":
            unused["clear.contrastive_weight"] = (
                f"with --instruction-ablation {self.instruction_ablation}"
            )
        if not self.clear.contrastive_weight:
            unused["clear.temperature"] = "with --clear.contrastive-weight 0"
        limit = self.max_episode_steps or MAX_EPISODE_STEPS[self.dataset]
        if self.max_training_steps is not None and self.max_training_steps >= limit:
            unused["max_training_steps"] = f"because all episodes end after {limit} steps"
        return unused

    def _unused_back_translation(self) -> dict[str, str]:
        if self.back_translation.speaker is None:
            names = ("imitation_weight", "paths", "dropout")
            without = "without --back-translation.speaker"
            return {f"back_translation.{name}": without for name in names}
        if not self.vision:
            return {"back_translation.dropout": "with --no-vision"}
        if not self.follower.feature_dropout:
            return {"back_translation.dropout": "with --follower.feature-dropout 0"}
        return {}


@dataclass(frozen=True)
class SpeakerTrainConfig(RunConfig):
    """Settings of a speaker's training."""

    COMMAND: ClassVar = "clipnav train-speaker"
    """Command that makes such runs."""

    teacher: Literal["shortest", "reference"] = "reference"
    """Path to describe: the shortest path to the goal, or the annotated reference path."""
    select_metric: Literal["BLEU"] = "BLEU"
    """Metric on the split --select-by that selects the best weights."""
    max_decoded_length: int | None = None
    """Maximum number of tokens of a generated instruction, start and end token included; by default
    --max-instruction-length."""
    speaker: SpeakerConfig = field(default_factory=SpeakerConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_counts(self, ("max_instruction_length", "max_decoded_length"), least=2)
        if self.text.tokens == "pretrained":
            raise UserError(
                "--text.tokens pretrained: a speaker generates words or subwords; choose one of "
                "these"
            )

    @property
    def run_name(self) -> str:
        """Name of the run's default folder."""
        return f"speaker-{super().run_name}"

    @property
    def longest_decoded(self) -> int:
        """Maximum number of tokens of a generated instruction."""
        return self.max_decoded_length or self.max_instruction_length

    def unused_options(self) -> dict[str, str]:
        """Return the settings without effect and the reasons, see `RunConfig.unused_options`."""
        return super().unused_options() | self._unused_features(self.speaker, "speaker")
