"""Settings of training runs that have no effect beside others.

What a preset brings may be idle; what a command line adds to it may not
(`training.settings.check_effects`). Settings whose defaults no preset changes are checked where
they are defined, in `agents.configs`. The place of features is taken with --no-vision, too, so that
runs with and without can share it.
"""

from agents.configs import FollowerConfig, RunConfig, SpeakerConfig, SpeakerTrainConfig, TrainConfig
from envs.worlds import MAX_EPISODE_STEPS, is_built_in
from training.settings import idle_training_settings


def idle_settings(config: RunConfig) -> dict[str, str]:
    """Names of settings without effect, dotted, and why they have none."""
    idle = idle_training_settings(config)
    if is_built_in(config.world):
        idle["data_dir"] = f"with --world {config.world}"
    if config.dataset != "rxr":
        idle["instruction_language"] = f"with --dataset {config.dataset}, which is in English"
    if isinstance(config, TrainConfig):
        return idle | _of_views(config, config.follower, "follower") | _of_follower(config)
    if isinstance(config, SpeakerTrainConfig):
        return idle | _of_views(config, config.speaker, "speaker")
    return idle


def _of_views(
    config: RunConfig, network: FollowerConfig | SpeakerConfig, part: str
) -> dict[str, str]:
    """Of a network that sees nothing, or everything."""
    if not config.vision:
        names = ("standardise", "feature_dropout", "feature_dropout_kind")
        return {f"{part}.{name}": "with --no-vision" for name in names}
    if not network.feature_dropout:
        return {f"{part}.feature_dropout_kind": f"with --{part}.feature-dropout 0"}
    return {}


def _of_follower(config: TrainConfig) -> dict[str, str]:
    idle = _of_imitation(config) | _of_back_translation(config)
    if not config.reads:
        idle["max_instruction_length"] = f"with --language {config.language}"
    if config.text.tokens == "pretrained":
        idle["follower.embedding_size"] = "with --text.tokens pretrained"
    if not config.reinforcement.weight:
        idle["reward"] = "with --reinforcement.weight 0"
    limit = config.max_episode_steps or MAX_EPISODE_STEPS[config.dataset]
    if config.max_training_steps is not None and config.max_training_steps >= limit:
        idle["max_training_steps"] = f"where all episodes are cut off after {limit} steps"
    return idle


def _of_imitation(config: TrainConfig) -> dict[str, str]:
    translation = config.back_translation
    if not config.imitation_weight and translation.speaker is None:
        return dict.fromkeys(("feedback", "sampled_steps", "teacher"), "with --imitation-weight 0")
    if config.feedback == "sample":
        return {"sampled_steps": "with --feedback sample, where the follower chooses all steps"}
    return {}


def _of_back_translation(config: TrainConfig) -> dict[str, str]:
    if config.back_translation.speaker is None:
        names = ("imitation_weight", "paths", "dropout")
        without = "without --back-translation.speaker"
        return {f"back_translation.{name}": without for name in names}
    if not config.vision:
        return {"back_translation.dropout": "with --no-vision"}
    if not config.follower.feature_dropout:
        return {"back_translation.dropout": "with --follower.feature-dropout 0"}
    return {}
