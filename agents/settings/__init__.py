"""Settings of the agents: frozen dataclasses whose field docstrings are the `--help` texts.

Nothing here imports torch, so that `--help` answers at once.
"""

from agents.settings.evaluation import EvaluateConfig
from agents.settings.frontier_agent import FrontierTrainConfig
from agents.settings.history_agent import (
    HistoryRecipe,
    HistoryTrainConfig,
    HistoryTransformerConfig,
)
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
from agents.settings.reading import AnyTrainConfig, agent_kind, agent_of, read_agent_config
from agents.settings.runs import (
    AgentConfig,
    InstructionAblation,
    Recipe,
    RecurrentAgentConfig,
    RunConfig,
    SpeakerTrainConfig,
    TrainConfig,
)
from agents.settings.search import SearchConfig
from agents.settings.transformer import TransformerConfig
from agents.settings.transformer_agents import MinibatchesConfig, TransformerAgentConfig

__all__ = [
    "AgentConfig",
    "AnyTrainConfig",
    "BackTranslationConfig",
    "ClearConfig",
    "EvaluateConfig",
    "FeatureDropout",
    "Feedback",
    "FollowerConfig",
    "FrontierTrainConfig",
    "HistoryRecipe",
    "HistoryTrainConfig",
    "HistoryTransformerConfig",
    "InstructionAblation",
    "MapAgentConfig",
    "MapPretrainConfig",
    "MapRecipe",
    "MapTrainConfig",
    "MapTransformerConfig",
    "MinibatchesConfig",
    "Recipe",
    "RecurrentAgentConfig",
    "ReinforcementConfig",
    "RepresentationConfig",
    "RunConfig",
    "SearchConfig",
    "SpeakerConfig",
    "SpeakerTrainConfig",
    "TextConfig",
    "TrainConfig",
    "TransformerAgentConfig",
    "TransformerConfig",
    "agent_kind",
    "agent_of",
    "read_agent_config",
]
