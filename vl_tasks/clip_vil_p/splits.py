"""Training and evaluation pairs of a pre-training."""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from clipnav.storage.errors import UserError
from clipnav.vl_tasks.clip_vil_p.data.framing import Framing
from clipnav.vl_tasks.clip_vil_p.data.pair_files import open_pairs
from clipnav.vl_tasks.clip_vil_p.data.pair_index import PairIndex
from clipnav.vl_tasks.clip_vil_p.settings import PretrainConfig
from clipnav.vl_tasks.data_folders import data_folder, image_folder
from clipnav.vl_tasks.settings.runs import HELD_OUT
from clipnav.vl_tasks.subsets import evenly_spaced, held_out_names, is_held_out


@dataclass(frozen=True)
class PairSplit:
    """Some pairs of an index.

    Attributes:
        index: Index of pairs.
        framing: Sizes of the images.
        chosen: Numbers of the pairs; None for all.
    """

    index: PairIndex
    framing: Framing
    chosen: np.ndarray | None = None

    @cached_property
    def portrait(self) -> np.ndarray:
        """Whether the frame of each pair's image is higher than wide: (pairs,) bool."""
        return self.index.portrait(self.framing)[self.images]

    @property
    def images(self) -> np.ndarray:
        """Number of the image of each pair."""
        return self.index.images if self.chosen is None else self.index.images[self.chosen]

    def numbers(self, places: np.ndarray) -> np.ndarray:
        """Return the numbers in the index of the pairs at these places of the split."""
        return places if self.chosen is None else self.chosen[places]


class Splits:
    """Pairs of the training and of the evaluation.

    Attributes:
        training: Pairs to train on.
        evaluated: Pairs of the split `select_by` and of each of `evaluation_splits`, at most
            `evaluation_pairs` of each.
    """

    def __init__(self, config: PretrainConfig) -> None:
        folder = data_folder(config)
        images = image_folder(config, folder)
        pairs = open_pairs(folder, config.train_splits, images, config.languages)
        framing = config.framing
        names = dict.fromkeys((config.select_by, *config.evaluation_splits))
        evaluated = {
            split: PairSplit(open_pairs(folder, [split], images, config.languages), framing)
            for split in names
            if split != HELD_OUT
        }
        self.training = PairSplit(pairs, framing)
        if config.select_by == HELD_OUT:
            self.training, held_out = _parted(self.training, folder)
            evaluated = {HELD_OUT: held_out, **evaluated}
        most = config.evaluation_pairs
        self.evaluated = {split: _thinned(part, most) for split, part in evaluated.items()}


def _parted(split: PairSplit, folder: Path) -> tuple[PairSplit, PairSplit]:
    """Reserve the pairs of one image in twenty."""
    pairs = split.index
    names = held_out_names([pairs.image_name(image) for image in range(pairs.image_count)])
    held = np.fromiter(map(is_held_out, names), bool)
    is_held = held[pairs.images]
    if is_held.all() or not is_held.any():
        raise UserError(
            f"{folder}: {pairs.image_count} images are too few for --select-by held-out; add "
            "images, or name a validation split"
        )
    kept, reserved = np.flatnonzero(~is_held), np.flatnonzero(is_held)
    chosen = kept.astype(np.uint32), reserved.astype(np.uint32)
    return replace(split, chosen=chosen[0]), replace(split, chosen=chosen[1])


def _thinned(split: PairSplit, most: int | None) -> PairSplit:
    """Return at most `most` pairs, evenly spread."""
    if most is None or len(split.images) <= most:
        return split
    return replace(split, chosen=split.numbers(evenly_spaced(len(split.images), most)))
