"""Contrastive losses of CLEAR (Li, Tan, Bansal 2022).

Source: jialuli-luka/CLEAR, `r2r_src/model.py: ContrastiveLoss`. Letters in shapes: B pairs, W width
of an embedding.
"""

import torch
from torch import Tensor
from torch.nn import functional


def nt_xent(first: Tensor, second: Tensor, temperature: float, symmetric: bool = False) -> Tensor:
    """Return the normalised temperature-scaled cross-entropy (NT-Xent, SimCLR) of B pairs.

    The positive of an embedding is its partner; the other 2B - 2 embeddings are negatives. The
    released code computes the loss of `first` only and doubles it, which `symmetric=False` does;
    the mean over the 2B embeddings, as in SimCLR, is `symmetric=True`.

    Args:
        first: (B, W) embeddings.
        second: (B, W) embeddings of their partners, in the same order.
    """
    count = len(first)
    embeddings = functional.normalize(torch.cat([first, second]).float(), dim=1)  # (2B, W)
    logits = embeddings @ embeddings.T / temperature  # (2B, 2B)
    itself = torch.eye(2 * count, dtype=torch.bool, device=logits.device)
    logits = logits.masked_fill(itself, -torch.inf)
    partners = torch.arange(2 * count, device=logits.device).roll(count)
    anchors = 2 * count if symmetric else count
    return functional.cross_entropy(logits[:anchors], partners[:anchors])


def paired_cross_entropy(first: Tensor, second: Tensor, live: Tensor, temperature: float) -> Tensor:
    """Return the loss of one step of B paired paths: cross-entropy in both directions.

    The sum over the live pairs and both directions is divided by 2B. Pairs that have ended are no
    targets, but remain negatives, as in `r2r_src/visual.py: Visual.finetune` with `--sim ce`.

    Args:
        first: (B, W) embeddings of the viewpoints of a step.
        second: (B, W) embeddings of the viewpoints of the paired paths.
        live: (B,) bool, false for pairs that have ended.
    """
    first, second = functional.normalize(first, dim=1), functional.normalize(second, dim=1)
    logits = first @ second.T / temperature  # (B, B)
    ignored = -100
    targets = torch.arange(len(first), device=first.device).masked_fill(~live, ignored)
    both = [
        functional.cross_entropy(scores, targets, ignore_index=ignored, reduction="sum")
        for scores in (logits, logits.T)
    ]
    return (both[0] + both[1]) / (2 * len(first))
