"""The instruction, shaded by attention or by progress, or the thought of a model."""

import numpy as np
from PIL import Image

from clipnav.envs.drawing.canvas import (
    ATTENTION,
    CARD,
    INK,
    MUTED,
    Canvas,
    DrawingStyle,
    text_width,
    truncate,
)
from clipnav.envs.drawing.words import TextBox, drawable, path_progress, progress_shades, set_words
from clipnav.viewer.trace.format import ModelDecision
from clipnav.viewer.videos.timeline import (
    VideoState,
    VideoWalk,
    blended,
    camera_position,
    strengths,
)

_THOUGHT_SIZES = (22, 20, 18, 16, 14, 13)  # font sizes; the first at which all words fit
_THOUGHT_SMALLEST = 11  # pixels
_THOUGHT_LEADING = 1.35


class WordsPanel:
    """Draws the instruction, shaded by the attention over its words.

    Without attention the shading shows which share of the reference path is covered. A long
    instruction scrolls with the shading.
    """

    def __init__(self, walk: VideoWalk, size: tuple[int, int], style: DrawingStyle) -> None:
        self._walk, self._size, self._style = walk, size, style
        unit = style.unit
        self._margin, self._top = 16 * unit, 38 * unit
        room = size[0] - 2 * self._margin, size[1] - self._top - 8 * unit
        self._text = TextBox(walk.trace.words, room, unit)
        self.words = self._text.words
        trace = walk.trace
        self._attends = any(step.word_attention is not None for step in trace.steps)
        self._progress: np.ndarray | None = None  # (steps,) shares of the reference path
        if not self._attends and trace.has_goal:
            path = np.array([camera_position(walk.graph, name) for name in trace.path])
            self._progress = path_progress(walk.positions, path)

    def draw(self, state: VideoState) -> Image.Image:
        """Draw the instruction."""
        canvas = Canvas(self._size, CARD)
        unit, trace = self._style.unit, self._walk.trace
        size, y = 12 * unit, 21 * unit
        canvas.text((self._margin, y), "INSTRUCTION", size, MUTED, "lm", bold=True)
        left = self._margin + text_width("INSTRUCTION", size, bold=True) + 14 * unit
        right = self._size[0] - self._margin
        if self._attends or self._progress is not None:
            legend = "attention over words" if self._attends else "progress along the path"
            width = text_width(legend, size)
            if right - left > width + 220 * unit:
                canvas.text((right, y), legend, size, MUTED, "rm")
                right -= width + 8 * unit
                box = (right - 26 * unit, y - 7 * unit, right, y + 7 * unit)
                canvas.box(box, (*ATTENTION, 200), 4 * unit)
                right -= 36 * unit
        name = " · ".join(part for part in (trace.split, trace.instr_id, trace.scan) if part)
        canvas.text((left, y), truncate(name, size, right - left), size, MUTED, "lm")
        corner = self._margin, self._top
        self._text.draw(canvas, corner, self.shades(state), self._scrolled(state))
        return canvas.finished()

    def shades(self, state: VideoState) -> np.ndarray:
        """Return the strength of each word's highlight, 0..1."""
        steps = self._walk.trace.steps
        before = steps[state.step - 1].word_attention if state.step else None
        weights = blended(before, steps[state.step].word_attention, state.blend)
        if self._progress is not None:
            return progress_shades(len(self.words), self._covered(state))
        if weights is None or state.card:
            return np.zeros(len(self.words))
        return strengths(weights)[1:-1]

    def _covered(self, state: VideoState) -> float:
        """Return the share of the reference path that is covered, during a move in between."""
        assert self._progress is not None
        now, then = self._progress[[state.step, min(state.step + 1, self._walk.last)]]
        return float(now + state.progress * (then - now))

    def _scrolled(self, state: VideoState) -> float:
        """Return the pixels scrolled, so that the words with the most attention are visible."""
        if not self._text.hidden:
            return 0.0
        if self._progress is not None:
            newest = min(int(self._covered(state) * len(self.words)), len(self.words) - 1)
            exact = self._text.scrolled_to(self.words[newest].line)
            return exact if state.progress else self._whole_lines(exact)
        scrolled = []
        for step in (max(state.step - 1, 0), state.step):
            attention = self._walk.trace.steps[step].word_attention
            strong = strengths(attention)[1:-1] if attention is not None else np.zeros(0)
            if not strong.any():
                # Without attention the text scrolls evenly over the steps.
                scrolled.append(self._text.hidden * step / max(self._walk.last, 1))
                continue
            line = float(np.average([word.line for word in self.words], weights=strong))
            scrolled.append(self._text.scrolled_to(line))
        exact = scrolled[0] + state.blend * (scrolled[1] - scrolled[0])
        # At rest the text is aligned to whole lines, so that none is cut.
        resting = state.blend in (0.0, 1.0)
        return self._whole_lines(exact) if resting else exact

    def _whole_lines(self, scrolled: float) -> float:
        return round(scrolled / self._text.leading) * self._text.leading


class ThoughtPanel:
    """Draws the thought of the step's last answer; a thought that is too long is cut."""

    def __init__(self, walk: VideoWalk, size: tuple[int, int], style: DrawingStyle) -> None:
        self._size, self._style = size, style
        self._thoughts = [
            [drawable(word) for word in thought(step.model).split()] for step in walk.trace.steps
        ]

    def draw(self, state: VideoState) -> Image.Image:
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
