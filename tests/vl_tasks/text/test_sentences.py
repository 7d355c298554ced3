import pytest

from clipnav.vl_tasks.text.sentences import Sentences, build_vocabulary

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
