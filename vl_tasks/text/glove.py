"""Word vectors from a text file of GloVe (nlp.stanford.edu/projects/glove)."""

from pathlib import Path

import numpy as np

from storage.messages import shortened
from vl_tasks.text.vocabulary import Vocabulary

_LONGEST_LINE = 1 << 20  # bytes; 40,000 numbers


def read_glove(path: Path, vocabulary: Vocabulary, seed: int = 0) -> tuple[np.ndarray, int]:
    """Vectors of the words of a vocabulary.

    A line is a word and its numbers, with single spaces between; a word of the 840B file may hold
    spaces itself. Words that the file lacks get normal vectors with the spread of those found;
    padding is 0.

    Args:
        path: "glove.6B.300d.txt" or the like.
        vocabulary: Words to look for.
        seed: Of the vectors of missing words.

    Returns:
        (len(vocabulary), D) float32, and how many words were found.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: A line has another width, or no numbers, or no word was found; names file and
            line.
    """
    rows = {word: row for row, word in enumerate(vocabulary.words, start=1)}
    found: dict[int, np.ndarray] = {}
    width = 0
    with path.open("rb") as file:
        for number, raw in enumerate(iter(lambda: file.readline(_LONGEST_LINE), b""), start=1):
            fields = _fields(path, number, raw)
            width = width or len(fields) - 1
            if len(fields) - 1 < width or width < 1:
                raise ValueError(
                    f"{path}: line {number} has {len(fields) - 1} numbers, not {width}; "
                    "the file is cut short or no GloVe text file"
                )
            row = rows.get(" ".join(fields[:-width]))
            if row is not None:
                found[row] = _numbers(path, number, fields[-width:])
    if not found:
        raise ValueError(f"{path}: none of the {len(rows)} words is in it; is it GloVe's text?")
    known = np.stack(list(found.values()))
    vectors = np.random.default_rng(seed).normal(0, known.std(), (len(vocabulary), width))
    vectors[0] = 0
    vectors[list(found)] = known
    return vectors.astype(np.float32), len(found)


def _numbers(path: Path, line: int, fields: list[str]) -> np.ndarray:
    try:
        numbers = np.array(fields, dtype=np.float64)
    except ValueError as error:
        problem = shortened(str(error))
        raise ValueError(f"{path}: line {line} is no word with its numbers ({problem})") from error
    if not np.isfinite(numbers).all():
        raise ValueError(f"{path}: line {line} has a number that is not finite; fetch it again")
    return numbers


def _fields(path: Path, line: int, raw: bytes) -> list[str]:
    """What stands between the spaces of a line."""
    if len(raw) == _LONGEST_LINE:
        raise ValueError(f"{path}: line {line} is longer than {_LONGEST_LINE:,} bytes")
    try:
        return raw.decode("utf-8").rstrip("\n").split(" ")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: line {line} is no text in UTF-8 ({error.reason})") from error
