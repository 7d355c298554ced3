"""Settings of the tasks that have no effect in combination with other settings.

A preset may contain such settings; a command line may not add them
(`training.settings.check_effects`).
"""

from training.settings import idle_training_settings
from vl_tasks.settings.configs import CaptionConfig, EntailmentConfig, QuestionConfig, RunConfig


def idle_settings(config: RunConfig) -> dict[str, str]:
    """Return the dotted names of the settings without effect, each with the reason.

    The name of a group includes all its settings.
    """
    idle = idle_training_settings(config)
    if isinstance(config, QuestionConfig):
        idle |= _idle_in_questions(config)
    if isinstance(config, EntailmentConfig):
        idle |= _idle_in_entailment(config)
    if isinstance(config, CaptionConfig) and config.phase == "xe":
        idle["baseline"] = "without --start, which selects self-critical training"
    if config.vision:
        return idle
    idle["images"] = "with --no-vision"
    # The two-tower model encodes its sentences with the CLIP encoder.
    if not (isinstance(config, EntailmentConfig) and config.model == "two-tower"):
        idle |= dict.fromkeys(("grids", "standardise"), "with --no-vision")
    return idle


def _idle_in_questions(config: QuestionConfig) -> dict[str, str]:
    idle = {"mcan" if config.model == "pythia" else "pythia": f"with --model {config.model}"}
    if config.answers is not None:
        idle["min_count"] = "with --answers, which sets the answer vocabulary"
    if config.regions is not None:
        idle |= dict.fromkeys(("images", "grids"), "with --regions, which replaces the images")
    if not config.vision:
        idle["regions"] = "with --no-vision"
    return idle


def _idle_in_entailment(config: EntailmentConfig) -> dict[str, str]:
    fused = ("mcan", "embedding", "glove", "words", "standardise")
    two_tower = ("hidden", "dropout")
    return dict.fromkeys(
        fused if config.model == "two-tower" else two_tower, f"with --model {config.model}"
    )
