"""Training objectives of the captioner: cross-entropy, then self-critical sequence training."""

from typing import Literal

import numpy as np
import torch
from torch import Tensor

from clipnav.storage.errors import UserError
from clipnav.vl_tasks.captioning.cider import CiderD
from clipnav.vl_tasks.captioning.decoding import caption_log_probabilities, sample, write_greedily
from clipnav.vl_tasks.captioning.networks import CaptionNetwork
from clipnav.vl_tasks.grids.grids import Grids

Baseline = Literal["greedy", "samples"]


def cross_entropy(network: CaptionNetwork, grids: Grids, captions: Tensor) -> Tensor:
    """Compute the mean cross-entropy of the words of captions and of their ends."""
    scores, counts = caption_log_probabilities(network.captioner, network.scale(grids), captions)
    return -(scores * counts).sum() / counts.sum()


def self_critical(
    network: CaptionNetwork,
    grids: Grids,
    images: np.ndarray,
    statistics: CiderD,
    samples: int,
    baseline: Baseline,
) -> tuple[Tensor, dict[str, float]]:
    """Compute the loss of self-critical sequence training (Rennie et al., arXiv 1612.00563).

    Captions are sampled and scored without dropout, so that the gradient is that of the sampling
    policy; the original implementations sample with dropout.

    Args:
        images: (P,) index of each image in the statistics.
    """
    network.eval()
    captioner, banned = network.captioner, network.banned
    scaled = network.scale(grids)
    with torch.no_grad():
        captions = sample(captioner, scaled, samples, network.max_length, banned)
        rewards = statistics.rewards(np.repeat(images, samples), captions.cpu().numpy())
        rewards = rewards.reshape(-1, samples)  # (P, S)
        figures = {"reward": float(rewards.mean())}
        if baseline == "greedy":
            greedy = write_greedily(captioner, scaled, network.max_length, banned)
            compared = statistics.scores(images, greedy.cpu().numpy())[:, None]
            figures["greedy_reward"] = float(compared.mean())
        else:
            compared = mean_of_others(rewards)
    advantages = torch.from_numpy(rewards - compared).float().flatten().to(captions.device)
    scores, counts = caption_log_probabilities(captioner, scaled, captions, banned)
    # After the end, a banned word's minus infinity times 0 would be nan.
    scores = scores.masked_fill(~counts, 0.0)
    return -(advantages[:, None] * scores).sum() / counts.sum(), figures


def mean_of_others(rewards: np.ndarray) -> np.ndarray:
    """Return, for each sample (P, S), the mean reward of the image's other samples."""
    samples = rewards.shape[1]
    if samples < 2:
        raise UserError(
            "--baseline samples requires several samples per image; set --captions-per-image 2 or "
            "more"
        )
    return (rewards.sum(1, keepdims=True) - rewards) / (samples - 1)
