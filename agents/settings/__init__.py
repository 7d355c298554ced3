"""Settings of the agents: frozen dataclasses whose field docstrings are the `--help` texts.

Nothing here imports torch, so that `--help` answers at once.
"""

from agents.settings.evaluation import EvaluateConfig
from agents.settings.losses import BackTranslationConfig, Feedback, ReinforcementConfig
from agents.settings.map_agent import MapAgentConfig, MapPretrainConfig, MapTrainConfig
from agents.settings.map_transformer import MapRecipe, MapTransformerConfig
from agents.settings.networks import (
    ClearConfig,
    FeatureDropout,
    FollowerConfig,
    RepresentationConfig,
    SpeakerConfig,
    TextConfig,
)
from agents.settings.reading import agent_kind, agent_of, read_agent_config
from agents.settings.runs import (
    AgentConfig,
    InstructionAblation,
    Recipe,
    RunConfig,
    SpeakerTrainConfig,
    TrainConfig,
)
from agents.settings.search import SearchConfig

__all__ = [
    "AgentConfig",
    "BackTranslationConfig",
    "ClearConfig",
    "EvaluateConfig",
    "FeatureDropout",
    "Feedback",
    "FollowerConfig",
    "InstructionAblation",
    "MapAgentConfig",
    "MapPretrainConfig",
    "MapRecipe",
    "MapTrainConfig",
    "MapTransformerConfig",
    "Recipe",
    "ReinforcementConfig",
    "RepresentationConfig",
    "RunConfig",
    "SearchConfig",
    "SpeakerConfig",
    "SpeakerTrainConfig",
    "TextConfig",
    "TrainConfig",
    "agent_kind",
    "agent_of",
    "read_agent_config",
]
