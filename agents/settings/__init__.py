"""Settings of the agents: frozen dataclasses whose field docstrings are the `--help` texts.

Nothing here imports torch, so that `--help` answers at once.
"""

from clipnav.agents.settings.evaluation import (
    EvaluateConfig,
)
from clipnav.agents.settings.losses import (
    BackTranslationConfig,
    Feedback,
    ReinforcementConfig,
)
from clipnav.agents.settings.networks import (
    ClearConfig,
    FeatureDropout,
    FollowerConfig,
    RepresentationConfig,
    SpeakerConfig,
    TextConfig,
)
from clipnav.agents.settings.reading import (
    agent_kind,
    agent_of,
    read_agent_config,
)
from clipnav.agents.settings.runs import (
    AgentConfig,
    InstructionAblation,
    RunConfig,
)
from clipnav.agents.settings.search import (
    SearchConfig,
)

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
    "agent_of",
    "read_agent_config",
]
