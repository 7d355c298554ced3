import pytest

from clipnav.vl_tasks.text.vocabulary import Vocabulary


@pytest.fixture
def vocabulary():
    sentences = ["a red sofa", "a red chair", "a lamp"]
    return Vocabulary.build((s.split() for s in sentences), min_count=2)


def test_sentences_are_truncated_and_padded(vocabulary):
    assert vocabulary.words == ("a", "red")  # frequent words come first
    assert (len(vocabulary), vocabulary.unknown) == (4, 3)
    encoded = vocabulary.encode([["a", "red", "sofa", "a"], ["red"], []], 3)
    assert encoded.tolist() == [[1, 2, 3], [2, 0, 0], [0, 0, 0]]
    assert vocabulary.decode([2, 3, 0, 1]) == ["red", "UNK"]


def test_a_saved_vocabulary_is_loaded(vocabulary, tmp_path):
    vocabulary.save(tmp_path / "words.json")
    assert Vocabulary.load(tmp_path / "words.json") == vocabulary


def test_words_of_another_tokenizer_are_refused(tmp_path):
    path = tmp_path / "words.json"
    Vocabulary(["a", "red"], "mmf").save(path)
    assert Vocabulary.load(path, "mmf").tokenizer == "mmf"
    with pytest.raises(ValueError, match=r"words\.json: .* 'mmf', not 'openvqa'; set --tokenizer"):
        Vocabulary.load(path, "openvqa")
    path.write_text('{"words": ["a", "red"]}')  # without a tokenizer, the default is "ours"
    assert Vocabulary.load(path).words == ("a", "red")
    with pytest.raises(ValueError, match="'ours', not 'mmf'"):
        Vocabulary.load(path, "mmf")


@pytest.mark.parametrize("text", ["{}", '{"words": ["a", "a"]}', '{"words": ["UNK"]}', "not"])
def test_files_without_a_vocabulary_are_refused(tmp_path, text):
    (tmp_path / "words.json").write_text(text)
    with pytest.raises(ValueError, match=r"words\.json: not .*; train the run again"):
        Vocabulary.load(tmp_path / "words.json")
