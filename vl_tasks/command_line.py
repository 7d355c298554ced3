"""Command lines of the tasks: settings whose defaults depend on the data and on a recipe."""

import argparse
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import tyro

from storage.runs.resuming import parse_resumed
from storage.runs.settings import check_same_run, read_config
from vl_tasks.configs import CaptionConfig, EntailmentConfig, RunConfig, VqaConfig
from vl_tasks.effects import check_effects
from vl_tasks.house_tasks import HouseTaskFiles
from vl_tasks.presets import CAPTION_PRESETS, ENTAILMENT_PRESETS, SCST_CHANGES, VQA_PRESETS

Config = TypeVar("Config", bound=RunConfig)

# What may change when a run goes on. All else would make it another run.
_MAY_CHANGE = frozenset(
    "resume images regions iterations minutes evaluate_every evaluation_batch evaluation_splits "
    "submit threads device beams variant".split()
)
# Of captions this one cuts what is scored; of questions it makes the vocabulary.
_MAY_CHANGE_IN_CAPTIONS = _MAY_CHANGE | {"tokenizer"}
# What self-critical training has from its start: weights are built after it, or learnt through it.
_OF_START = frozenset("preset vision standardise captioner min_count grids".split())


def parse_vqa(arguments: Sequence[str], description: str | None = None) -> VqaConfig:
    """Settings of a VQA training from its command line, see `_parse`."""
    return _parse(VQA_PRESETS, arguments, description)


def parse_entailment(arguments: Sequence[str], description: str | None = None) -> EntailmentConfig:
    """Settings of an entailment training from its command line, see `_parse`."""
    return _parse(ENTAILMENT_PRESETS, arguments, description)


def parse_captions(arguments: Sequence[str], description: str | None = None) -> CaptionConfig:
    """Settings of a captioner's training from its command line, see `_parse`.

    --start is read first, too: self-critical training takes the settings of that run, with the
    changes of the recipe.

    Raises:
        FileNotFoundError: --start names no run.
        ValueError: A flag contradicts what the weights of that run need; names both values.
    """
    start = _first(arguments, "start")
    if start is None or _first(arguments, "resume") is not None:
        return _parse(CAPTION_PRESETS, arguments, description)
    saved = read_config(Path(start), CaptionConfig)
    changes = SCST_CHANGES[saved.preset]
    defaults = dataclasses.replace(
        saved, phase="scst", start=Path(start), output=None, resume=None, **changes
    )
    config = tyro.cli(
        CaptionConfig, description=description, default=defaults, args=list(arguments)
    )
    _check_start(saved, config, Path(start))
    check_effects(defaults, config)
    return config


def _check_start(saved: CaptionConfig, config: CaptionConfig, start: Path) -> None:
    """Refuse settings with which the weights of a run would not fit, or see something else."""
    # Where grids are kept and how exactly they are worked out makes them no others.
    grids = dataclasses.replace(
        config.grids, keep=saved.grids.keep, precision=saved.grids.precision
    )
    config = dataclasses.replace(config, grids=grids)
    may_change = {field.name for field in dataclasses.fields(config)} - _OF_START
    remedy = "leave the flags out to go on from its weights, or train another without --start"
    check_same_run(start, config, frozenset(may_change), "the command line", remedy)


def _parse(
    presets: Mapping[str, Config],
    arguments: Sequence[str],
    description: str | None,
) -> Config:
    """Settings of a training run from its command line.

    --preset and --data are read first, for they choose the defaults of the rest; --resume takes all
    defaults from the run that it names.

    Args:
        presets: Recipes of the task.
        arguments: Of the command line.
        description: What --help begins with.

    Raises:
        FileNotFoundError: --resume names no run.
        ValueError: There is no such recipe, a flag has no effect, or it contradicts the run to
            resume; names both values.
    """
    kind = type(presets["houses"])
    resumed = _first(arguments, "resume")
    if resumed is not None:
        may_change = _MAY_CHANGE_IN_CAPTIONS if kind is CaptionConfig else _MAY_CHANGE
        config = parse_resumed(kind, Path(resumed), arguments, may_change, description)
        check_effects(read_config(Path(resumed), kind), config)
        return config
    data = _first(arguments, "data") or "house"
    preset = _first(arguments, "preset") or _recipe_for(data, presets)
    if preset not in presets:
        raise ValueError(f"--preset {preset} is none of {', '.join(presets)}")
    default = presets[preset]
    config = tyro.cli(kind, description=description, default=default, args=list(arguments))
    check_effects(default, config)
    return config


def _recipe_for(data: str, presets: Mapping[str, Config]) -> str:
    if data == "house" or HouseTaskFiles(Path(data)).summary.is_file():
        return "houses"
    return data if data in presets else "small"


def _first(arguments: Sequence[str], name: str) -> str | None:
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    # A value that is missing is complained of later, by the parser that knows all flags.
    parser.add_argument(f"--{name}", nargs="?")
    return getattr(parser.parse_known_args(list(arguments))[0], name)
