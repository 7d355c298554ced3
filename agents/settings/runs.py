"""Settings of training runs: of all runs, of all recurrent agents, of followers, of speakers."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar, Literal, Self

from clipnav.agents.settings.networks import (
    FollowerConfig,
    RepresentationConfig,
    SpeakerConfig,
    TextConfig,
)
from clipnav.agents.specs import agent_spec
from clipnav.envs.datasets import dataset_spec
from clipnav.envs.goals.scores import dataset_scores
from clipnav.envs.metrics import metrics
from clipnav.envs.worlds import World, world_spec
from clipnav.storage.errors import UserError
from clipnav.training.optimiser_settings import OptimiserConfig
from clipnav.training.run_settings import EvaluatedTrainingConfig
from clipnav.training.settings import check_counts

InstructionAblation = Literal["none", "empty", "shuffled"]
_OPTIMISER = OptimiserConfig(name="rmsprop", learning_rate=1e-4, clip="norm", clip_at=40.0)


@dataclass(frozen=True)
class RunConfig(EvaluatedTrainingConfig):
    """Settings of every training on instructions."""

    MAY_CHANGE: ClassVar = frozenset(
        "resume iterations minutes evaluate_every evaluation_batch_size data_dir features "
        "threads device track".split()
    )
    COMMON: ClassVar = (
        *("dataset", "world", "preset", "data_dir", "features", "iterations", "minutes"),
        *("optimiser.learning_rate", "seed", "output", "resume", "device"),
    )

    preset: str | None = None
    """Published hyper-parameters, dataset included, as defaults of the other flags."""
    dataset: str = "r2r"
    """Dataset of instructions: r2r, rxr, r4r, reverie, soon, cvdn, objectnav, goat or a package's.
    Determines the defaults of other flags."""
    world: World = "houses"
    """Buildings: houses, houses-standard, matterport or a package's. Determines other defaults."""
    data_dir: Path | None = None
    """Folder with matterport/ and r2r/, rxr/ or r4r/; required by --world matterport. In a built-in
    world, folder of other episodes, which clipnav build-houses --data-dir has written."""
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
    evaluation_batch_size: int = 256
    """Number of episodes in an evaluation batch."""
    bucket: int = 16
    """Number of batches among which instructions are sorted by length, which reduces padding; 1
    turns sorting off."""
    resume: Path | None = None
    """Folder of a run to resume, with its settings. Only --iterations, --minutes, --evaluate-every,
    --evaluation-batch-size, --data-dir, --features, --track, --threads and --device may change."""
    matmul_precision: Literal["highest", "high", "medium"] = "highest"
    """Argument of torch.set_float32_matmul_precision."""
    precision: Literal["fp32", "bf16", "auto"] = "fp32"
    """Precision of large matrix products; bf16 is faster on hardware that supports it, and auto
    chooses it there, and fp32 elsewhere. On processors below AVX-512, LSTMs are computed in
    float32."""
    optimiser: OptimiserConfig = _OPTIMISER
    text: TextConfig = field(default_factory=TextConfig)

    def __post_init__(self) -> None:
        dataset_spec(self.dataset)
        world_spec(self.world)
        super().__post_init__()
        limits = ("max_episode_steps", "max_instruction_length")
        check_counts(self, ("evaluation_batch_size", "bucket", *limits))
        if self.angle_feature_size < 4 or self.angle_feature_size % 4:
            raise UserError(
                f"--angle-feature-size {self.angle_feature_size}: must be a multiple of 4, the "
                "sines and cosines of two angles"
            )

    @property
    def run_name(self) -> str:
        """Name of the run's default folder."""
        name = f"{self.dataset}-{self.world}" + (
            f"-{self.instruction_language}" if self.instruction_language else ""
        )
        return name + ("" if self.vision else "-no-vision")

    def shown(self) -> Self:
        """Return the settings as --help shows them, see `TrainingConfig`."""
        limit = self.max_episode_steps or dataset_spec(self.dataset).max_episode_steps
        return replace(super().shown(), max_episode_steps=limit)

    @property
    def exchanged_words(self) -> int | None:
        """Seed of the exchange of instructions between paths; None without an exchange."""
        return None

    def unused_options(self) -> dict[str, str]:
        """Return the settings without effect and the reasons, see `TrainingConfig`.

        --features is accepted with --no-vision, so that runs with and without vision can share
        their flags.
        """
        unused = super().unused_options()
        if self.text.tokens != "subwords":
            unused["text.vocabulary_size"] = (
                f"with --text.tokens {self.text.tokens}, only with subwords"
            )
        if self.text.model is None:
            unused["text.tune"] = "without --text.model"
        if self.text.model is None or not self.text.tune:
            unused["text.learning_rate"] = "without --text.tune"
        if len(dataset_spec(self.dataset).languages) == 1:
            one = f"with --dataset {self.dataset}, which has one language"
            unused["instruction_language"] = one
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
    COMMON: ClassVar = ("agent", *RunConfig.COMMON)

    agent: str = "follower"
    """Agent to train: follower, frontier, map (DUET), hamt, etpnav (in continuous space), one of an
    installed package, or package.module:SPEC, a row of the table of agents. --agent NAME --help
    lists the flags of an agent."""
    instruction_ablation: InstructionAblation = "none"
    """Ablation of the instructions in training and evaluation: empty instructions, or instructions
    shuffled between the paths of a split (within a language, by --seed)."""
    select_metric: str = "SPL"
    """Score that selects the best weights, of which more is better: SR, SPL, nDTW, sDTW, or one
    that the dataset adds, such as GP of cvdn."""
    language_representation: Path | None = None
    """Run of clipnav train-language-representation that encodes the instructions, with its
    tokenizer."""
    visual_representation: Path | None = None
    """Run of clipnav train-visual-representation that encodes the views."""
    clear: RepresentationConfig = field(default_factory=RepresentationConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        agent_spec(self.agent)
        own = dataset_scores(self.dataset)
        rows = {**metrics(), **(own.metrics if own else {})}
        known = [name for name, metric in rows.items() if metric.better == "higher"]
        if self.select_metric not in known:
            raise UserError(f"--select-metric {self.select_metric}: not one of {', '.join(known)}")

    @property
    def row(self) -> str | None:
        """Row of the agent as "package.module:SPEC" if another package has it."""
        return agent_spec(self.agent).source

    @property
    def run_name(self) -> str:
        """Name of the run's default folder."""
        name = ("" if self.agent == "follower" else f"{self.agent}-") + super().run_name
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
    def use_instructions(self) -> bool:
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
        if not self.use_instructions:
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
