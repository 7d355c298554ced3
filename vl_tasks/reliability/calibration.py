"""Vector scaling of logits (Guo et al., arXiv 1706.04599), as in reliable_vqa (`Calibration`)."""

import torch
from torch import Tensor, nn


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
