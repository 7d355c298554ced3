import dataclasses

import pytest

from agents.acting.environments import make_env
from agents.acting.tokenizers import (
    PretrainedTokenizer,
    SubwordTokenizer,
    load_tokenizer,
    make_tokenizer,
    own_tokenizer,
    shared_words,
)
from agents.configs import TextConfig
from envs.episodes.tokenizer import WordTokenizer

SENTENCES = [
    "Walk up to the red door and stop there.",
    "लाल दरवाज़े तक जाएँ और वहाँ रुकें।",
    "ఎరుపు తలుపు దగ్గరకు వెళ్లి అక్కడ ఆగండి.",
] * 5


@pytest.fixture(scope="module")
def subwords():
    return SubwordTokenizer.build(SENTENCES, 300)


def test_subwords_read_and_write_three_languages(subwords):
    assert len(subwords) <= 300
    for sentence in SENTENCES[:3]:
        tokens = subwords.encode(sentence, 80)
        real = tokens[tokens != 0]
        assert (real[0], real[-1]) == (len(subwords) - 1, 2)
        assert 1 not in real
        assert subwords.decode(tokens) == sentence.lower()


def test_rare_words_are_made_of_pieces(subwords):
    tokens = subwords.encode("The stop door there, reds!", 80)
    real = tokens[(tokens != 0) & (tokens != 1)]
    assert len(real) > 7, "words and pieces of words"
    assert subwords.encode("\u4e00", 8).tolist().count(1) >= 1, "a letter never seen is unknown"


def test_long_sentences_end_all_the_same(subwords):
    tokens = subwords.encode(SENTENCES[0], 5)
    assert len(tokens) == 5
    assert (tokens[0], tokens[-1]) == (len(subwords) - 1, 2)


def test_subwords_survive_their_file(subwords, tmp_path):
    subwords.save(tmp_path / "vocabulary.json")
    loaded = load_tokenizer(tmp_path / "vocabulary.json")
    assert loaded == subwords
    assert loaded.encode(SENTENCES[1], 40).tolist() == subwords.encode(SENTENCES[1], 40).tolist()
    assert loaded != SubwordTokenizer.build(SENTENCES[:1], 300)
    assert SubwordTokenizer.build(SENTENCES, 300) == subwords, "the same text, the same pieces"


def test_words_are_loaded_as_words(tmp_path):
    words = WordTokenizer.build(SENTENCES, 1)
    words.save(tmp_path / "vocabulary.json")
    assert load_tokenizer(tmp_path / "vocabulary.json") == words
    for damaged in ("[1, 2", "[]", "{}", '{"subwords": {"model": 1}}'):
        (tmp_path / "damaged.json").write_text(damaged)
        with pytest.raises(ValueError, match=r"damaged\.json"):
            load_tokenizer(tmp_path / "damaged.json")


def test_tokenizers_are_made_from_the_training_split(doors_config, tmp_path):
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
    assert own_tokenizer(resumed) == pieces


def test_a_models_tokenizer_leaves_zero_to_padding(tiny_bert, tmp_path):
    tokenizer = PretrainedTokenizer(str(tiny_bert))
    tokens = tokenizer.encode("Go to the red door.", 12)
    real = tokens[tokens != 0]
    assert tokenizer.decode(tokens) == "go to the red door ."
    assert tokenizer.words[real[0]].endswith("[CLS]")
    assert tokenizer.words[real[-1]].endswith("[SEP]")
    assert len(real) == 8
    assert len(tokenizer.encode("red " * 50, 12)) == 12
    assert tokenizer.encode("red " * 50, 12)[-1] == real[-1]
    tokenizer.save(tmp_path / "vocabulary.json")
    assert load_tokenizer(tmp_path / "vocabulary.json") == tokenizer


def test_a_model_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"transformers cannot read it .*save_pretrained") as error:
        PretrainedTokenizer(str(tmp_path))
    assert "\n" not in str(error.value)
    assert str(tmp_path) in str(error.value)


def test_a_model_needs_its_name():
    with pytest.raises(ValueError, match=r"--text\.model"):
        TextConfig(tokens="pretrained")
    with pytest.raises(ValueError, match=r"--text\.model"):
        TextConfig(model="bert-base-multilingual-cased")


def test_words_and_pieces_that_are_whole_words_are_shared():
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


def test_a_models_words_are_shared_with_that_model_alone(tiny_bert):
    words, model = WordTokenizer.build(SENTENCES, 1), PretrainedTokenizer(str(tiny_bert))
    for one, other in ((words, model), (model, words)):
        with pytest.raises(ValueError, match=r"--text\.model"):
            shared_words(one, other)
    assert len(shared_words(model, model)) == len(model)
