"""Command line of the training of continuous agents."""

from collections.abc import Sequence

from clipnav.agents.continuous.presets import continuous_defaults
from clipnav.agents.continuous.settings import (
    ContinuousRecipe,
    ContinuousTrainConfig,
    idle_settings,
)
from clipnav.envs.worlds import World
from clipnav.training.resuming import choice, early_values, parse_run

# Settings that may change when a run is resumed; any other change would make it another run.
_MAY_CHANGE = frozenset(
    "resume minutes evaluate_every demonstrations results_episodes threads device track".split()
)


def parse_continuous(
    arguments: Sequence[str], description: str | None = None
) -> ContinuousTrainConfig:
    """Return the settings of a continuous agent from its command line.

    --dataset, --world and --preset determine the defaults of the other flags. --config takes all
    defaults from a file, --resume from the run that it names.

    Args:
        arguments: Arguments of the command line.
        description: First paragraph of --help.

    Raises:
        FileNotFoundError: --resume does not name a run.
        UserError: A flag contradicts the run to resume, or has no effect beside other flags.
    """
    early = early_values(arguments)
    dataset = early.get("dataset", "r2r")
    world = choice(early.get("world"), World, "houses")
    recipe = choice(early.get("preset"), ContinuousRecipe)
    return parse_run(
        ContinuousTrainConfig,
        arguments,
        description,
        defaults=lambda: continuous_defaults(dataset, world, recipe),
        idle=idle_settings,
        may_change=_MAY_CHANGE,
    )
