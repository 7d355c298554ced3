"""Command line of the training of continuous agents."""

from collections.abc import Sequence
from typing import get_args

from agents.continuous.presets import continuous_defaults
from agents.continuous.settings import ContinuousRecipe, ContinuousTrainConfig, idle_settings
from envs.worlds import World
from training.resuming import early_value, parse_run

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

    def defaults() -> ContinuousTrainConfig:
        world, recipe = early_value(arguments, "world"), early_value(arguments, "preset")
        # The parser of all flags refuses a value outside the choices, with the list of choices.
        return continuous_defaults(
            early_value(arguments, "dataset") or "r2r",
            world if world in get_args(World) else "houses",  # type: ignore[arg-type]
            recipe if recipe in get_args(ContinuousRecipe) else None,  # type: ignore[arg-type]
        )

    return parse_run(
        ContinuousTrainConfig,
        arguments,
        description,
        defaults=defaults,
        idle=idle_settings,
        may_change=_MAY_CHANGE,
    )
