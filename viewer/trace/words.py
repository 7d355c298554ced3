"""Words of an instruction as written, and attention over them.

Agents read tokens: lower-case words or word pieces. The page shows words as written and never cuts
them, because letters of Devanagari and Telugu form ligatures.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from clipnav.envs.tokenizers import Tokenizer, WordTokenizer, split_words

_WINDOW = 40  # number of characters in which a token is searched


def word_pieces(text: str) -> tuple[str, ...]:
    """Split a text into words and punctuation marks with trailing blanks; joined, the text."""
    starts = _starts(text)
    ends = [*starts[1:], len(text)][: len(starts)]
    return tuple(text[start:end] for start, end in zip(starts, ends, strict=True))


def word_attention(
    tokenizer: Tokenizer, text: str, ids: Sequence[int], weights: np.ndarray
) -> tuple[float, ...]:
    """Sum the attention over tokens by word.

    Args:
        tokenizer: Tokenizer of the ids.
        text: The instruction.
        ids: (L,) token ids of the text, padded with 0, with a start and an end token.
        weights: (M,) attention over the first M tokens; M = 2 for the start and end tokens only.

    Returns:
        Weights of the start token, of each of `word_pieces` (0 for truncated words), and of the end
        token.
    """
    count = int(np.count_nonzero(np.asarray(ids)))
    words = len(_starts(text))
    total = np.zeros(words + 2)
    if len(weights) < count:  # an agent without instructions sees only the start and end tokens
        total[0], total[-1] = weights[0], weights[-1]
    else:
        places = _places(tokenizer, text, list(ids[1 : count - 1]))
        total[0], total[-1] = weights[0], weights[count - 1]
        np.add.at(total, 1 + np.array(places, int), weights[1 : count - 1])
    return tuple(np.round(total, 4).tolist())


def unknown_words(tokenizer: Tokenizer, text: str) -> tuple[int, ...]:
    """Return indices of `word_pieces` that a tokenizer maps to unknown, entirely or in part."""
    ids = tokenizer.encode(text, len(text) + 2)
    read = ids[1 : np.count_nonzero(ids) - 1].tolist()
    places = _places(tokenizer, text, read)
    unknown = tokenizer.unknown_id
    return tuple(
        sorted({place for place, number in zip(places, read, strict=True) if number == unknown})
    )


@lru_cache(maxsize=1024)  # all decisions of an episode read the same text
def _starts(text: str) -> tuple[int, ...]:
    """Return the index at which each word begins; the first word includes leading characters."""
    lowered, origins = _lowered(text)
    starts, cursor = [], 0
    for word in split_words(text):
        cursor = lowered.index(word, cursor)
        starts.append(origins[cursor])
        cursor += len(word)
    return (0, *starts[1:]) if starts or text else ()


def _lowered(text: str) -> tuple[str, list[int]]:
    """Return the text in lower case, and for each character its index in the text."""
    # The lower case of a character may be longer: İ becomes two characters. It may also depend on
    # its neighbours, but not in length: Greek sigma at the end of a word.
    origins = [place for place, letter in enumerate(text) for _ in letter.lower()]
    return text.lower(), origins


def _places(tokenizer: Tokenizer, text: str, ids: list[int]) -> list[int]:
    """Return the index of the word of each token."""
    if type(tokenizer) is WordTokenizer:
        return list(range(len(ids)))
    starts = _starts(text)
    lowered, origins = _lowered(text)
    places, cursor = [], 0
    for number in ids:
        piece = tokenizer.decode([number]).lower().removeprefix("##").strip(" ▁")
        found = lowered.find(piece, cursor, cursor + _WINDOW + len(piece)) if piece else -1
        at = found if found >= 0 else cursor
        while at < len(lowered) - 1 and lowered[at].isspace():
            at += 1
        place = origins[min(at, len(origins) - 1)]
        places.append(int(np.searchsorted(starts, place, side="right")) - 1)
        cursor = found + len(piece) if found >= 0 else cursor
    return places
