"""Training and evaluation pairs of a pre-training."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from vl_tasks.clip_vil_p.data.pair_files import open_pairs
from vl_tasks.clip_vil_p.data.pair_index import PairIndex
from vl_tasks.house_tasks.folders import data_folder, image_folder
from vl_tasks.settings.configs import HELD_OUT
from vl_tasks.settings.pretraining import PretrainConfig
from vl_tasks.training import is_held_out


@dataclass(frozen=True)
class PairSplit:
    """Some pairs of an index.

    Attributes:
        index: Index of pairs.
        chosen: Numbers of the pairs; None for all.
    """

    index: PairIndex
    chosen: np.ndarray | None = None

    @cached_property
    def portrait(self) -> np.ndarray:
        """Orientation of the image of each pair: (pairs,) bool."""
        return self.index.portrait[self.images]

    @property
    def images(self) -> np.ndarray:
        """Number of the image of each pair."""
        return self.index.images if self.chosen is None else self.index.images[self.chosen]

    def numbers(self, places: np.ndarray) -> np.ndarray:
        """Return the numbers in the index of the pairs at these places of the split."""
        return places if self.chosen is None else self.chosen[places]


class Splits:
    """Pairs of the training and of the evaluation.

    Args:
        config: Settings of the run.

    Attributes:
        training: Pairs to train on.
        evaluated: Pairs of the split `select_by` and of each of `evaluation_splits`, at most
            `evaluation_pairs` of each.

    Raises:
        OSError: A data file cannot be read.
        ValueError: A data file is invalid, or --select-by held-out leaves no pair.
    """

    def __init__(self, config: PretrainConfig) -> None:
        folder = data_folder(config)
        images = image_folder(config, folder)
        pairs = open_pairs(folder, config.train_splits, images, config.languages)
        names = dict.fromkeys((config.select_by, *config.evaluation_splits))
        evaluated = {
            split: PairSplit(open_pairs(folder, [split], images, config.languages))
            for split in names
            if split != HELD_OUT
        }
        self.training = PairSplit(pairs)
        if config.select_by == HELD_OUT:
            self.training, held_out = _parted(pairs, folder)
            evaluated = {HELD_OUT: held_out, **evaluated}
        most = config.evaluation_pairs
        self.evaluated = {split: _thinned(part, most) for split, part in evaluated.items()}


def _parted(pairs: PairIndex, folder: Path) -> tuple[PairSplit, PairSplit]:
    """Reserve the pairs of one image in twenty."""
    names = (pairs.image_name(image) for image in range(pairs.image_count))
    held = np.fromiter((is_held_out(Path(name).stem) for name in names), bool)
    is_held = held[pairs.images]
    if is_held.all() or not is_held.any():
        raise ValueError(
            f"{folder}: {pairs.image_count} images are too few for --select-by held-out; add "
            "images, or name a validation split"
        )
    kept, reserved = np.flatnonzero(~is_held), np.flatnonzero(is_held)
    return PairSplit(pairs, kept.astype(np.uint32)), PairSplit(pairs, reserved.astype(np.uint32))


def _thinned(split: PairSplit, most: int | None) -> PairSplit:
    """Return at most `most` pairs, evenly spread."""
    total = len(split.portrait)
    if most is None or total <= most:
        return split
    places = np.linspace(0, total - 1, most).astype(np.int64)
    return PairSplit(split.index, split.numbers(places))
