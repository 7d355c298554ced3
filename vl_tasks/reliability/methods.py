"""Networks of the methods of confidence, and the predictions that they make."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from clipnav.vl_tasks.classification.answers import AnswerVocabulary
from clipnav.vl_tasks.data.questions import Question
from clipnav.vl_tasks.reliability.confidence import Predictions, max_prob
from clipnav.vl_tasks.reliability.outputs import Outputs
from clipnav.vl_tasks.reliability.selector import SCORES, Selector, selector_loss
from clipnav.vl_tasks.reliability.settings import SelectorConfig
from clipnav.vl_tasks.vqa.task import answer_loss


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
