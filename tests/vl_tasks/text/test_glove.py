import numpy as np
import pytest

from clipnav.vl_tasks.text.sentences import read_glove
from clipnav.vl_tasks.text.vocabulary import Vocabulary

WORDS = Vocabulary(["sofa", "red", ". . ."])


def _file(tmp_path, text):
    path = tmp_path / "glove.txt"
    path.write_text(text, encoding="utf-8")
    return path


def test_vectors_are_in_the_rows_of_their_words(tmp_path):
    path = _file(tmp_path, "the 1 1 1\nred 0.5 -1 2e-1\n. . . 3 2 1\n")
    vectors = read_glove(path, WORDS)
    assert vectors.dtype == np.float32
    assert vectors.shape == (5, 3)
    assert vectors[0].tolist() == [0, 0, 0]
    assert vectors[2] == pytest.approx([0.5, -1, 0.2])
    assert vectors[3] == pytest.approx([3, 2, 1])
    assert np.abs(vectors[[1, 4]]).min() > 0
    assert np.array_equal(read_glove(path, WORDS), vectors)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("the 1 1 1\nred 1 1\n", r"glove\.txt: line 2 has 2 numbers, not 3"),
        ("red 1 x 1\n", "line 1 is not a word with numbers"),
        ("the 1 1 1\n", "none of the 3 words"),
        ("the\n", "line 1 has no numbers; the file"),
    ],
)
def test_errors_name_the_damage(tmp_path, text, complaint):
    with pytest.raises(ValueError, match=complaint):
        read_glove(_file(tmp_path, text), WORDS)
