"""Masked words and masked views of pre-training."""

import numpy as np

from clipnav.envs.tokenizers import PretrainedTokenizer, Tokenizer
from clipnav.storage.errors import UserError

NOT_MASKED = -1
# Shares of masked words that are replaced by the mask token and by a random word (BERT); the others
# stay.
_REPLACED, _RANDOM = 0.8, 0.1
_FIRST_WORD = 4  # ids below are special tokens


def mask_id(tokenizer: Tokenizer) -> int:
    """Return the id that replaces masked words.

    It is the mask token of a Hugging Face model, and the unknown word of other vocabularies.
    """
    number = tokenizer.mask_id if isinstance(tokenizer, PretrainedTokenizer) else None
    number = tokenizer.unknown_id if number is None else number
    if number is None:
        raise UserError(
            "--masked-words: the vocabulary of --text.model has neither a mask token nor an "
            "unknown word; give --masked-words 0"
        )
    return number


def mask_words(
    tokens: np.ndarray, rate: float, tokenizer: Tokenizer, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Mask a share of the tokens, special tokens included, and at least one in each row.

    Args:
        tokens: (B, L) token ids, padded with 0.

    Returns:
        tokens: (B, L) with replaced tokens.
        targets: (B, L) original ids of the masked tokens; `NOT_MASKED` elsewhere.
    """
    masked = choose(tokens != 0, rate, rng)
    draws = rng.random(tokens.shape)
    words = rng.integers(_FIRST_WORD, max(len(tokenizer), _FIRST_WORD + 1), tokens.shape)
    replaced = np.where(draws < _REPLACED, mask_id(tokenizer), words)
    changed = masked & (draws < _REPLACED + _RANDOM)
    return np.where(changed, replaced, tokens), np.where(masked, tokens, NOT_MASKED)


def choose(possible: np.ndarray, rate: float, rng: np.random.Generator) -> np.ndarray:
    """Return a random share of the true elements (B, L), and at least one of each row."""
    draws = np.where(possible, rng.random(possible.shape), np.inf)
    least = draws == draws.min(1, keepdims=True)
    return possible & ((draws < rate) | least)
