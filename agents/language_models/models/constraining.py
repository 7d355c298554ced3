"""Constrain answers of local models to the JSON object that servers get as a schema.

The fixed parts of {"thought": ..., "plan": ..., "action": LABEL} are forced token by token. Between
them the model writes freely, until it closes the string or the string's share of the answer is used
up; then it chooses among the labels. An answer with enough tokens can always be read.
"""

from collections.abc import Generator, Sequence
from functools import cached_property
from typing import Any

import torch

_THOUGHT, _PLAN, _ACTION, _END = '{"thought": "', ', "plan": "', ', "action": "', '"}'
_SHARE = 2 / 3  # of the free tokens, for the thought; the plan gets what is left

Allowed = list[int] | torch.Tensor  # token ids
Writer = Generator[Allowed, int | None, None]


class Vocabulary:
    """Tokens of a tokenizer, by what they may do within a string of JSON.

    Args:
        tokenizer: Tokenizer of transformers.
        size: Number of tokens that the model scores.
        end: Token that ends an answer.
    """

    def __init__(self, tokenizer: Any, size: int, end: int) -> None:
        self._tokenizer, self._size, self._end = tokenizer, size, end

    @cached_property
    def end(self) -> list[int]:
        """Tokens after the label, up to the end of the answer."""
        return [*self.encode(_END), self._end]

    @cached_property
    def quote(self) -> list[int]:
        """The token that only closes a string."""
        return self.encode('"')[-1:]

    @cached_property
    def closing(self) -> dict[int, int]:
        """Tokens that close a string, and how many characters of the next fixed part they contain.

        Many tokenizers have a token for a quotation mark with a comma.
        """
        pieces = [(i, text.partition('"')) for i, text in self._texts]
        return {
            i: len(after)
            for i, (before, quote, after) in pieces
            if quote and _is_plain(before) and _PLAN[:3].startswith(after)
        }

    @cached_property
    def written(self) -> torch.Tensor:
        """Tokens that are allowed within a string, those that close it included."""
        plain = {i for i, text in self._texts if _is_plain(text)}
        return torch.tensor(sorted(plain | set(self.closing)))

    def encode(self, text: str) -> list[int]:
        """Return the tokens of a text."""
        return self._tokenizer.encode(text, add_special_tokens=False)

    @cached_property
    def _texts(self) -> list[tuple[int, str]]:
        special = set(self._tokenizer.all_special_ids)
        ids = range(min(self._size, len(self._tokenizer)))
        texts = self._tokenizer.batch_decode([[i] for i in ids])
        return [(i, text) for i, text in zip(ids, texts, strict=True) if text and i not in special]


class AnswerConstraint:
    """Logits processor of `generate`, for one batch without beams.

    Args:
        vocabulary: Tokens.
        labels: Labels among which each answer of the batch chooses.
        most_tokens: Largest number of tokens of an answer.
    """

    def __init__(
        self, vocabulary: Vocabulary, labels: Sequence[Sequence[str]], most_tokens: int
    ) -> None:
        self._writers = [_write(vocabulary, row, most_tokens) for row in labels]
        self._has_begun = False

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Return the scores, of shape (batch, tokens), with -inf for tokens that are forbidden."""
        chosen = input_ids[:, -1].tolist() if self._has_begun else [None] * len(scores)
        self._has_begun = True
        forbidden = torch.ones(scores.shape, dtype=torch.bool)
        for row, (writer, token) in enumerate(zip(self._writers, chosen, strict=True)):
            try:
                allowed = writer.send(token)
            except StopIteration:  # the answer is complete, and `generate` pads it
                allowed = slice(None)
            forbidden[row, allowed] = False
        return scores.masked_fill(forbidden.to(scores.device), -torch.inf)


def _write(vocabulary: Vocabulary, labels: Sequence[str], most_tokens: int) -> Writer:
    """Yield what is allowed as the next token of an answer; the chosen token is sent."""
    encode, quote = vocabulary.encode, vocabulary.quote
    choices = [[*encode(label), *vocabulary.end] for label in labels]
    fixed = [*encode(_THOUGHT), *quote, *encode(_PLAN), *quote, *encode(_ACTION)]
    left = max(0, most_tokens - len(fixed) - max(map(len, choices)))
    yield from _force(encode(_THOUGHT))
    used, begun = yield from _write_string(vocabulary, int(_SHARE * left))
    yield from _force(encode(_PLAN[begun:]))
    _, begun = yield from _write_string(vocabulary, left - used)
    yield from _force(encode(_ACTION[begun:]))
    place = 0
    while choices:
        token = yield [choice[place] for choice in choices]
        place += 1
        choices = [one for one in choices if one[place - 1] == token and len(one) > place]


def _force(tokens: Sequence[int]) -> Writer:
    for token in tokens:
        yield [token]


def _write_string(
    vocabulary: Vocabulary, most: int
) -> Generator[Allowed, int | None, tuple[int, int]]:
    """Yield what is allowed within a string.

    Returns:
        Number of tokens before the one that closes the string, and number of characters of the next
        fixed part that this one contains.
    """
    for used in range(most):
        token = yield vocabulary.written
        if token in vocabulary.closing:
            return used, vocabulary.closing[token]
    yield vocabulary.quote
    return most, 0


def _is_plain(text: str) -> bool:
    """Return whether a string of JSON may contain a text as it is."""
    return not any(character in '"\\' or character < " " for character in text)
