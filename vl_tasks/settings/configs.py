"""Settings of the vision-and-language tasks: frozen dataclasses.

The field docstrings are the ``--help`` texts. This module does not import torch, so that ``--help``
returns at once.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

from clipnav.storage.errors import UserError
from clipnav.storage.outputs import folder_name
from clipnav.training.optimiser_settings import OptimiserConfig
from clipnav.training.settings import (
    check_counts,
    check_dropout,
    check_numbers,
    check_positive,
    check_splits,
)
from clipnav.training.tracking import TrackerName
from clipnav.vl_tasks.settings.clip_vil_p import FineTuningConfig, check_codes, check_start
from clipnav.vl_tasks.settings.grids import GridConfig
from clipnav.vl_tasks.settings.multilingual import MultilingualConfig
from clipnav.vl_tasks.settings.network_sizes import McanConfig, PythiaConfig
from clipnav.vl_tasks.text.words import Tokenizer

Reasoner = Literal["pythia", "mcan", "movie-mcan", "clip-vil-p", "multilingual"]
Reduction = Literal["mean", "sum"]
HELD_OUT = "held-out"  # split with one twentieth of the training images


def check_held_out(select_by: str, splits: Sequence[str | None]) -> None:
    """Check that the split "held-out" is the one that selects the checkpoint, if it is used.

    Raises:
        UserError: It is not.
    """
    if HELD_OUT in splits and select_by != HELD_OUT:
        raise UserError(
            f"the split {HELD_OUT} exists only with --select-by {HELD_OUT}; set that, or name "
            "other splits with --evaluation-splits and --submit"
        )


@dataclass(frozen=True)
class RunConfig(ABC):
    """Settings that all trainings share."""

    COMMAND: ClassVar[str]
    """Command that trains such runs."""

    data: str = "house"
    """Training data: "house" (the built-in houses), "easy-vqa" (questions only), or a folder with
    the files that docs/vl_tasks.md lists."""
    images: Path | None = None
    """Folder of the images; default: the data folder or its images/."""
    vision: bool = True
    """Image input; --no-vision trains a language-only baseline."""
    grids: GridConfig = field(default_factory=GridConfig)
    """Image encoder and grid features."""
    standardise: bool = True
    """Standardisation of features to mean 0 and standard deviation 1 over the training images (off
    in the original implementations). The two-tower model uses unit vectors instead."""
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    """Optimiser, learning rate schedule and gradient clipping."""
    iterations: int = 1000
    """Number of weight updates."""
    minutes: float | None = None
    """Training time in minutes, without evaluation, as the stopping criterion instead of
    --iterations."""
    batch_size: int = 64
    """Batch size: questions, hypotheses or (captioning) images per weight update."""
    evaluate_every: int = 500
    """Number of iterations between two evaluations on the split --select-by."""
    evaluation_batch_size: int = 256
    """Batch size of the evaluation."""
    select_by: str = "val"
    """Validation split that selects the best checkpoint; "held-out" reserves one twentieth of the
    training images for it."""
    evaluation_splits: tuple[str, ...] = ("val",)
    """Splits that are evaluated with the best checkpoint after training."""
    submit: str | None = None
    """Split, with or without ground truth, whose predictions are written to
    RUN/submission_SPLIT.json after training."""
    output: Path | None = None
    """Folder of the run; default: runs/NAME."""
    track: tuple[TrackerName, ...] = ()
    """Trackers that receive the figures of the log: tensorboard (into the run's folder), wandb or
    trackio; each requires the extra of its name."""
    config: Path | None = None
    """Settings file, such as the config.json of a run; its values are the defaults of all other
    flags."""
    resume: Path | None = None
    """Folder of a run to resume with its own settings."""
    seed: int = 0
    """Random seed for weights, data order and dropout."""
    threads: int | None = None
    """Number of CPU threads of torch; default: torch's own."""
    device: str = "cpu"
    """Device of the model: cpu, cuda, cuda:0, ..."""

    def __post_init__(self) -> None:
        sizes = ("iterations", "batch_size", "evaluate_every", "evaluation_batch_size")
        check_counts(self, (*sizes, "threads"))
        check_counts(self, ("seed",), least=0)
        check_positive(self, ("minutes",))
        if self.optimiser.warmup_stairs and not self.optimiser.warmup:
            raise UserError(
                "--optimiser.warmup-stairs has no effect without --optimiser.warmup; set both"
            )
        check_held_out(self.select_by, (*self.evaluation_splits, self.submit))

    @property
    def evaluated_splits(self) -> tuple[str, ...]:
        """The split `select_by`, then the other evaluated splits."""
        return tuple(dict.fromkeys((self.select_by, *self.evaluation_splits)))

    @property
    def scoring(self) -> dict[str, Any]:
        """Settings that determine the score by which the best checkpoint is selected."""
        return {}

    @property
    def run_name(self) -> str:
        """Default name of the run's folder below runs/."""
        return f"{self.task}-{folder_name(self.data)}{'' if self.vision else '-no-vision'}"

    @property
    @abstractmethod
    def task(self) -> str:
        """Name of the task."""


@dataclass(frozen=True)
class FineTunableConfig(RunConfig):
    """Settings of trainings that can also fine-tune a pre-trained CLIP-ViL_p."""

    preset: str = "houses"
    """Preset that sets the defaults."""
    model: str = "mcan"
    """Architecture of the model."""
    start_from: Path | None = None
    """Run of clipnav pretrain-vl that the training starts from, for models that are trained with
    their image tower, such as clip-vil-p."""
    clip_vil_p: FineTuningConfig = field(default_factory=FineTuningConfig)
    """Training end to end, of models that are trained with their image tower."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_start(self.model, self.start_from, self.vision)


@dataclass(frozen=True)
class QuestionConfig(FineTunableConfig):
    """Settings that all trainings of question answering share."""

    model: Reasoner = "mcan"
    """Architecture of the model."""
    pythia: PythiaConfig = field(default_factory=PythiaConfig)
    """Sizes of Pythia."""
    mcan: McanConfig = field(default_factory=McanConfig)
    """Sizes of MCAN and MoVie+MCAN."""
    regions: Path | None = None
    """Folder of openvqa's bottom-up region features, or of openai-clip-feature's grids (one .npz
    per image), used instead of images."""
    faithful: bool = False
    """Exact computation of the published code: Pythia and MoVie+MCAN attend to padding, MCAN uses
    openvqa's layer normalisation."""
    reduction: Reduction = "mean"
    """Reduction of the loss over the questions of a batch: mean (mmf) or sum (openvqa)."""
    tokenizer: Tokenizer = "ours"
    """Tokenizer of the questions: ours, openvqa's or mmf's."""
    embedding_size: int = 300
    """Width of the word embeddings."""
    glove: Path | None = None
    """GloVe text file that initialises the word embeddings."""
    max_words: int = 14
    """Maximum number of words of a question; longer questions are truncated."""
    answers: Path | None = None
    """Answer vocabulary file, ours or a published one; default: built from the training split."""
    min_count: int = 9
    """Minimum number of occurrences of an answer in the answer vocabulary."""
    train_splits: tuple[str, ...] = ("train",)
    """Training splits."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_counts(self, ("embedding_size", "max_words", "min_count"))
        check_splits(self, ("train_splits",))
        if self.regions is not None and self.model == "movie-mcan":
            raise UserError(
                "--regions: movie-mcan requires grid features for its convolutions; set --model "
                "mcan or pythia, or omit --regions"
            )
        if self.regions is not None and self.model == "mcan" and self.mcan.positions:
            raise UserError(
                "--regions: regions have no position in a grid; add --mcan.no-positions"
            )

    @property
    @abstractmethod
    def is_exclusive(self) -> bool:
        """Whether the loss is cross-entropy, for which exactly one answer is correct.

        The probabilities of the answers are then a softmax, otherwise independent sigmoids.
        """


@dataclass(frozen=True)
class VqaConfig(QuestionConfig):
    """Settings of a visual question answering training."""

    COMMAND: ClassVar[str] = "clipnav finetune-vqa"
    faithful: bool = False
    """Exact computation of the published code: Pythia and MoVie+MCAN attend to padding, MCAN uses
    openvqa's layer normalisation, multilingual learns one answer per question and, without
    --start-from, has one position for all visual tokens."""
    variant: Literal["V0", "V1", "V2", "V3"] = "V2"
    """Variant of the official VQA evaluator, see docs/vl_tasks.md."""
    languages: tuple[str, ...] = ("en",)
    """Languages of the training questions of --model multilingual, such as en fr de es hi te."""
    evaluation_languages: tuple[str, ...] | None = None
    """Languages of the evaluation of --model multilingual; default: those of --languages."""
    agreement: float = 0.0
    """Weight of the agreement of the languages (--model multilingual): the logits of a question are
    also drawn to its mean logits over the languages, which then follow each other in a batch."""
    multilingual: MultilingualConfig = field(default_factory=MultilingualConfig)
    """New network of --model multilingual, without --start-from."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_codes(self.languages, "--languages")
        if self.evaluation_languages is not None:
            check_codes(self.evaluation_languages, "--evaluation-languages")
        check_numbers(self, ("agreement",))

    @property
    def is_exclusive(self) -> bool:
        """Whether the loss is cross-entropy, for which exactly one answer is correct."""
        return self.model == "multilingual" and self.faithful

    @property
    def asked_languages(self) -> tuple[str, ...]:
        """Languages of the evaluation."""
        return self.evaluation_languages or self.languages

    @property
    def scoring(self) -> dict[str, Any]:
        """Settings that determine the score by which the best checkpoint is selected."""
        if self.model != "multilingual":
            return {"variant": self.variant}
        return {"variant": self.variant, "evaluation_languages": self.asked_languages}

    @property
    def data_languages(self) -> tuple[str, ...]:
        """Languages that the data must have."""
        return tuple(dict.fromkeys(self.languages + self.asked_languages))

    @property
    def task(self) -> str:
        """Name of the task."""
        return f"vqa-{self.model}"


@dataclass(frozen=True)
class EntailmentConfig(FineTunableConfig):
    """Settings of a visual entailment training."""

    COMMAND: ClassVar[str] = "clipnav finetune-snli-ve"
    model: Literal["fused", "two-tower", "clip-vil-p"] = "fused"
    """Architecture: fused (MCAN over words and grid cells), two-tower (a small network over the
    CLIP embeddings of image and sentence), or clip-vil-p (see --start-from)."""
    mcan: McanConfig = field(default_factory=McanConfig)
    """Sizes of the fused model."""
    hidden_size: int = 512
    """Hidden width of the two-tower model."""
    embedding_size: int = 300
    """Width of the word embeddings."""
    glove: Path | None = None
    """GloVe text file that initialises the word embeddings."""
    max_words: int = 30
    """Maximum number of words of a hypothesis; longer hypotheses are truncated."""
    dropout: float = 0.1
    """Dropout rate of the two-tower model."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_counts(self, ("hidden_size", "embedding_size", "max_words"))
        check_dropout(self, ("dropout",))

    @property
    def task(self) -> str:
        """Name of the task."""
        return f"snli-ve-{self.model}"
