import numpy as np
import pytest

from clipnav.envs.drawing.canvas import CARD, Canvas
from clipnav.envs.drawing.fonts import MissingFontError, font_for
from clipnav.envs.drawing.words import TextBox, path_progress, progress_shades

PATH = np.array([[0.0, 0, 0], [4, 0, 0], [4, 3, 0], [0, 3, 0], [0, 0, 0]])


def test_the_progress_follows_the_path_and_not_its_later_visits():
    np.testing.assert_allclose(
        path_progress(PATH, PATH), np.array([0, 4, 7, 11, 14]) / 14, atol=0.01
    )
    # The path ends where it begins: waiting there covers nothing.
    assert path_progress(PATH[[0, 0, 0]], PATH).max() < 0.2
    halves = np.array([[0.0, 0, 0], [2, 0.5, 0], [4, 0.5, 0], [2, 0, 0]])
    covered = path_progress(halves, PATH)
    np.testing.assert_allclose(covered[1], 2 / 14, atol=0.01)
    assert (np.diff(covered) >= 0).all()
    assert path_progress(PATH[:1], PATH[:1]).tolist() == [1.0]


def test_the_newest_word_is_the_strongest():
    for progress, newest in ((0.5, 4), (1.0, 9)):
        shades = progress_shades(10, progress)
        assert shades.argmax() == newest
        assert shades[newest] == pytest.approx(0.9)
        assert not shades[newest + 1 :].any()
        assert (shades[: newest + 1] >= 0.25).all()
    assert not progress_shades(10, 0.0).any()


@pytest.mark.parametrize("word", ["walk", "चलिए", "స్టాండు"])
@pytest.mark.parametrize("height", [96, 220])
def test_no_instruction_leaves_its_box(word, height):
    try:
        font_for(word, 18)
    except MissingFontError:
        pytest.skip("no font for this script on this machine")
    canvas = Canvas((400, 400), CARD)
    box = TextBox([f"{word} "] * 150, (380, height), 1.0)
    assert box.hidden > 0
    for scrolled in (0.0, box.scrolled_to(3), box.scrolled_to(1000)):
        box.draw(canvas, (10, 40), np.ones(150), scrolled)
    drawn = np.flatnonzero((np.array(canvas.finished()) != CARD).any(axis=(1, 2)))
    assert drawn[0] >= 39
    assert drawn[-1] <= 40 + height + 1
