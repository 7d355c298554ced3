"""The networks of pre-training: trunk, single stream and heads."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from clipnav.vl_tasks.clip_vil_p.data.pair_batches import NONE, OBJECTIVES, Batch
from clipnav.vl_tasks.clip_vil_p.data.pictures import Pictures
from clipnav.vl_tasks.clip_vil_p.networks.stream import JointStream, SingleStream, States
from clipnav.vl_tasks.clip_vil_p.networks.trunk import Trunk

_EPSILON = 1e-12


class _Classifier(nn.Sequential):
    def forward(self, input: Tensor) -> Tensor:
        """Compute logits (B, classes) in float32, so that autocast does not make them equal."""
        with torch.autocast(input.device.type, enabled=False):
            return super().forward(input.float())


class AnswerHead(_Classifier):
    """Classifier of pooled states: answers in pre-training and VQA, labels in SNLI-VE.

    LXMERT's `logit_fc`: two linear layers with GELU and layer norm between them.
    """

    def __init__(self, hidden: int, classes: int) -> None:
        super().__init__(
            nn.Linear(hidden, 2 * hidden),
            nn.GELU(),
            nn.LayerNorm(2 * hidden, eps=_EPSILON),
            nn.Linear(2 * hidden, classes),
        )
        initialise(self, hidden)


class LinearHead(_Classifier):
    """Classifier of pooled states in the original multilingual VQA: dropout and a linear layer."""

    def __init__(self, hidden: int, classes: int, dropout: float) -> None:
        super().__init__(nn.Dropout(dropout), nn.Linear(hidden, classes))
        initialise(self, hidden)


class MaskedWordHead(nn.Module):
    """Logits over the word pieces, with the word embeddings as output weights (tied)."""

    def __init__(self, hidden: int, pieces: int) -> None:
        super().__init__()
        self.transform = nn.Linear(hidden, hidden)
        self.norm = nn.LayerNorm(hidden, eps=_EPSILON)
        self.bias = nn.Parameter(torch.zeros(pieces))
        initialise(self, hidden)

    def forward(self, states: Tensor, embeddings: Tensor) -> Tensor:
        """Compute logits (M, pieces) of hidden states (M, hidden)."""
        return F.linear(self.norm(F.gelu(self.transform(states))), embeddings, self.bias)


class MatchingHead(nn.Linear):
    """Logits (B, 2) of pooled states: sentence and image do not belong together, or do."""

    def __init__(self, hidden: int) -> None:
        super().__init__(hidden, 2)
        initialise(self, hidden)


def initialise(module: nn.Module, hidden: int) -> None:
    """Initialise linear layers and embeddings as BERT does: normal distribution, biases 0."""
    for part in module.modules():
        if isinstance(part, nn.Linear | nn.Embedding):
            nn.init.normal_(part.weight, std=deviation(hidden))
        if isinstance(part, nn.Linear):
            nn.init.zeros_(part.bias)


def deviation(hidden: int) -> float:
    """Return the standard deviation of initial weights: 0.02 as in BERT at its width of 768.

    With 0.02, the layers of a narrow network pass on almost nothing of their inputs.
    """
    return 0.02 * (768 / hidden) ** 0.5


def initialise_from_answers(
    head: AnswerHead,
    classes: Sequence[str],
    weights: Mapping[str, Tensor],
    known: Mapping[str, int],
    convert: Callable[[str], str],
) -> int:
    """Initialise an answer head from that of a pre-trained model by the strings of the answers.

    As LXMERT's `load_lxmert_qa`: the hidden layer is copied, and each answer takes the output
    weights of the pre-trained answer with the same converted string; other answers get zeros.
    """
    rows = [known.get(convert(answer), -1) for answer in classes]
    index = torch.tensor(rows)
    state = {name: tensor for name, tensor in weights.items() if not name.startswith("3.")}
    for name in ("3.weight", "3.bias"):
        taken = weights[name][index.clamp(min=0)]
        taken[index < 0] = 0
        state[name] = taken
    head.load_state_dict(state)
    return sum(row >= 0 for row in rows)


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
