"""Vectors and logits of VQA models, by name as selectors read them."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from clipnav.vl_tasks.classification.inputs import FeatureInputs
from clipnav.vl_tasks.clip_vil_p.data.batch import Pictures
from clipnav.vl_tasks.clip_vil_p.data.grouped_order import exact_batches
from clipnav.vl_tasks.clip_vil_p.data.loading import load_batches
from clipnav.vl_tasks.clip_vil_p.fine_tuning import FineTunedNetwork, FineTuning
from clipnav.vl_tasks.clip_vil_p.optimisers import autocast
from clipnav.vl_tasks.data.questions import Question
from clipnav.vl_tasks.networks.joint import JointVectors
from clipnav.vl_tasks.reliability.selector import SCORES
from clipnav.vl_tasks.subsets import in_batches

Named = dict[str, Tensor]


def joint_vectors(
    inputs: FeatureInputs | FineTuning, questions: Sequence[Question]
) -> Iterator[tuple[np.ndarray, Named]]:
    """Yield numbers (B,) and outputs (B, width) float32 by name, each question exactly once.

    A model without vision has no image vector.
    """
    inputs.network.eval()
    if isinstance(inputs, FineTuning):
        yield from _of_fine_tuned(inputs, questions)
    else:
        yield from _of_features(inputs, questions)


def _of_features(
    inputs: FeatureInputs, questions: Sequence[Question]
) -> Iterator[tuple[np.ndarray, Named]]:
    config, encoded = inputs.config, inputs.encode(questions)
    for rows in in_batches(len(questions), config.evaluation_batch_size):
        with torch.inference_mode():
            joined = inputs.network.join(*inputs.batch(questions, encoded, rows))
        yield rows, _named(*joined, vision=config.vision)


def _of_fine_tuned(
    inputs: FineTuning, questions: Sequence[Question]
) -> Iterator[tuple[np.ndarray, Named]]:
    config, sentences = inputs.config, inputs.encode(questions)
    keys = exact_batches(sentences.portrait, config.evaluation_batch_size)
    for rows, pictures, pieces in load_batches(sentences.maker, keys, config.clip_vil_p.workers):
        with (
            torch.inference_mode(),
            autocast(config.clip_vil_p.precision, config.device),
        ):
            joined = join_stream(
                inputs.network, pictures.to(config.device), pieces.to(config.device)
            )
        yield rows, _named(*joined, vision=True)


def join_stream(
    network: FineTunedNetwork, pictures: Pictures, pieces: Tensor
) -> tuple[JointVectors, Tensor]:
    """Compute the vectors of sentences (B, T) about images, and the logits (B, classes).

    The vectors of image and question are maxima over grid cells and word pieces, as reliable_vqa
    has them for single-stream transformers.
    """
    grid, mask = network.trunk(pictures)
    states = network.stream(pieces, grid, mask, None)
    image = _masked_max(states.cells, mask.flatten(1))
    question = _masked_max(states.words, pieces != 0)
    return JointVectors(image, question, states.pooled), network.head(states.pooled)


def _masked_max(states: Tensor, mask: Tensor) -> Tensor:
    """Return the maximum (B, C) of states (B, N, C) where the mask (B, N) is True."""
    return states.masked_fill(~mask[..., None], -torch.inf).amax(1)


def _named(vectors: JointVectors, logits: Tensor, vision: bool) -> Named:
    named = {**vectors._asdict(), SCORES: logits}
    if not vision:
        del named["image"]
    return {name: values.float().cpu() for name, values in named.items()}
