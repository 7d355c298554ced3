"""Command lines of the agents: settings whose defaults depend on other settings."""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar, get_args

from agents.settings import (
    AnyTrainConfig,
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
)
from agents.settings.effects import idle_settings
from agents.settings.history_agent import history_preset
from agents.settings.map_presets import map_preset, pretraining_preset
from agents.settings.presets import preset, speaker_preset
from agents.settings.reading import AgentName, settings_kind
from envs.worlds import Dataset, World
from storage.errors import UserError
from training.resuming import early_value, parse_run, with_hyphens
from training.settings import read_config

Config = TypeVar("Config", bound=RunConfig)

# Settings that may change when a run is resumed; any other change would make it another run.
_MAY_CHANGE = frozenset(
    "resume iterations minutes evaluate_every evaluation_batch_size data_dir features "
    "threads device track".split()
)


@dataclass(frozen=True)
class _Choices:
    """Flags that determine the defaults of the other flags.

    Attributes:
        dataset: Value of --dataset.
        world: Value of --world.
        recipe: Value of --preset, for followers and speakers.
        map_recipe: The same for map agents.
        history_recipe: The same for HAMT.
        translated: Whether --back-translation.speaker is given.
        continued: Whether --start-from names a run on the same data.
    """

    dataset: Dataset
    world: World
    recipe: Recipe | None
    map_recipe: MapRecipe | None
    history_recipe: HistoryRecipe | None
    translated: bool
    continued: bool


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
        return _parse(MapTrainConfig, _map_defaults, arguments, description)
    if kind is HistoryTrainConfig:
        return _parse(HistoryTrainConfig, _history_defaults, arguments, description)
    return parse_train(arguments, description)


def parse_pretraining(
    arguments: Sequence[str], description: str | None = None
) -> MapPretrainConfig:
    """Return the settings of a map agent's pre-training from its command line; see `_parse`."""

    def defaults(choices: _Choices) -> MapPretrainConfig:
        return pretraining_preset(choices.dataset, choices.world, choices.map_recipe)

    return _parse(MapPretrainConfig, defaults, arguments, description)


def _map_defaults(choices: _Choices) -> MapTrainConfig:
    return map_preset(choices.dataset, choices.world, choices.map_recipe)


def _history_defaults(choices: _Choices) -> HistoryTrainConfig:
    return history_preset(choices.dataset, choices.world, choices.history_recipe)


def parse_train(arguments: Sequence[str], description: str | None = None) -> TrainConfig:
    """Return the settings of a follower's training from its command line; see `_parse`."""

    def defaults(choices: _Choices) -> TrainConfig:
        return preset(
            choices.dataset,
            choices.world,
            choices.recipe,
            choices.translated,
            choices.continued,
        )

    return _parse(TrainConfig, defaults, arguments, description)


def parse_speaker(arguments: Sequence[str], description: str | None = None) -> SpeakerTrainConfig:
    """Return the settings of a speaker's training from its command line; see `_parse`."""

    def defaults(choices: _Choices) -> SpeakerTrainConfig:
        return speaker_preset(choices.dataset, choices.world, choices.recipe)

    return _parse(SpeakerTrainConfig, defaults, arguments, description)


def _parse(
    kind: type[Config],
    defaults: Callable[[_Choices], Config],
    arguments: Sequence[str],
    description: str | None,
) -> Config:
    """Parse the command line of a training run.

    --dataset, --world, --preset, --back-translation.speaker and --start-from are parsed first,
    because they determine the defaults of the other flags. --config takes all defaults from a file,
    --resume from the run that it names. Names of flags may contain _ instead of -.

    Args:
        kind: Class of the settings.
        defaults: Return the default settings for some choices.
        arguments: Words of the command line.
        description: First paragraph of --help.

    Raises:
        FileNotFoundError: --resume or --start-from does not name a run.
        UserError: A flag contradicts the run to resume, or has no effect beside other flags.
    """
    arguments = [with_hyphens(word) for word in arguments]
    early = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    # A missing value is reported by the parser below, which knows all flags.
    early.add_argument("--dataset", nargs="?", default="r2r")
    early.add_argument("--world", nargs="?", default="houses")
    early.add_argument("--preset", nargs="?")
    early.add_argument("--back-translation.speaker", nargs="?", dest="speaker")
    early.add_argument("--start-from", nargs="?", type=Path)
    known, _ = early.parse_known_args(arguments)
    return parse_run(
        kind,
        arguments,
        description,
        defaults=lambda: defaults(_choices(known, kind)),
        idle=idle_settings,
        may_change=_MAY_CHANGE,
    )


def _choices(known: argparse.Namespace, kind: type[RunConfig]) -> _Choices:
    # The parser of all flags refuses a value outside the choices, with the list of choices.
    dataset = known.dataset if known.dataset in get_args(Dataset) else "r2r"
    world = known.world if known.world in get_args(World) else "houses"
    return _Choices(
        dataset=dataset,
        world=world,
        recipe=known.preset if known.preset in get_args(Recipe) else None,
        map_recipe=known.preset if known.preset in get_args(MapRecipe) else None,
        history_recipe=known.preset if known.preset in get_args(HistoryRecipe) else None,
        translated=known.speaker is not None,
        continued=kind is TrainConfig
        and known.start_from is not None
        and _has_data(known.start_from, dataset, world),
    )


def _has_data(run: Path, dataset: Dataset, world: World) -> bool:
    """Return whether a run was trained on a dataset in a world."""
    config = read_config(run, TrainConfig)
    return (config.dataset, config.world) == (dataset, world)
