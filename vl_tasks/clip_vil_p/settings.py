"""Settings of vision-and-language pre-training."""

from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

from clipnav.training.optimiser_settings import OptimiserConfig
from clipnav.training.settings import check_counts, check_numbers, check_splits, read_config
from clipnav.vl_tasks.clip_vil_p.data.framing import Framing
from clipnav.vl_tasks.settings.networks import (
    FineTunedModel,
    Precision,
    TextConfig,
    TrunkConfig,
    TrunkOptimiserConfig,
    check_image_size,
)
from clipnav.vl_tasks.settings.runs import RunConfig, check_codes
from clipnav.vl_tasks.specs import Flag, chosen_preset


@dataclass(frozen=True)
class PretrainVlConfig(RunConfig):
    """Settings of a pre-training by masked words, matching and question answering."""

    COMMAND: ClassVar[str] = "clipnav pretrain-vl"
    TASK: ClassVar[str] = "pretrain-vl"
    PRESETS: ClassVar[tuple[str, ...]] = (
        *("houses", "small", "rn50-stage-1", "rn50-stage-2", "rn50x4-stage-1", "rn50x4-stage-2"),
        *("houses-multilingual", "small-multilingual", "multilingual"),
    )
    MAY_CHANGE: ClassVar[frozenset[str]] = RunConfig.MAY_CHANGE | {"evaluation_pairs", "workers"}
    OF_START: ClassVar[frozenset[str]] = frozenset("text model faithful trunk".split())
    COMMON: ClassVar[tuple[str, ...]] = (
        *RunConfig.COMMON,
        "model",
        "start_from",
        "trunk.encoder",
        "text.bert",
    )

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
    batch_size: int = 64
    """Pairs of image and sentence in a batch of one process."""
    accumulate: int = 1
    """Number of batches whose gradients are added up for one weight update."""
    pairs_per_image: int = 1
    """Number of pairs of one image that follow each other in an epoch. In a batch, they share one
    pass through the trunk, which takes most of the time of small networks."""
    evaluation_batch_size: int = 64
    """Batch size of the evaluation."""
    evaluation_pairs: int | None = 20_000
    """Largest number of pairs of a split that are evaluated, evenly spread; "None": all."""
    evaluation_splits: tuple[str, ...] = ()
    """Further splits that are evaluated with the best checkpoint after training."""
    workers: int = 2
    """Number of processes that decode images; 0: decode in the main process."""

    def __post_init__(self) -> None:
        super().__post_init__()
        names = ("evaluation_pairs", "pairs_per_image", "cells", "accumulate", "min_count")
        check_counts(self, names)
        check_counts(self, ("max_words",), least=3)
        check_counts(self, ("workers",), least=0)
        check_splits(self, ("train_splits",))
        check_numbers(self, ("exchanged",), most=1)
        check_codes(self.languages, "--languages")
        self.trunk_optimiser.check("trunk-optimiser.")
        self.text.check("text.")
        self.trunk.check("trunk.")
        check_image_size(self.image_size, "--image-size")

    @property
    def kind(self) -> str:
        """Task and variant, with which the name of a run begins."""
        return self.TASK if self.model == "clip-vil-p" else f"{self.TASK}-{self.model}"

    @property
    def is_parallel(self) -> bool:
        """Whether torchrun can start several processes of the training."""
        return True

    @property
    def framing(self) -> Framing:
        """Framing of the images of a pre-training and of what is fine-tuned from it."""
        if not self.faithful:
            return Framing(*self.image_size)
        published = "multilingual-vqa" if self.model == "multilingual" else "clip-vil"
        return Framing(*self.image_size, published)

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

    def unused_options(self) -> dict[str, str]:
        """Return the settings without effect and the reasons, see `TrainingConfig`."""
        unused = super().unused_options()
        if self.start_from is not None:
            kept = (
                f"trunk.{item.name}" for item in fields(TrunkConfig) if "frozen" not in item.name
            )
            reason = "with --start-from, whose run has its own networks"
            unused |= dict.fromkeys(("text", "model", "faithful", *kept), reason)
        else:
            unused |= self.text.unused_options("text.")
        if self.objective == "masked-words":
            names = ("answering", "exchanged", "masked_questions", "answers", "min_count")
            unused |= dict.fromkeys(names, "with --objective masked-words")
        elif not self.answering:
            unused |= dict.fromkeys(("answers", "min_count"), "with --no-answering")
        elif self.answers is not None:
            unused["min_count"] = "with --answers, which sets the answer vocabulary"
        if self.trunk.frozen:
            names = ("trunk_optimiser", "trunk.frozen_norms")
            unused |= dict.fromkeys(names, "with --trunk.frozen")
        elif not self.trunk_optimiser.milestones:
            unused["trunk_optimiser.decay"] = "without --trunk-optimiser.milestones"
        return unused


def pretraining_defaults(flag: Flag) -> PretrainVlConfig:
    """Return the settings without flags: a preset, with --start-from the networks of that run."""
    preset, start = chosen_preset(PretrainVlConfig, flag, "pretrain-vl"), flag("start-from")
    if start is None:
        return preset
    saved = read_config(Path(start), PretrainVlConfig)
    return replace(
        preset,
        text=saved.text,
        model=saved.model,
        faithful=saved.faithful,
        trunk=replace(saved.trunk, frozen_norms=preset.trunk.frozen_norms),
    )
