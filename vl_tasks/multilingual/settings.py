"""Settings of multilingual VQA: presets of ours for the houses, published ones, and translation.

The published settings are those of gchhablani/multilingual-vqa (0f43030e) on eight TPU cores. The
learning rate of the fine-tuning decayed to 1e-6 there, and to 0 here.
"""

from dataclasses import dataclass, replace
from pathlib import Path

from clipnav.storage.errors import UserError
from clipnav.training.optimiser_settings import OptimiserConfig
from clipnav.training.settings import check_counts, check_splits
from clipnav.vl_tasks.clip_vil_p.settings import PRESETS as PRETRAINING
from clipnav.vl_tasks.clip_vil_p.settings import PretrainConfig, pretraining_defaults
from clipnav.vl_tasks.settings.networks import (
    FineTuningConfig,
    TextConfig,
    TrunkConfig,
    TrunkOptimiserConfig,
)
from clipnav.vl_tasks.settings.runs import (
    HELD_OUT,
    HELD_OUT_ALONE,
    HOUSE_SPLITS,
    check_codes,
    linear_adamw,
)
from clipnav.vl_tasks.specs import Flag, chosen_preset
from clipnav.vl_tasks.vqa.settings import (
    CLIP_VIL_P_PRESETS,
    FEATURE_PRESETS,
    MultilingualConfig,
    VqaConfig,
)

LANGUAGES = ("en", "fr", "de", "es", "hi", "te")
_PUBLISHED_LANGUAGES = ("en", "fr", "de", "es")
_CORES = 8
_CAPTIONS = 10_000_000  # CC12M's, in four languages
_QUESTIONS = 4 * 443_757  # VQA v2's training questions in four languages
_PUBLISHED_TEXT = TextConfig(bert="bert-base-multilingual-uncased")
_PUBLISHED_TRUNK = TrunkConfig("ViT-B-32-quickgelu", "openai", standardise=False)
_PUBLISHED_WORDS = 128 - 50  # maximum length of the sequence without the visual tokens

# Dropout slows the training of so small a network, and it does not overfit in this time.
_TEXT = TextConfig(
    vocabulary_size=3000,
    hidden_size=128,
    layers=3,
    heads=4,
    feed_forward_size=256,
    dropout=0.0,
    pooling="means",
)
_TRUNK = TrunkConfig(positions=12, frozen_norms=True, frozen=True)
# The cells of smaller images do not show the colour of small things.
_IMAGE_SIZE = (192, 192)

_OPTIMISER = linear_adamw(1e-3, 200)


def _published_optimiser(rate: float, warmup: int, decay: float, epsilon: float) -> OptimiserConfig:
    published = linear_adamw(rate, warmup, epsilon)
    return replace(published, weight_decay=decay, clip="none")


_HOUSES = PretrainConfig(
    preset="houses-multilingual",
    model="multilingual",
    languages=LANGUAGES,
    select_by="val_seen",
    text=_TEXT,
    trunk=_TRUNK,
    image_size=_IMAGE_SIZE,
    cells=None,
    max_words=32,
    exchanged=0.2,
    masked_questions=False,
    min_count=2,
    optimiser=_OPTIMISER,
    trunk_optimiser=TrunkOptimiserConfig(5e-4, name="adamw"),
    precision="auto",
    iterations=10_000,
    batch_size=96,
    evaluate_every=1000,
    evaluation_pairs=4000,
    pairs_per_image=8,
    workers=0,
)
PRETRAINING_PRESETS = {
    # For one core of a laptop.
    "houses-multilingual": _HOUSES,
    # The same for the user's own captions and questions.
    "small-multilingual": replace(
        _HOUSES,
        preset="small-multilingual",
        data="photos",
        select_by=HELD_OUT,
        image_size=(192, 288),
        languages=("en",),
    ),
    "multilingual": PretrainConfig(
        preset="multilingual",
        data="data/cc12m",
        model="multilingual",
        objective="masked-words",
        languages=_PUBLISHED_LANGUAGES,
        text=_PUBLISHED_TEXT,
        trunk=_PUBLISHED_TRUNK,
        image_size=(224, 224),
        cells=None,
        max_words=_PUBLISHED_WORDS,
        faithful=True,
        # run.sh leaves weight decay and epsilon at transformers' defaults, 0 and 1e-8.
        optimiser=_published_optimiser(1e-4, 5000, decay=0.0, epsilon=1e-8),
        trunk_optimiser=TrunkOptimiserConfig(1e-4, name="adamw", weight_decay=0.0),
        iterations=5 * _CAPTIONS // (64 * _CORES),
        batch_size=64,
        evaluate_every=5000,
        workers=8,
        device="cuda",
    ),
}

_EASY_VQA = FEATURE_PRESETS["easy-vqa"]
_TUNED_HOUSES = VqaConfig(
    preset="houses-multilingual",
    **HOUSE_SPLITS,
    model="multilingual",
    languages=LANGUAGES,
    multilingual=MultilingualConfig(_TEXT, _TRUNK, _IMAGE_SIZE),
    clip_vil_p=FineTuningConfig(
        TrunkOptimiserConfig(5e-4, name="adamw"),
        frozen_norms=True,
        frozen_trunk=True,
        dropout=0.1,
        max_words=32,
        precision="auto",
        sentences_per_image=8,
    ),
    agreement=1.0,
    optimiser=linear_adamw(5e-4, 200),
    iterations=2000,
    batch_size=96,
    evaluate_every=1000,
)
VQA_PRESETS = {
    "houses-multilingual": _TUNED_HOUSES,
    "small-multilingual": replace(
        _TUNED_HOUSES,
        preset="small-multilingual",
        data="photos",
        languages=("en",),
        multilingual=MultilingualConfig(_TEXT, _TRUNK, (192, 288)),
        min_count=1,
        **HELD_OUT_ALONE,
    ),
    "easy-vqa-multilingual": replace(
        _TUNED_HOUSES,
        preset="easy-vqa-multilingual",
        data="easy-vqa",
        languages=("en",),
        select_by=_EASY_VQA.select_by,
        evaluation_splits=_EASY_VQA.evaluation_splits,
        # It has no pre-trained network to start from.
        clip_vil_p=replace(_TUNED_HOUSES.clip_vil_p, dropout=None),
        optimiser=_OPTIMISER,
        iterations=_EASY_VQA.iterations,
        evaluate_every=_EASY_VQA.evaluate_every,
    ),
    "multilingual": VqaConfig(
        preset="multilingual",
        data="data/vqa",
        model="multilingual",
        languages=_PUBLISHED_LANGUAGES,
        start_from=Path("runs/pretrain-vl-multilingual-cc12m"),
        faithful=True,
        clip_vil_p=FineTuningConfig(
            TrunkOptimiserConfig(5e-5, name="adamw", weight_decay=0.01),
            max_words=_PUBLISHED_WORDS,
            workers=8,
        ),
        optimiser=_published_optimiser(5e-5, 1600, decay=0.01, epsilon=1e-6),
        iterations=10 * _QUESTIONS // (128 * _CORES),
        batch_size=128,
        evaluate_every=1000,
        device="cuda",
    ),
}


def vqa_defaults(flag: Flag) -> VqaConfig:
    """Return the settings of clipnav finetune-vqa without flags, for all of its models."""
    return chosen_preset(FEATURE_PRESETS | CLIP_VIL_P_PRESETS | VQA_PRESETS, flag)


def all_pretraining_defaults(flag: Flag) -> PretrainConfig:
    """Return the settings of clipnav pretrain-vl without flags, for both models."""
    return pretraining_defaults(flag, PRETRAINING | PRETRAINING_PRESETS)


@dataclass(frozen=True)
class TranslationConfig:
    """Settings of a translation."""

    model: str
    """Marian model from English: a folder of transformers, or a name on Hugging Face such as
    Helsinki-NLP/opus-mt-en-fr."""
    language: str
    """Code of the target language, such as fr."""
    data: Path = Path("data/vqa")
    """Data folder; the translations are written to its folder languages/LANGUAGE."""
    splits: tuple[str, ...] = ("train", "val")
    """Splits to translate."""
    prefix: str = ""
    """Text before each question, such as ">>fra<<" for a model of several target languages."""
    batch_size: int = 64
    """Number of questions in a batch."""
    beams: int = 4
    """Beam width."""
    max_length: int = 64
    """Maximum number of tokens of a translation."""
    device: str = "cpu"
    """Device of the model: cpu, cuda, cuda:0, ..."""
    threads: int | None = None
    """Number of CPU threads of torch; default: torch's own."""

    def __post_init__(self) -> None:
        check_counts(self, ("batch_size", "beams", "max_length", "threads"))
        check_splits(self, ("splits",))
        check_codes((self.language,), "--language")
        if self.language == "en":
            raise UserError("--language en: the questions are in English; give another language")
