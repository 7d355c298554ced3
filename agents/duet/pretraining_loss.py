"""Losses of pre-training on examples of paths with instructions."""

from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from clipnav.agents.duet.losses import PathBatch, agreement_share, path_batch
from clipnav.agents.duet.masking import NOT_MASKED, choose, mask_words
from clipnav.agents.duet.pretraining_heads import PretrainingModel, action_losses
from clipnav.agents.duet.settings import MapPretrainConfig
from clipnav.agents.duet.sources import PathExamples
from clipnav.agents.layers.instructions import cropped
from clipnav.agents.learning.agent_trainer import mixed_precision
from clipnav.envs.tokenizers import Tokenizer
from clipnav.training import distributed

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
