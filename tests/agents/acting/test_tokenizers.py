import dataclasses

import pytest

from clipnav.agents.acting.environments import make_env
from clipnav.agents.acting.tokenizers import make_tokenizer, run_tokenizer, shared_words
from clipnav.agents.settings import TextConfig
from clipnav.envs.tokenizers import PretrainedTokenizer, SubwordTokenizer, WordTokenizer

SENTENCES = [
    "Walk up to the red door and stop there.",
    "लाल दरवाज़े तक जाएँ और वहाँ रुकें।",
    "ఎరుపు తలుపు దగ్గరకు వెళ్లి అక్కడ ఆగండి.",
] * 5


def test_tokenizers_are_built_from_the_training_split(doors_config, tmp_path):
    rxr = dataclasses.replace(doors_config, dataset="rxr")
    words = make_tokenizer(rxr)
    assert words == make_env(rxr, "train").tokenizer
    english = make_tokenizer(dataclasses.replace(rxr, instruction_language="en"))
    assert set(english.words) < set(words.words)
    text = TextConfig(tokens="subwords", vocabulary_size=200)
    pieces = make_tokenizer(dataclasses.replace(rxr, text=text))
    assert isinstance(pieces, SubwordTokenizer)
    pieces.save(tmp_path / "vocabulary.json")
    resumed = dataclasses.replace(rxr, resume=tmp_path)
    assert run_tokenizer(resumed) == pieces


def test_pretrained_tokens_require_a_model():
    with pytest.raises(ValueError, match=r"--text\.model"):
        TextConfig(tokens="pretrained")
    with pytest.raises(ValueError, match=r"--text\.model"):
        TextConfig(model="bert-base-multilingual-cased")


def test_words_and_whole_word_pieces_are_shared():
    words = WordTokenizer.build(["walk to the red door, and stop"] * 5)
    pieces = SubwordTokenizer.build(SENTENCES, 300)
    pairs = shared_words(words, pieces)
    named = {words.words[there]: pieces.words[here] for there, here in pairs}
    marks = {mark: mark for mark in ("<PAD>", "<UNK>", "<EOS>", "<BOS>")}
    known = {word: f"▁{word}" for word in ("walk", "to", "the", "red", "door", "and", "stop")}
    assert marks.items() <= named.items()
    assert set(named) - set(marks) <= {*known, ","}
    assert {"the": "▁the", "red": "▁red"}.items() <= named.items()
    assert all(named[word] == known.get(word, word) for word in named.keys() - marks.keys())
    back = shared_words(pieces, words)
    assert {tuple(pair) for pair in back} == {(here, there) for there, here in pairs}
    same = shared_words(words, words)
    assert (same == [[number, number] for number in range(len(words))]).all()


def test_words_of_a_model_are_shared_with_the_same_model_only(tiny_bert):
    words, model = WordTokenizer.build(SENTENCES, 1), PretrainedTokenizer(str(tiny_bert))
    for one, other in ((words, model), (model, words)):
        with pytest.raises(ValueError, match=r"--text\.model"):
            shared_words(one, other)
    assert len(shared_words(model, model)) == len(model)
