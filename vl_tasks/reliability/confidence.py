"""Confidence in the most probable answer of a VQA model, and its calibration error."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

BINS = 20


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
    accuracy: np.ndarray, confidence: np.ndarray, bins: int = BINS
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
