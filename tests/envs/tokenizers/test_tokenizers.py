import json

import gymnasium
import numpy as np
import pytest

import clipnav.envs  # noqa: F401
from clipnav.envs.episodes import load_episodes
from clipnav.envs.tokenizers import (
    PretrainedTokenizer,
    SubwordTokenizer,
    WordTokenizer,
    load_run_tokenizer,
    load_tokenizer,
    split_words,
)
from clipnav.envs.worlds import world_files
from clipnav.storage.errors import UserError

SENTENCES = ["Walk past the red sofa, then stop near the bed.", "दरवाज़े के पास रुकें।"]


@pytest.fixture(params=["words", "subwords", "pretrained"])
def tokenizer(request, tiny_bert):
    if request.param == "words":
        return WordTokenizer.build(SENTENCES, 1)
    if request.param == "subwords":
        return SubwordTokenizer.build(SENTENCES, 100)
    return PretrainedTokenizer(str(tiny_bert))


def test_saved_tokenizers_are_equal_when_loaded(tokenizer, tmp_path):
    tokenizer.save(tmp_path / "vocabulary.json")
    loaded = load_tokenizer(tmp_path / "vocabulary.json")
    assert type(loaded) is type(tokenizer)
    assert loaded == tokenizer
    for sentence in SENTENCES:
        np.testing.assert_array_equal(loaded.encode(sentence, 30), tokenizer.encode(sentence, 30))


def test_vocabularies_on_which_the_library_panics_are_refused_in_one_line(tmp_path):
    path = tmp_path / "vocabulary.json"
    SubwordTokenizer.build(SENTENCES, 100).save(path)
    saved = json.loads(path.read_text("utf-8"))
    saved["subwords"]["model"]["continuing_subword_prefix"] = "##"
    path.write_text(json.dumps(saved), "utf-8")
    with pytest.raises(UserError, match=r"^\S*vocabulary\.json: not a vocabulary \(the lib"):
        load_tokenizer(path)


def test_environments_read_the_vocabulary_of_any_run(tokenizer, tiny_arguments, tmp_path):
    path = tmp_path / "vocabulary.json"
    tokenizer.save(path)
    env = gymnasium.make("RxR-CLIP-v0", tokenizer=path, split="val_unseen", **tiny_arguments)
    observation, info = env.reset(seed=0)
    instruction = observation["instruction"]
    expected = tokenizer.encode(info["instruction"], len(instruction))
    np.testing.assert_array_equal(instruction, expected)
    space = env.observation_space["instruction"]
    assert space.contains(instruction)
    assert space.high.max() == len(tokenizer) - 1


def test_the_published_list_of_words_lacks_the_first_token_of_instructions(tmp_path):
    tokenizer = WordTokenizer.build(SENTENCES, 1)
    path = tmp_path / "train_vocab.txt"
    path.write_text("\n".join(tokenizer.words[:-1]) + "\n", "utf-8")
    assert load_tokenizer(path) == tokenizer
    path.write_text("\n".join(tokenizer.words), "utf-8")
    assert load_tokenizer(path) == tokenizer


@pytest.mark.parametrize("content", [b"the\nof\n", b"\xff\xfe", b""])
def test_damaged_lists_of_words_are_named(tmp_path, content):
    path = tmp_path / "train_vocab.txt"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"train_vocab\.txt: .*; download the file again"):
        load_tokenizer(path)


@pytest.mark.parametrize(
    "text",
    [
        *("[1, 2", "[]", "{}", '{"subwords": {"model": 1}}', '{"pretrained": 3}'),
        *('{"words": [1]}', '{"words": ["<PAD>", "<UNK>", "<EOS>", "a", "a", "<BOS>"]}'),
    ],
)
def test_damaged_files_are_named(tmp_path, text):
    path = tmp_path / "damaged.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"damaged\.json: .*train the run again"):
        load_tokenizer(path)


def test_a_run_without_a_vocabulary_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=f"no such file; {tmp_path} is not the folder of a"):
        load_run_tokenizer(tmp_path / "vocabulary.json")


INSTRUCTIONS = [
    "Walk up to the red door and stop there.",
    "लाल दरवाज़े तक जाएँ और वहाँ रुकें।",
    "ఎరుపు తలుపు దగ్గరకు వెళ్లి అక్కడ ఆగండి.",
] * 5


@pytest.fixture(scope="module")
def subwords():
    return SubwordTokenizer.build(INSTRUCTIONS, 300)


def test_three_languages_are_encoded_and_decoded(subwords):
    assert len(subwords) <= 300
    for sentence in INSTRUCTIONS[:3]:
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


ENGLISH = ["Turn left, then stop.", "Stop!! Turn... left", "turn turn Stop"]


def test_splits_words_like_r2r():
    assert split_words("Don't STOP!? Wait... (here)") == [
        *["don", "'", "t", "stop", "!", "?", "wait", "... (", "here", ")"]
    ]
    assert split_words("  \n ") == []


def test_keeps_hindi_and_telugu_words_whole():
    assert split_words("दरवाज़े के पास रुकें।") == ["दरवाज़े", "के", "पास", "रुकें", "।"]
    assert split_words("ఎడమ వైపు తిరగండి.") == ["ఎడమ", "వైపు", "తిరగండి", "."]


def test_vocabulary_keeps_frequent_words_most_frequent_first():
    tokenizer = WordTokenizer.build(ENGLISH, min_count=2)
    assert tokenizer.words == ("<PAD>", "<UNK>", "<EOS>", "turn", "stop", "!", "left", "<BOS>")
    assert len(tokenizer) == 8


def test_encodes_with_marks_padding_and_unknown_words():
    tokenizer = WordTokenizer.build(ENGLISH, min_count=2)
    encoded = tokenizer.encode("Turn right, stop", 8)
    assert encoded.dtype == np.int32
    assert encoded.tolist() == [7, 3, 1, 1, 4, 2, 0, 0]
    assert tokenizer.decode(encoded) == "turn <UNK> <UNK> stop"


def test_cuts_long_sentences_but_keeps_their_end_mark():
    tokenizer = WordTokenizer.build(ENGLISH, min_count=2)
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


def test_id_zero_is_padding(tiny_bert):
    tokenizer = PretrainedTokenizer(str(tiny_bert))
    tokens = tokenizer.encode("Go to the red door.", 12)
    real = tokens[tokens != 0]
    assert tokenizer.decode(tokens) == "go to the red door ."
    assert tokenizer.words[real[0]].endswith("[CLS]")
    assert tokenizer.words[real[-1]].endswith("[SEP]")
    assert len(real) == 8
    assert len(tokenizer.encode("red " * 50, 12)) == 12
    assert tokenizer.encode("red " * 50, 12)[-1] == real[-1]


def test_unreadable_model_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"transformers cannot read it .*save_pretrained") as error:
        PretrainedTokenizer(str(tmp_path))
    assert "\n" not in str(error.value)
    assert str(tmp_path) in str(error.value)
