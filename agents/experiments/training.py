"""Training of an agent of any kind."""

import logging

from clipnav.agents.acting.evaluation import Results
from clipnav.agents.settings import AgentConfig
from clipnav.agents.specs import agent_spec

_LOG = logging.getLogger(__name__)


def train_any(config: AgentConfig) -> Results:
    """Train the agent of the settings, compare it with the baselines and print a table."""
    if config.only_clones and config.minutes is None:
        _LOG.warning(
            "the agent never acts on its own decisions in training: all --iterations %d are among "
            "--cloning-iterations; choose fewer of these",
            config.iterations,
        )
    return agent_spec(config.agent).part("train")(config)
