"""Command line of the pre-training of the house CLIP."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from encoders.pretraining.settings import PretrainConfig, default_optimiser, idle_settings
from training.resuming import early_value, file_defaults, parse_resumed, parse_settings
from training.settings import check_effects, read_config

# Settings that may change when a run is resumed; any other change would make it another run.
_MAY_CHANGE = frozenset("resume export iterations minutes save_every workers threads track".split())


def parse_pretraining(arguments: Sequence[str], description: str | None = None) -> PretrainConfig:
    """Return the settings of a pre-training from its command line.

    --iterations determines the default of --optimiser.warmup. --config takes all defaults from a
    file, --resume from the run that it names.

    Args:
        arguments: Arguments of the command line.
        description: First paragraph of --help.

    Raises:
        FileNotFoundError: --resume does not name a run.
        ValueError: A flag contradicts the run to resume, or has no effect beside other flags.
    """
    given = file_defaults(PretrainConfig, arguments)
    resumed = early_value(arguments, "resume")
    if resumed is not None:
        run = Path(resumed)
        default = read_config(run, PretrainConfig)
        # The number of iterations determines which views have labels.
        may_change = _MAY_CHANGE - ({"iterations"} if default.labelled_fraction < 1 else set())
        config = parse_resumed(PretrainConfig, run, arguments, may_change, description)
    else:
        default = given or PretrainConfig()
        iterations = early_value(arguments, "iterations") or ""
        if given is None and iterations.isdecimal():
            optimiser = default_optimiser(int(iterations))
            default = dataclasses.replace(default, optimiser=optimiser)
        config = parse_settings(PretrainConfig, default, arguments, description)
    check_effects(config, idle_settings(config), default)
    return dataclasses.replace(config, config=None)
