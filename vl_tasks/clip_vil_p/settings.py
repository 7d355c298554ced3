"""Settings and presets of vision-and-language pre-training."""

from collections.abc import Mapping
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
from clipnav.vl_tasks.settings.runs import (
    HELD_OUT,
    HOUSE_SPLITS,
    RunConfig,
    check_codes,
    linear_adamw,
)
from clipnav.vl_tasks.specs import Flag, chosen_preset


@dataclass(frozen=True)
class PretrainConfig(RunConfig):
    """Settings of a pre-training by masked words, matching and question answering."""

    COMMAND: ClassVar[str] = "clipnav pretrain-vl"
    TASK: ClassVar[str] = "pretrain-vl"
    MAY_CHANGE: ClassVar[frozenset[str]] = RunConfig.MAY_CHANGE | {"evaluation_pairs", "workers"}
    OF_START: ClassVar[frozenset[str]] = frozenset("text model faithful trunk".split())

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


# Pairs of LXMERT's files mscoco_train, mscoco_nominival and vgnococo, whose number divided by the
# batch size of all processes is an epoch.
_PAIRS = 9_180_000
_GPUS, _ACCUMULATED = 8, 2


def _published(
    name: str,
    encoder: str,
    batch: int,
    rate: float,
    epochs: int,
    milestones: tuple[int, ...],
    answering: bool,
) -> PretrainConfig:
    """Build a stage of CLIP-ViL-Pretrain's recipe, for torchrun on eight GPUs."""
    epoch = _PAIRS // (batch * _GPUS * _ACCUMULATED)
    iterations = epochs * epoch
    return PretrainConfig(
        preset=name,
        data="data/lxmert",
        train_splits=("train", "nominival", "vgnococo"),
        select_by="minival",
        text=TextConfig(bert="bert-base-uncased"),
        trunk=TrunkConfig(encoder, "openai", standardise=False),
        answering=answering,
        faithful=True,
        optimiser=linear_adamw(rate, round(0.025 * iterations), epsilon=1e-6),
        trunk_optimiser=TrunkOptimiserConfig(milestones=tuple(k * epoch for k in milestones)),
        precision="fp16",
        iterations=iterations,
        batch_size=batch,
        accumulate=_ACCUMULATED,
        evaluate_every=epoch // 4,
        workers=8,
        device="cuda",
    )


_HOUSES = PretrainConfig(
    preset="houses",
    **HOUSE_SPLITS,
    # Dropout slows the training of so small a network, and it does not overfit in this time.
    text=TextConfig(
        vocabulary_size=600,
        hidden_size=128,
        layers=3,
        heads=4,
        feed_forward_size=256,
        dropout=0.0,
        pooling="means",
    ),
    trunk=TrunkConfig(positions=12, frozen_norms=True),
    # The cells of smaller images do not show the colour of small things.
    image_size=(192, 192),
    cells=None,
    max_words=32,
    exchanged=0.2,
    masked_questions=False,
    min_count=2,
    optimiser=linear_adamw(1e-3, 300),
    trunk_optimiser=TrunkOptimiserConfig(3e-4, name="adamw"),
    precision="auto",
    iterations=7500,
    batch_size=128,
    pairs_per_image=8,
    evaluate_every=500,
    evaluation_pairs=4000,
)
PRESETS = {
    # For two cores of a laptop.
    "houses": _HOUSES,
    # The same for the user's own captions and questions.
    "small": replace(
        _HOUSES,
        preset="small",
        data="photos",
        select_by=HELD_OUT,
        evaluation_splits=(),
        image_size=(192, 288),
    ),
    # Stage 1 has a schedule of 20 epochs, and was stopped after epoch 9: add --iterations or press
    # Ctrl-C. Stage 2 starts from it with --start-from.
    "rn50-stage-1": _published("rn50-stage-1", "RN50", 32, 1e-4, 20, (12, 17), False),
    "rn50-stage-2": _published("rn50-stage-2", "RN50", 32, 5e-5, 11, (4, 8), True),
    "rn50x4-stage-1": _published("rn50x4-stage-1", "RN50x4", 30, 5e-5, 20, (12, 17), False),
    "rn50x4-stage-2": _published("rn50x4-stage-2", "RN50x4", 30, 2.75e-5, 11, (4, 9), True),
}


def pretraining_defaults(flag: Flag, presets: Mapping[str, PretrainConfig]) -> PretrainConfig:
    """Return the settings without flags: a preset, with --start-from the networks of that run."""
    preset, start = chosen_preset(presets, flag), flag("start-from")
    if start is None:
        return preset
    saved = read_config(Path(start), PretrainConfig)
    return replace(
        preset,
        text=saved.text,
        model=saved.model,
        faithful=saved.faithful,
        trunk=replace(saved.trunk, frozen_norms=preset.trunk.frozen_norms),
    )
