import numpy as np
import pytest

from clipnav.envs.episodes import load_episodes
from clipnav.envs.tokenizers import WordTokenizer, split_words
from clipnav.envs.worlds import world_files

SENTENCES = ["Turn left, then stop.", "Stop!! Turn... left", "turn turn Stop"]


def test_splits_words_like_r2r():
    assert split_words("Don't STOP!? Wait... (here)") == [
        *["don", "'", "t", "stop", "!", "?", "wait", "... (", "here", ")"]
    ]
    assert split_words("  \n ") == []


def test_keeps_hindi_and_telugu_words_whole():
    assert split_words("दरवाज़े के पास रुकें।") == ["दरवाज़े", "के", "पास", "रुकें", "।"]
    assert split_words("ఎడమ వైపు తిరగండి.") == ["ఎడమ", "వైపు", "తిరగండి", "."]


def test_vocabulary_keeps_frequent_words_most_frequent_first():
    tokenizer = WordTokenizer.build(SENTENCES, min_count=2)
    assert tokenizer.words == ("<PAD>", "<UNK>", "<EOS>", "turn", "stop", "!", "left", "<BOS>")
    assert len(tokenizer) == 8


def test_encodes_with_marks_padding_and_unknown_words():
    tokenizer = WordTokenizer.build(SENTENCES, min_count=2)
    encoded = tokenizer.encode("Turn right, stop", 8)
    assert encoded.dtype == np.int32
    assert encoded.tolist() == [7, 3, 1, 1, 4, 2, 0, 0]
    assert tokenizer.decode(encoded) == "turn <UNK> <UNK> stop"


def test_cuts_long_sentences_but_keeps_their_end_mark():
    tokenizer = WordTokenizer.build(SENTENCES, min_count=2)
    assert tokenizer.encode("turn left stop turn", 4).tolist() == [7, 3, 6, 2]
    assert tokenizer.encode("turn left", 4).tolist() == [7, 3, 6, 2]


def test_r2r_has_the_published_vocabulary(shared):
    files = world_files("matterport", shared / "data")
    texts = [e.instruction for e in load_episodes("r2r", "train", files)]
    tokenizer = WordTokenizer.build(texts)
    assert len(tokenizer) == 992
    assert tokenizer.words[:5] == ("<PAD>", "<UNK>", "<EOS>", "the", ".")
    encoded = np.stack([tokenizer.encode(text, 80) for text in texts])
    lengths = (encoded != 0).sum(axis=1)
    assert lengths.mean() == pytest.approx(31.4, abs=0.1)
    assert np.percentile(lengths, 95) == 54
    assert np.mean([len(split_words(text)) > 78 for text in texts]) == pytest.approx(
        0.0057, abs=1e-4
    )
