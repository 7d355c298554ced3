"""Reject flags that have no effect with the other settings."""

from collections.abc import Iterator

from training.settings import differences
from vl_tasks.settings.configs import CaptionConfig, EntailmentConfig, RunConfig, VqaConfig

# Names of settings that are not read, and the reason. A name includes the settings below it.
_Rule = tuple[tuple[str, ...], str]


def check_task_effects(default: RunConfig, config: RunConfig) -> None:
    """Check that each setting that differs from its default has an effect.

    Args:
        default: Settings without flags.
        config: Settings to check.

    Raises:
        ValueError: A setting has no effect; names its flag and the reason.
    """
    given = [difference.split(":")[0] for difference in differences(default, config, frozenset())]
    for names, reason in _idle(config):
        for setting in given:
            if any(setting == name or setting.startswith(f"{name}.") for name in names):
                raise ValueError(f"--{setting.replace('_', '-')} has no effect: {reason}; omit it")


def _idle(config: RunConfig) -> Iterator[_Rule]:
    if isinstance(config, VqaConfig):
        yield from _idle_in_vqa(config)
    if isinstance(config, EntailmentConfig):
        yield from _idle_in_entailment(config)
    if isinstance(config, CaptionConfig) and config.phase == "xe":
        yield ("baseline",), "self-critical training requires --start"
    if config.vision:
        return
    yield ("images",), "with --no-vision no image is read"
    # The two-tower model encodes its sentences with the CLIP encoder.
    if not (isinstance(config, EntailmentConfig) and config.model == "two-tower"):
        yield ("grids", "standardise"), "with --no-vision no image is encoded"


def _idle_in_vqa(config: VqaConfig) -> Iterator[_Rule]:
    if config.model == "pythia":
        yield ("mcan",), "--model is pythia"
    else:
        yield ("pythia",), f"--model is {config.model}"
    if config.answers is not None:
        yield ("min_count",), "--answers sets the answer vocabulary"
    if config.regions is not None:
        yield ("images", "grids"), "--regions replaces the images"
    if not config.vision:
        yield ("regions",), "with --no-vision no features are read"


def _idle_in_entailment(config: EntailmentConfig) -> Iterator[_Rule]:
    if config.model == "two-tower":
        names = ("mcan", "embedding", "glove", "words", "standardise")
        yield names, "the two-tower model does not use it"
    else:
        yield ("hidden", "dropout"), "it belongs to the two-tower model, and --model is fused"
