"""The thought of a language model at each step."""

from PIL import Image

from clipnav.envs.navigation.rendering.fonts import MissingFontError
from clipnav.viewer.films.canvas import CARD, INK, MUTED, Canvas, text_width
from clipnav.viewer.films.style import Style
from clipnav.viewer.films.timeline import FilmState, Walk
from clipnav.viewer.films.words_panel import set_words
from clipnav.viewer.trace.language_models import ModelDecision

_SIZES = (22, 20, 18, 16, 14, 13)  # font sizes; the first at which all words fit
_SMALLEST = 11  # pixels
_LEADING = 1.35


class ThoughtPanel:
    """Draws the thought of the step's last answer; a thought that is too long is cut.

    Args:
        walk: Walk to draw.
        size: Size of the panel.
        style: Style of its agent.
    """

    def __init__(self, walk: Walk, size: tuple[int, int], style: Style) -> None:
        self._size, self._style = size, style
        self._thoughts = [
            [drawable(word) for word in thought(step.model).split()] for step in walk.trace.steps
        ]

    def draw(self, state: FilmState) -> Image.Image:
        """Draw the thought of a step."""
        unit = self._style.unit
        canvas = Canvas(self._size, CARD)
        margin, top = 16 * unit, 38 * unit
        canvas.text((margin, 20 * unit), "THOUGHT OF THE MODEL", 12 * unit, MUTED, "lm", bold=True)
        width, height = self._size[0] - 2 * margin, self._size[1] - top - 6 * unit
        pieces = [f"{word} " for word in self._thoughts[state.step]]
        size, words, most = 0.0, [], 0
        for size in (max(unit * one, _SMALLEST) for one in _SIZES):
            words = set_words(pieces, size, width)
            most = max(1, int(height // (size * _LEADING)))
            if not words or words[-1].line < most:
                break
        for number, word in enumerate(words):
            if word.line >= most:
                break
            is_last_shown = number + 1 < len(words) and words[number + 1].line >= most
            baseline = top + (word.line + 0.75) * size * _LEADING
            text = "…" if is_last_shown else word.text
            canvas.text((margin + word.left, baseline), text, size, INK, "ls")
        return canvas.finished()


def thought(model: ModelDecision | None) -> str:
    """Return the thought of a decision, or the answer if there is none."""
    if model is None:
        return ""
    return model.thought or (model.answers[-1].text if model.answers else "")


def drawable(word: str) -> str:
    """Return a word in which "?" replaces characters that no font on this machine has."""
    try:
        text_width(word, _SMALLEST)
    except MissingFontError:
        return word.encode("ascii", "replace").decode()
    return word
