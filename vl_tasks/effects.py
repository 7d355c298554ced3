"""Refusing flags that change nothing, given the other settings."""

from collections.abc import Iterator

from storage.runs.settings import differences
from vl_tasks.configs import CaptionConfig, EntailmentConfig, RunConfig, VqaConfig

# Of which settings nothing is read, and why. A name stands for the settings below it, too.
_Rule = tuple[tuple[str, ...], str]


def check_effects(default: RunConfig, config: RunConfig) -> None:
    """Make sure that each setting that differs from its default has an effect.

    Args:
        default: What the settings are without flags.
        config: Settings.

    Raises:
        ValueError: One has none; names its flag and says why.
    """
    given = [difference.split(":")[0] for difference in differences(default, config, frozenset())]
    for names, reason in _idle(config):
        for setting in given:
            if any(setting == name or setting.startswith(f"{name}.") for name in names):
                raise ValueError(
                    f"--{setting.replace('_', '-')} changes nothing: {reason}; leave it out"
                )


def _idle(config: RunConfig) -> Iterator[_Rule]:
    if isinstance(config, VqaConfig):
        yield from _idle_in_vqa(config)
    if isinstance(config, EntailmentConfig):
        yield from _idle_in_entailment(config)
    if isinstance(config, CaptionConfig) and config.phase == "xe":
        yield ("baseline",), "without --start nothing is trained by its own captions"
    if config.vision:
        return
    yield ("images",), "with --no-vision no picture is opened"
    # The two-tower model reads its sentences by the encoder.
    if not (isinstance(config, EntailmentConfig) and config.model == "two-tower"):
        yield ("grids", "standardise"), "with --no-vision no picture is encoded"


def _idle_in_vqa(config: VqaConfig) -> Iterator[_Rule]:
    if config.model == "pythia":
        yield ("mcan",), "--model is pythia"
    else:
        yield ("pythia",), f"--model is {config.model}"
    if config.answers is not None:
        yield ("min_count",), "--answers names the vocabulary of answers"
    if config.regions is not None:
        yield ("images", "grids"), "--regions is seen in place of pictures"
    if not config.vision:
        yield ("regions",), "with --no-vision nothing is seen"


def _idle_in_entailment(config: EntailmentConfig) -> Iterator[_Rule]:
    if config.model == "two-tower":
        names = ("mcan", "embedding", "glove", "words", "standardise")
        yield names, "the two-tower model has no such part"
    else:
        yield ("hidden", "dropout"), "it is of the two-tower model, and --model is fused"
