"""What the learners of agents and speakers share: the files of a run, and walks on the splits."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn

from clipnav.agents.acting.environments import feature_metadata, make_env, make_evaluation_envs
from clipnav.agents.acting.evaluation import (
    Results,
    agent_name,
    compare,
    dataset_table,
    evaluate,
    summaries,
)
from clipnav.agents.acting.rollout import Agent
from clipnav.agents.acting.tokenizers import run_tokenizer
from clipnav.agents.settings import AgentConfig, RunConfig
from clipnav.encoders.precision import multiplies_bf16
from clipnav.envs.navigation.device_features import DeviceFeatures
from clipnav.envs.navigation.vector_env import VlnVectorEnv
from clipnav.envs.tokenizers import Tokenizer, load_run_tokenizer
from clipnav.training import distributed
from clipnav.training.batches import BucketedBatchOrder
from clipnav.training.checkpoints import VOCABULARY, Network, load_model, save_model
from clipnav.training.distributed import check_device, set_up_torch
from clipnav.training.learners import Learner, Selection, Summary
from clipnav.training.optimisers import make_optimiser
from clipnav.training.streams import Stream, rank_iteration_seed
from clipnav.training.trainer import Trainer

Config = TypeVar("Config", bound=RunConfig)
AnyLearner = TypeVar("AnyLearner", bound=Learner)

_LARGEST_LOSS = 1e4  # losses of a healthy run are below 100


def make_agent_trainer(
    make_learner: Callable[[Config], AnyLearner], config: Config
) -> tuple[Trainer, AnyLearner]:
    """Build the trainer of an agent or a speaker, and its learner."""
    prepare(config)
    config = _with_chosen_precision(config)
    learner = make_learner(config)
    noise = partial(rank_iteration_seed, config.seed, Stream.AGENT_NOISE, rank=distributed.rank())
    return Trainer(config, learner, noise, _LARGEST_LOSS), learner


def _with_chosen_precision(config: Config) -> Config:
    """Return settings with the precision that "auto" stands for on this machine, and print it."""
    if config.precision != "auto":
        return config
    precision = "bf16" if multiplies_bf16(torch.device(config.device)) else "fp32"
    if distributed.rank() == 0:
        print(f"--precision auto: {precision}")
    return replace(config, precision=precision)


def mixed_precision(network: nn.Module, config: RunConfig) -> torch.autocast:
    """Return a context in which large matrix products have the precision of the settings."""
    device = next(network.parameters()).device.type
    return torch.autocast(device, torch.bfloat16, enabled=config.precision == "bf16")


def prepare(config: RunConfig) -> None:
    """Set up torch and join the other ranks, before anything else is built."""
    set_up_torch(config.device, config.threads, config.matmul_precision, config.seed)
    distributed.join(config.device)


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


class EpisodeLearner(WalkingLearner):
    """A learner from the episodes of the training split, with defaults for all but the network.

    A new agent needs `make_network`, whose network computes the loss of a batch when it is called,
    and `agent`.

    Attributes:
        features: Features of the world of the training split, see `make_features`.
    """

    features: Any
    skips_weights = False  # whether the loss of an iteration can leave weights out

    def __init__(self, config: Any, rows: int | None = None, group: int = 1) -> None:
        """Build everything from the settings of a run.

        Args:
            config: Settings, an `AgentConfig`.
            rows: Episodes in a batch of one rank; `config.batch_size` by default.
            group: Rows that must stay on the same rank.

        Raises:
            FileNotFoundError, UserError: Data is missing or damaged.
        """
        self.config = config
        self.selection = Selection(config.select_by, config.select_metric)
        self.data_metadata = feature_metadata(config)
        self.env = make_env(config, "train", run_tokenizer(config), rows)
        self.features = self.make_features(self.env)
        self.evaluation_envs = make_evaluation_envs(config, self.env.tokenizer)
        self.saved = self.make_network(config, self.env)
        self.network = self.prepare(self.saved)
        self.optimiser = self.make_optimiser()
        self._loss = distributed.wrap_ddp(self.network, find_unused=self.skips_weights)
        self._order = self.make_order(rows or config.batch_size, group)

    @staticmethod
    @abstractmethod
    def make_network(config: Any, env: VlnVectorEnv, tokenizer: Tokenizer | None = None) -> Any:
        """Build the untrained network, whose weights are saved.

        Args:
            config: Settings of the run.
            env: Environment, which determines the width of the features.
            tokenizer: Tokenizer; that of the environment by default.
        """

    @property
    def clipped(self) -> Sequence[nn.Module]:
        """Modules whose gradients are clipped separately."""
        return [self.network]

    def make_features(self, env: VlnVectorEnv) -> Any:
        """Return the features of the world of an environment."""
        return DeviceFeatures(env, self.config.device)

    def prepare(self, network: Any) -> nn.Module:
        """Initialise the network of a new run; return it with its loss, all that is trained."""
        return network

    def make_optimiser(self) -> torch.optim.Optimizer:
        """Return the optimiser of all weights."""
        return make_optimiser(self.network, self.config.optimiser)

    def make_order(self, rows: int, group: int) -> BucketedBatchOrder:
        """Return the order of the episodes."""
        return BucketedBatchOrder(
            [episode.instr_id for episode in self.env.episodes],
            [len(episode.instruction) for episode in self.env.episodes],
            rows * distributed.world_size(),
            self.config.bucket,
            self.config.seed,
            group * distributed.world_size(),
        )

    def backward(self, iteration: int) -> dict[str, float]:
        """Add the gradient of an iteration (from 0) and return the figures to log.

        The network is called with the environment, the features of its world, the ids of this
        rank's episodes and the iteration; it returns the loss and figures with its value, `loss`.
        """
        names = self._order.batch(iteration)[distributed.rank() :: distributed.world_size()]
        loss, figures = self._loss(self.env, self.features, names, iteration)
        loss.backward()
        return figures


def load_network(
    run: Path, split: str, config: Any, make: Callable[[Any, VlnVectorEnv], Any]
) -> tuple[VlnVectorEnv, Any]:
    """Build the environment of a split and load the network of a run, for evaluation.

    Args:
        run: Folder of a run of clipnav train-agent.
        split: "train", "val_seen", ...
        config: Settings, an `AgentConfig`.
        make: Builds the untrained network.

    Raises:
        FileNotFoundError: The folder does not contain a run, or data is missing.
        UserError: Files are damaged, the weights do not match the settings or the data, or torch
            cannot compute on the device.
    """
    check_device(config.device)
    metadata = feature_metadata(config)
    env = make_env(
        config, split, load_run_tokenizer(run / VOCABULARY), config.evaluation_batch_size
    )
    network = make(config, env)
    load_model(run, network, metadata)
    return env, network.eval()


def train_and_compare(trainer: Trainer, learner: WalkingLearner) -> Results:
    """Train an agent, compare its best weights with the baselines, and report the results."""
    trainer.train()
    learner.load_model(trainer.run)
    results = learner.results()
    trainer.report(results)
    if distributed.rank() == 0:
        print(dataset_table(results, learner.config.dataset))
        print(f"Run: {trainer.run}")
    return results


def train_and_evaluate(
    trainer: Trainer, learner: AgentLearner, describe: Callable[[Summary], str]
) -> dict[str, Summary]:
    """Train a learner, evaluate its best weights, and report the results."""
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
