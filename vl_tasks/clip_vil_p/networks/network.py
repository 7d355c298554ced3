"""The networks of pre-training: trunk, single stream and heads."""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from clipnav.vl_tasks.clip_vil_p.data.batch import NONE, OBJECTIVES, Batch, Pictures
from clipnav.vl_tasks.clip_vil_p.networks.heads import (
    AnswerHead,
    LinearHead,
    MaskedWordHead,
    MatchingHead,
)
from clipnav.vl_tasks.clip_vil_p.networks.stream import JointStream, SingleStream, States
from clipnav.vl_tasks.clip_vil_p.networks.trunk import Trunk


class Scores(NamedTuple):
    """Sums over the targets of each objective, in the order of `OBJECTIVES`.

    Attributes:
        losses: (3,) cross-entropies.
        correct: (3,) numbers of correct predictions.
    """

    losses: Tensor
    correct: Tensor


class PretrainingNetwork(nn.Module):
    """CLIP-ViL_p with its pre-training heads.

    Attributes:
        architecture: Properties that must match to load saved weights.
    """

    def __init__(self, trunk: Trunk, stream: SingleStream, answers: int, cells: int | None) -> None:
        super().__init__()
        hidden = stream.bert.config.hidden_size
        self.trunk, self.stream = trunk, stream
        self.words = MaskedWordHead(hidden, stream.bert.config.vocab_size)
        self.matching = MatchingHead(hidden)
        self.answers = AnswerHead(hidden, answers) if answers else None
        self._cells = cells
        self.architecture = {
            "model": stream.model,
            **describe_stream(trunk, stream),
            "answers": str(answers),
        }

    def new_head(self, classes: int) -> AnswerHead | LinearHead:
        """Return a head to fine-tune the network with."""
        config = self.stream.bert.config
        if isinstance(self.stream, JointStream) and not self.stream.visual.positions:
            return LinearHead(config.hidden_size, classes, config.hidden_dropout_prob)
        return AnswerHead(config.hidden_size, classes)

    def encode(self, pictures: Pictures, pieces: Tensor) -> States:
        """Compute the hidden states of B pairs."""
        cells = self._cells if self.training else None
        return self.stream(pieces, *self.trunk(pictures), cells)

    def forward(self, batch: Batch) -> Scores:
        """Compute the losses and the correct predictions of a batch.

        Only the hidden states of masked words reach the head of masked words. All weights take
        part, also without any target, as DistributedDataParallel requires.
        """
        return self.score(self.encode(batch.pictures, batch.pieces), batch)

    def score(self, states: States, batch: Batch) -> Scores:
        """Compute the losses and the correct predictions from hidden states."""
        masked, asked = batch.words != NONE, batch.answers != NONE
        matched = batch.matching != NONE
        embeddings = self.stream.bert.embeddings.word_embeddings.weight
        pairs = [
            (self.words(states.words[masked], embeddings), batch.words[masked]),
            (self.matching(states.pooled[matched]), batch.matching[matched]),
        ]
        if self.answers is not None:
            pairs.append((self.answers(states.pooled[asked]), batch.answers[asked]))
        losses = [F.cross_entropy(x.float(), target, reduction="sum") for x, target in pairs]
        correct = [(x.argmax(1) == target).sum() for x, target in pairs]
        if self.answers is None:
            losses.append(losses[0].new_zeros(()))
            correct.append(correct[0].new_zeros(()))
        return Scores(torch.stack(losses), torch.stack(correct))


def total_loss(scores: Scores, counts: Mapping[str, float]) -> Tensor:
    """Add up the mean losses of the objectives."""
    divisors = torch.tensor([max(counts[name], 1) for name in OBJECTIVES])
    return (scores.losses / divisors.to(scores.losses)).sum()


def describe_stream(trunk: Trunk, stream: SingleStream) -> dict[str, str]:
    """Return the properties of trunk and stream that must match to load saved weights."""
    config = stream.bert.config
    sizes = (config.hidden_size, config.num_hidden_layers, config.num_attention_heads)
    return {
        "feature width": str(trunk.channels),
        "hidden, layers, heads": "x".join(map(str, (*sizes, config.intermediate_size))),
        "position embeddings": str(stream.visual.positions),
    }
