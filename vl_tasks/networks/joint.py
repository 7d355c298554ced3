"""Vectors from which a VQA network computes its scores."""

from typing import NamedTuple

from torch import Tensor


class JointVectors(NamedTuple):
    """Vectors of B questions about images.

    Attributes:
        image: (B, I), from the image as the question attends to it.
        question: (B, Q), from the words alone; in a single-stream transformer, from the words in
            the context of the image.
        fused: (B, F), from both; input of the classifier.
    """

    image: Tensor
    question: Tensor
    fused: Tensor
