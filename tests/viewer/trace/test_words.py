import numpy as np
import pytest

from clipnav.envs.tokenizers import SubwordTokenizer, WordTokenizer, split_words
from clipnav.viewer.trace.building import unknown_words, word_attention, word_pieces

TEXTS = {
    "en": "Walk past the  red sofa, then stop (near the door)... ",
    "hi": "दरवाज़े से निकलें, फिर बाईं ओर मुड़ें और सोफ़े के पास रुकें।",
    "te": "తలుపు గుండా బయటకు వెళ్లి, ఎడమవైపు తిరిగి సోఫా దగ్గర ఆగండి.",
    "growing": "İstanbul'da dur.",
    "final sigma": "ΟΔΟΣ ΔΕΞΙΑ, ΣΤΟΠ.",
    "blank": "  ",
    "empty": "",
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
def test_word_pieces_match_the_tokens_of_agents(text):
    pieces = word_pieces(text)
    assert "".join(pieces) == text
    if text.isspace():
        assert pieces == (text,)
    elif len(text.lower()) == len(text):
        assert [piece.strip().lower() for piece in pieces] == split_words(text)
    else:
        assert len(pieces) == len(split_words(text))


@pytest.mark.parametrize("language", ["en", "hi", "te"])
def test_attention_is_assigned_to_the_words_of_the_tokens(language):
    text = TEXTS[language]
    tokenizer = WordTokenizer.build([text] * 5)
    words = len(word_pieces(text))
    ids = tokenizer.encode(text, words + 5)
    weights = np.arange(words + 5) / 1000
    expected = [*weights[: words + 1], weights[words + 1]]
    assert word_attention(tokenizer, text, ids, weights) == pytest.approx(expected, abs=1e-4)


def test_agents_without_instructions_attend_to_start_and_end_tokens():
    text = TEXTS["en"]
    tokenizer = WordTokenizer.build([text] * 5)
    ids = tokenizer.encode(text, 30)
    attention = word_attention(tokenizer, text, ids, np.array([0.3, 0.7]))
    assert attention[0], attention[-1] == (0.3, 0.7)
    assert not any(attention[1:-1])


class Halves(WordTokenizer):
    """Tokenizer that splits every word in two and maps short words to unknown."""

    def __init__(self):
        super().__init__(["<PAD>", "<UNK>", "<EOS>", "<BOS>"])
        self.pieces = {}

    def cut(self, text):
        ids = [3]
        for word in split_words(text):
            halves = [word] if len(word) < 4 else [word[:2], word[2:]]
            for half in halves:
                self.pieces[len(self.pieces) + 10] = "?" if len(word) == 3 else half
                ids.append(len(self.pieces) + 9)
        return [*ids, 2]

    def decode(self, ids):
        return self.pieces[next(iter(ids))]


@pytest.mark.parametrize("language", ["en", "hi", "te"])
def test_attention_on_pieces_is_added_up_by_word(language):
    text = TEXTS[language]
    tokenizer = Halves()
    ids = tokenizer.cut(text)
    attention = word_attention(tokenizer, text, ids, np.full(len(ids), 1.0))
    known = [len(word) != 3 for word in split_words(text)]
    sizes = [1 if len(word) < 4 else 2 for word in split_words(text)]
    for weight, size, sure in zip(attention[1:-1], sizes, known, strict=True):
        assert weight == size or not sure
    assert sum(attention) == len(ids)


def test_words_outside_the_vocabulary_are_found():
    tokenizer = WordTokenizer.build(["walk past the sofa ."], min_count=1)
    assert unknown_words(tokenizer, "Walk past the purple sofa, dragon.") == (3, 5, 6)
    assert unknown_words(tokenizer, "Walk past the sofa.") == ()
    assert unknown_words(tokenizer, "") == ()


def test_words_of_which_a_piece_is_unknown_are_found():
    tokenizer = SubwordTokenizer.build(["walk past the sofa"], 60)
    assert unknown_words(tokenizer, "Walk past the दरवाज़े") == (3,)
