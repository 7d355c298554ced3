"""Command line of the pre-training of the house CLIP."""

from collections.abc import Sequence
from pathlib import Path

from clipnav.encoders.pretraining.settings import PretrainConfig, default_optimiser, idle_settings
from clipnav.training.resuming import early_values, parse_run
from clipnav.training.settings import read_config

# Settings that may change when a run is resumed; any other change would make it another run.
_MAY_CHANGE = frozenset("resume export iterations minutes save_every workers threads track".split())


def parse_pretraining(arguments: Sequence[str], description: str | None = None) -> PretrainConfig:
    """Return the settings of a pre-training from its command line.

    --iterations determines the default of --optimiser.warmup. --config takes all defaults from a
    file, --resume from the run that it names.
    """

    def defaults() -> PretrainConfig:
        iterations = early_values(arguments).get("iterations", "")
        if not iterations.isdecimal():
            return PretrainConfig()
        return PretrainConfig(optimiser=default_optimiser(int(iterations)))

    return parse_run(
        PretrainConfig,
        arguments,
        description,
        defaults=defaults,
        idle=idle_settings,
        may_change=_may_change(arguments),
    )


def _may_change(arguments: Sequence[str]) -> frozenset[str]:
    resumed = early_values(arguments).get("resume")
    if resumed is None or read_config(Path(resumed), PretrainConfig).labelled_fraction == 1:
        return _MAY_CHANGE
    # The number of iterations determines which views have labels.
    return _MAY_CHANGE - {"iterations"}
