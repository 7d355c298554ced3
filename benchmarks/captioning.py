"""Speed of CIDEr-D rewards for self-critical training, and of caption decoding.

Rewards are compared with pycocoevalcap, and decoding (see `decoding`) with a captioner that
recomputes each prefix. A batch is that of ImageCaptioning.pytorch: 10 images with 5 sampled
captions and a greedy one each, and 5 references per image. Words are drawn by Zipf's law from a
vocabulary of COCO's size; samples share phrases with the references. Results are checked against
pycocoevalcap's before timing. pycocoevalcap requires captions as text; the conversion is not timed.
"""

from dataclasses import dataclass

import numpy as np
import tyro
from decoding import decoding_figures
from measuring import BenchmarkConfig, Figure, peak_memory, rate, report
from pycocoevalcap.cider.cider import Cider

from clipnav.vl_tasks.captioning.cider import CiderD, caption_lengths

WORDS = 9_488
LENGTH = 17
BAR = 20.0


@dataclass(frozen=True)
class CaptioningConfig(BenchmarkConfig):
    """Measure the speed of caption rewards and caption decoding."""

    images: int = 20_000
    """Number of images in the reference statistics; COCO's training split has 113,287."""
    batch: int = 10
    """Number of images in a batch."""
    samples: int = 6
    """Number of captions to score for each image of a batch."""
    references: int = 5
    """Number of references for each image."""
    grid_side: int = 7
    """Side of the captioned grids; 14 (CLIP-ViL) takes some minutes."""
    seconds: float = 4.0
    """CPU seconds per figure."""
    seed: int = 0
    """Random seed for the captions."""


def main() -> None:
    """Parse the command line, measure and report."""
    config = tyro.cli(CaptioningConfig)
    seconds = 0.05 if config.quick else config.seconds
    side = 3 if config.quick else config.grid_side
    decoding = decoding_figures(config.batch, side, seconds, config.quick)
    report("captioning", [*_reward_figures(config), *decoding], config.json)


def _reward_figures(config: CaptioningConfig) -> list[Figure]:
    seconds = 0.05 if config.quick else config.seconds
    rng = np.random.default_rng(config.seed)
    count = 200 if config.quick else config.images
    references = _captions(count * config.references, rng)
    first = np.arange(count + 1) * config.references
    statistics = CiderD.build(references, first, WORDS)
    chosen = rng.choice(count, config.batch, replace=False)
    images = np.repeat(chosen, config.samples)
    rows = first[images] + np.arange(len(images)) % config.references
    captions = references[rows]
    replaced = rng.random(captions.shape) < 0.25
    captions = np.where(replaced & (captions > 0), _captions(len(rows), rng).clip(1), captions)
    texts = _texts(captions)
    candidates = {k: [text] for k, text in enumerate(texts)}
    reference_texts = {
        k: _texts(references[first[image] : first[image + 1]]) for k, image in enumerate(images)
    }
    _check_equal(references, first, images, captions, candidates, reference_texts)
    unit, size = "batches per CPU second", f"reward of {len(images)} captions"
    baseline = rate(lambda: Cider().compute_score(reference_texts, candidates), 1, seconds)
    clipnav = rate(lambda: statistics.rewards(images, captions), 1, seconds)
    built = rate(lambda: CiderD.build(references, first, WORDS), 1, seconds)
    return [
        Figure(f"{size}: pycocoevalcap", baseline, unit),
        Figure(f"{size}: clipnav", clipnav, unit),
        Figure(f"{size}: clipnav relative to pycocoevalcap", clipnav / baseline, "times", BAR),
        Figure(f"statistics of {count} images", 1 / built, "CPU seconds"),
        Figure("peak memory", peak_memory(), "MiB"),
    ]


def _captions(count: int, rng: np.random.Generator) -> np.ndarray:
    """Draw captions (count, LENGTH) of 8 to 14 words, padded with 0."""
    words = np.minimum(rng.zipf(1.2, (count, LENGTH)), WORDS - 1)
    length = rng.integers(8, 15, count)
    return np.where(np.arange(LENGTH) < length[:, None], words, 0)


def _texts(captions: np.ndarray) -> list[str]:
    lengths = caption_lengths(captions)
    return [" ".join(map(str, row[:length])) for row, length in zip(captions, lengths, strict=True)]


def _check_equal(
    references: np.ndarray,
    first: np.ndarray,
    images: np.ndarray,
    captions: np.ndarray,
    candidates: dict[int, list[str]],
    reference_texts: dict[int, list[str]],
) -> None:
    """Compare with pycocoevalcap, which computes document frequencies on the batch."""
    rows = np.concatenate([references[first[image] : first[image + 1]] for image in images])
    starts = np.concatenate([[0], np.cumsum(first[images + 1] - first[images])])
    scores = CiderD.build(rows, starts, WORDS).scores(np.arange(len(images)), captions)
    if np.abs(scores - Cider().compute_score(reference_texts, candidates)[1]).max() > 1e-9:
        raise AssertionError("the implementations differ")


if __name__ == "__main__":
    main()
