import warnings

import numpy as np
import pytest

from clipnav.envs.tokenizers import (
    SubwordTokenizer,
    WordTokenizer,
    cached_tokens,
    cached_vocabulary,
    tokenizers,
)
from clipnav.storage.processes import run_jobs

TEXTS = ["Turn left, then stop.", "Walk past the red chair.", "Wait by the lamp"] * 5


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("CLIPNAV_CACHE", str(tmp_path))
    monkeypatch.setattr(tokenizers, "FEWEST", len(TEXTS))
    return tmp_path / "tokens"


@pytest.fixture
def tokenizer():
    return WordTokenizer.build(TEXTS, min_count=1)


def encoded(tokenizer, texts, length):
    return np.stack([tokenizer.encode(text, length) for text in texts])


def forbid(monkeypatch, kind):
    def encode(*_):
        raise AssertionError("the cache was not used")

    monkeypatch.setattr(kind, "encode", encode)
    monkeypatch.setattr(kind, "build", encode)


class OwnTokenizer(WordTokenizer):
    """Tokenizer of a user whose ids have another type or number."""

    def __init__(self, words, kind=np.int64, missing=0):
        super().__init__(words)
        self.kind, self.missing = kind, missing

    def encode(self, sentence, length):
        return super().encode(sentence, length - self.missing).astype(self.kind)


@pytest.mark.parametrize("kind", [np.int64, np.uint8])
def test_ids_of_other_integers_become_int32(tokenizer, kind):
    ids = cached_tokens(OwnTokenizer(tokenizer.words, kind), TEXTS, 8)
    assert ids.dtype == np.int32
    np.testing.assert_array_equal(ids, encoded(tokenizer, TEXTS, 8))


@pytest.mark.parametrize("own", [{"kind": np.float32}, {"missing": 1}])
def test_ids_of_another_kind_or_number_are_refused(tokenizer, own):
    with pytest.raises(ValueError, match=r"OwnTokenizer.encode returns .* must return 8 integers"):
        cached_tokens(OwnTokenizer(tokenizer.words, **own), TEXTS, 8)


@pytest.mark.parametrize("kind", [WordTokenizer, SubwordTokenizer])
def test_ids_from_the_cache_equal_encoded_ones(kind, monkeypatch):
    tokenizer = kind.build(TEXTS)
    expected = encoded(tokenizer, TEXTS, 8)
    first = cached_tokens(tokenizer, TEXTS, 8)
    forbid(monkeypatch, kind)
    second = cached_tokens(tokenizer, TEXTS, 8)
    for ids in (first, second):
        assert ids.dtype == np.int32
        np.testing.assert_array_equal(ids, expected)


def test_a_vocabulary_from_the_cache_equals_the_built_one(monkeypatch):
    expected = WordTokenizer.build(TEXTS)
    assert cached_vocabulary(TEXTS) == expected
    forbid(monkeypatch, WordTokenizer)
    assert cached_vocabulary(TEXTS) == expected


def test_other_texts_lengths_and_vocabularies_have_their_own_entries(tokenizer, folder):
    moved = [TEXTS[0] + TEXTS[1][:4], TEXTS[1][4:], *TEXTS[2:]]  # the same characters in all
    other = WordTokenizer.build(TEXTS[1::3], min_count=1)
    for chosen, texts, length in (
        (tokenizer, TEXTS, 8),
        (tokenizer, TEXTS, 9),
        (tokenizer, moved, 8),
        (other, TEXTS, 8),
    ):
        ids = cached_tokens(chosen, texts, length)
        np.testing.assert_array_equal(ids, encoded(chosen, texts, length))
    assert len(list(folder.iterdir())) == 4


def test_a_damaged_file_is_made_again(tokenizer, folder):
    expected = cached_tokens(tokenizer, TEXTS, 8)
    (path,) = folder.iterdir()
    intact = path.read_bytes()
    for content in (b"", intact[:-1], intact[:-1] + bytes([intact[-1] ^ 1])):
        path.write_bytes(content)
        np.testing.assert_array_equal(cached_tokens(tokenizer, TEXTS, 8), expected)
        assert path.read_bytes() == intact


def test_a_cache_that_cannot_be_written_is_a_warning(tokenizer, folder):
    folder.write_text("a file instead of a folder")
    with pytest.warns(UserWarning, match="CLIPNAV_CACHE"):
        ids = cached_tokens(tokenizer, TEXTS, 8)
    np.testing.assert_array_equal(ids, encoded(tokenizer, TEXTS, 8))


def tokens_without_warnings(tokenizer):
    tokenizers.FEWEST = len(TEXTS)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return cached_tokens(tokenizer, TEXTS, 8)


def test_processes_that_start_together_agree(tokenizer, folder):
    results = list(run_jobs(tokens_without_warnings, [tokenizer] * 3, 3, "encodes"))
    assert len(results) == 3
    for _, ids in results:
        np.testing.assert_array_equal(ids, encoded(tokenizer, TEXTS, 8))
    assert len(list(folder.iterdir())) == 1
