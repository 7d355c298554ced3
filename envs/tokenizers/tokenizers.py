"""Tokenizers of words, of subwords (byte-pair encoding) and of Hugging Face models.

Vocabularies and token ids of large splits are cached: `clipnav.storage.cache_dir() / "tokens"` has
a file per vocabulary and per array of token ids. Its name is a digest of everything that its
content depends on, so an outdated file is never read. All files may be deleted at any time.
"""

from __future__ import annotations

import hashlib
import json
import re
import string
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

from clipnav.storage import atomic_write, cache_dir, write_text
from clipnav.storage.errors import UserError, in_one_line, panics_as_errors
from clipnav.storage.hugging_face import load_hugging_face_tokenizer
from clipnav.storage.json_files import read_bytes, read_json
from clipnav.storage.locks import waiting_lock

# Count up when a tokenizer gives other words or ids for the same texts.
FORMAT_VERSION = 1
# Splits with fewer instructions are faster to encode than to find in the cache.
FEWEST = 5_000
_DIGEST_BYTES = 32
PAD, UNK, EOS, BOS = "<PAD>", "<UNK>", "<EOS>", "<BOS>"
# R2R splits at (\W+). In Python, \W matches the vowel signs of Devanagari and Telugu, which would
# split Hindi and Telugu words. Here the blocks of both scripts (without the full stops U+0964-5)
# and the joiners U+200C-D count as parts of words; for English the result is the same.
_NOT_WORD = re.compile("([^\\w\u0900-\u0963\u0966-\u097f\u0c00-\u0c7f\u200c\u200d]+)")
_PUNCTUATION = frozenset(string.punctuation)
WORD_START = "▁"  # first character of a piece that begins a word
_PADDING = 0


def cached_vocabulary(sentences: Sequence[str]) -> WordTokenizer:
    """Return `WordTokenizer.build(sentences)`, from the cache if the sentences are many."""

    def make() -> bytes:
        return json.dumps(WordTokenizer.build(sentences).words).encode()

    if len(sentences) < FEWEST:
        return WordTokenizer.build(sentences)
    return WordTokenizer(json.loads(_cached(_name("vocabulary", sentences), make)))


def cached_tokens(
    tokenizer: Tokenizer,
    sentences: Sequence[str],
    length: int,
    kept: Literal["start", "end"] = "start",
) -> np.ndarray:
    """Return the (E, length) int32 token ids of sentences, from the cache if they are many.

    Args:
        kept: Tokens of longer sentences that are kept.
    """
    encode_one = tokenizer.encode if kept == "start" else partial(encode_end, tokenizer)

    def encode() -> np.ndarray:
        rows = [np.asarray(encode_one(sentence, length)) for sentence in sentences]
        for row in rows:
            if row.shape != (length,) or row.dtype.kind not in "iu":
                raise UserError(
                    f"{type(tokenizer).__name__}.encode returns an array of shape {row.shape} and "
                    f"type {row.dtype}, but must return {length} integers, padded with 0"
                )
        return np.stack(rows).astype(np.int32, copy=False)

    if len(sentences) < FEWEST or tokenizer.description is None:
        return encode()
    name = _name(f"tokens {length} {tokenizer.description}" + " end" * (kept == "end"), sentences)
    stored = _cached(name, lambda: encode().astype("<i4").tobytes())
    return np.frombuffer(stored, "<i4").reshape(len(sentences), length)


def encode_end(tokenizer: Tokenizer, sentence: str, length: int) -> np.ndarray:
    """Return the (length,) int32 ids of a sentence: the start token and the last tokens."""
    # Even a tokenizer of bytes makes no more tokens, besides those of start and end.
    ids = tokenizer.encode(sentence, len(sentence.encode()) + 4)
    whole = ids[: np.flatnonzero(ids)[-1] + 1].tolist()
    fits = len(whole) <= length
    return _pad_ids(whole if fits else whole[:1] + whole[len(whole) - length + 1 :], length)


def _name(kind: str, sentences: Sequence[str]) -> str:
    """Return the name of the file for a result that depends on its kind and on sentences."""
    key = hashlib.sha256(json.dumps([FORMAT_VERSION, kind]).encode())
    # Lengths keep the sentences apart.
    key.update(np.array([len(sentence) for sentence in sentences]).tobytes())
    key.update("".join(sentences).encode("utf-8", "surrogatepass"))
    return key.hexdigest()


def _cached(name: str, make: Callable[[], bytes]) -> bytes:
    """Return the content of a file of the cache, which one process makes if it is missing."""
    path = cache_dir() / "tokens" / name
    content = _read(path)
    if content is not None:
        return content
    try:
        with waiting_lock(path):
            content = _read(path)  # another process may have made it meanwhile
            if content is None:
                content = make()
                with atomic_write(path) as beside:
                    beside.write_bytes(hashlib.sha256(content).digest() + content)
    except OSError as error:
        warnings.warn(
            f"{path}: token ids cannot be cached ({error}); name another folder in CLIPNAV_CACHE",
            stacklevel=2,
        )
        content = make() if content is None else content
    return content


def _read(path: Path) -> bytes | None:
    """Return the content of a file; None if it is missing or damaged."""
    try:
        raw = path.read_bytes()
    except OSError:
        return None
    digest, content = raw[:_DIGEST_BYTES], raw[_DIGEST_BYTES:]
    return content if hashlib.sha256(content).digest() == digest else None


class Tokenizer(Protocol):
    """A vocabulary with a mapping between sentences and token ids; id 0 is padding.

    Two tokenizers are equal if they give the same ids.
    """

    @property
    def words(self) -> tuple[str, ...]:
        """Words or pieces of words in index order."""
        ...

    @property
    def unknown_id(self) -> int | None:
        """Id of words outside the vocabulary; None if every text can be encoded."""
        ...

    @property
    def description(self) -> str | None:
        """Text that determines all ids, for caches; None if there is no such text."""
        ...

    def __len__(self) -> int: ...

    def encode(self, sentence: str, length: int) -> np.ndarray:
        """Return the token ids (length,) int32 of a sentence, truncated or padded with 0."""
        ...

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text of token ids, without padding, start token and end token."""
        ...

    def save(self, path: str | Path) -> None:
        """Write the vocabulary as JSON; `load_tokenizer` reads it back."""
        ...


def split_words(sentence: str) -> list[str]:
    """Split a sentence into lower-case words and single punctuation marks.

    Only runs of full stops stay together.
    """
    words = []
    for token in _NOT_WORD.split(sentence.lower()):
        token = token.strip()
        if token and _PUNCTUATION.issuperset(token) and token.strip("."):
            words.extend(token)
        elif token:
            words.append(token)
    return words


def _check_vocabulary(words: Sequence[str]) -> tuple[str, ...]:
    """Return a vocabulary if its special tokens are in their places and its words are distinct."""
    if list(words[:3]) != [PAD, UNK, EOS] or words[-1] != BOS or len(set(words)) != len(words):
        raise UserError(
            f"a vocabulary is {PAD}, {UNK}, {EOS}, distinct words and {BOS}, "
            f"but this one is {list(words[:4])} ... {list(words[-2:])}"
        )
    return tuple(words)


def _pad_ids(ids: Sequence[int], length: int) -> np.ndarray:
    """Return token ids with padding (0) at the end: (length,) int32."""
    encoded = np.zeros(length, dtype=np.int32)
    encoded[: len(ids)] = ids
    return encoded


class WordTokenizer:
    """Vocabulary of words; `<PAD>`, `<UNK>` and `<EOS>` are 0, 1 and 2, `<BOS>` is the last.

    Attributes:
        words: The vocabulary in index order.
    """

    def __init__(self, words: Sequence[str]) -> None:
        self.words = _check_vocabulary(words)
        self._indices = {word: i for i, word in enumerate(self.words)}

    @classmethod
    def build(cls, sentences: Iterable[str], min_count: int = 5) -> WordTokenizer:
        """Collect the words that occur at least `min_count` times, the most frequent first."""
        counts = Counter(word for sentence in sentences for word in split_words(sentence))
        frequent = [(-count, word) for word, count in counts.items() if count >= min_count]
        return cls([PAD, UNK, EOS, *(word for _, word in sorted(frequent)), BOS])

    def save(self, path: str | Path) -> None:
        """Write the vocabulary as JSON."""
        write_text(path, json.dumps({"words": self.words}, ensure_ascii=False))

    @property
    def unknown_id(self) -> int | None:
        """Id of words outside the vocabulary."""
        return self._indices[UNK]

    @property
    def description(self) -> str:
        """Text that determines all ids."""
        return json.dumps({"words": self.words})

    def __len__(self) -> int:
        return len(self.words)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, WordTokenizer) and self.words == other.words

    def __hash__(self) -> int:
        return hash(self.words)

    def encode(self, sentence: str, length: int) -> np.ndarray:
        """Return the token ids of a sentence: BOS, words, EOS, PAD; (length,) int32.

        Words that exceed the length are dropped; EOS is always kept.
        """
        unknown = self._indices[UNK]
        ids = [self._indices[BOS]]
        ids.extend(self._indices.get(word, unknown) for word in split_words(sentence)[:length])
        ids = [*ids[: length - 1], self._indices[EOS]]
        return _pad_ids(ids, length)

    def decode(self, ids: Iterable[int]) -> str:
        """Return the words of token ids, joined by spaces, without PAD, BOS and EOS."""
        words = (self.words[i] for i in ids)
        return " ".join(word for word in words if word not in (PAD, EOS, BOS))


if TYPE_CHECKING:
    from tokenizers import Tokenizer as HuggingFaceTokenizer


class SubwordTokenizer:
    """Byte-pair encoding: a frequent word is one piece, a rare word several.

    Attributes:
        words: Pieces in index order; `▁` marks the beginning of a word.
    """

    def __init__(self, tokenizer: HuggingFaceTokenizer) -> None:
        pieces = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
        self.words = _check_vocabulary([*(piece for piece, _ in pieces), BOS])
        self._tokenizer = tokenizer

    @classmethod
    def build(cls, sentences: Iterable[str], vocabulary_size: int = 8_000) -> SubwordTokenizer:
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
        return _pad_ids([len(self) - 1, *ids[: max(length - 2, 0)], 2][-length:], length)

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text of piece ids, without padding, start token and end token."""
        last = len(self) - 1
        return self._tokenizer.decode([int(i) for i in ids if i != last])


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
        return _pad_ids([number + 1 for number in ids], length)

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text of token ids, without padding and special tokens."""
        model_ids = [int(number) - 1 for number in ids if number != _PADDING]
        return self._tokenizer.decode(model_ids, skip_special_tokens=True)


def load_tokenizer(path: str | Path) -> Tokenizer:
    """Read the tokenizer that `Tokenizer.save` wrote: words, subwords or a Hugging Face model's.

    A .txt file is a list of words, one per line, as R2R's `train_vocab.txt`. That file lacks <BOS>,
    which EnvDrop appends (`r2r_src/utils.py`).

    Args:
        path: The file, such as RUN/vocabulary.json.

    Raises:
        FileNotFoundError: The file does not exist.
        UserError: The file does not contain a vocabulary; or the Hugging Face model that it names
            cannot be read.
    """
    is_list = Path(path).suffix == ".txt"
    hint = "download the file again" if is_list else "train the run again"
    try:
        saved: Any = read_bytes(path, hint) if is_list else read_json(path, hint)
    except (FileNotFoundError, IsADirectoryError) as error:
        raise FileNotFoundError(
            f"{path}: no such file of a vocabulary; name the vocabulary.json of a run, or "
            "leave it out to build one from the training split"
        ) from error
    if isinstance(saved, dict) and "pretrained" in saved:
        if not isinstance(saved["pretrained"], str):
            raise UserError(f"{path}: 'pretrained' is not the name of a model; {hint}")
        return PretrainedTokenizer(saved["pretrained"])
    try:
        if isinstance(saved, bytes):
            words = saved.decode().split()
            return WordTokenizer(words if BOS in words else [*words, BOS])
        if isinstance(saved, dict) and "subwords" in saved:
            from tokenizers import Tokenizer as HuggingFaceTokenizer

            text = json.dumps(saved["subwords"])
            with panics_as_errors():
                return SubwordTokenizer(HuggingFaceTokenizer.from_str(text))
        if not all(isinstance(word, str) for word in saved["words"]):
            raise UserError("a word is not a string")
        return WordTokenizer(saved["words"])
    except Exception as error:  # tokenizers raises no exception of its own
        raise UserError(f"{path}: not a vocabulary ({in_one_line(error)}); {hint}") from error


def load_run_tokenizer(path: Path, flag: str = "") -> Tokenizer:
    """Read the tokenizer of a run."""
    if not path.is_file():
        source = f"{flag} {path.parent} (given or set by --config)" if flag else path.parent
        raise FileNotFoundError(
            f"{path}: no such file; {source} is not the folder of a run that has started training; "
            "name another run"
        )
    return load_tokenizer(path)
