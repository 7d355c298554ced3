"""Selector: a network that predicts whether the answer of a VQA model is correct.

Whitehead et al., "Reliable Visual Question Answering" (arXiv 2204.13631), as implemented in
facebookresearch/reliable_vqa (d9586af): `ComboEmbeddingsFullLogitSelectivePredictor` and
`CorrectnessPredictionLoss`.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from clipnav.vl_tasks.reliability.confidence import known_probabilities
from clipnav.vl_tasks.reliability.settings import SelectorLoss, SelectorSizes

SCORES = "scores"
# Order in which the embedded inputs are joined.
INPUTS = ("image", "question", "fused", SCORES)


class Selector(nn.Module):
    """Network over the vectors and the logits of a frozen VQA model.

    Attributes:
        architecture: Properties that must match to load saved weights.
    """

    def __init__(self, widths: Mapping[str, int], sizes: SelectorSizes) -> None:
        super().__init__()
        embedded = {
            "image": sizes.image,
            "question": sizes.question,
            "fused": sizes.fused,
            SCORES: sizes.scores,
        }
        self.inputs = tuple(name for name in INPUTS if name in widths)
        first: dict[str, nn.Module] = {name: nn.ReLU() for name in self.inputs}
        if sizes.softmax:
            first[SCORES] = nn.Softmax(dim=1)
        self.embeddings = nn.ModuleDict(
            {
                name: nn.Sequential(first[name], nn.Linear(widths[name], embedded[name]), nn.ReLU())
                for name in self.inputs
            }
        )
        self.classifier = nn.Sequential(
            nn.Linear(sum(embedded[name] for name in self.inputs), sizes.hidden[0]),
            nn.Dropout(sizes.dropout),
            nn.ReLU(),
            nn.Linear(sizes.hidden[0], sizes.hidden[1]),
            nn.Dropout(sizes.dropout),
            nn.ReLU(),
            nn.Linear(sizes.hidden[1], 2),
        )
        inputs = ", ".join(f"{name} {widths[name]}" for name in self.inputs)
        self.architecture = {
            "method": "selector",
            "inputs": inputs,
            "softmax": "yes" if sizes.softmax else "no",
        }

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Return the probabilities (B, 2) that the answers are wrong and correct.

        Args:
            inputs: Inputs (B, width) by name.
        """
        embedded = [self.embeddings[name](inputs[name]) for name in self.inputs]
        return self.classifier(torch.cat(embedded, dim=1)).softmax(1)


def selector_loss(
    probabilities: Tensor,
    logits: Tensor,
    targets: Tensor,
    unknown: int | None,
    loss: SelectorLoss = "regress-bce",
    threshold: float = 1.0,
) -> Tensor:
    """Compute the loss of a selector for the answers that the VQA model gives.

    Args:
        probabilities: Output (B, 2) of the selector.
        logits: Logits (B, classes) of the VQA model.
        targets: Soft scores (B, classes) of all answers.
        loss: regress-bce, regress-mse and regress-l1 regress the soft score of the answer. The
            others classify: threshold, whether the score is at least `threshold`; max-index,
            whether the answer is the one with the highest score. As published, both apply a second
            softmax to the probabilities.
    """
    predicted = known_probabilities(logits, unknown).argmax(1)
    score = targets.gather(1, predicted[:, None])  # (B, 1)
    if loss == "max-index":
        # Without any correct answer, the first class has the highest score, too: 0. It is the
        # unknown answer in the original, which is never predicted.
        is_best = (predicted == targets.argmax(1)) & (score[:, 0] > 0)
        return F.cross_entropy(probabilities, is_best.long())
    if loss == "threshold":
        return F.cross_entropy(probabilities, (score[:, 0] >= threshold).long())
    correctness = torch.cat([1 - score, score], dim=1)
    if loss == "regress-mse":
        return F.mse_loss(probabilities, correctness)
    if loss == "regress-l1":
        return F.l1_loss(probabilities, correctness)
    return 2 * F.binary_cross_entropy(probabilities, correctness)
