"""Command-line parsing for the tasks; --data and --preset choose the defaults of other settings."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from clipnav.storage.errors import UserError
from clipnav.training.resuming import early_values, parse_run, parse_settings
from clipnav.training.settings import check_effects, check_same_run, read_config
from clipnav.vl_tasks.house_tasks import HouseTaskFiles
from clipnav.vl_tasks.settings.captions import CaptionConfig
from clipnav.vl_tasks.settings.clip_vil_p import FINE_TUNED_MODELS
from clipnav.vl_tasks.settings.configs import EntailmentConfig, RunConfig, VqaConfig
from clipnav.vl_tasks.settings.effects import idle_pretraining_settings, idle_settings
from clipnav.vl_tasks.settings.gqa import GQA_PRESETS, GqaConfig
from clipnav.vl_tasks.settings.multilingual_presets import (
    MULTILINGUAL_PRETRAINING,
    MULTILINGUAL_VQA,
)
from clipnav.vl_tasks.settings.presets import (
    CAPTION_PRESETS,
    ENTAILMENT_PRESETS,
    SCST_CHANGES,
    VQA_PRESETS,
)
from clipnav.vl_tasks.settings.pretraining import PretrainConfig
from clipnav.vl_tasks.settings.pretraining_presets import (
    CLIP_VIL_P_ENTAILMENT,
    CLIP_VIL_P_GQA,
    CLIP_VIL_P_VQA,
    PRETRAIN_PRESETS,
)

Config = TypeVar("Config", bound=RunConfig | PretrainConfig)

# Settings that may change when a run is resumed.
_MAY_CHANGE = frozenset(
    "resume images regions iterations minutes evaluate_every evaluation_batch_size "
    "evaluation_splits submit threads device track beams variant consistency "
    "evaluation_languages".split()
)
# For captions the tokenizer only affects the scores; for questions it determines the vocabulary.
_MAY_CHANGE_IN_CAPTIONS = _MAY_CHANGE | {"tokenizer"}
_MAY_CHANGE_IN_PRETRAINING = frozenset(
    "resume images iterations minutes evaluate_every evaluation_batch_size evaluation_pairs "
    "evaluation_splits workers threads device track".split()
)
_PRETRAININGS = PRETRAIN_PRESETS | MULTILINGUAL_PRETRAINING
# Settings that self-critical training must share with its cross-entropy run (--start-from).
_OF_START = frozenset("preset vision standardise captioner min_count grids".split())
_NETWORKS = frozenset("text model faithful trunk".split())  # of the pre-training to start from
# The cache and the precision of the encoder, and what is frozen, may differ.
_NOT_OF_START = frozenset("grids.keep grids.precision trunk.frozen_norms".split())


def parse_vqa(arguments: Sequence[str], description: str | None = None) -> VqaConfig:
    """Parse the command line of a VQA training, see `_parse`."""
    return _parse(VQA_PRESETS | CLIP_VIL_P_VQA | MULTILINGUAL_VQA, arguments, description)


def vqa_splits(arguments: Sequence[str]) -> tuple[str, ...]:
    """Return the splits on which a VQA training is scored, first the one that selects its weights.

    The built-in houses have no splits but their own, which presets for other data do not name.
    """
    config = parse_vqa(arguments)
    if _preset_for(config.data, VQA_PRESETS) == "houses":
        config = VQA_PRESETS["houses"]
    return config.evaluated_splits


def parse_gqa(arguments: Sequence[str], description: str | None = None) -> GqaConfig:
    """Parse the command line of a GQA training, see `_parse`."""
    return _parse(GQA_PRESETS | CLIP_VIL_P_GQA, arguments, description)


def parse_entailment(arguments: Sequence[str], description: str | None = None) -> EntailmentConfig:
    """Parse the command line of a visual entailment training, see `_parse`."""
    return _parse(ENTAILMENT_PRESETS | CLIP_VIL_P_ENTAILMENT, arguments, description)


def parse_pretraining(arguments: Sequence[str], description: str | None = None) -> PretrainConfig:
    """Parse the command line of a pre-training, see `_parse`.

    With --start-from, the sizes of the networks are those of that run.

    Raises:
        FileNotFoundError: The folder --start-from is not a run.
        UserError: The file --config has networks that differ from those of that run.
    """
    early = early_values(arguments)
    start = early.get("start-from")
    if start is None or "resume" in early or "config" in early:
        config = _parse(_PRETRAININGS, arguments, description)
        if config.start_from is not None and config.resume is None:
            _check_start(config, config.start_from, _NETWORKS)
        return config
    saved = read_config(Path(start), PretrainConfig)
    presets = {
        name: dataclasses.replace(
            preset,
            text=saved.text,
            model=saved.model,
            faithful=saved.faithful,
            trunk=dataclasses.replace(saved.trunk, frozen_norms=preset.trunk.frozen_norms),
        )
        for name, preset in _PRETRAININGS.items()
    }
    return _parse(presets, arguments, description)


def parse_captions(arguments: Sequence[str], description: str | None = None) -> CaptionConfig:
    """Parse the command line of a captioning training, see `_parse`.

    With --start-from, the defaults are the settings of that run plus the preset's changes for
    self-critical training.

    Raises:
        FileNotFoundError: The folder --start-from is not a run.
        UserError: A flag is incompatible with the weights of that run; names both values.
    """
    early = early_values(arguments)
    start = early.get("start-from")
    if start is None or "resume" in early or "config" in early:
        config = _parse(CAPTION_PRESETS, arguments, description)
        if config.start_from is not None and config.resume is None:
            _check_start(config, config.start_from, _OF_START)
        return config
    saved = read_config(Path(start), CaptionConfig)
    changes = SCST_CHANGES[saved.preset]
    defaults = dataclasses.replace(
        saved, phase="scst", start_from=Path(start), output=None, resume=None, **changes
    )
    config = parse_settings(CaptionConfig, defaults, arguments, description)
    _check_start(config, Path(start), _OF_START)
    check_effects(config, idle_settings(config), defaults)
    return config


def _check_start(
    config: CaptionConfig | PretrainConfig, start: Path, shared: frozenset[str]
) -> None:
    """Refuse settings that must be those of the run to start from, but are not."""
    may_change = {field.name for field in dataclasses.fields(config)} - shared | _NOT_OF_START
    remedy = (
        "omit the flags or the file --config to start from its weights, or train a new run "
        "without --start-from"
    )
    check_same_run(start, config, frozenset(may_change), "the command line", remedy)


def _parse(
    presets: Mapping[str, Config],
    arguments: Sequence[str],
    description: str | None,
) -> Config:
    """Parse the command line of a training run.

    --preset and --data are read first because they choose the defaults of the other flags; --config
    takes all defaults from a file, --resume from the resumed run.

    Args:
        presets: Presets of the task by name.
        arguments: Command-line arguments.
        description: Introduction of the --help text.

    Raises:
        FileNotFoundError: The folder --resume is not a run.
        UserError: The preset does not exist, a flag has no effect, or a flag contradicts the
            resumed run; names both values.
    """
    kind: Any = type(presets["houses"])
    return parse_run(
        kind,
        arguments,
        description,
        defaults=lambda: _preset(arguments, presets),
        idle=_idle,
        may_change=_may_change(kind),
    )


def _idle(config: RunConfig | PretrainConfig) -> dict[str, str]:
    """Return the names of the settings without effect, and why."""
    if isinstance(config, PretrainConfig):
        return idle_pretraining_settings(config)
    return idle_settings(config)


def _may_change(kind: type[RunConfig | PretrainConfig]) -> frozenset[str]:
    """Return the names of the settings that may change when a run is resumed."""
    if kind is PretrainConfig:
        return _MAY_CHANGE_IN_PRETRAINING
    return _MAY_CHANGE_IN_CAPTIONS if kind is CaptionConfig else _MAY_CHANGE


def _preset(arguments: Sequence[str], presets: Mapping[str, Config]) -> Config:
    early = early_values(arguments)
    data = early.get("data", "house")
    preset = early.get("preset") or _preset_for(data, presets)
    model = early.get("model")
    if model is None and early.get("objective") == "masked-words":
        model = "multilingual"
    if model in FINE_TUNED_MODELS and f"{preset}-{model}" in presets:
        preset = f"{preset}-{model}"
    if preset not in presets:
        raise UserError(f"--preset {preset} does not exist; choose one of {', '.join(presets)}")
    return presets[preset]


def _preset_for(data: str, presets: Mapping[str, Config]) -> str:
    if data == "house" or HouseTaskFiles(Path(data)).summary.is_file():
        return "houses"
    return data if data in presets else "small"
