"""Sentences as token ids for networks."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from clipnav.storage.errors import UserError, truncate
from clipnav.training.checkpoints import VOCABULARY
from clipnav.vl_tasks.text.vocabulary import UNKNOWN, Vocabulary
from clipnav.vl_tasks.text.words import Tokenizer, tokenize_sentence

_MAX_LINE = 1 << 20  # bytes; 40,000 numbers
_HINT = "download it again from nlp.stanford.edu/projects/glove"


def read_glove(path: Path, vocabulary: Vocabulary) -> np.ndarray:
    """Read the vectors of the words of a vocabulary.

    A line consists of a word and its numbers, separated by single spaces; words of the 840B file
    may contain spaces. Words that the file lacks get random normal vectors with the standard
    deviation of the others; padding is 0.
    """
    rows = {word: row for row, word in enumerate(vocabulary.words, start=1)}
    vector_of_row: dict[int, np.ndarray] = {}
    width = 0
    with path.open("rb") as file:
        for number, raw in enumerate(iter(lambda: file.readline(_MAX_LINE), b""), start=1):
            fields = _fields(path, number, raw)
            width = width or len(fields) - 1
            if len(fields) - 1 < width or width < 1:
                found = f"{len(fields) - 1} numbers, not {width}" if width else "no numbers"
                raise UserError(
                    f"{path}: line {number} has {found}; the file is truncated or not a GloVe text "
                    f"file, {_HINT}"
                )
            row = rows.get(" ".join(fields[:-width]))
            if row is not None:
                vector_of_row[row] = _numbers(path, number, fields[-width:])
    if not vector_of_row:
        raise UserError(
            f"{path}: contains none of the {len(rows)} words of the vocabulary; {_HINT}"
        )
    known = np.stack(list(vector_of_row.values()))
    vectors = np.random.default_rng(0).normal(0, known.std(), (len(vocabulary), width))
    vectors[0] = 0
    vectors[list(vector_of_row)] = known
    return vectors.astype(np.float32)


def _numbers(path: Path, line: int, fields: list[str]) -> np.ndarray:
    try:
        numbers = np.array(fields, dtype=np.float64)
    except ValueError as error:
        problem = truncate(str(error))
        raise UserError(
            f"{path}: line {line} is not a word with numbers ({problem}); {_HINT}"
        ) from error
    if not np.isfinite(numbers).all():
        raise UserError(f"{path}: line {line} has a number that is not finite; {_HINT}")
    return numbers


def _fields(path: Path, line: int, raw: bytes) -> list[str]:
    """Split a line at its spaces."""
    if len(raw) == _MAX_LINE:
        raise UserError(f"{path}: line {line} is longer than {_MAX_LINE:,} bytes; {_HINT}")
    try:
        return raw.decode("utf-8").rstrip("\n").split(" ")
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path}: line {line} is not UTF-8 text ({error.reason}); {_HINT}"
        ) from error


class Sentences:
    """Token ids of N sentences."""

    def __init__(self, texts: Sequence[str], vocabulary: Vocabulary, length: int) -> None:
        # A sentence of only punctuation needs a token, because attention over none is undefined.
        tokenizer = vocabulary.tokenizer
        words = [tokenize_sentence(text, tokenizer) or [UNKNOWN] for text in texts]
        self.tokens = vocabulary.encode(words, length)

    def batch(self, rows: np.ndarray, whole: bool = False) -> Tensor:
        """Return token ids (B, T) int64 of sentences.

        T is the length of the longest sentence of the batch or, if `whole`, the maximum length.
        """
        tokens = self.tokens[rows]
        longest = int((tokens != 0).sum(1).max())
        return torch.from_numpy(tokens if whole else tokens[:, :longest]).long()


def build_vocabulary(texts: Sequence[str], tokenizer: Tokenizer = "ours") -> Vocabulary:
    """Build the vocabulary of sentences."""
    return Vocabulary.build(
        (tokenize_sentence(text, tokenizer) for text in texts), tokenizer=tokenizer
    )


def run_vocabulary(
    run: Path | None, texts: Sequence[str], tokenizer: Tokenizer = "ours"
) -> Vocabulary:
    """Read the vocabulary of an existing run, or build one from training sentences."""
    if run is None:
        return build_vocabulary(texts, tokenizer)
    return Vocabulary.load(run / VOCABULARY, tokenizer)


def initialise_from_glove(embedding: nn.Embedding, path: Path, vocabulary: Vocabulary) -> None:
    """Initialise word embeddings with GloVe vectors."""
    vectors = read_glove(path, vocabulary)
    if vectors.shape[1] != embedding.embedding_dim:
        raise UserError(
            f"{path}: vectors have {vectors.shape[1]} dimensions, not {embedding.embedding_dim}; "
            f"set --embedding-size {vectors.shape[1]} or use another file"
        )
    with torch.no_grad():
        embedding.weight.copy_(torch.from_numpy(vectors))
