"""Pre-training of a map agent on known paths."""

from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from clipnav.agents.acting.environments import (
    feature_metadata,
    make_env,
    make_evaluation_envs,
    reserve_text_states,
)
from clipnav.agents.acting.tokenizers import run_tokenizer
from clipnav.agents.duet.agent import MapAgent
from clipnav.agents.duet.building import greedy_agent, make_map_transformer
from clipnav.agents.duet.losses import PathBatch, agreement_share, path_batch
from clipnav.agents.duet.pretraining_heads import PretrainingModel, action_losses
from clipnav.agents.duet.settings import MapPretrainConfig
from clipnav.agents.duet.sources import GeneratedPaths, PathExamples, SplitPaths
from clipnav.agents.layers.instructions import cropped
from clipnav.agents.learning.agent_learner import WalkingLearner, train_and_evaluate
from clipnav.agents.learning.agent_trainer import make_agent_trainer, mixed_precision
from clipnav.agents.transformer.building import fit_features, start_from
from clipnav.envs.navigation.device_features import world_features
from clipnav.envs.navigation.vector_env import VlnVectorEnv
from clipnav.envs.tokenizers import PretrainedTokenizer, Tokenizer
from clipnav.storage.errors import UserError
from clipnav.storage.features.opening import open_store
from clipnav.training import distributed
from clipnav.training.learners import Selection, Summary
from clipnav.training.optimisers import decay_groups, make_group_optimiser
from clipnav.training.streams import Stream

NOT_MASKED = -1
# Shares of masked words that are replaced by the mask token and by a random word (BERT); the others
# stay.
_REPLACED, _RANDOM = 0.8, 0.1
_FIRST_WORD = 4  # ids below are special tokens


def mask_id(tokenizer: Tokenizer) -> int:
    """Return the id that replaces masked words.

    It is the mask token of a Hugging Face model, and the unknown word of other vocabularies.
    """
    number = tokenizer.mask_id if isinstance(tokenizer, PretrainedTokenizer) else None
    number = tokenizer.unknown_id if number is None else number
    if number is None:
        raise UserError(
            "--masked-words: the vocabulary of --text.model has neither a mask token nor an "
            "unknown word; give --masked-words 0"
        )
    return number


def mask_words(
    tokens: np.ndarray, rate: float, tokenizer: Tokenizer, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Mask a share of the tokens, special tokens included, and at least one in each row.

    Args:
        tokens: (B, L) token ids, padded with 0.

    Returns:
        tokens: (B, L) with replaced tokens.
        targets: (B, L) original ids of the masked tokens; `NOT_MASKED` elsewhere.
    """
    masked = choose(tokens != 0, rate, rng)
    draws = rng.random(tokens.shape)
    words = rng.integers(_FIRST_WORD, max(len(tokenizer), _FIRST_WORD + 1), tokens.shape)
    replaced = np.where(draws < _REPLACED, mask_id(tokenizer), words)
    changed = masked & (draws < _REPLACED + _RANDOM)
    return np.where(changed, replaced, tokens), np.where(masked, tokens, NOT_MASKED)


def choose(possible: np.ndarray, rate: float, rng: np.random.Generator) -> np.ndarray:
    """Return a random share of the true elements (B, L), and at least one of each row."""
    draws = np.where(possible, rng.random(possible.shape), np.inf)
    least = draws == draws.min(1, keepdims=True)
    return possible & ((draws < rate) | least)


Task = Literal["masked_words", "actions", "masked_views"]
Figures = dict[str, float]


class PretrainingLoss(nn.Module):
    """A pre-training model and the losses of its tasks.

    Args:
        class_scores: (V, 36, C) logits of the classes of all views of the training world; None
            without masked views.
    """

    def __init__(
        self,
        model: PretrainingModel,
        config: MapPretrainConfig,
        tokenizer: Tokenizer,
        class_scores: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.model = model
        self._config = config
        self._tokenizer = tokenizer
        self._class_scores = class_scores

    def forward(
        self, task: Task, examples: PathExamples, rng: np.random.Generator
    ) -> tuple[Tensor, Figures]:
        """Return the loss of a task on a batch and the figures to log."""
        losses = {
            "masked_words": self.masked_words,
            "actions": self.actions,
            "masked_views": self.masked_views,
        }
        with mixed_precision(self.model, self._config):
            loss, figures = losses[task](examples, rng)
        return loss, {"loss": loss.item(), **figures}

    def masked_words(
        self, examples: PathExamples, rng: np.random.Generator
    ) -> tuple[Tensor, Figures]:
        """Predict masked words, given the map and the panorama at the ends of the paths."""
        network, config = self.model.network, self._config
        paths = self._paths(examples)
        nodes, views = paths.inputs(network, examples.features, paths.last())
        masked, targets = mask_words(examples.tokens, config.mask_rate, self._tokenizer, rng)
        text = network.read(cropped(masked).to(nodes.features.device))
        length = text.states.mask.shape[1]
        sent = torch.from_numpy(targets[:, :length]).long().to(nodes.features.device)
        logits = self.model.word_logits(text, nodes, views, sent != NOT_MASKED).float()
        words = sent[sent != NOT_MASKED]
        loss = _mean(functional.cross_entropy(logits, words, reduction="none"))
        return loss, {"masked_words": loss.item(), "correct_words": agreement_share(logits, words)}

    def actions(self, examples: PathExamples, rng: np.random.Generator) -> tuple[Tensor, Figures]:
        """Predict the next viewpoint at every viewpoint of the paths: the sum of three losses."""
        network = self.model.network
        paths = self._paths(examples)
        nodes, views = paths.inputs(network, examples.features)
        device = nodes.features.device
        text = network.read(cropped(examples.tokens).to(device))
        owners = torch.from_numpy(paths.episodes).to(device)
        scores = network.score(text.rows(owners), nodes, views)
        targets = torch.from_numpy(paths.targets).to(device)
        local = torch.from_numpy(paths.paths.local_targets[paths.states]).to(device)
        loss = _mean(action_losses(scores, targets, local).total)
        figures = {"actions": loss.item(), "agreement": agreement_share(scores.decision, targets)}
        return loss, figures

    def masked_views(
        self, examples: PathExamples, rng: np.random.Generator
    ) -> tuple[Tensor, Figures]:
        """Predict the class probabilities of masked views at a viewpoint of each path."""
        assert self._class_scores is not None
        network = self.model.network
        paths, geometry = self._paths(examples), examples.features.geometry
        drawn = paths.drawn(rng)
        state = paths.paths.state
        width = int(geometry.token_counts[state.viewpoints].max())
        real = np.arange(width) < geometry.token_counts[state.viewpoints][:, None]
        # Instructions of the same path share a panorama and its masks.
        places = np.unique(paths.states[drawn])
        hidden = np.zeros(real.shape, bool)
        hidden[places] = choose(real[places], self._config.mask_rate, rng)
        nodes, views = paths.inputs(network, examples.features, drawn, hidden)
        device = nodes.features.device
        text = network.read(cropped(examples.tokens).to(device))
        at = state.viewpoints[paths.states[drawn]]
        chosen = torch.from_numpy(geometry.token_views[at, :width]).to(device)
        scores = self._class_scores[torch.from_numpy(at).to(device)].float()
        probabilities = scores.softmax(2).gather(
            1, chosen[..., None].expand(-1, -1, scores.shape[2])
        )
        masked = torch.from_numpy(hidden[paths.states[drawn]]).to(device)
        loss = _mean(self.model.masked_view_losses(text, views, masked, probabilities))
        return loss, {"masked_views": loss.item()}

    def _paths(self, examples: PathExamples) -> PathBatch:
        revisits = self.model.network.config.revisits
        return path_batch(examples.features, examples.references, examples.episodes, revisits)


def _mean(losses: Tensor) -> Tensor:
    """Return this rank's share of the mean over the losses (M,) of all ranks."""
    return losses.sum() / distributed.mean_over_ranks(len(losses), losses.device)


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
