"""Tokenizers of instructions: words, subwords, and those of Hugging Face models.

Words suit R2R. Subwords suit RxR: one vocabulary, learnt from the training split, serves English,
Hindi and Telugu, whose words are too many and too rare to have a number each.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from agents.configs import RunConfig
from envs.episodes import load_episodes
from envs.episodes.tokenizer import BOS, EOS, PAD, UNK, WordTokenizer
from envs.worlds import world_files
from storage import write_text
from storage.hugging_face import load_tokenizer as load_hugging_face
from storage.json_files import read_json
from training.checkpoints import VOCABULARY

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_BLANK = 0  # the number of padding in every vocabulary
_WORD = "▁"  # begins a word in the vocabulary of a subword tokenizer


class SubwordTokenizer(WordTokenizer):
    """Byte-pair encoding: frequent words are one piece, rare ones several.

    Attributes:
        words: The pieces in index order; `▁` begins a word.
    """

    def __init__(self, tokenizer: "Tokenizer") -> None:
        pieces = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
        super().__init__([*(piece for piece, _ in pieces), BOS])
        self._tokenizer = tokenizer

    @classmethod
    def build(cls, sentences: Iterable[str], vocabulary_size: int = 8_000) -> "SubwordTokenizer":
        """Learn pieces from sentences.

        Args:
            sentences: In any languages.
            vocabulary_size: Pieces at most, marks included.
        """
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

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SubwordTokenizer) and (
            self._tokenizer.to_str() == other._tokenizer.to_str()
        )

    __hash__ = WordTokenizer.__hash__

    def encode(self, sentence: str, length: int) -> np.ndarray:
        """Piece ids of a sentence: BOS, pieces, EOS, PAD, as in the base class."""
        ids = self._tokenizer.encode(sentence).ids
        return _padded([len(self) - 1, *ids[: length - 2], 2], length)

    def decode(self, ids: Iterable[int]) -> str:
        """Text of an encoded sentence without padding and marks."""
        last = len(self) - 1
        return self._tokenizer.decode([int(i) for i in ids if i != last])


class PretrainedTokenizer(WordTokenizer):
    """The tokenizer of a Hugging Face model; its numbers are moved up by one, for padding to be 0.

    Args:
        name: Of the model, or its local directory.

    Raises:
        ValueError: There is no such model, or it cannot be had.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._tokenizer = load_hugging_face(name)
        vocabulary = sorted(self._tokenizer.get_vocab().items(), key=lambda item: item[1])
        self.words = (PAD, *(f"{number}:{word}" for word, number in vocabulary))

    @property
    def unknown_id(self) -> int | None:
        """Id of what the model's vocabulary lacks; None for a vocabulary of bytes."""
        number = self._tokenizer.unk_token_id
        return None if number is None else number + 1

    def save(self, path: str | Path) -> None:
        """Note which model's it is."""
        write_text(path, json.dumps({"pretrained": self.name}))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PretrainedTokenizer) and self.name == other.name

    __hash__ = WordTokenizer.__hash__

    def encode(self, sentence: str, length: int) -> np.ndarray:
        """Token ids of a sentence, with the model's own marks, and PAD."""
        ids = self._tokenizer(sentence, truncation=True, max_length=length)["input_ids"]
        return _padded([number + 1 for number in ids], length)

    def decode(self, ids: Iterable[int]) -> str:
        """Text of an encoded sentence without padding and marks."""
        own = [int(number) - 1 for number in ids if number != _BLANK]
        return self._tokenizer.decode(own, skip_special_tokens=True)


def make_tokenizer(config: RunConfig) -> WordTokenizer:
    """Tokenizer for a run, made from its training split where it is not a model's own."""
    if config.text.tokens == "pretrained":
        assert config.text.model is not None
        return PretrainedTokenizer(config.text.model)
    files = world_files(config.world, config.data_dir)
    episodes = load_episodes(config.dataset, "train", files, config.instruction_language)
    sentences = [episode.instruction for episode in episodes]
    if config.text.tokens == "subwords":
        return SubwordTokenizer.build(sentences, config.text.vocabulary_size)
    return WordTokenizer.build(sentences)


def own_tokenizer(config: RunConfig) -> WordTokenizer:
    """Tokenizer of a run: the one in its folder if it is resumed, else a new one."""
    if config.resume is not None:
        return load_tokenizer(config.resume / VOCABULARY)
    return make_tokenizer(config)


def load_tokenizer(path: Path) -> WordTokenizer:
    """Read a vocabulary of any of these kinds.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file does not hold a vocabulary.
    """
    from tokenizers import Tokenizer

    saved = read_json(path, "train the run again")
    if isinstance(saved, dict) and "pretrained" in saved:
        if not isinstance(saved["pretrained"], str):
            raise ValueError(f"{path}: not the name of a tokenizer; train the run again")
        return PretrainedTokenizer(saved["pretrained"])
    if isinstance(saved, dict) and "subwords" in saved:
        try:
            return SubwordTokenizer(Tokenizer.from_str(json.dumps(saved["subwords"])))
        except Exception as error:  # tokenizers raises nothing more special
            raise ValueError(f"{path}: not a vocabulary ({error}); train the run anew") from error
    return WordTokenizer.load(path)


def shared_words(first: WordTokenizer, second: WordTokenizer) -> np.ndarray:
    """Numbers (N, 2) of what two vocabularies both have, in the order of the second.

    A word and a piece of a word are the same where the piece is all of the word.

    Raises:
        ValueError: One is that of a Hugging Face model that the other does not belong to.
    """
    if first != second and any(isinstance(v, PretrainedTokenizer) for v in (first, second)):
        raise ValueError(
            "a follower that reads through a Hugging Face model (--text.model) and one that reads "
            "through another, or none, have no words in common"
        )
    numbers = {piece: number for number, piece in enumerate(_pieces(first))}
    pairs = [
        (numbers[piece], number) for number, piece in enumerate(_pieces(second)) if piece in numbers
    ]
    return np.array(pairs).reshape(-1, 2)


def _pieces(tokenizer: WordTokenizer) -> list[str]:
    """The vocabulary as a subword tokenizer would have it."""
    if not isinstance(tokenizer, SubwordTokenizer):
        return [_as_piece(word) for word in tokenizer.words]
    return list(tokenizer.words)


def _as_piece(word: str) -> str:
    is_mark = word in (PAD, UNK, EOS, BOS) or not any(letter.isalnum() for letter in word)
    return word if is_mark else _WORD + word


def _padded(ids: list[int], length: int) -> np.ndarray:
    encoded = np.full(length, _BLANK, dtype=np.int32)
    encoded[: len(ids)] = ids
    return encoded
