"""Settings of the agents: frozen dataclasses whose field docstrings are the `--help` texts.

Nothing here imports torch, so that `--help` answers at once.
"""

from clipnav.agents.settings.evaluation import EvaluateConfig, SearchConfig
from clipnav.agents.settings.networks import (
    BackTranslationConfig,
    ClearConfig,
    FeatureDropout,
    Feedback,
    FollowerConfig,
    ReinforcementConfig,
    RepresentationConfig,
    SpeakerConfig,
    TextConfig,
)
from clipnav.agents.settings.reading import agent_kind, read_agent_config
from clipnav.agents.settings.runs import AgentConfig, InstructionAblation, RunConfig

__all__ = [
    "AgentConfig",
    "BackTranslationConfig",
    "ClearConfig",
    "EvaluateConfig",
    "FeatureDropout",
    "Feedback",
    "FollowerConfig",
    "InstructionAblation",
    "ReinforcementConfig",
    "RepresentationConfig",
    "RunConfig",
    "SearchConfig",
    "SpeakerConfig",
    "TextConfig",
    "agent_kind",
    "read_agent_config",
]
