"""Settings of vision-and-language pre-training.

The field docstrings are the ``--help`` texts. This module does not import torch, so that ``--help``
returns at once.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

from clipnav.storage.outputs import folder_name
from clipnav.training.optimiser_settings import OptimiserConfig
from clipnav.training.settings import check_counts, check_numbers, check_positive, check_splits
from clipnav.training.tracking import TrackerName
from clipnav.vl_tasks.settings.clip_vil_p import (
    FineTunedModel,
    Precision,
    TextConfig,
    TrunkConfig,
    TrunkOptimiserConfig,
    check_codes,
    check_image_size,
)
from clipnav.vl_tasks.settings.configs import check_held_out


@dataclass(frozen=True)
class PretrainConfig:
    """Settings of a pre-training by masked words, matching and question answering."""

    COMMAND: ClassVar[str] = "clipnav pretrain-vl"
    """Command that trains such runs."""
    preset: str = "houses"
    """Preset that sets the defaults."""
    data: str = "house"
    """Training data: "house" (the built-in houses), or a folder with the files that
    docs/vl_pretraining.md lists."""
    images: Path | None = None
    """Folder of the images; default: the data folder or its images/."""
    model: FineTunedModel = "clip-vil-p"
    """Network: clip-vil-p, or multilingual, whose visual tokens join the BERT before its first
    layer norm (docs/multilingual_vqa.md)."""
    objective: Literal["all", "masked-words"] = "all"
    """Objectives: masked words, matching and question answering (all), or masked words alone."""
    languages: tuple[str, ...] = ("en",)
    """Languages of the sentences, such as en fr de es hi te; those besides English are in the
    folders languages/LANGUAGE of the data."""
    train_splits: tuple[str, ...] = ("train",)
    """Training splits."""
    start_from: Path | None = None
    """Folder of a run of clipnav pretrain-vl whose weights and word pieces are used, such as that
    of the first stage. Answers that both runs have keep their weights."""
    text: TextConfig = field(default_factory=TextConfig)
    """Transformer and word pieces."""
    trunk: TrunkConfig = field(default_factory=TrunkConfig)
    """Visual trunk."""
    image_size: tuple[int, int] = (384, 640)
    """Shorter and longer side in pixels of the images: they are resized to fit, and padded.
    multilingual with --faithful: the shorter side is resized, and the centre is cut out."""
    cells: int | None = 100
    """Number of grid cells drawn at random per image and iteration; "None": all cells. Evaluation
    uses all cells."""
    max_words: int = 20
    """Maximum number of word pieces of a sentence, with [CLS] and [SEP]."""
    exchanged: float = 0.5
    """Fraction of the pairs that get a sentence of another image, for the matching objective, which
    0 omits. These pairs have neither masked words (without --faithful) nor an answer as targets."""
    masked_questions: bool = True
    """Masked words in questions with answers, as in the published code; a question whose main word
    is masked cannot be answered. --no-masked-questions masks the words of captions only."""
    answering: bool = True
    """Question answering objective, besides masked words and matching."""
    answers: Path | None = None
    """Answer vocabulary: LXMERT's all_ans.json, or a JSON list of answers. Default: the answers of
    the training data."""
    min_count: int = 9
    """Minimum number of occurrences of an answer (without --answers)."""
    faithful: bool = False
    """Exact computation of the published code: padding counts as image, and images are resized and
    padded or cut as there; clip-vil-p has no tanh in the pooler and also learns masked words from
    pairs that do not match; multilingual has one position for all visual tokens, which include the
    class token of a ViT."""
    optimiser: OptimiserConfig = field(default_factory=lambda: OptimiserConfig("adamw"))
    """Optimiser of the transformer, and gradient clipping over all weights."""
    trunk_optimiser: TrunkOptimiserConfig = field(default_factory=TrunkOptimiserConfig)
    """Optimiser of the visual trunk."""
    precision: Precision = "fp32"
    """Precision of the network: fp32, medium (float32 with faster matrix products, which may
    round to bfloat16 internally), autocast to bf16 or fp16, or auto (bf16 where it is multiplied
    in hardware, otherwise medium)."""
    iterations: int = 1000
    """Number of weight updates."""
    minutes: float | None = None
    """Training time in minutes, without evaluation, as the stopping criterion instead of
    --iterations."""
    batch_size: int = 64
    """Pairs of image and sentence in a batch of one process."""
    accumulate: int = 1
    """Number of batches whose gradients are added up for one weight update."""
    pairs_per_image: int = 1
    """Number of pairs of one image that follow each other in an epoch. In a batch, they share one
    pass through the trunk, which takes most of the time of small networks."""
    evaluate_every: int = 500
    """Number of iterations between two evaluations on the split --select-by."""
    evaluation_batch_size: int = 64
    """Batch size of the evaluation."""
    evaluation_pairs: int | None = 20_000
    """Largest number of pairs of a split that are evaluated, evenly spread; "None": all."""
    select_by: str = "val"
    """Split that selects the best checkpoint; "held-out" reserves one twentieth of the training
    images for it."""
    evaluation_splits: tuple[str, ...] = ()
    """Further splits that are evaluated with the best checkpoint after training."""
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
    workers: int = 2
    """Number of processes that decode images; 0: decode in the main process."""
    threads: int | None = None
    """Number of CPU threads of torch; default: torch's own."""
    device: str = "cpu"
    """Device of the network: cpu, cuda, cuda:0, ..."""

    def __post_init__(self) -> None:
        sizes = (
            "batch_size",
            "evaluation_batch_size",
            "evaluation_pairs",
            "pairs_per_image",
            "cells",
        )
        counts = ("iterations", "accumulate", "evaluate_every", "min_count", "threads")
        check_counts(self, (*sizes, *counts))
        check_counts(self, ("max_words",), least=3)
        check_counts(self, ("workers", "seed"), least=0)
        check_positive(self, ("minutes",))
        check_held_out(self.select_by, self.evaluation_splits)
        check_splits(self, ("train_splits",))
        check_numbers(self, ("exchanged",), most=1)
        check_codes(self.languages, "--languages")
        self.trunk_optimiser.check("trunk-optimiser.")
        self.text.check("text.")
        self.trunk.check("trunk.")
        check_image_size(self.image_size, "--image-size")

    @property
    def run_name(self) -> str:
        """Default name of the run's folder below runs/."""
        kind = "" if self.model == "clip-vil-p" else f"{self.model}-"
        return f"pretrain-vl-{kind}{folder_name(self.data)}"

    @property
    def scoring(self) -> dict[str, Any]:
        """Settings that determine the score by which the best checkpoint is selected."""
        return {"evaluation_pairs": self.evaluation_pairs}

    @property
    def data_languages(self) -> tuple[str, ...]:
        """Languages that the data must have."""
        return self.languages

    @property
    def answers_questions(self) -> bool:
        """Whether question answering is one of the objectives."""
        return self.answering and self.objective == "all"
