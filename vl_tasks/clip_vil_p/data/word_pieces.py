"""Word pieces: sentences as ids for BERT."""

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

from clipnav.storage import write_text
from clipnav.storage.errors import UserError, in_one_line, panics_as_errors
from clipnav.storage.hugging_face import load_hugging_face_tokenizer
from clipnav.storage.json_files import read_bytes

TOKENIZER = "tokenizer.json"  # within the folder of a run
_PAD, _UNKNOWN, _CLS, _SEP, _MASK = _MARKS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_HINT = "train the run again"


class WordPieces:
    """A WordPiece tokenizer with BERT's marks.

    Attributes:
        size: Number of word pieces, with the marks.
        mask: Id of [MASK].
    """

    def __init__(self, tokenizer: Tokenizer, source: str) -> None:
        """Check a tokenizer."""
        vocabulary = tokenizer.get_vocab()
        missing = [mark for mark in _MARKS if mark not in vocabulary]
        if missing or vocabulary[_PAD] != 0:
            problem = f"{missing[0]} is missing" if missing else "the id of [PAD] is not 0"
            raise UserError(
                f"{source}: not a tokenizer of BERT: {problem}; give the folder of a BERT"
            )
        tokenizer.no_padding()
        tokenizer.no_truncation()
        self._tokenizer = tokenizer
        self.size = tokenizer.get_vocab_size()
        self.mask = vocabulary[_MASK]
        self._cls, self._sep = vocabulary[_CLS], vocabulary[_SEP]

    @classmethod
    def learn(
        cls, sentences: Iterable[str], size: int, keeps_accents: bool = False
    ) -> "WordPieces":
        """Learn at most `size` word pieces from sentences, in lower case.

        The same sentences give the same word pieces.

        Args:
            keeps_accents: Keep accents, which BERT removes in lower case. Vowel signs of Indian
                scripts count as accents.
        """
        texts = list(sentences)
        # The library numbers pieces inside of words in the order of a randomised hash table, and
        # breaks ties by these numbers. As special tokens, they are numbered in the given order.
        bert = normalizers.BertNormalizer(
            lowercase=True, strip_accents=False if keeps_accents else None
        )
        parts = [normalizers.NFC(), bert]
        normalizer = normalizers.Sequence(parts) if keeps_accents else bert  # pyright: ignore
        cut = pre_tokenizers.BertPreTokenizer().pre_tokenize_str
        words = (word for text in texts for word, _ in cut(normalizer.normalize_str(text)))
        inner = sorted({character for word in words for character in word[1:]})
        marks = [*_MARKS, *(f"##{character}" for character in inner)]
        trainer = trainers.WordPieceTrainer(
            vocab_size=size, special_tokens=marks, show_progress=False
        )
        learnt = _tokenizer(normalizer)
        learnt.train_from_iterator(texts, trainer)
        # A new tokenizer, which does not search texts for these special tokens.
        return cls(_tokenizer(normalizer, learnt.get_vocab()), "learnt word pieces")

    @classmethod
    def of_bert(cls, name: str) -> "WordPieces":
        """Load the word pieces of a BERT."""
        loaded = load_hugging_face_tokenizer(name)
        backend = getattr(loaded, "backend_tokenizer", None)
        if backend is None:
            raise UserError(f"{name}: its tokenizer has no fast version; give the folder of a BERT")
        return cls(Tokenizer.from_str(backend.to_str()), name)

    @classmethod
    def load(cls, run: Path) -> "WordPieces":
        """Read the word pieces of a run."""
        path = run / TOKENIZER
        if not path.is_file():
            raise FileNotFoundError(f"{path}: no such file; name the folder of a complete run")
        raw = read_bytes(path, _HINT)
        try:
            with panics_as_errors():
                tokenizer = Tokenizer.from_str(raw.decode())
        except Exception as error:  # the library raises plain exceptions
            raise UserError(f"{path}: damaged ({in_one_line(error)}); {_HINT}") from error
        return cls(tokenizer, str(path))

    def save(self, run: Path) -> None:
        """Write the word pieces into the folder of a run."""
        write_text(run / TOKENIZER, self._tokenizer.to_str())

    @property
    def digest(self) -> str:
        """Digest of the word pieces, to recognise weights that were trained with others."""
        return hashlib.sha256(self._tokenizer.to_str().encode()).hexdigest()

    def encode(self, texts: Sequence[str], length: int) -> np.ndarray:
        """Convert N sentences to ids.

        Returns:
            (N, length) int32, padded with 0.
        """
        ids = np.zeros((len(texts), length), np.int32)
        encodings = self._tokenizer.encode_batch(list(texts), add_special_tokens=False)
        for row, encoding in zip(ids, encodings, strict=True):
            pieces = [self._cls, *encoding.ids[: length - 2], self._sep]
            row[: len(pieces)] = pieces
        return ids


def _tokenizer(
    normalizer: normalizers.Normalizer, vocabulary: dict[str, int] | None = None
) -> Tokenizer:
    model = models.WordPiece(vocabulary, unk_token=_UNKNOWN)  # pyright: ignore[reportCallIssue]
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return tokenizer
