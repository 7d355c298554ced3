"""Training of an agent of any kind."""

import logging

from clipnav.agents.acting.evaluation import Results
from clipnav.agents.learning.agent_learner import make_agent_trainer, train_and_compare
from clipnav.agents.settings import AgentConfig
from clipnav.agents.specs import agent_spec
from clipnav.training import distributed

_LOG = logging.getLogger(__name__)


@distributed.destroys_process_group
def train(config: AgentConfig) -> Results:
    """Train an agent, compare it with the baselines, print a table and write RUN/results.json.

    Args:
        config: Settings, whose `agent` names the agent.

    Returns:
        Summaries by split and agent.

    Raises:
        FileNotFoundError, UserError: Data or a run to start from is missing or damaged.
    """
    if config.only_clones and config.minutes is None:
        _LOG.warning(
            "the agent never acts on its own decisions in training: all --iterations %d are among "
            "--cloning-iterations; choose fewer of these",
            config.iterations,
        )
    spec = agent_spec(config.agent)
    learner = spec.part("learner")
    with spec.running("learner"):
        return train_and_compare(*make_agent_trainer(learner, config))
