"""The instruction, with the words highlighted that the agent attends to."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from viewer.films.attention import blended, strengths
from viewer.films.canvas import ATTENTION, CARD, INK, MUTED, Canvas, shortened, text_width
from viewer.films.style import Style
from viewer.films.timeline import Moment, Walk

_SIZES = (32, 30, 28, 26, 24, 22, 20, 18, 16)  # of letters, the first one at which all words fit
_SMALLEST = 12  # pixels
_LEADING = 1.52


@dataclass(frozen=True)
class Word:
    """A word where it is written: left edge, number of its line, and width."""

    text: str
    left: float
    line: int
    width: float


class WordsPanel:
    """Draws the instruction; one that is too long rolls with the attention.

    Args:
        walk: Whose.
        size: Of the panel.
        style: Of its agent.
    """

    def __init__(self, walk: Walk, size: tuple[int, int], style: Style) -> None:
        self._walk, self._size, self._style = walk, size, style
        unit = style.unit
        self._margin, self._top = 16 * unit, 38 * unit
        room = size[0] - 2 * self._margin
        self._height = size[1] - self._top - 8 * unit
        sizes = [max(unit * one, _SMALLEST) for one in _SIZES]
        for letters in sizes:
            self._letters = letters
            self.words = set_words(walk.trace.words, letters, room)
            self._lines = 1 + max((word.line for word in self.words), default=0)
            if self._lines * self._leading <= self._height:
                break

    def draw(self, moment: Moment) -> Image.Image:
        """The instruction at a moment."""
        unit = self._style.unit
        canvas = Canvas(self._size, CARD)
        self._title(canvas)
        shades = self.shades(moment)
        rolled = self._rolled(moment)
        bottom = self._top + self._height
        for word, shade in zip(self.words, shades, strict=True):
            top = self._top + word.line * self._leading - rolled
            if top < self._top - 1 or top + self._leading > bottom + 1:
                continue
            left = self._margin + word.left
            if shade > 0.01:
                box = (
                    left - 3 * unit,
                    top + 0.08 * self._leading,
                    left + word.width + 3 * unit,
                    top + 0.96 * self._leading,
                )
                canvas.box(box, (*ATTENTION, round(225 * shade)), 5 * unit)
            baseline = top + 0.71 * self._leading
            canvas.text((left, baseline), word.text, self._letters, INK, "ls")
        return canvas.finished()

    def shades(self, moment: Moment) -> np.ndarray:
        """How strongly each word is highlighted at a moment, 0..1."""
        weights = self._weights(moment.step, moment.fresh)
        if weights is None or moment.ended:
            return np.zeros(len(self.words))
        # Steps are blended after the colours, so that a pale start stays as it is.
        return strengths(weights)[1:-1]

    @property
    def _leading(self) -> float:
        return self._letters * _LEADING

    def _weights(self, step: int, fresh: float) -> np.ndarray | None:
        steps = self._walk.trace.steps
        before = steps[step - 1].word_attention if step else None
        return blended(before, steps[step].word_attention, fresh)

    def _rolled(self, moment: Moment) -> float:
        """Pixels by which the text has rolled up, so that the middle of the attention is seen."""
        hidden = self._lines * self._leading - self._height
        if hidden <= 0:
            return 0.0
        rolled = []
        for step in (max(moment.step - 1, 0), moment.step):
            attention = self._walk.trace.steps[step].word_attention
            strong = strengths(attention)[1:-1] if attention is not None else np.zeros(0)
            if not strong.any():
                # Without attention it rolls evenly.
                rolled.append(hidden * step / max(self._walk.last, 1))
                continue
            line = float(np.average([word.line for word in self.words], weights=strong))
            rolled.append(np.clip((line + 0.5) * self._leading - self._height / 2, 0, hidden))
        exact = rolled[0] + moment.fresh * (rolled[1] - rolled[0])
        # Whole lines at rest, so that none is cut.
        resting = moment.fresh in (0.0, 1.0)
        return round(exact / self._leading) * self._leading if resting else exact

    def _title(self, canvas: Canvas) -> None:
        unit, trace = self._style.unit, self._walk.trace
        size, y = 12 * unit, 21 * unit
        canvas.text((self._margin, y), "INSTRUCTION", size, MUTED, "lm", bold=True)
        left = self._margin + text_width("INSTRUCTION", size, bold=True) + 14 * unit
        right = self._size[0] - self._margin
        if any(step.word_attention is not None for step in trace.steps):
            legend = "what the agent attends to"
            width = text_width(legend, size)
            if right - left > width + 220 * unit:
                canvas.text((right, y), legend, size, MUTED, "rm")
                right -= width + 8 * unit
                box = (right - 26 * unit, y - 7 * unit, right, y + 7 * unit)
                canvas.box(box, (*ATTENTION, 200), 4 * unit)
                right -= 36 * unit
        name = " · ".join(part for part in (trace.split, trace.instr_id, trace.scan) if part)
        canvas.text((left, y), shortened(name, size, right - left), size, MUTED, "lm")


def set_words(pieces: Sequence[str], size: float, width: float) -> list[Word]:
    """Set pieces of a text, each with the blanks behind it, in lines of a width."""
    words: list[Word] = []
    blank = text_width(" ", size)
    left, line = 0.0, 0
    group: list[tuple[str, float]] = []  # pieces without a blank between them stay together
    for place, piece in enumerate(pieces):
        text = piece.strip()
        group.append((text, text_width(text, size)))
        if piece == piece.rstrip() and place < len(pieces) - 1:
            continue
        whole = sum(wide for _, wide in group)
        if left > 0 and left + whole > width:
            left, line = 0.0, line + 1
        for text, wide in group:
            if left > 0 and left + wide > width:
                left, line = 0.0, line + 1
            words.append(Word(text, left, line, wide))
            left += wide
        left += blank
        group = []
    return words
