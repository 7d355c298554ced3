"""Command lines of the agents: settings whose defaults depend on other settings."""

import typing
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar, get_args

from clipnav.agents.settings import AgentConfig
from clipnav.agents.settings.reading import run_spec
from clipnav.agents.specs import agent_spec, with_agents
from clipnav.envs.datasets import dataset_spec
from clipnav.envs.worlds import World, world_spec
from clipnav.storage.errors import UserError
from clipnav.training.resuming import choice, early_values, parse_run
from clipnav.training.run_settings import EvaluatedTrainingConfig

Config = TypeVar("Config", bound=EvaluatedTrainingConfig)


def parse_agent(arguments: Sequence[str], description: str | None = None) -> AgentConfig:
    """Return the settings of an agent's training from its command line; see `parse_training`.

    The agent is that of the run to resume, that of the file --config, or --agent.
    """
    arguments = with_agents(arguments)
    early = early_values(arguments)
    given = early.get("agent")
    chosen = agent_spec(given or "follower")
    source = early.get("resume") or early.get("config")
    spec = chosen if source is None else run_spec(Path(source))
    if given is not None and chosen != spec:
        raise UserError(
            f"--agent {given}: {source} is a run of the agent {spec.name}; omit --agent"
        )
    kind = spec.subclass("settings", AgentConfig)

    def defaults(dataset: str, world: World, recipe: Any) -> AgentConfig:
        return spec.call("defaults", dataset, world, recipe, early.get, kind=kind)

    config = parse_training(kind, defaults, arguments, description)
    return replace(config, agent=spec.name)


def parse_training(
    kind: type[Config],
    defaults: Callable[[str, World, Any], Config],
    arguments: Sequence[str],
    description: str | None,
) -> Config:
    """Parse the command line of a training run.

    --dataset, --world and --preset are parsed first, because they determine the defaults of the
    other flags. --config takes all defaults from a file, --resume from the run that it names.
    """
    early = early_values(arguments)
    dataset = early.get("dataset") or getattr(kind, "dataset", "r2r")
    world = early.get("world") or "houses"
    names, _none = get_args(typing.get_type_hints(kind)["preset"])
    given = early.get("preset")
    recipe = given if names is str else choice(given, names)

    def known_defaults() -> Config:
        spec, place = dataset_spec(dataset), world_spec(world)
        config = defaults(spec.like, place.like, recipe)
        own: dict[str, Any] = {}
        if spec.name != spec.like and recipe is None:
            own = {"dataset": spec.name, "max_instruction_length": spec.max_instruction_length}
        if place.name != place.like:
            own["world"] = place.name
        return replace(config, **{name: own[name] for name in own if hasattr(config, name)})

    return parse_run(
        kind,
        arguments,
        description,
        defaults=known_defaults,
        idle=kind.unused_options,
        may_change=kind.MAY_CHANGE,
    )
