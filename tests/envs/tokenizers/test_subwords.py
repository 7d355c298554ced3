import pytest

from clipnav.envs.tokenizers import SubwordTokenizer

SENTENCES = [
    "Walk up to the red door and stop there.",
    "लाल दरवाज़े तक जाएँ और वहाँ रुकें।",
    "ఎరుపు తలుపు దగ్గరకు వెళ్లి అక్కడ ఆగండి.",
] * 5


@pytest.fixture(scope="module")
def subwords():
    return SubwordTokenizer.build(SENTENCES, 300)


def test_three_languages_are_encoded_and_decoded(subwords):
    assert len(subwords) <= 300
    for sentence in SENTENCES[:3]:
        tokens = subwords.encode(sentence, 80)
        real = tokens[tokens != 0]
        assert (real[0], real[-1]) == (len(subwords) - 1, 2)
        assert 1 not in real
        assert subwords.decode(tokens) == sentence.lower()


def test_rare_words_are_split_into_pieces(subwords):
    tokens = subwords.encode("The stop door there, reds!", 80)
    real = tokens[(tokens != 0) & (tokens != 1)]
    assert len(real) > 7, "words and pieces of words"
    unseen_letter = subwords.encode("\u4e00", 8).tolist()
    assert unseen_letter.count(1) >= 1
    assert subwords.unknown_id == 1


def test_truncated_sentences_keep_their_end_token(subwords):
    assert subwords.encode(SENTENCES[0], 1).tolist() == [2], "the end is kept"
    tokens = subwords.encode(SENTENCES[0], 5)
    assert len(tokens) == 5
    assert (tokens[0], tokens[-1]) == (len(subwords) - 1, 2)
