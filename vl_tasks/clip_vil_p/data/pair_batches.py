"""Pairs of pre-training as batches: masked words, exchanged sentences and sampled answers.

As CLIP-ViL-Pretrain/src/pretrain/lxmert_pretrain.py does it (`convert_example_to_features`,
`LXMERTTorchDataset`): 15 % of the word pieces are targets; 80 % of these become [MASK] and 10 % a
random word piece. Half of the pairs (`exchanged`) get the sentence of another image. An answer is
drawn with probabilities proportional to the scores.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from clipnav.storage.errors import UserError
from clipnav.training.streams import Stream
from clipnav.vl_tasks.clip_vil_p.data.framing import Framing
from clipnav.vl_tasks.clip_vil_p.data.pair_index import Pair, PairIndex
from clipnav.vl_tasks.clip_vil_p.data.pictures import Pictures, read_pictures
from clipnav.vl_tasks.clip_vil_p.data.word_pieces import WordPieces

# Target of a word piece that is not masked, of a pair without an answer, or without an objective.
NONE = -1
OBJECTIVES: tuple[str, ...] = ("words", "matching", "answers")
_MASKED, _TO_MASK, _TO_RANDOM = 0.15, 0.8, 0.1
_ATTEMPTS = 100  # to draw a sentence of another image


class Batch(NamedTuple):
    """B pairs of an image and a sentence of at most T word pieces.

    Attributes:
        pictures: Images of the pairs.
        pieces: (B, T) int64; 0 is padding.
        words: (B, T) int64: the original id where a word piece is masked, else `NONE`.
        matching: (B,) int64: 1 if the sentence belongs to the image, else 0; `NONE` without the
            matching objective.
        answers: (B,) int64: class of the answer, or `NONE`.
    """

    pictures: Pictures
    pieces: Tensor
    words: Tensor
    matching: Tensor
    answers: Tensor

    def to(self, device: str | torch.device) -> "Batch":
        """Move all tensors to a device."""
        pictures, *others = self
        return Batch(pictures.to(device), *(x.to(device, non_blocking=True) for x in others))

    def counts(self) -> dict[str, int]:
        """Return the number of targets of each objective."""
        return {
            "words": int((self.words != NONE).sum()),
            "matching": int((self.matching != NONE).sum()),
            "answers": int((self.answers != NONE).sum()),
        }


class BatchKey(NamedTuple):
    """Key of a batch.

    Attributes:
        pairs: Numbers of the pairs.
        stream: Integers that, with the seed and the place in `places`, fix the random numbers.
        places: Place of each pair in the batch of all processes.
    """

    pairs: np.ndarray
    stream: tuple[int, ...]
    places: np.ndarray


@dataclass(frozen=True)
class PairBatches:
    """Makes batches of pairs; each depends on its key only.

    Attributes:
        index: Pairs on disk.
        pieces: Word pieces.
        classes: Class of each answer of the index, -1 for none; None without question answering.
        framing: Sizes of the images.
        words: Largest number of word pieces of a sentence.
        masks_exchanged: Whether masked words of exchanged sentences are targets, as in CLIP-ViL.
        seed: Random seed.
        exchanged: Fraction of the pairs that get the sentence of another image.
        masks_questions: Whether words of sentences with answers are masked, too, as in CLIP-ViL.
        exchangeable: Numbers of the pairs whose sentences other images may get; None for all.
    """

    index: PairIndex
    pieces: WordPieces
    classes: np.ndarray | None
    framing: Framing
    words: int
    masks_exchanged: bool
    seed: int
    exchanged: float = 0.5
    masks_questions: bool = True
    exchangeable: np.ndarray | None = None

    def make(self, key: BatchKey) -> Batch:
        """Return the batch of a key.

        Raises:
            FileNotFoundError: An image is missing.
            DamagedPictureError: An image cannot be read.
            UserError: An image was replaced by one of another orientation.
        """
        pairs = [self.index[int(number)] for number in key.pairs]
        streams = [(self.seed, Stream.PAIRS, *key.stream, int(place)) for place in key.places]
        rngs = [np.random.default_rng(stream) for stream in streams]
        matching = np.array([rng.random() >= self.exchanged for rng in rngs], np.int64)
        sentences = [
            pair if matches else self._other_sentence(pair, rng)
            for pair, matches, rng in zip(pairs, matching, rngs, strict=True)
        ]
        pieces = self.pieces.encode([sentence.text for sentence in sentences], self.words)
        pieces = pieces[:, : int((pieces != 0).sum(1).max())].astype(np.int64)
        words = np.full_like(pieces, NONE)
        for row, (targets, rng) in enumerate(zip(words, rngs, strict=True)):
            if self.masks_questions or not len(sentences[row].answers):
                self._mask(pieces[row], targets, rng)
        if not self.masks_exchanged:
            words[matching == 0] = NONE
        answers = [
            self._answer(pair, rng) if matches else NONE
            for pair, matches, rng in zip(pairs, matching, rngs, strict=True)
        ]
        paths = [self.index.image_path(pair.image) for pair in pairs]
        frames = [self.framing.frame(*self.index.image_size(pair.image)) for pair in pairs]
        hint = f"if it was replaced, delete {self.index.folder}, which is built again"
        return Batch(
            read_pictures(paths, self.framing, frames, hint),
            torch.from_numpy(pieces),
            torch.from_numpy(words),
            torch.from_numpy(matching if self.exchanged else np.full_like(matching, NONE)),
            torch.tensor(answers),
        )

    def _other_sentence(self, pair: Pair, rng: np.random.Generator) -> Pair:
        """Return a random sentence of another image."""
        drawn_from = self.exchangeable
        for _ in range(_ATTEMPTS):
            place = int(rng.integers(len(self.index) if drawn_from is None else len(drawn_from)))
            number = place if drawn_from is None else int(drawn_from[place])
            if self.index.images[number] != pair.image:
                return self.index[number]
        raise UserError(
            "almost all sentences of the data belong to one image, so no sentence of another image "
            "was found for the matching objective; add images"
        )

    def _mask(self, pieces: np.ndarray, targets: np.ndarray, rng: np.random.Generator) -> None:
        """Mask word pieces in place, and write the original ids of the masked ones."""
        length = int((pieces != 0).sum())
        inner = slice(1, length - 1)  # neither [CLS] nor [SEP]
        chosen = rng.random(length - 2)
        is_target = chosen < _MASKED
        targets[inner][is_target] = pieces[inner][is_target]
        kind = chosen / _MASKED
        random_pieces = rng.integers(1, self.pieces.size, size=length - 2)
        pieces[inner] = np.select(
            [kind < _TO_MASK, kind < _TO_MASK + _TO_RANDOM],
            [self.pieces.mask, random_pieces],
            pieces[inner],
        )

    def _answer(self, pair: Pair, rng: np.random.Generator) -> int:
        """Draw the class of an answer with probabilities proportional to the scores."""
        if self.classes is None or not len(pair.answers):
            return NONE
        classes = self.classes[pair.answers]
        scores = np.where(classes >= 0, pair.scores, 0).astype(np.float64)
        if not scores.sum():
            return NONE
        return int(classes[rng.choice(len(classes), p=scores / scores.sum())])
