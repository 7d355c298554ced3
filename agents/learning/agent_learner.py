"""What the learners of agents and speakers share: the files of a run, and walks on the splits."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path

from torch import nn

from clipnav.agents.acting.evaluation import (
    Results,
    agent_name,
    compare,
    evaluate,
    summaries,
    table,
)
from clipnav.agents.acting.rollout import Agent
from clipnav.agents.settings import AgentConfig
from clipnav.envs.navigation.vector_env import VlnVectorEnv
from clipnav.training import distributed
from clipnav.training.checkpoints import VOCABULARY, Network, load_model, save_model
from clipnav.training.learners import Summary
from clipnav.training.trainer import Trainer


class AgentLearner(ABC):
    """The files of a run: its vocabulary and weights.

    Attributes:
        env: Environment of the training split, with the tokenizer.
        data_metadata: Metadata of the saved weights that depends on the data.
        network: All trained weights.
        saved: Network whose weights are saved.
    """

    env: VlnVectorEnv
    data_metadata: Mapping[str, str]
    network: nn.Module
    saved: Network

    @property
    def metadata(self) -> Mapping[str, str]:
        """Metadata of the saved weights, with the identity of models that are not saved with them.

        A run that is resumed is checked for it: its weights would fit another frozen transformer.
        """
        return {**self.saved.architecture, **self.data_metadata}

    @abstractmethod
    def evaluate(self) -> Mapping[str, Summary]:
        """Return the summaries of the evaluation splits."""

    def start(self, run: Path) -> None:
        """Write the vocabulary."""
        self.env.tokenizer.save(run / VOCABULARY)

    def save_model(self, run: Path, iteration: int) -> None:
        """Write the weights."""
        save_model(run, self.saved, {**self.data_metadata, "iteration": str(iteration)})

    def load_model(self, run: Path) -> None:
        """Load the weights."""
        load_model(run, self.saved, self.data_metadata)


class WalkingLearner(AgentLearner):
    """A learner whose agent walks greedily on the evaluation splits.

    Attributes:
        config: Settings of the run.
        evaluation_envs: Environments by split.
    """

    config: AgentConfig
    evaluation_envs: Mapping[str, VlnVectorEnv]

    @abstractmethod
    def agent(self, split: str) -> Agent:
        """Return the greedy agent on a split."""

    def evaluate(self) -> Mapping[str, Summary]:
        """Return the summaries of greedy walks on the evaluation splits."""
        return {
            name: summary
            for split, env in self.evaluation_envs.items()
            for name, summary in summaries(split, evaluate(env, self.agent(split), split)).items()
        }

    def results(self) -> Results:
        """Return the summaries of the agent and the baselines on every evaluation split."""
        self.network.eval()
        results: Results = {}
        for split, env in self.evaluation_envs.items():
            agents = {agent_name(self.config): self.agent(split)}
            results |= compare(env, agents, self.config.seed, split)
        return results


def train_and_compare(trainer: Trainer, learner: WalkingLearner) -> Results:
    """Train an agent, compare its best weights with the baselines, and report the results."""
    trainer.train()
    learner.load_model(trainer.run)
    results = learner.results()
    trainer.report(results)
    if distributed.rank() == 0:
        print(table(results))
        print(f"Run: {trainer.run}")
    return results


def train_and_evaluate(
    trainer: Trainer, learner: AgentLearner, describe: Callable[[Summary], str]
) -> dict[str, Summary]:
    """Train a learner, evaluate its best weights, and report the results.

    Args:
        trainer: Trainer of the learner.
        learner: Learner.
        describe: Function from a summary to the figures to print.
    """
    trainer.train()
    learner.load_model(trainer.run)
    learner.network.eval()
    results = dict(learner.evaluate())
    trainer.report(results)
    if distributed.rank() == 0:
        for split, summary in results.items():
            print(f"{split}: {describe(summary)}")
        print(f"Run: {trainer.run}")
    return results
