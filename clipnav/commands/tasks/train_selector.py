"""Train a confidence estimator for a VQA model, so that it can abstain.

$ clipnav train-selector runs/vqa-mcan-house
$ clipnav train-selector runs/vqa-mcan-house --method maxprob
$ clipnav train-selector runs/vqa-mcan-house --method calibration --split val_unseen
$ clipnav train-selector --resume runs/selector-vqa-mcan-house

--method chooses the defaults of the other flags. The VQA model stays frozen; its outputs are
computed once and cached. The command prints calibration error and thresholds by tolerated risk.
"""

from collections.abc import Sequence
from pathlib import Path

from clipnav.storage.errors import UserError
from clipnav.training.resuming import early_values, parse_resumed, parse_settings
from clipnav.training.settings import check_effects, read_config
from clipnav.vl_tasks.reliability.settings import SELECTOR_PRESETS, SelectorConfig

# Settings that may change when a run is resumed.
_MAY_CHANGE = frozenset(
    "resume iterations epochs minutes evaluate_every evaluation_batch_size threads device "
    "track".split()
)


def main(arguments: Sequence[str]) -> None:
    """Parse the command line and train."""
    config = parse_selector(arguments)
    # Imported here so that --help answers without loading torch.
    from clipnav.vl_tasks.reliability.training import train_selector

    train_selector(config)


def parse_selector(arguments: Sequence[str]) -> SelectorConfig:
    """Parse the command line; --method chooses the defaults, --resume reads them from a run."""
    early = early_values(arguments)
    resumed = early.get("resume")
    if resumed is not None:
        run = Path(resumed)
        config = parse_resumed(SelectorConfig, run, arguments, _MAY_CHANGE, __doc__)
        check_effects(config, config.unused_options(), read_config(run, SelectorConfig))
        return config
    method = early.get("method", "selector")
    if method not in SELECTOR_PRESETS:
        names = ", ".join(SELECTOR_PRESETS)
        raise UserError(f"--method {method} does not exist; choose one of {names}")
    default = SELECTOR_PRESETS[method]
    config = parse_settings(SelectorConfig, default, arguments, __doc__)
    if config.run is None:
        raise UserError("no run given; write clipnav train-selector RUN --method selector")
    check_effects(config, config.unused_options(), default)
    return config
