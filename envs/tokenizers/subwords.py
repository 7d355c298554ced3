"""Subword tokenizer: byte-pair encoding."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from clipnav.envs.tokenizers.words import BOS, EOS, PAD, UNK, check_vocabulary, pad_ids
from clipnav.storage import write_text

if TYPE_CHECKING:
    from tokenizers import Tokenizer as HuggingFaceTokenizer

WORD_START = "▁"  # first character of a piece that begins a word


class SubwordTokenizer:
    """Byte-pair encoding: a frequent word is one piece, a rare word several.

    Attributes:
        words: Pieces in index order; `▁` marks the beginning of a word.
    """

    def __init__(self, tokenizer: "HuggingFaceTokenizer") -> None:
        pieces = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
        self.words = check_vocabulary([*(piece for piece, _ in pieces), BOS])
        self._tokenizer = tokenizer

    @classmethod
    def build(cls, sentences: Iterable[str], vocabulary_size: int = 8_000) -> "SubwordTokenizer":
        """Learn the pieces from sentences."""
        from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

        tokenizer = Tokenizer(models.BPE(unk_token=UNK))
        tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Metaspace(), pre_tokenizers.Punctuation()]
        )
        tokenizer.decoder = decoders.Metaspace()
        trainer = trainers.BpeTrainer(
            vocab_size=vocabulary_size - 1,
            special_tokens=[PAD, UNK, EOS],
            show_progress=False,
        )
        tokenizer.train_from_iterator(sentences, trainer)
        return cls(tokenizer)

    def save(self, path: str | Path) -> None:
        """Write the vocabulary as JSON."""
        write_text(path, json.dumps({"subwords": json.loads(self._tokenizer.to_str())}))

    @property
    def unknown_id(self) -> int | None:
        """Id of text that no piece covers."""
        return self.words.index(UNK)

    @property
    def description(self) -> str:
        """Text that determines all ids."""
        return self._tokenizer.to_str()

    def __len__(self) -> int:
        return len(self.words)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SubwordTokenizer) and (
            self._tokenizer.to_str() == other._tokenizer.to_str()
        )

    def __hash__(self) -> int:
        return hash(self.words)

    def encode(self, sentence: str, length: int) -> np.ndarray:
        """Return the piece ids of a sentence: BOS, pieces, EOS, PAD; (length,) int32.

        Pieces that exceed the length are dropped; EOS is always kept.
        """
        ids = self._tokenizer.encode(sentence).ids
        return pad_ids([len(self) - 1, *ids[: max(length - 2, 0)], 2][-length:], length)

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text of piece ids, without padding, start token and end token."""
        last = len(self) - 1
        return self._tokenizer.decode([int(i) for i in ids if i != last])
