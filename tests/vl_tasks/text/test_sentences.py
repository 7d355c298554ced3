import pytest

from clipnav.vl_tasks.text.sentences import Sentences, build_vocabulary
from clipnav.vl_tasks.text.vocabulary import UNKNOWN

TEXT = "The dog's T-shirt."


@pytest.mark.parametrize(
    ("tokenizer", "words"),
    [("ours", "the dog 's t shirt"), ("openvqa", "the dogs t shirt"),
     ("mmf", "the dog ' s t - shirt .")],
)  # fmt: skip
def test_sentences_use_the_tokenizer_of_their_vocabulary(tokenizer, words):
    vocabulary = build_vocabulary([TEXT], tokenizer)
    tokens = Sentences([TEXT], vocabulary, 10).tokens[0]
    assert vocabulary.decode(tokens.tolist()) == words.split()


def test_a_sentence_without_words_is_the_unknown_word():
    vocabulary = build_vocabulary([TEXT], "openvqa")
    tokens = Sentences(["?!"], vocabulary, 3).tokens[0]
    assert vocabulary.decode(tokens.tolist()) == [UNKNOWN]
