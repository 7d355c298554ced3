"""Settings that the trainings of the tasks share: frozen dataclasses.

The field docstrings are the ``--help`` texts. No module of settings imports torch, so that
``--help`` returns at once.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

from clipnav.storage.errors import UserError
from clipnav.storage.outputs import folder_name
from clipnav.training.run_settings import TrainingConfig
from clipnav.training.settings import check_counts, check_splits
from clipnav.vl_tasks.settings.networks import (
    FINE_TUNED_MODELS,
    FineTuningConfig,
    GridConfig,
    McanConfig,
    PythiaConfig,
)
from clipnav.vl_tasks.text.words import Tokenizer

Reasoner = Literal["pythia", "mcan", "movie-mcan", "clip-vil-p", "multilingual"]
Reduction = Literal["mean", "sum"]
HELD_OUT = "held-out"  # split with one twentieth of the training images
# Settings of models over the features of frozen encoders.
OF_FROZEN_ENCODERS = ("grids", "standardise", "embedding_size", "glove", "max_words")


@dataclass(frozen=True)
class RunConfig(TrainingConfig):
    """Settings that all trainings share."""

    TASK: ClassVar[str]
    """Name of the task."""
    PRESETS: ClassVar[tuple[str, ...]] = ()
    """Names of the presets of presets.toml."""
    MAY_CHANGE: ClassVar[frozenset[str]] = frozenset(
        "resume images iterations minutes evaluate_every evaluation_batch_size evaluation_splits "
        "threads device track".split()
    )
    OF_START: ClassVar[frozenset[str]] = frozenset()
    """Settings that must be equal to those of the run --start-from."""
    COMMON: ClassVar[tuple[str, ...]] = tuple(
        "preset data images iterations minutes batch_size optimiser.learning_rate seed output "
        "resume device".split()
    )

    preset: str = "houses"
    """Preset that sets the defaults."""
    data: str = "house"
    """Training data: "house" (the built-in houses), "easy-vqa" (questions only), or a folder with
    the files that docs/vl_tasks.md or, for pre-training, docs/vl_pretraining.md lists."""
    images: Path | None = None
    """Folder of the images; default: the data folder or its images/."""
    iterations: int = 1000
    """Number of weight updates."""
    batch_size: int = 64
    """Batch size: questions, hypotheses or (captioning) images per weight update."""
    evaluation_batch_size: int = 256
    """Batch size of the evaluation."""
    select_by: str = "val"
    """Validation split that selects the best checkpoint; "held-out" reserves one twentieth of the
    training images for it."""
    evaluation_splits: tuple[str, ...] = ("val",)
    """Splits that are evaluated with the best checkpoint after training."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_counts(self, ("evaluation_batch_size",))
        submitted = getattr(self, "submit", None)
        if HELD_OUT in (*self.evaluation_splits, submitted) and self.select_by != HELD_OUT:
            raise UserError(
                f"the split {HELD_OUT} exists only with --select-by {HELD_OUT}; set that, or name "
                "other splits with --evaluation-splits and --submit"
            )

    @property
    def task(self) -> str:
        """Name of the row of the table of tasks."""
        return self.TASK

    @property
    def kind(self) -> str:
        """Task and variant, with which the name of a run begins."""
        return self.TASK

    @property
    def is_parallel(self) -> bool:
        """Whether torchrun can start several processes of the training."""
        return False

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
        return f"{self.kind}-{folder_name(self.data)}"


@dataclass(frozen=True)
class FrozenEncoderConfig(RunConfig):
    """Settings of trainings that can use the features of a frozen image encoder."""

    MAY_CHANGE: ClassVar[frozenset[str]] = RunConfig.MAY_CHANGE | {"regions", "submit"}
    COMMON: ClassVar[tuple[str, ...]] = (*RunConfig.COMMON, "vision", "submit", "grids.encoder")

    vision: bool = True
    """Image input; --no-vision trains a language-only baseline."""
    grids: GridConfig = field(default_factory=GridConfig)
    """Image encoder and grid features."""
    standardise: bool = True
    """Standardisation of features to mean 0 and standard deviation 1 over the training images (off
    in the original implementations). The two-tower model uses unit vectors instead."""
    submit: str | None = None
    """Split, with or without ground truth, whose predictions are written to
    RUN/submission_SPLIT.json after training."""

    @property
    def run_name(self) -> str:
        """Default name of the run's folder below runs/."""
        return super().run_name + ("" if self.vision else "-no-vision")

    def unused_options(self) -> dict[str, str]:
        """Return the settings without effect and the reasons, see `TrainingConfig`."""
        unused = super().unused_options()
        if not self.vision:
            unused |= dict.fromkeys(("images", "grids", "standardise"), "with --no-vision")
        return unused


@dataclass(frozen=True)
class FineTunableConfig(FrozenEncoderConfig):
    """Settings of trainings that can also fine-tune a pre-trained CLIP-ViL_p."""

    ANSWERS: ClassVar[bool] = False
    """Whether classes are answers, which keep their output weights from the pre-training."""
    COMMON: ClassVar[tuple[str, ...]] = (*FrozenEncoderConfig.COMMON, "model", "start_from")

    model: str = "mcan"
    """Architecture of the model."""
    start_from: Path | None = None
    """Run of clipnav pretrain-vl that the training starts from, for models that are trained with
    their image tower, such as clip-vil-p."""
    clip_vil_p: FineTuningConfig = field(default_factory=FineTuningConfig)
    """Training end to end, of models that are trained with their image tower."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.is_fine_tuned:
            if self.start_from is not None:
                raise UserError(
                    f"--start-from {self.start_from} has no effect with --model {self.model}; omit "
                    "it"
                )
        elif self.start_from is None and self.model == "clip-vil-p":
            raise UserError(
                "--model clip-vil-p requires --start-from RUN; name a run of clipnav pretrain-vl"
            )
        elif not self.vision:
            raise UserError(f"--no-vision: {self.model} requires images; choose another --model")

    @property
    def is_fine_tuned(self) -> bool:
        """Whether the model is trained with its image tower."""
        return self.model in FINE_TUNED_MODELS

    @property
    def is_parallel(self) -> bool:
        """Whether torchrun can start several processes of the training."""
        return self.is_fine_tuned

    @property
    def kind(self) -> str:
        """Task and variant, with which the name of a run begins."""
        return f"{self.TASK}-{self.model}"

    def unused_options(self) -> dict[str, str]:
        """Return the settings without effect and the reasons, see `TrainingConfig`."""
        unused, tuning = super().unused_options(), self.clip_vil_p
        if tuning.frozen_trunk:
            names = ("clip_vil_p.trunk_optimiser", "clip_vil_p.frozen_norms")
            unused |= dict.fromkeys(names, "with --clip-vil-p.frozen-trunk")
        elif not tuning.trunk_optimiser.milestones:
            reason = "without --clip-vil-p.trunk-optimiser.milestones"
            unused["clip_vil_p.trunk_optimiser.decay"] = reason
        if not self.is_fine_tuned:
            unused["clip_vil_p"] = f"with --model {self.model}"
        return unused


@dataclass(frozen=True)
class QuestionConfig(FineTunableConfig):
    """Settings that all trainings of question answering share."""

    ANSWERS: ClassVar[bool] = True
    REGIONS_IN_ROWS: ClassVar[bool] = True
    """Whether files of region features have a row, not a column, for each region."""

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
    def is_exclusive(self) -> bool:
        """Whether the loss is cross-entropy, for which exactly one answer is correct.

        The probabilities of the answers are then a softmax, otherwise independent sigmoids.
        """
        return True

    def unused_options(self) -> dict[str, str]:
        """Return the settings without effect and the reasons, see `TrainingConfig`."""
        unused = super().unused_options()
        if self.is_fine_tuned:
            names = ("pythia", "mcan", "regions", "faithful", "tokenizer", "reduction")
            names = (*names, *OF_FROZEN_ENCODERS)
        else:
            names = ("mcan",) if self.model == "pythia" else ("pythia",)
        unused |= dict.fromkeys(names, f"with --model {self.model}")
        if self.answers is not None:
            unused["min_count"] = "with --answers, which sets the answer vocabulary"
        if self.regions is not None and self.vision:
            unused |= dict.fromkeys(
                ("images", "grids"), "with --regions, which replaces the images"
            )
        if not self.vision:
            unused["regions"] = "with --no-vision"
        return unused


def check_codes(languages: tuple[str, ...], flag: str) -> None:
    """Check the codes of languages, which are names of folders."""
    if not languages:
        raise UserError(f"{flag}: give at least one language, such as en")
    for number, language in enumerate(languages):
        if not re.fullmatch(r"[a-z]{2,3}([_-][A-Za-z]{2,8})?", language):
            raise UserError(f"{flag}: '{language}' is not the code of a language, such as en")
        if language in languages[:number]:
            raise UserError(f"{flag}: '{language}' occurs twice; remove one of them")
