"""Networks of the methods of confidence, and the predictions that they make."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from clipnav.vl_tasks.classification.answers import AnswerVocabulary
from clipnav.vl_tasks.data.questions import Question
from clipnav.vl_tasks.reliability.outputs import INPUTS, SCORES, Outputs
from clipnav.vl_tasks.reliability.settings import SelectorConfig, SelectorLoss, SelectorSizes
from clipnav.vl_tasks.vqa.task import answer_loss

_BINS = 20


class Predictions(NamedTuple):
    """Answers to B questions.

    Attributes:
        classes: (B,) int64 classes of the answers.
        confidence: (B,) 0..1.
    """

    classes: Tensor
    confidence: Tensor


def known_probabilities(logits: Tensor, unknown: int | None) -> Tensor:
    """Return the softmax (B, classes) over all answers except the unknown one.

    Args:
        logits: (B, classes).
    """
    if unknown is not None:
        logits = logits.clone()
        logits[:, unknown] = -torch.inf
    return logits.softmax(1)


def max_prob(logits: Tensor, unknown: int | None) -> Predictions:
    """Return the most probable answers; the confidence is their probability (MaxProb)."""
    confidence, classes = known_probabilities(logits, unknown).max(1)
    return Predictions(classes, confidence)


def bin_edges(bins: int) -> np.ndarray:
    """Return the float32 edges (bins + 1,) of `torch.linspace` on current processors.

    reliable_vqa uses these. Confidences at the edges are common, so the last bit matters, in which
    torch's edges differ on processors without fused multiply-add, and numpy's everywhere.
    """
    step, index = float(np.float32(1 / bins)), np.arange(bins + 1)
    edges = np.where(index < (bins + 1) // 2, index * step, 1 - (bins - index) * step)
    return edges.astype(np.float32)


def expected_calibration_error(
    accuracy: np.ndarray, confidence: np.ndarray, bins: int = _BINS
) -> float:
    """Return the mean difference between confidence and accuracy over bins of confidence.

    Guo et al., "On Calibration of Modern Neural Networks" (arXiv 1706.04599); bins of equal width
    that include their upper end. A confidence of 0 is in no bin, as in reliable_vqa (`ECE`).

    Args:
        accuracy: (N,) 0..1.
        confidence: (N,) 0..1.
    """
    number = np.searchsorted(bin_edges(bins), np.asarray(confidence, np.float32), side="left")
    inside = number > 0
    size = bins + 2
    gap = np.bincount(number[inside], confidence[inside] - accuracy[inside], size)
    return float(np.abs(gap).sum() / len(accuracy))


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


class VectorScaling(nn.Module):
    """A weight and a bias for the logit of each answer.

    Attributes:
        architecture: Properties that must match to load saved weights.
    """

    def __init__(self, answers: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(answers))
        self.bias = nn.Parameter(torch.zeros(answers))
        self.architecture = {"method": "calibration", "answers": str(answers)}

    def forward(self, logits: Tensor) -> Tensor:
        """Return the calibrated logits (B, answers)."""
        return self.weight * logits + self.bias


Estimator = VectorScaling | Selector


class Confidences(NamedTuple):
    """Answers to N questions.

    Attributes:
        classes: (N,) int64 classes of the answers.
        confidence: (N,) float64, 0..1.
    """

    classes: np.ndarray
    confidence: np.ndarray

    def by_question(
        self, questions: Sequence[Question], answers: AnswerVocabulary
    ) -> dict[int, tuple[str, float]]:
        """Return answer and confidence by question id, as `write_sure_submission` takes them."""
        return {
            question.question_id: (answers.answers[number], float(confidence))
            for question, number, confidence in zip(questions, *self, strict=True)
        }


def build_estimator(config: SelectorConfig, widths: dict[str, int]) -> Estimator | None:
    """Build the network of a method for a VQA model; MaxProb has none."""
    if config.method == "maxprob":
        return None
    if config.method == "calibration":
        return VectorScaling(widths[SCORES])
    return Selector(widths, config.sizes)


def predict(
    estimator: Estimator | None, outputs: dict[str, Tensor], unknown: int | None
) -> Predictions:
    """Return answers and confidence from the outputs (B, width) of a VQA model by name.

    Calibration can change the most probable answer; a selector cannot.
    """
    if isinstance(estimator, VectorScaling):
        return max_prob(estimator(outputs[SCORES]), unknown)
    predictions = max_prob(outputs[SCORES], unknown)
    if estimator is None:
        return predictions
    return predictions._replace(confidence=estimator(outputs)[:, 1])


def predict_rows(
    estimator: Estimator | None,
    outputs: Outputs,
    rows: np.ndarray,
    unknown: int | None,
    batch_size: int = 1024,
    device: str = "cpu",
) -> Confidences:
    """Return answers and confidence of the questions `rows`."""
    if estimator is not None:
        estimator.eval()
    classes, confidence = [], []
    for start in range(0, len(rows), batch_size):
        batch = outputs.batch(rows[start : start + batch_size])
        with torch.inference_mode():
            found = predict(estimator, {k: v.to(device) for k, v in batch.items()}, unknown)
        classes.append(found.classes.cpu().numpy())
        confidence.append(found.confidence.double().cpu().numpy())
    return Confidences(np.concatenate(classes), np.concatenate(confidence))


def estimator_loss(
    estimator: Estimator,
    outputs: dict[str, Tensor],
    targets: Tensor,
    unknown: int | None,
    config: SelectorConfig,
) -> Tensor:
    """Compute the loss of an estimator on outputs (B, width) by name and soft scores (B, classes).

    Vector scaling has the loss of VQA models: binary cross-entropy, summed over answers.
    """
    if isinstance(estimator, VectorScaling):
        return answer_loss(estimator(outputs[SCORES]), targets)
    logits = outputs[SCORES]
    loss, threshold = config.loss, config.threshold
    return selector_loss(estimator(outputs), logits, targets, unknown, loss, threshold)
