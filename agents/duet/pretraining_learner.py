"""Pre-training of a map agent on known paths."""

from typing import get_args

import numpy as np
import torch
from torch import Tensor, nn

from clipnav.agents.acting.environments import (
    feature_metadata,
    make_env,
    make_evaluation_envs,
    reserve_text_states,
)
from clipnav.agents.acting.tokenizers import run_tokenizer
from clipnav.agents.duet.agent import MapAgent
from clipnav.agents.duet.building import greedy_agent, make_map_transformer
from clipnav.agents.duet.pretraining_heads import PretrainingModel
from clipnav.agents.duet.pretraining_loss import PretrainingLoss, Task
from clipnav.agents.duet.settings import MapPretrainConfig
from clipnav.agents.duet.sources import GeneratedPaths, SplitPaths
from clipnav.agents.learning.agent_learner import WalkingLearner, train_and_evaluate
from clipnav.agents.learning.agent_trainer import make_agent_trainer
from clipnav.agents.transformer.building import fit_features, start_from
from clipnav.envs.navigation.device_features import world_features
from clipnav.envs.navigation.vector_env import VlnVectorEnv
from clipnav.storage.features.opening import open_store
from clipnav.training import distributed
from clipnav.training.learners import Selection, Summary
from clipnav.training.optimisers import decay_groups, make_group_optimiser
from clipnav.training.streams import Stream


class PretrainingLearner(WalkingLearner):
    """A map transformer with the heads of pre-training, and the paths to learn from.

    Runs contain the network without the heads.
    """

    config: MapPretrainConfig
    network: PretrainingLoss

    def __init__(self, config: MapPretrainConfig) -> None:
        self.config = config
        self.selection = Selection(config.select_by, config.select_metric)
        self.data_metadata = feature_metadata(config)
        self.env = make_env(config, "train", run_tokenizer(config))
        self.evaluation_envs = make_evaluation_envs(config, self.env.tokenizer)
        self._split = SplitPaths(config, self.env)
        self._generated = None if config.speaker is None else GeneratedPaths(config, self.env)
        scores = _class_scores(config, self.env)
        network = make_map_transformer(config, self.env)
        reserve_text_states(network.text, [self.env, *self.evaluation_envs.values()])
        classes = 0 if scores is None else scores.shape[2]
        model = PretrainingModel(network, classes).to(config.device)
        self.model = self.saved = network
        if config.resume is None:  # otherwise the trainer restores all of it
            fit_features(self.model, self.env)
            if config.start_from is not None:
                start_from(config.start_from, config, self.model, self.env, make_map_transformer)
        self.network = PretrainingLoss(model, config, self.env.tokenizer, scores)
        self.clipped: list[nn.Module] = [model]
        self.optimiser = make_group_optimiser(decay_groups(model), config.optimiser)
        # A task uses some of the weights. With a gradient of zero, instead of none, momentum and
        # weight decay would change the others.
        self._loss = distributed.wrap_ddp(self.network, find_unused=True)

    def backward(self, iteration: int) -> dict[str, float]:
        """Add the gradient of a batch of one task and return the figures to log."""
        config = self.config
        rng = Stream.MAP_PRETRAINING.rng(config.seed, iteration)
        names = get_args(Task)
        weights = np.array([getattr(config, name) for name in names])
        task = names[int(rng.choice(len(names), p=weights / weights.sum()))]
        source = self._split
        if rng.random() < config.generated_share and self._generated is not None:
            source = self._generated
        rng = Stream.MAP_PRETRAINING.rng(config.seed, iteration, 1 + distributed.rank())
        loss, figures = self._loss(task, source.batch(iteration), rng)
        loss.backward()
        return figures

    def agent(self, split: str) -> MapAgent:
        """Return the greedy agent on a split."""
        return greedy_agent(self.config, self.model, self.evaluation_envs[split])


def _class_scores(config: MapPretrainConfig, env: VlnVectorEnv) -> Tensor | None:
    """Return the logits (V, 36, C) of the classes of all views of the training world."""
    if config.class_scores is None:
        return None
    store = open_store(config.class_scores)
    return world_features(env.nav_world, store, torch.device(config.device))


@distributed.destroys_process_group
def pretrain(config: MapPretrainConfig) -> dict[str, Summary]:
    """Pre-train a map agent, evaluate its best weights and write RUN/results.json."""
    return train_and_evaluate(*make_agent_trainer(PretrainingLearner, config), _figures)


def _figures(summary: Summary) -> str:
    return f"SR {100 * summary['SR']:.1f}, SPL {100 * summary['SPL']:.1f}"
