"""Settings and presets of visual question answering."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

from clipnav.training.optimiser_settings import OptimiserConfig
from clipnav.training.settings import check_numbers
from clipnav.vl_tasks.clip_vil_p.settings import PretrainConfig
from clipnav.vl_tasks.settings.networks import (
    FineTuningConfig,
    GridConfig,
    McanConfig,
    PythiaConfig,
    TextConfig,
    TrunkConfig,
    TrunkOptimiserConfig,
    check_image_size,
)
from clipnav.vl_tasks.settings.runs import (
    HELD_OUT,
    HELD_OUT_ALONE,
    HOUSE_SPLITS,
    TRANSFORMER_ADAM,
    QuestionConfig,
    check_codes,
    linear_adamw,
    one_cycle,
)


@dataclass(frozen=True)
class MultilingualConfig:
    """A new network of --model multilingual, if there is no pre-trained one (--start-from)."""

    text: TextConfig = field(default_factory=TextConfig)
    """Transformer and word pieces."""
    trunk: TrunkConfig = field(default_factory=TrunkConfig)
    """Visual trunk."""
    image_size: tuple[int, int] = (224, 224)
    """Shorter and longer side in pixels of the images: they are resized to fit, and padded. With
    --faithful, the shorter side is resized, and the centre is cut out."""

    def __post_init__(self) -> None:
        self.text.check("multilingual.text.")
        self.trunk.check("multilingual.trunk.")
        check_image_size(self.image_size, "--multilingual.image-size")


@dataclass(frozen=True)
class VqaConfig(QuestionConfig):
    """Settings of a visual question answering training."""

    COMMAND: ClassVar[str] = "clipnav finetune-vqa"
    TASK: ClassVar[str] = "vqa"
    REGIONS_IN_ROWS: ClassVar[bool] = False
    MAY_CHANGE: ClassVar[frozenset[str]] = QuestionConfig.MAY_CHANGE | {
        "variant",
        "evaluation_languages",
    }

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

    def new_base(self) -> PretrainConfig:
        """Return the settings of a new multilingual network, in the form of a pre-training."""
        chosen = self.multilingual
        return PretrainConfig(
            preset=self.preset,
            data=self.data,
            model="multilingual",
            objective="masked-words",
            languages=self.languages,
            text=chosen.text,
            trunk=chosen.trunk,
            image_size=chosen.image_size,
            faithful=self.faithful,
            max_words=self.clip_vil_p.max_words,
            batch_size=self.batch_size,
        )

    @property
    def task(self) -> str:
        """Name of the row of the table of tasks."""
        return "multilingual-vqa" if self.model == "multilingual" else "vqa"

    def unused_options(self) -> dict[str, str]:
        """Return the settings without effect and the reasons, see `TrainingConfig`."""
        unused = super().unused_options()
        names = ("languages", "evaluation_languages", "agreement", "multilingual")
        if self.model != "multilingual":
            return unused | dict.fromkeys(names, f"with --model {self.model}")
        del unused["faithful"]
        for name, flag in (("frozen", "frozen-trunk"), ("frozen_norms", "frozen-norms")):
            unused[f"multilingual.trunk.{name}"] = f"where --clip-vil-p.{flag} decides"
        if self.clip_vil_p.dropout is not None:
            unused["multilingual.text.dropout"] = "with --clip-vil-p.dropout, which replaces it"
        if self.faithful:
            unused |= dict.fromkeys(("agreement", "clip_vil_p.loss_scale"), "with --faithful")
        elif len(self.languages) < 2:
            unused["agreement"] = "with questions in one of --languages"
        elif self.agreement:
            reason = "with --agreement, which groups by question"
            unused["clip_vil_p.sentences_per_image"] = reason
        if self.start_from is not None:
            unused["multilingual"] = "with --start-from, whose run has its own networks"
        return unused | self.multilingual.text.unused_options("multilingual.text.")


SMALL_MCAN = McanConfig(
    hidden_size=128,
    feed_forward_size=256,
    layers=2,
    heads=4,
    pooling_size=128,
    fused_size=256,
    positions=True,
)
# Of all models, so that --model alone changes to another one that trains in minutes.
SMALL_NETWORKS: dict[str, Any] = {
    "mcan": SMALL_MCAN,
    "pythia": PythiaConfig(hidden_size=128, attention_size=64, product_size=512, text_head_size=64),
}
_LARGE = McanConfig(hidden_size=1024, feed_forward_size=4096, pooling_size=512, fused_size=2048)
# CLIP-ViL stretches images to 600 x 1000, which gives 18 x 31 grid cells.
_CLIP_VIL_GRIDS = GridConfig("RN50x4", "openai", fit="stretch", image_size=(600, 1000))
_VQA_V2_TRAIN = 443_757  # questions
# Default folder of openvqa's bottom-up features of VQA v2.
_REGIONS = Path("data/vqa/regions")


def _openvqa_mcan(size: str, learning_rate: float, mcan: McanConfig) -> VqaConfig:
    """Build openvqa's MCAN preset (configs/vqa/mcan_SIZE.yml): 13 epochs, decays after 10 and 12.

    The warm-up of three epochs is a staircase (openvqa/utils/optim.py). An epoch drops the last
    incomplete batch, but the warm-up counts its questions (train_engine.py).
    """
    epoch = _VQA_V2_TRAIN // 64
    return VqaConfig(
        preset=f"mcan-{size}",
        data="data/vqa",
        regions=_REGIONS,
        model="mcan",
        mcan=mcan,
        faithful=True,
        tokenizer="openvqa",
        reduction="sum",
        variant="V1",
        standardise=False,
        optimiser=OptimiserConfig(
            "adam",
            learning_rate,
            **TRANSFORMER_ADAM,
            schedule="steps",
            warmup=3 * _VQA_V2_TRAIN // 64,
            warmup_stairs=3,
            milestones=(10 * epoch, 12 * epoch),
            decay=0.2,
        ),
        iterations=13 * epoch,
        batch_size=64,
        evaluate_every=epoch,
    )


def _on_grids(published: VqaConfig) -> VqaConfig:
    """Build openvqa's preset with CLIP grid features instead of regions (unpublished)."""
    return replace(
        published, preset=f"{published.preset}-grid", regions=None, grids=_CLIP_VIL_GRIDS
    )


_MCAN_SMALL = _openvqa_mcan("small", 1e-4, McanConfig())
_MCAN_LARGE = _openvqa_mcan("large", 7e-5, _LARGE)


FEATURE_PRESETS = {
    "houses": VqaConfig(
        preset="houses",
        **HOUSE_SPLITS,
        model="mcan",
        **SMALL_NETWORKS,
        embedding_size=64,
        max_words=20,
        optimiser=one_cycle(1e-3, 200),
        iterations=3000,
        batch_size=128,
        evaluate_every=500,
    ),
    "easy-vqa": VqaConfig(
        preset="easy-vqa",
        data="easy-vqa",
        select_by=HELD_OUT,
        evaluation_splits=("test",),
        # One shape per image: MCAN overfits to this small number of images.
        model="pythia",
        **SMALL_NETWORKS,
        embedding_size=64,
        optimiser=one_cycle(1e-3, 200),
        iterations=1500,
        batch_size=128,
        evaluate_every=250,
    ),
    # A few hundred of the user's own photos, on a laptop and without a network connection.
    "small": VqaConfig(
        preset="small",
        data="photos",
        **HELD_OUT_ALONE,
        model="pythia",
        **SMALL_NETWORKS,
        embedding_size=64,
        min_count=1,
        optimiser=one_cycle(1e-3, 50),
        iterations=600,
        batch_size=64,
        evaluate_every=100,
    ),
    # CLIP-ViL-Direct/vqa/mmf_configs/pythia/local_clip_*.yaml on mmf's pythia.
    "pythia-clip-vil": VqaConfig(
        preset="pythia-clip-vil",
        data="data/vqa",
        model="pythia",
        pythia=PythiaConfig(dropout=0.0),
        faithful=True,
        tokenizer="mmf",
        grids=_CLIP_VIL_GRIDS,
        standardise=False,
        optimiser=OptimiserConfig(
            "adamax",
            0.01,
            schedule="steps",
            warmup=1000,
            warmup_start=0.2,
            milestones=(15_000, 18_000, 20_000, 21_000),
            decay=0.1,
            clip="norm",
            clip_at=0.25,
        ),
        iterations=22_000,
        batch_size=512,
        evaluate_every=1000,
    ),
    # CLIP-ViL-Direct/vqa/mmf_configs/mcan/local_clip_*.yaml on mmf's movie_mcan. Its training data
    # also contains Visual Genome, with features of another encoder.
    "movie-mcan-clip-vil": VqaConfig(
        preset="movie-mcan-clip-vil",
        data="data/vqa",
        model="movie-mcan",
        mcan=_LARGE,
        faithful=True,
        tokenizer="mmf",
        grids=_CLIP_VIL_GRIDS,
        standardise=False,
        optimiser=OptimiserConfig(
            "adamw",
            5e-5,
            **TRANSFORMER_ADAM,
            schedule="steps",
            warmup=54_000,
            warmup_start=0.25,
            milestones=(180_000, 216_000),
            decay=0.2,
        ),
        iterations=236_000,
        batch_size=64,
        evaluate_every=10_000,
        train_splits=("train", "val"),
    ),
    "mcan-small": _MCAN_SMALL,
    "mcan-large": _MCAN_LARGE,
    "mcan-small-grid": _on_grids(_MCAN_SMALL),
    "mcan-large-grid": _on_grids(_MCAN_LARGE),
}

# Questions of train and nominival: VQA v2's train and val without the 25,994 of minival.
_VQA_UPDATES = (443_757 + 214_354 - 25_994) // 256  # an epoch

SMALL_TUNED: dict[str, Any] = {
    "model": "clip-vil-p",
    "start_from": Path("runs/pretrain-vl-house"),
    "clip_vil_p": FineTuningConfig(
        TrunkOptimiserConfig(1e-4, name="adamw"),
        frozen_norms=True,
        # Fine-tuning alone is long enough to overfit.
        dropout=0.1,
        max_words=32,
        sentences_per_image=8,
        precision="auto",
    ),
    "optimiser": linear_adamw(5e-4, 100),
    "iterations": 4000,
    "batch_size": 64,
    "evaluate_every": 500,
}
CLIP_VIL_P_PRESETS = {
    "houses-clip-vil-p": VqaConfig(preset="houses-clip-vil-p", **HOUSE_SPLITS, **SMALL_TUNED),
    "small-clip-vil-p": VqaConfig(
        preset="small-clip-vil-p", data="photos", **HELD_OUT_ALONE, **SMALL_TUNED
    ),
    # CLIP-ViL-Pretrain's only published fine-tuning (RN50x4): five epochs.
    "clip-vil-p": VqaConfig(
        preset="clip-vil-p",
        data="data/vqa",
        model="clip-vil-p",
        start_from=Path("runs/rn50x4-stage-2"),
        clip_vil_p=FineTuningConfig(
            TrunkOptimiserConfig(0.001, milestones=(2 * _VQA_UPDATES,)),
            loss_scale=500.0,
            accumulate=32,
            precision="fp16",
            workers=8,
        ),
        optimiser=linear_adamw(5e-5, round(0.05 * 5 * _VQA_UPDATES), epsilon=1e-6),
        iterations=5 * _VQA_UPDATES,
        batch_size=8,
        evaluate_every=_VQA_UPDATES,
        train_splits=("train", "nominival"),
        select_by="minival",
        evaluation_splits=("minival",),
        device="cuda",
    ),
}
_PUBLISHED_VQA = CLIP_VIL_P_PRESETS["clip-vil-p"]


def as_published_vqa(epoch: int) -> dict[str, Any]:
    """Return the published settings of VQA for epochs of other lengths, but for its loss scale."""
    tuning, optimiser = _PUBLISHED_VQA.clip_vil_p, _PUBLISHED_VQA.optimiser
    trunk = replace(tuning.trunk_optimiser, milestones=(2 * epoch,))
    return {
        "model": "clip-vil-p",
        "start_from": _PUBLISHED_VQA.start_from,
        "clip_vil_p": replace(tuning, trunk_optimiser=trunk, loss_scale=None),
        "optimiser": replace(optimiser, warmup=round(0.05 * 5 * epoch)),
        "iterations": 5 * epoch,
        "batch_size": _PUBLISHED_VQA.batch_size,
        "evaluate_every": epoch,
        "device": "cuda",
    }
