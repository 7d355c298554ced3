"""Settings of the agents: frozen dataclasses whose field docstrings are the `--help` texts.

Nothing here imports torch, so that `--help` answers at once.
"""

from agents.settings.evaluation import EvaluateConfig
from agents.settings.losses import BackTranslationConfig, Feedback, ReinforcementConfig
from agents.settings.networks import (
    ClearConfig,
    FeatureDropout,
    FollowerConfig,
    SpeakerConfig,
    TextConfig,
)
from agents.settings.runs import (
    InstructionAblation,
    Recipe,
    RunConfig,
    SpeakerTrainConfig,
    TrainConfig,
)
from agents.settings.search import SearchConfig

__all__ = [
    "BackTranslationConfig",
    "ClearConfig",
    "EvaluateConfig",
    "FeatureDropout",
    "Feedback",
    "FollowerConfig",
    "InstructionAblation",
    "Recipe",
    "ReinforcementConfig",
    "RunConfig",
    "SearchConfig",
    "SpeakerConfig",
    "SpeakerTrainConfig",
    "TextConfig",
    "TrainConfig",
]
