"""How fast captions are scored for self-critical training, and how fast they are written.

Scores are measured beside pycocoevalcap, writing (see `decoding`) beside a captioner that reads
each prefix again. A batch is that of ImageCaptioning.pytorch: 10 pictures with 5 sampled captions
and a greedy one each, and 5 references per picture. Words are drawn by Zipf's law from a vocabulary
of COCO's size; samples share phrases with the references. Results are checked against
pycocoevalcap's before anything is timed. Its captions are given to it as text, which it needs and
which is not timed.
"""

from dataclasses import dataclass

import numpy as np
import tyro
from decoding import decoding_figures
from measuring import Figure, peak_memory, rate, report
from pycocoevalcap.cider.cider import Cider

from vl_tasks.captioning.cider import CiderD, caption_lengths

WORDS = 9_488
LENGTH = 17
BAR = 20.0


@dataclass(frozen=True)
class CaptioningConfig:
    """Time the scoring and the writing of captions."""

    images: int = 20_000
    """Pictures whose references the statistics are of; COCO's training split has 113,287."""
    batch: int = 10
    """Pictures in a batch."""
    samples: int = 6
    """Captions to score for each picture of a batch."""
    references: int = 5
    """References for each picture."""
    places: int = 7
    """Side of the grids that captions are written of; 14 (CLIP-ViL) takes some minutes."""
    seconds: float = 4.0
    """CPU seconds per figure."""
    seed: int = 0
    """Of the captions."""
    quick: bool = False
    """Few pictures and little time, to see that it works."""


def main() -> None:
    """Parse the command line, measure and report."""
    config = tyro.cli(CaptioningConfig)
    seconds = 0.05 if config.quick else config.seconds
    places = 3 if config.quick else config.places
    written = decoding_figures(config.batch, places, seconds, config.quick)
    report("captioning", [*_reward_figures(config), *written])


def _reward_figures(config: CaptioningConfig) -> list[Figure]:
    seconds = 0.05 if config.quick else config.seconds
    rng = np.random.default_rng(config.seed)
    count = 200 if config.quick else config.images
    references = _captions(count * config.references, rng)
    first = np.arange(count + 1) * config.references
    statistics = CiderD.build(references, first, WORDS)
    chosen = rng.choice(count, config.batch, replace=False)
    images = np.repeat(chosen, config.samples)
    captions = _samples(references, first[images] + np.arange(len(images)) % config.references, rng)
    texts = _texts(captions)
    given = {k: [text] for k, text in enumerate(texts)}
    theirs = {
        k: _texts(references[first[image] : first[image + 1]]) for k, image in enumerate(images)
    }
    _check_equal(references, first, images, captions, given, theirs)
    unit, size = "batches per CPU second", f"reward of {len(images)} captions"
    peer = rate(lambda: Cider().compute_score(theirs, given), 1, seconds)
    ours = rate(lambda: statistics.rewards(images, captions), 1, seconds)
    built = rate(lambda: CiderD.build(references, first, WORDS), 1, seconds)
    return [
        Figure(f"{size}: pycocoevalcap", peer, unit),
        Figure(f"{size}: ours", ours, unit),
        Figure(f"{size}: ours to pycocoevalcap", ours / peer, "times", BAR),
        Figure(f"statistics of {count} pictures", 1 / built, "CPU seconds"),
        Figure("peak memory", peak_memory(), "MiB"),
    ]


def _captions(count: int, rng: np.random.Generator) -> np.ndarray:
    """(count, LENGTH) captions of 8 to 14 words, padded with 0."""
    words = np.minimum(rng.zipf(1.2, (count, LENGTH)), WORDS - 1)
    length = rng.integers(8, 15, count)
    return np.where(np.arange(LENGTH) < length[:, None], words, 0)


def _samples(references: np.ndarray, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """References in which about every fourth word is another."""
    captions = references[rows]
    other = rng.random(captions.shape) < 0.25
    return np.where(other & (captions > 0), _captions(len(rows), rng).clip(1), captions)


def _texts(captions: np.ndarray) -> list[str]:
    lengths = caption_lengths(captions)
    return [" ".join(map(str, row[:length])) for row, length in zip(captions, lengths, strict=True)]


def _check_equal(
    references: np.ndarray,
    first: np.ndarray,
    images: np.ndarray,
    captions: np.ndarray,
    given: dict[int, list[str]],
    theirs: dict[int, list[str]],
) -> None:
    """Compare with pycocoevalcap, whose document frequencies are those of the batch."""
    rows = np.concatenate([references[first[image] : first[image + 1]] for image in images])
    starts = np.concatenate([[0], np.cumsum(first[images + 1] - first[images])])
    scores = CiderD.build(rows, starts, WORDS).scores(np.arange(len(images)), captions)
    if np.abs(scores - Cider().compute_score(theirs, given)[1]).max() > 1e-9:
        raise AssertionError("the implementations differ")


if __name__ == "__main__":
    main()
