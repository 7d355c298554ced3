"""Tokenizers of Hugging Face models."""

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from clipnav.envs.tokenizers.words import PAD, pad_ids
from clipnav.storage import write_text
from clipnav.storage.hugging_face import load_hugging_face_tokenizer

_PADDING = 0


class PretrainedTokenizer:
    """The tokenizer of a Hugging Face model, with ids shifted by one so that padding is 0."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._tokenizer = load_hugging_face_tokenizer(name)
        vocabulary = sorted(self._tokenizer.get_vocab().items(), key=lambda item: item[1])
        self.words = (PAD, *(f"{number}:{word}" for word, number in vocabulary))

    @property
    def unknown_id(self) -> int | None:
        """Id of words outside the vocabulary; None for a vocabulary of bytes."""
        number = self._tokenizer.unk_token_id
        return None if number is None else number + 1

    @property
    def mask_id(self) -> int | None:
        """Id of the token that replaces masked words; None for a model without such a token."""
        number = self._tokenizer.mask_token_id
        return None if number is None else number + 1

    @property
    def description(self) -> None:
        """The files of a model may change, so its ids are not cached."""
        return None

    def save(self, path: str | Path) -> None:
        """Write the name of the model as JSON."""
        write_text(path, json.dumps({"pretrained": self.name}))

    def __len__(self) -> int:
        return len(self.words)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PretrainedTokenizer) and self.name == other.name

    def __hash__(self) -> int:
        return hash(self.words)

    def encode(self, sentence: str, length: int) -> np.ndarray:
        """Return the token ids (length,) int32 of a sentence, with the model's special tokens."""
        ids = self._tokenizer(sentence, truncation=True, max_length=length)["input_ids"]
        return pad_ids([number + 1 for number in ids], length)

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text of token ids, without padding and special tokens."""
        model_ids = [int(number) - 1 for number in ids if number != _PADDING]
        return self._tokenizer.decode(model_ids, skip_special_tokens=True)
