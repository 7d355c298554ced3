"""What a captioner is trained by: cross-entropy, then the CIDEr-D of what it writes itself."""

from typing import Literal

import numpy as np
import torch
from torch import Tensor

from vl_tasks.captioning.cider import CiderD
from vl_tasks.captioning.decoding import caption_log_probabilities, sample, write_greedily
from vl_tasks.captioning.networks import CaptionNetwork
from vl_tasks.grids.grids import Grids

Baseline = Literal["greedy", "samples"]


def cross_entropy(network: CaptionNetwork, grids: Grids, captions: Tensor) -> Tensor:
    """Mean cross-entropy of the words of captions and of their ends.

    Args:
        network: What learns.
        grids: Of P pictures.
        captions: (P S, T), S of each picture one after another, each ended by a 0.
    """
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
    """Loss of self-critical sequence training (Rennie et al., arXiv 1612.00563).

    Captions are sampled and scored without dropout, so that the gradient is that of the policy
    they were drawn from; the originals sample with it.

    Args:
        network: What learns.
        grids: Of P pictures.
        images: (P,) which image of the statistics each is.
        statistics: Of the references, numbered as the captions are.
        samples: S, captions that are drawn of each picture.
        baseline: What a sample's reward is compared with: that of the greedy caption, or the mean
            of the picture's other samples.

    Returns:
        The loss, and mean rewards to log.

    Raises:
        FloatingPointError: All rewards are 0; says why.
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
    # Behind the end a banned word's minus infinity may stand, which times 0 is no number.
    scores = scores.masked_fill(~counts, 0.0)
    return -(advantages[:, None] * scores).sum() / counts.sum(), figures


def mean_of_others(rewards: np.ndarray) -> np.ndarray:
    """For each of the samples (P, S) of a picture, the mean reward of its others.

    Raises:
        ValueError: There are no others.
    """
    samples = rewards.shape[1]
    if samples < 2:
        raise ValueError("one sample has no others to compare with; draw several of each picture")
    return (rewards.sum(1, keepdims=True) - rewards) / (samples - 1)
