"""The instruction, highlighted by the attention over its words, or the thought of a model."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from clipnav.envs.navigation.rendering.fonts import MissingFontError
from clipnav.viewer.films.canvas import (
    ATTENTION,
    CARD,
    INK,
    MUTED,
    Canvas,
    Style,
    shortened,
    text_width,
)
from clipnav.viewer.films.timeline import FilmState, Walk, blended, strengths
from clipnav.viewer.trace.format import ModelDecision

_SIZES = (32, 30, 28, 26, 24, 22, 20, 18, 16)  # font sizes; the first at which all words fit
_SMALLEST = 12  # pixels
_LEADING = 1.52


@dataclass(frozen=True)
class Word:
    """A word and its position: left edge, number of its line, and width."""

    text: str
    left: float
    line: int
    width: float


class WordsPanel:
    """Draws the instruction; a long instruction scrolls with the attention."""

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

    def draw(self, state: FilmState) -> Image.Image:
        """Draw the instruction."""
        unit = self._style.unit
        canvas = Canvas(self._size, CARD)
        self._title(canvas)
        shades = self.shades(state)
        scrolled = self._scrolled(state)
        bottom = self._top + self._height
        for word, shade in zip(self.words, shades, strict=True):
            top = self._top + word.line * self._leading - scrolled
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

    def shades(self, state: FilmState) -> np.ndarray:
        """Return the strength of each word's highlight, 0..1."""
        weights = self._weights(state.step, state.blend)
        if weights is None or state.card:
            return np.zeros(len(self.words))
        return strengths(weights)[1:-1]

    @property
    def _leading(self) -> float:
        return self._letters * _LEADING

    def _weights(self, step: int, blend: float) -> np.ndarray | None:
        steps = self._walk.trace.steps
        before = steps[step - 1].word_attention if step else None
        return blended(before, steps[step].word_attention, blend)

    def _scrolled(self, state: FilmState) -> float:
        """Return the pixels scrolled, so that the words with the most attention are visible."""
        hidden = self._lines * self._leading - self._height
        if hidden <= 0:
            return 0.0
        scrolled = []
        for step in (max(state.step - 1, 0), state.step):
            attention = self._walk.trace.steps[step].word_attention
            strong = strengths(attention)[1:-1] if attention is not None else np.zeros(0)
            if not strong.any():
                # Without attention the text scrolls evenly over the steps.
                scrolled.append(hidden * step / max(self._walk.last, 1))
                continue
            line = float(np.average([word.line for word in self.words], weights=strong))
            scrolled.append(np.clip((line + 0.5) * self._leading - self._height / 2, 0, hidden))
        exact = scrolled[0] + state.blend * (scrolled[1] - scrolled[0])
        # At rest the text is aligned to whole lines, so that none is cut.
        resting = state.blend in (0.0, 1.0)
        return round(exact / self._leading) * self._leading if resting else exact

    def _title(self, canvas: Canvas) -> None:
        unit, trace = self._style.unit, self._walk.trace
        size, y = 12 * unit, 21 * unit
        canvas.text((self._margin, y), "INSTRUCTION", size, MUTED, "lm", bold=True)
        left = self._margin + text_width("INSTRUCTION", size, bold=True) + 14 * unit
        right = self._size[0] - self._margin
        if any(step.word_attention is not None for step in trace.steps):
            legend = "attention over words"
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
    """Break pieces of a text, each with its trailing blanks, into lines of a width."""
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


_THOUGHT_SIZES = (22, 20, 18, 16, 14, 13)  # font sizes; the first at which all words fit
_THOUGHT_SMALLEST = 11  # pixels
_THOUGHT_LEADING = 1.35


class ThoughtPanel:
    """Draws the thought of the step's last answer; a thought that is too long is cut."""

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
        for size in (max(unit * one, _THOUGHT_SMALLEST) for one in _THOUGHT_SIZES):
            words = set_words(pieces, size, width)
            most = max(1, int(height // (size * _THOUGHT_LEADING)))
            if not words or words[-1].line < most:
                break
        for number, word in enumerate(words):
            if word.line >= most:
                break
            is_last_shown = number + 1 < len(words) and words[number + 1].line >= most
            baseline = top + (word.line + 0.75) * size * _THOUGHT_LEADING
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
        text_width(word, _THOUGHT_SMALLEST)
    except MissingFontError:
        return word.encode("ascii", "replace").decode()
    return word
