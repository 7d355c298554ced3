"""Command lines of the agents: settings whose defaults depend on other settings."""

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

from clipnav.agents.settings import (
    AnyTrainConfig,
    FrontierTrainConfig,
    HistoryRecipe,
    HistoryTrainConfig,
    MapPretrainConfig,
    MapRecipe,
    MapTrainConfig,
    Recipe,
    RunConfig,
    SpeakerTrainConfig,
    TrainConfig,
    agent_kind,
    read_agent_config,
)
from clipnav.agents.settings.effects import idle_settings
from clipnav.agents.settings.history_agent import history_preset
from clipnav.agents.settings.map_presets import map_preset, pretraining_preset
from clipnav.agents.settings.presets import frontier_preset, preset, speaker_preset
from clipnav.agents.settings.reading import AgentName, agent_of, settings_kind
from clipnav.envs.worlds import Dataset, World
from clipnav.storage.errors import UserError
from clipnav.training.resuming import early_choice, early_value, parse_run

Config = TypeVar("Config", bound=RunConfig)

# Settings that may change when a run is resumed; any other change would make it another run.
_MAY_CHANGE = frozenset(
    "resume iterations minutes evaluate_every evaluation_batch_size data_dir features "
    "threads device track".split()
)


def parse_agent(arguments: Sequence[str], description: str | None = None) -> AnyTrainConfig:
    """Return the settings of an agent's training from its command line; see `_parse`.

    The agent is that of the run to resume, that of the file --config, or --agent.

    Raises:
        UserError: --agent is not the name of an agent; and as in `_parse`.
    """
    source = early_value(arguments, "resume") or early_value(arguments, "config")
    if source is not None:
        kind = agent_kind(Path(source))
    else:
        agent = early_value(arguments, "agent")
        names = get_args(AgentName)
        if agent not in (None, *names):
            raise UserError(f"--agent {agent}: no such agent; choose one of {', '.join(names)}")
        kind = settings_kind(agent)
    if kind is MapTrainConfig:
        return _parse(MapTrainConfig, map_preset, MapRecipe, arguments, description)
    if kind is HistoryTrainConfig:
        return _parse(HistoryTrainConfig, history_preset, HistoryRecipe, arguments, description)
    if kind is FrontierTrainConfig:
        start = early_value(arguments, "start-from")
        reinforced = start is not None and agent_of(Path(start)) == "frontier"
        defaults = functools.partial(frontier_preset, reinforced=reinforced)
        return _parse_recurrent(FrontierTrainConfig, defaults, arguments, description)
    return parse_train(arguments, description)


def parse_pretraining(
    arguments: Sequence[str], description: str | None = None
) -> MapPretrainConfig:
    """Return the settings of a map agent's pre-training from its command line; see `_parse`."""
    return _parse(MapPretrainConfig, pretraining_preset, MapRecipe, arguments, description)


def parse_train(arguments: Sequence[str], description: str | None = None) -> TrainConfig:
    """Return the settings of a follower's training from its command line; see `_parse`.

    --back-translation.speaker and --start-from determine the defaults of other flags as well.

    Raises:
        FileNotFoundError: As in `_parse`, or --start-from does not name a run.
        UserError: As in `_parse`.
    """
    translated = early_value(arguments, "back-translation.speaker") is not None
    defaults = functools.partial(preset, translated=translated)
    return _parse_recurrent(TrainConfig, defaults, arguments, description)


def parse_speaker(arguments: Sequence[str], description: str | None = None) -> SpeakerTrainConfig:
    """Return the settings of a speaker's training from its command line; see `_parse`."""
    return _parse(SpeakerTrainConfig, speaker_preset, Recipe, arguments, description)


def _parse_recurrent(
    kind: type[Config],
    make: Callable[..., Config],
    arguments: Sequence[str],
    description: str | None,
) -> Config:
    """Parse the command line of a follower or frontier agent; see `_parse`.

    The default settings, which `make` returns, also depend on whether --start-from names a run on
    the same data.
    """

    def defaults(dataset: Dataset, world: World, recipe: Recipe | None) -> Config:
        start = early_value(arguments, "start-from")
        continued = start is not None and _has_data(Path(start), dataset, world)
        return make(dataset, world, recipe, continued=continued)

    return _parse(kind, defaults, Recipe, arguments, description)


def _parse(
    kind: type[Config],
    defaults: Callable[[Dataset, World, Any], Config],
    recipes: Any,
    arguments: Sequence[str],
    description: str | None,
) -> Config:
    """Parse the command line of a training run.

    --dataset, --world and --preset are parsed first, because they determine the defaults of the
    other flags. --config takes all defaults from a file, --resume from the run that it names.

    Args:
        kind: Class of the settings.
        defaults: Returns the default settings for a dataset, a world and a recipe.
        recipes: Literal of the recipes.
        arguments: Arguments of the command line.
        description: First paragraph of --help.

    Raises:
        FileNotFoundError: --resume does not name a run.
        UserError: A flag contradicts the run to resume, or has no effect beside other flags.
    """
    dataset = early_choice(arguments, "dataset", Dataset, "r2r")
    world = early_choice(arguments, "world", World, "houses")
    recipe = early_choice(arguments, "preset", recipes)
    return parse_run(
        kind,
        arguments,
        description,
        defaults=lambda: defaults(dataset, world, recipe),
        idle=idle_settings,
        may_change=_MAY_CHANGE,
    )


def _has_data(run: Path, dataset: Dataset, world: World) -> bool:
    """Return whether a run was trained on a dataset in a world."""
    config = read_agent_config(run)
    return (config.dataset, config.world) == (dataset, world)
