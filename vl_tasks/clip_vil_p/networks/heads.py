"""Heads of CLIP-ViL_p, with the names and the initialisation of LXMERT's."""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

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
