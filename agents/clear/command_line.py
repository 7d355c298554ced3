"""Command lines of the trainings of both representations."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from clipnav.agents.clear.settings import (
    ClearRecipe,
    LanguageConfig,
    RepresentationTrainConfig,
    VisualConfig,
    idle_settings,
    language_defaults,
    visual_defaults,
)
from clipnav.envs.worlds import World
from clipnav.storage.errors import UserError
from clipnav.training.resuming import choice, early_values, parse_run

Config = TypeVar("Config", bound=RepresentationTrainConfig)

# Settings that may change when a run is resumed; any other change would make it another run.
_MAY_CHANGE = frozenset(
    "resume iterations minutes evaluate_every data_dir features threads device track".split()
)


def parse_language(arguments: Sequence[str], description: str | None = None) -> LanguageConfig:
    """Return the settings of a language representation from its command line; see `_parse`."""
    return _parse(LanguageConfig, language_defaults, arguments, description)


def parse_visual(arguments: Sequence[str], description: str | None = None) -> VisualConfig:
    """Return the settings of a visual representation from its command line; see `_parse`.

    Raises:
        UserError: As in `_parse`, or --pairs is missing.
    """
    config = _parse(VisualConfig, visual_defaults, arguments, description)
    if config.pairs is None:
        raise UserError(
            "--pairs is missing; name a folder of paired paths, made with clipnav pair-paths"
        )
    return config


def _parse(
    kind: type[Config],
    defaults: Callable[[World, ClearRecipe | None], Config],
    arguments: Sequence[str],
    description: str | None,
) -> Config:
    """Parse the command line of a training run.

    --world and --preset determine the defaults of the other flags. --config takes all defaults from
    a file, --resume from the run that it names.

    Args:
        kind: Class of the settings.
        defaults: Return the default settings of a world and recipe.
        arguments: Arguments of the command line.
        description: First paragraph of --help.

    Raises:
        FileNotFoundError: --resume does not name a run.
        UserError: A flag contradicts the run to resume, or has no effect beside other flags.
    """
    early = early_values(arguments)
    world = choice(early.get("world"), World, "houses")
    recipe = choice(early.get("preset"), ClearRecipe)
    return parse_run(
        kind,
        arguments,
        description,
        defaults=lambda: defaults(world, recipe),
        idle=idle_settings,
        may_change=_MAY_CHANGE,
    )
