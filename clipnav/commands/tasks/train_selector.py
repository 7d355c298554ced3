"""Train a confidence estimator for a VQA model, so that it can abstain.

$ clipnav train-selector runs/vqa-mcan-house
$ clipnav train-selector runs/vqa-mcan-house --method maxprob
$ clipnav train-selector runs/vqa-mcan-house --method calibration --split val_unseen
$ clipnav train-selector --resume runs/selector-vqa-mcan-house

--method chooses the defaults of the other flags. The VQA model stays frozen; its outputs are
computed once and cached. The command prints calibration error and thresholds by tolerated risk.
"""

from collections.abc import Sequence

from clipnav.storage.errors import UserError
from clipnav.training.resuming import early_values, parse_run
from clipnav.vl_tasks.reliability.settings import SelectorConfig, selector_defaults


def main(arguments: Sequence[str]) -> None:
    """Parse the command line and train."""
    config = _parse_selector(arguments)
    # Imported here so that --help answers without loading torch.
    from clipnav.vl_tasks.reliability.training import train_selector

    train_selector(config)


def _parse_selector(arguments: Sequence[str]) -> SelectorConfig:
    """Parse the command line; --method chooses the defaults, --resume reads them from a run."""
    config = parse_run(
        SelectorConfig,
        arguments,
        __doc__,
        defaults=lambda: selector_defaults(early_values(arguments).get("method", "selector")),
        idle=SelectorConfig.unused_options,
        may_change=SelectorConfig.MAY_CHANGE,
    )
    if config.run is None:
        raise UserError("no run given; write clipnav train-selector RUN --method selector")
    return config
