"""Settings of the agents: frozen dataclasses whose field docstrings are the command line's help.

Nothing here imports torch, so that ``--help`` answers at once.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

from envs.worlds import Dataset, World
from training.optimiser_settings import OptimiserConfig
from training.settings import check_counts, check_effects, check_minutes, check_numbers

Recipe = Literal["envdrop", "clip-vil-r2r", "clip-vil-rxr"]
Feedback = Literal["teacher", "sample", "mixed"]
Language = Literal["read", "none", "shuffled"]
FeatureDropout = Literal["environment", "batch", "episode", "step", "element"]
_OPTIMISER = OptimiserConfig(name="rmsprop", learning_rate=1e-4, clip="norm", clip_at=40.0)
_UNHEARD: dict[Language, str] = {"read": "", "none": "-no-language", "shuffled": "-shuffled"}


def _check_dropout(settings: "FollowerConfig | SpeakerConfig", part: str) -> None:
    """Make sure that something is left when what is dropped is dropped."""
    for name in ("dropout", "feature_dropout"):
        share = getattr(settings, name)
        if not 0 <= share < 1:
            flag = f"--{part}.{name.replace('_', '-')}"
            raise ValueError(f"{flag} {share:g}: a share to drop is at least 0 and below 1")


def _check_even(hidden_size: int, part: str) -> None:
    """Check that both reading directions of an encoder get half of the width."""
    if hidden_size % 2:
        raise ValueError(
            f"--{part}.hidden-size {hidden_size}: must be even, half of it per reading direction"
        )


@dataclass(frozen=True)
class FollowerConfig:
    """Sizes and noise of the follower."""

    embedding_size: int = 256
    """Width of a word embedding."""
    hidden_size: int = 512
    """Width of the decoder state and of an encoded word (half of it per reading direction)."""
    action_size: int = 64
    """Width of the embedded heading and elevation of the agent."""
    dropout: float = 0.5
    """Dropout on embeddings, encoded words and decoder states."""
    standardise: bool = True
    """Bring visual features to mean 0 and spread 1 over the training scans (the reference: no)."""
    feature_dropout: float = 0.3
    """Dropout on visual features; the angle part is never dropped."""
    feature_dropout_kind: FeatureDropout = "episode"
    """What shares a mask: all episodes of a batch in one building, the batch, an episode, a step of
    it, or nothing (the reference's way, and slow)."""
    candidate_mlp: bool = False
    """Read candidates through two layers before scoring them: a bilinear form, as the reference has
    it, cannot ask for a thing and a direction at once."""
    location_aware_attention: bool = False
    """Tell the attention over the words where it lay before (location-aware attention, Chorowski et
    al. 2015), so that long instructions are read on from there. The reference does not."""
    distance_feature: bool = False
    """Tell the follower how far away each candidate is, as the simulator tells (`rel_distance`) and
    the reference leaves out: two that lie one behind the other share a view."""
    visit_features: bool = False
    """Tell the follower how often it has been at each candidate's place, much as the Regretful
    Agent (Ma et al. 2019) is told. The reference does not, and goes to and fro when it is lost."""

    def __post_init__(self) -> None:
        check_counts(self, ("embedding_size", "hidden_size", "action_size"), "follower.")
        _check_even(self.hidden_size, "follower")
        _check_dropout(self, "follower")


@dataclass(frozen=True)
class SpeakerConfig:
    """Sizes and noise of the speaker."""

    embedding_size: int = 256
    """Width of a word embedding."""
    hidden_size: int = 512
    """Width of an encoded step and of the decoder state."""
    dropout: float = 0.6
    """Dropout on embeddings, encoded steps and decoder states."""
    standardise: bool = True
    """Bring visual features to mean 0 and spread 1 over the training scans (the reference: no)."""
    feature_dropout: float = 0.3
    """Dropout on visual features; the angle part is never dropped."""
    feature_dropout_kind: FeatureDropout = "episode"
    """What shares a mask, as for the follower."""

    def __post_init__(self) -> None:
        check_counts(self, ("embedding_size", "hidden_size"), "speaker.")
        _check_even(self.hidden_size, "speaker")
        _check_dropout(self, "speaker")


@dataclass(frozen=True)
class TextConfig:
    """How instructions are turned into numbers and read."""

    tokens: Literal["words", "subwords", "pretrained"] = "words"
    """Words of the training split; pieces of words, learnt from it, for several languages; or
    those of a Hugging Face model, which then reads them in place of an LSTM."""
    vocabulary_size: int = 8_000
    """Pieces of words to learn (subwords)."""
    model: str | None = None
    """Name of the Hugging Face model or its local directory (pretrained)."""
    tune: bool = False
    """Let the model learn; else its states are computed once and kept."""
    learning_rate: float = 4e-5
    """Step size of a tuned model at its highest."""

    def __post_init__(self) -> None:
        check_counts(self, ("vocabulary_size",), "text.")
        check_numbers(self, ("learning_rate",), "text.")
        if (self.tokens == "pretrained") != (self.model is not None):
            raise ValueError("--text.tokens pretrained and --text.model belong together")
        idle: dict[str, str] = {}
        if self.tokens != "subwords":
            idle["vocabulary_size"] = f"with --text.tokens {self.tokens}, only with subwords"
        if self.model is None:
            idle["tune"] = "without --text.model"
        if not self.tune:
            idle["learning_rate"] = "without --text.tune"
        check_effects(self, idle, part="text.")


@dataclass(frozen=True)
class ReinforcementConfig:
    """Advantage actor-critic beside imitation, on other episodes of the same iteration."""

    weight: float = 0.0
    """Weight of its loss; 0 turns it off."""
    discount: float = 0.9
    """What a reward is worth one step earlier."""
    value: float = 0.5
    """Weight of the critic's squared error."""
    entropy: float = 0.01
    """Weight of the entropy of decisions, which is kept up."""

    def __post_init__(self) -> None:
        check_numbers(self, ("weight", "value", "entropy"), "reinforcement.")
        check_numbers(self, ("discount",), "reinforcement.", most=1)
        if not self.weight:
            names = ("discount", "value", "entropy")
            reason = "with --reinforcement.weight 0"
            check_effects(self, dict.fromkeys(names, reason), part="reinforcement.")


@dataclass(frozen=True)
class BackTranslationConfig:
    """Paths that nobody has described, described by a speaker, beside those of the split."""

    speaker: Path | None = None
    """Run of the speaker (train_speaker.py); turns back-translation on."""
    imitation_weight: float = 0.6
    """Weight of the imitation loss on these paths; reinforcement weighs as elsewhere."""
    paths: int = 20_000
    """Paths to sample in the training scans."""
    dropout: Literal["environment", "batch"] = "environment"
    """What shares a mask of dropped features: a building, as the paper says, or the whole batch, as
    the released code does. The rate is the follower's feature dropout."""

    def __post_init__(self) -> None:
        check_counts(self, ("paths",), "back-translation.")
        check_numbers(self, ("imitation_weight",), "back-translation.")


@dataclass(frozen=True)
class RunConfig:
    """What every training run needs to know."""

    dataset: Dataset = "r2r"
    """Instructions; read first, for it changes other defaults."""
    world: World = "houses"
    """Buildings to walk in; read first as well."""
    preset: Recipe | None = None
    """Published settings as defaults, data set included; read first as well."""
    data_dir: Path | None = None
    """Folder with matterport/ and r2r/, rxr/ or r4r/ (needed by --world matterport)."""
    features: Path | None = None
    """Feature store in place of the world's own."""
    vision: bool = True
    """Look at the pictures; without, views are told apart by their angle alone."""
    instruction_language: str | None = None
    """Only instructions in this language (rxr: en, hi or te); all by default."""
    max_instruction_length: int = 80
    """Tokens of an instruction that are read."""
    max_episode_steps: int | None = None
    """Steps after which an episode is cut off; the environment's own limit by default."""
    teacher: Literal["shortest", "reference"] = "shortest"
    """Where the teacher leads: straight to the goal, or along the annotated path."""
    angle_feature_size: int = 128
    """Width of the angle part of a view."""
    batch_size: int = 64
    """Episodes per iteration, of imitation and of reinforcement each."""
    evaluation_batch_size: int = 256
    """Episodes walked at once in evaluation: the more, the less the last ones of a batch cost."""
    bucket: int = 16
    """Batches among which instructions are sorted by length, to save padding; 1 turns it off."""
    iterations: int = 80_000
    """Weight updates of the run."""
    minutes: float | None = None
    """End after this much training time, evaluation not counted, and not after --iterations."""
    evaluate_every: int = 500
    """Iterations between two evaluations (and checkpoints)."""
    evaluation_splits: tuple[str, ...] = ("val_seen", "val_unseen")
    """Splits to evaluate on."""
    select_by: str = "val_unseen"
    """Split that says which weights are kept as the best."""
    select_metric: str = "SPL"
    """Metric of that split that says so."""
    seed: int = 0
    """Seed of weights, order of episodes, dropout and sampling."""
    output: Path | None = None
    """Folder of the run; by default one in runs/ that is named after the main settings."""
    resume: Path | None = None
    """Go on with the run in this folder, with its settings; what is changed holds from then on."""
    threads: int | None = None
    """Processor threads of torch; its own choice by default."""
    matmul_precision: Literal["highest", "high", "medium"] = "highest"
    """torch.set_float32_matmul_precision."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """Of the large products; bf16 pays on processors and GPUs that have it."""
    device: str = "cpu"
    """Where networks compute: cpu, cuda, cuda:1, ..."""
    optimiser: OptimiserConfig = _OPTIMISER
    text: TextConfig = field(default_factory=TextConfig)

    def __post_init__(self) -> None:
        sizes = ("batch_size", "evaluation_batch_size", "bucket", "iterations", "evaluate_every")
        check_counts(self, (*sizes, "max_episode_steps", "max_instruction_length", "threads"))
        check_counts(self, ("seed",), least=0)
        if self.angle_feature_size < 4 or self.angle_feature_size % 4:
            raise ValueError(
                f"--angle-feature-size {self.angle_feature_size}: must be a multiple of 4, the "
                "sines and cosines of two angles"
            )
        check_minutes(self.minutes)
        if self.select_by not in self.evaluation_splits:
            raise ValueError(
                f"--select-by {self.select_by} is not among --evaluation-splits "
                f"{' '.join(self.evaluation_splits)}"
            )

    @property
    def run_name(self) -> str:
        """Name of the run's default folder."""
        name = f"{self.dataset}-{self.world}" + (
            f"-{self.instruction_language}" if self.instruction_language else ""
        )
        return name + ("" if self.vision else "-no-vision")

    @property
    def exchanged_words(self) -> int | None:
        """Seed by which episodes exchange their instructions; None where they keep them."""
        return None


@dataclass(frozen=True)
class TrainConfig(RunConfig):
    """Settings of a follower's training."""

    COMMAND: ClassVar[str] = "train_agent.py"
    """What makes such runs."""

    language: Language = "read"
    """Read the instruction, an empty one (for short --no-language), or, in training and evaluation
    alike, that of another path of the split in the same language, exchanged once by the seed."""
    feedback: Feedback = "teacher"
    """Who walks in imitation: the teacher, the follower by sampling, or each half of the batch."""
    sampled_steps: float = 0.0
    """Share of the steps at which the follower chooses by sampling where the teacher leads (DAgger,
    Ross et al. 2011): it learns to find back, and is never far from the way."""
    imitation_weight: float = 1.0
    """Weight of the imitation loss."""
    reward: Literal["distance", "ndtw"] = "distance"
    """What reinforcement rewards: nearing the goal, or also keeping to the annotated path."""
    max_training_steps: int | None = None
    """Steps after which a training episode is cut off, if earlier; lost followers wander long."""
    select_metric: Literal["SR", "SPL", "nDTW", "sDTW"] = "SPL"
    """Metric of the split --select-by that says which weights are kept as the best."""
    follower: FollowerConfig = field(default_factory=FollowerConfig)
    start_from: Path | None = None
    """Run whose follower to begin with. One on other data knows the words that both have in common;
    one on the same data goes on, in the houses with rewards. Read first as well."""
    reinforcement: ReinforcementConfig = field(default_factory=ReinforcementConfig)
    back_translation: BackTranslationConfig = field(default_factory=BackTranslationConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_counts(self, ("max_training_steps",))
        check_numbers(self, ("imitation_weight",))
        check_numbers(self, ("sampled_steps",), most=1)
        losses = self.imitation_weight, self.reinforcement.weight
        if not any(losses) and self.back_translation.speaker is None:
            raise ValueError(
                "--imitation-weight 0 and --reinforcement.weight 0 leave nothing to learn from: "
                "give one of them a weight"
            )

    @property
    def run_name(self) -> str:
        """Name of the run's default folder."""
        name = super().run_name + _UNHEARD[self.language]
        name += "" if self.start_from is None else "-continued"
        return name + ("" if self.back_translation.speaker is None else "-back-translation")

    @property
    def reads(self) -> bool:
        """Whether the follower reads what it is told."""
        return self.language != "none"

    @property
    def exchanged_words(self) -> int | None:
        """Seed by which episodes exchange their instructions; None where they keep them."""
        return self.seed if self.language == "shuffled" else None


@dataclass(frozen=True)
class SpeakerTrainConfig(RunConfig):
    """Settings of a speaker's training."""

    COMMAND: ClassVar[str] = "train_speaker.py"
    """What makes such runs."""
    WITHOUT_EFFECT: ClassVar[frozenset[str]] = frozenset({"reward"})
    """Settings in the folders of earlier runs that changed nothing."""

    teacher: Literal["shortest", "reference"] = "reference"
    """What is described: the shortest way to the goal, or the annotated path."""
    select_metric: Literal["BLEU"] = "BLEU"
    """Metric of the split --select-by that says which weights are kept as the best."""
    max_decoded_length: int | None = None
    """Tokens of an instruction that is decoded, its marks at both ends included; as many as are
    read (--max-instruction-length) by default."""
    speaker: SpeakerConfig = field(default_factory=SpeakerConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_counts(self, ("max_decoded_length",), least=2)
        if self.text.tokens == "pretrained":
            raise ValueError("a speaker says words or subwords, not --text.tokens pretrained")

    @property
    def run_name(self) -> str:
        """Name of the run's default folder."""
        return f"speaker-{super().run_name}"

    @property
    def longest_decoded(self) -> int:
        """Tokens that are decoded at most."""
        return self.max_decoded_length or self.max_instruction_length
