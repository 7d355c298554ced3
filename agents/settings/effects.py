"""Settings of training runs that have no effect beside other settings.

A preset may contain such settings; a command line may not add them
(`clipnav.training.settings.check_effects`). Settings whose defaults no preset changes are checked
in their own dataclass. --features is accepted with --no-vision, so that runs with and without
vision can share their flags.
"""

from clipnav.agents.settings.frontier_agent import FrontierTrainConfig
from clipnav.agents.settings.history_agent import HistoryTrainConfig
from clipnav.agents.settings.map_agent import MapAgentConfig, MapPretrainConfig
from clipnav.agents.settings.networks import FollowerConfig, SpeakerConfig, TextConfig
from clipnav.agents.settings.runs import (
    AgentConfig,
    RecurrentAgentConfig,
    RunConfig,
    SpeakerTrainConfig,
    TrainConfig,
)
from clipnav.agents.settings.transformer_agents import MinibatchesConfig, TransformerAgentConfig
from clipnav.envs.worlds import MAX_EPISODE_STEPS, is_built_in
from clipnav.training.settings import idle_training_settings


def idle_settings(config: RunConfig) -> dict[str, str]:
    """Return the dotted names of the settings without effect, each with the reason."""
    idle = idle_training_settings(config) | _text_settings(config.text)
    if is_built_in(config.world):
        idle["data_dir"] = f"with --world {config.world}"
    if config.dataset != "rxr":
        idle["instruction_language"] = (
            f"with --dataset {config.dataset}, whose instructions are in English"
        )
    if isinstance(config, RecurrentAgentConfig):
        idle |= _feature_settings(config, config.follower, "follower")
        idle |= _recurrent_settings(config)
        if isinstance(config, FrontierTrainConfig):
            return idle | _frontier_settings(config)
        return idle | _follower_settings(config) if isinstance(config, TrainConfig) else idle
    if isinstance(config, TransformerAgentConfig):
        return idle | _transformer_settings(config)
    if isinstance(config, SpeakerTrainConfig):
        return idle | _feature_settings(config, config.speaker, "speaker")
    return idle


def _text_settings(text: TextConfig) -> dict[str, str]:
    """Return the settings of the tokenizer and its model without effect."""
    idle: dict[str, str] = {}
    if text.tokens != "subwords":
        idle["text.vocabulary_size"] = f"with --text.tokens {text.tokens}, only with subwords"
    if text.model is None:
        idle["text.tune"] = "without --text.model"
    if text.model is None or not text.tune:
        idle["text.learning_rate"] = "without --text.tune"
    return idle


def _transformer_settings(config: TransformerAgentConfig) -> dict[str, str]:
    """Return the settings of map agents and HAMT without effect."""
    idle = _network_settings(config) | _representation_settings(config)
    if not config.reads_instructions:
        idle["max_instruction_length"] = "with --instruction-ablation empty"
    if isinstance(config, MinibatchesConfig):
        if not config.walks:
            idle["cloning_iterations"] = "with --sampled-weight 0, which only clones anyway"
        if not config.reinforcement.weight:
            names = ("reward", "critic_dropout")
            idle |= dict.fromkeys(names, "with --reinforcement.weight 0")
        if not config.sampled_weight:
            unused = ("teacher",) if config.agent == "hamt" else ("expert", "sampled_steps")
            idle |= dict.fromkeys(unused, "with --sampled-weight 0")
    has_speaker = isinstance(config, MapPretrainConfig) and config.speaker is not None
    if isinstance(config, MapAgentConfig) and not has_speaker:
        idle["angle_feature_size"] = "with --agent map, which computes its own directions"
    if isinstance(config, HistoryTrainConfig) and config.start_from is None:
        idle["freeze_encoders"] = "without --start-from"
    return idle | _pretraining_settings(config)


def _pretraining_settings(config: TransformerAgentConfig) -> dict[str, str]:
    """Return the settings of the pre-training of a map agent without effect."""
    idle: dict[str, str] = {}
    if isinstance(config, MapPretrainConfig):
        names = ("text.learning_rate", "clear.language_learning_rate")
        idle |= dict.fromkeys(names, "in pre-training, where all weights have the same one")
        if config.speaker is None:
            idle |= dict.fromkeys(("paths", "generated_share"), "without --speaker")
        if not config.masked_words and not config.masked_views:
            idle["mask_rate"] = "with --masked-words 0 and --masked-views 0"
    return idle


def _network_settings(config: TransformerAgentConfig) -> dict[str, str]:
    """Return the settings of the network of a map agent or HAMT without effect."""
    network, idle = config.network, dict[str, str]()
    if network.text_model is None:
        idle["network.text_model_layers"] = "without --network.text-model"
    sizes = ["network.text_layers", "network.max_text_length"]
    if config.language_representation is not None:
        names = ["network.text_model", "network.text_model_layers", "network.text_encoder"]
        idle |= dict.fromkeys([*names, *sizes], "with --language-representation")
    elif network.text_model is not None:
        names = [*sizes, "network.text_encoder"]
        idle |= dict.fromkeys(names, "with --network.text-model, which has its own")
    elif network.text_encoder == "lstm":
        idle |= dict.fromkeys(sizes, "with --network.text-encoder lstm")
    if not config.vision:
        names = ("standardise", "feature_dropout", "feature_dropout_kind")
        idle |= {f"network.{name}": "with --no-vision" for name in names}
    elif not network.feature_dropout:
        idle["network.feature_dropout_kind"] = "with --network.feature-dropout 0"
    if config.visual_representation is not None and config.vision:
        idle["network.standardise"] = "with --visual-representation, which has its own"
    return idle


def _feature_settings(
    config: RunConfig, network: FollowerConfig | SpeakerConfig, part: str
) -> dict[str, str]:
    """Return the settings of visual features that have no effect in a network."""
    if not config.vision:
        names = ("standardise", "feature_dropout", "feature_dropout_kind")
        return {f"{part}.{name}": "with --no-vision" for name in names}
    if not network.feature_dropout:
        return {f"{part}.feature_dropout_kind": f"with --{part}.feature-dropout 0"}
    return {}


def _recurrent_settings(config: RecurrentAgentConfig) -> dict[str, str]:
    """Return the settings of followers and frontier agents without effect."""
    idle = _representation_settings(config)
    if not config.reads_instructions:
        idle["max_instruction_length"] = "with --instruction-ablation empty"
    if config.language_representation is not None:
        idle["follower.embedding_size"] = "with --language-representation"
    elif config.text.tokens == "pretrained":
        idle["follower.embedding_size"] = "with --text.tokens pretrained"
    else:
        idle["follower.read_states"] = "without --text.model and --language-representation"
    if config.visual_representation is not None and config.vision:
        idle["follower.standardise"] = "with --visual-representation, which has its own"
    if not config.reinforcement.weight:
        idle["reward"] = "with --reinforcement.weight 0"
    return idle


def _follower_settings(config: TrainConfig) -> dict[str, str]:
    idle = _imitation_settings(config) | _back_translation_settings(config)
    idle |= _contrastive_settings(config)
    limit = config.max_episode_steps or MAX_EPISODE_STEPS[config.dataset]
    if config.max_training_steps is not None and config.max_training_steps >= limit:
        idle["max_training_steps"] = f"because all episodes end after {limit} steps"
    return idle


def _frontier_settings(config: FrontierTrainConfig) -> dict[str, str]:
    idle: dict[str, str] = {}
    if config.reinforcement.weight:
        names = ("sampled_steps", "cloning_iterations")
        idle |= dict.fromkeys(names, "with reinforcement, which samples every decision")
    if not config.imitation_weight:
        idle |= dict.fromkeys(("expert", "target_temperature"), "with --imitation-weight 0")
    return idle


def _contrastive_settings(config: TrainConfig) -> dict[str, str]:
    """Return the settings of CLEAR without effect that only followers have."""
    idle: dict[str, str] = {}
    if config.visual_representation is None or not config.vision:
        idle["clear.encode_stop"] = "without --visual-representation"
    if not config.imitation_weight:
        idle["clear.contrastive_weight"] = "with --imitation-weight 0"
    if config.instruction_ablation != "none":
        idle["clear.contrastive_weight"] = (
            f"with --instruction-ablation {config.instruction_ablation}"
        )
    if not config.clear.contrastive_weight:
        idle["clear.temperature"] = "with --clear.contrastive-weight 0"
    return idle


def _representation_settings(config: AgentConfig) -> dict[str, str]:
    """Return the settings of CLEAR's representations without effect."""
    idle: dict[str, str] = {}
    if config.language_representation is None:
        names = ("tune_language", "language_learning_rate")
        idle |= {f"clear.{name}": "without --language-representation" for name in names}
    else:
        idle["text"] = "with --language-representation"
        if not config.clear.tune_language:
            idle["clear.language_learning_rate"] = "without --clear.tune-language"
    if not config.vision:
        idle["visual_representation"] = "with --no-vision"
    if config.visual_representation is None or not config.vision:
        idle["clear.tune_visual"] = "without --visual-representation"
    return idle


def _imitation_settings(config: TrainConfig) -> dict[str, str]:
    translation = config.back_translation
    if not config.imitation_weight and translation.speaker is None:
        return dict.fromkeys(("feedback", "sampled_steps", "teacher"), "with --imitation-weight 0")
    if config.feedback == "sample":
        return {"sampled_steps": "with --feedback sample, which samples every action"}
    return {}


def _back_translation_settings(config: TrainConfig) -> dict[str, str]:
    if config.back_translation.speaker is None:
        names = ("imitation_weight", "paths", "dropout")
        without = "without --back-translation.speaker"
        return {f"back_translation.{name}": without for name in names}
    if not config.vision:
        return {"back_translation.dropout": "with --no-vision"}
    if not config.follower.feature_dropout:
        return {"back_translation.dropout": "with --follower.feature-dropout 0"}
    return {}
