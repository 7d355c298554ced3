"""Settings of the tasks that have no effect in combination with other settings.

A preset may contain such settings; a command line may not add them
(`clipnav.training.settings.check_effects`).
"""

from clipnav.training.settings import idle_training_settings
from clipnav.vl_tasks.settings.captions import CaptionConfig
from clipnav.vl_tasks.settings.clip_vil_p import FINE_TUNED_MODELS, FineTuningConfig
from clipnav.vl_tasks.settings.configs import (
    EntailmentConfig,
    FineTunableConfig,
    QuestionConfig,
    RunConfig,
    VqaConfig,
)
from clipnav.vl_tasks.settings.gqa import GqaConfig
from clipnav.vl_tasks.settings.network_sizes import SIZES_OF_MODEL
from clipnav.vl_tasks.settings.pretraining import PretrainConfig

# Settings of models over the features of frozen encoders.
_OF_FROZEN_ENCODERS = ("grids", "standardise", "embedding_size", "glove", "max_words")
_TEXT_SIZES = ("vocabulary_size", "hidden_size", "layers", "heads", "feed_forward_size")
_TRUNK_FLAGS = {"frozen": "frozen-trunk", "frozen_norms": "frozen-norms"}  # of fine-tuning
_TRUNK_BUILDING = ("encoder", "pretrained", "random_weights", "positions", "standardise")


def idle_settings(config: RunConfig) -> dict[str, str]:
    """Return the dotted names of the settings without effect, each with the reason.

    The name of a group includes all its settings.
    """
    idle = idle_training_settings(config)
    if isinstance(config, FineTunableConfig):
        idle |= _idle_in_fine_tuning(config.clip_vil_p)
    if isinstance(config, QuestionConfig):
        idle |= _idle_in_questions(config)
    if isinstance(config, EntailmentConfig):
        idle |= _idle_in_entailment(config)
    if isinstance(config, CaptionConfig) and config.phase == "xe":
        idle["baseline"] = "without --start-from, which selects self-critical training"
    if config.vision:
        return idle
    idle["images"] = "with --no-vision"
    # The two-tower model encodes its sentences with the CLIP encoder.
    if not (isinstance(config, EntailmentConfig) and config.model == "two-tower"):
        idle |= dict.fromkeys(("grids", "standardise"), "with --no-vision")
    return idle


def idle_pretraining_settings(config: PretrainConfig) -> dict[str, str]:
    """Return the settings of a pre-training without effect; see `idle_settings`."""
    idle = idle_training_settings(config)
    if config.start_from is not None:
        names = ("text", "model", "faithful", *(f"trunk.{name}" for name in _TRUNK_BUILDING))
        idle |= dict.fromkeys(names, "with --start-from, whose run has its own networks")
    elif config.text.bert is not None:
        idle |= dict.fromkeys((f"text.{name}" for name in _TEXT_SIZES), "with --text.bert")
    if config.objective == "masked-words":
        names = ("answering", "exchanged", "masked_questions", "answers", "min_count")
        idle |= dict.fromkeys(names, "with --objective masked-words")
    elif not config.answering:
        idle |= dict.fromkeys(("answers", "min_count"), "with --no-answering")
    elif config.answers is not None:
        idle["min_count"] = "with --answers, which sets the answer vocabulary"
    if config.trunk.frozen:
        names = ("trunk_optimiser", "trunk.frozen_norms")
        return idle | dict.fromkeys(names, "with --trunk.frozen")
    if not config.trunk_optimiser.milestones:
        idle["trunk_optimiser.decay"] = "without --trunk-optimiser.milestones"
    return idle


def _idle_in_fine_tuning(config: FineTuningConfig) -> dict[str, str]:
    if config.frozen_trunk:
        names = ("clip_vil_p.trunk_optimiser", "clip_vil_p.frozen_norms")
        return dict.fromkeys(names, "with --clip-vil-p.frozen-trunk")
    if not config.trunk_optimiser.milestones:
        name = "clip_vil_p.trunk_optimiser.decay"
        return {name: "without --clip-vil-p.trunk-optimiser.milestones"}
    return {}


def _idle_in_questions(config: QuestionConfig) -> dict[str, str]:
    model = f"with --model {config.model}"
    names: tuple[str, ...]
    if config.model in FINE_TUNED_MODELS:
        names = ("pythia", "mcan", "regions", "faithful", "tokenizer", "reduction")
        names = (*names, *_OF_FROZEN_ENCODERS)
        is_scaled = isinstance(config, GqaConfig) and config.loss == "ce"
        if config.model == "multilingual" or is_scaled:
            names = tuple(name for name in names if name != "faithful")
    else:
        sizes = {*SIZES_OF_MODEL.values()} - {SIZES_OF_MODEL[config.model]}
        names = (*sorted(sizes), "clip_vil_p")
    idle: dict[str, str] = dict.fromkeys(names, model)
    if isinstance(config, VqaConfig):
        idle |= _idle_in_languages(config)
    if config.answers is not None:
        idle["min_count"] = "with --answers, which sets the answer vocabulary"
    if config.regions is not None:
        idle |= dict.fromkeys(("images", "grids"), "with --regions, which replaces the images")
    if not config.vision:
        idle["regions"] = "with --no-vision"
    return idle


def _idle_in_languages(config: VqaConfig) -> dict[str, str]:
    names = ("languages", "evaluation_languages", "agreement", "multilingual")
    if config.model != "multilingual":
        return dict.fromkeys(names, f"with --model {config.model}")
    idle: dict[str, str] = {}
    for name in ("frozen", "frozen_norms"):
        idle[f"multilingual.trunk.{name}"] = f"where --clip-vil-p.{_TRUNK_FLAGS[name]} decides"
    if config.clip_vil_p.dropout is not None:
        idle["multilingual.text.dropout"] = "with --clip-vil-p.dropout, which replaces it"
    if config.faithful:
        names = ("agreement", "clip_vil_p.loss_scale")
        idle |= dict.fromkeys(names, "with --faithful")
    elif len(config.languages) < 2:
        idle["agreement"] = "with questions in one of --languages"
    elif config.agreement:
        idle["clip_vil_p.sentences_per_image"] = "with --agreement, which groups by question"
    if config.start_from is not None:
        idle["multilingual"] = "with --start-from, whose run has its own networks"
    elif config.multilingual.text.bert is not None:
        names = tuple(f"multilingual.text.{name}" for name in _TEXT_SIZES)
        idle |= dict.fromkeys(names, "with --multilingual.text.bert")
    return idle


def _idle_in_entailment(config: EntailmentConfig) -> dict[str, str]:
    fused = ("mcan", "embedding_size", "glove", "max_words", "standardise")
    two_tower = ("hidden_size", "dropout")
    names = {
        "fused": (*two_tower, "clip_vil_p"),
        "two-tower": (*fused, "clip_vil_p"),
        "clip-vil-p": ("mcan", *two_tower, *_OF_FROZEN_ENCODERS, "clip_vil_p.loss_scale"),
    }
    return dict.fromkeys(names[config.model], f"with --model {config.model}")
