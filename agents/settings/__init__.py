"""Settings of the agents: frozen dataclasses whose field docstrings are the `--help` texts.

Nothing here imports torch, so that `--help` answers at once.
"""

from clipnav.agents.settings.evaluation import EvaluateConfig
from clipnav.agents.settings.frontier_agent import FrontierTrainConfig
from clipnav.agents.settings.history_agent import (
    HistoryRecipe,
    HistoryTrainConfig,
    HistoryTransformerConfig,
)
from clipnav.agents.settings.losses import BackTranslationConfig, Feedback, ReinforcementConfig
from clipnav.agents.settings.map_agent import MapAgentConfig, MapPretrainConfig, MapTrainConfig
from clipnav.agents.settings.map_transformer import MapRecipe, MapTransformerConfig
from clipnav.agents.settings.networks import (
    ClearConfig,
    FeatureDropout,
    FollowerConfig,
    RepresentationConfig,
    SpeakerConfig,
    TextConfig,
)
from clipnav.agents.settings.reading import agent_kind, agent_of, read_agent_config
from clipnav.agents.settings.runs import (
    AgentConfig,
    InstructionAblation,
    Recipe,
    RecurrentAgentConfig,
    RunConfig,
    SpeakerTrainConfig,
    TrainConfig,
)
from clipnav.agents.settings.search import SearchConfig
from clipnav.agents.settings.transformer import TransformerConfig
from clipnav.agents.settings.transformer_agents import MinibatchesConfig, TransformerAgentConfig

__all__ = [
    "AgentConfig",
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
