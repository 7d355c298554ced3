"""An instruction in a box: as large as fits, its words shaded, long ones scrolled."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from clipnav.envs.drawing.canvas import ATTENTION, INK, Canvas, Point, text_width
from clipnav.envs.drawing.fonts import MissingFontError

_SIZES = (32, 30, 28, 26, 24, 22, 20, 18, 16)  # font sizes; the first at which all words fit
_SMALLEST = 12  # pixels
_LEADING = 1.52
_GRAIN = 0.1  # metres between the points of a path at which its progress is measured
_AHEAD = 1.0  # metres that a walk may gain on its own length, such as by a shortcut


@dataclass(frozen=True)
class Word:
    """A word and its position: left edge, number of its line, and width."""

    text: str
    left: float
    line: int
    width: float


class TextBox:
    """Words in a box.

    Args:
        pieces: Words, each with its trailing blanks.
        room: Width and height of the box in pixels.
        unit: Pixels per pixel of a frame of 1280 x 720.
    """

    def __init__(self, pieces: Sequence[str], room: tuple[float, float], unit: float) -> None:
        self._height, self._unit = room[1], unit
        for self._letters in (max(unit * one, _SMALLEST) for one in _SIZES):
            self.words = set_words(pieces, self._letters, room[0])
            lines = 1 + max((word.line for word in self.words), default=0)
            self.leading = self._letters * _LEADING
            self.hidden = max(0.0, lines * self.leading - self._height)
            """Pixels of the text that do not fit."""
            if not self.hidden:
                break

    def scrolled_to(self, line: float) -> float:
        """Return the pixels to scroll so that a line is in the middle of the box."""
        return float(np.clip((line + 0.5) * self.leading - self._height / 2, 0, self.hidden))

    def draw(
        self, canvas: Canvas, corner: Point, shades: Sequence[float] | np.ndarray, scrolled: float
    ) -> None:
        """Draw the words.

        Args:
            corner: Left and top of the box.
            shades: Strength of each word's highlight, 0..1.
            scrolled: Pixels that the text is scrolled.
        """
        left, start = corner
        pad = 3 * self._unit
        for word, shade in zip(self.words, shades, strict=True):
            top = start + word.line * self.leading - scrolled
            if top < start - 1 or top + self.leading > start + self._height + 1:
                continue
            x = left + word.left
            if shade > 0.01:
                bottom = top + 0.96 * self.leading
                box = (x - pad, top + 0.08 * self.leading, x + word.width + pad, bottom)
                canvas.box(box, (*ATTENTION, round(225 * float(shade))), 5 * self._unit)
            at = x, top + 0.71 * self.leading
            canvas.text(at, word.text, self._letters, INK, "ls")


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


def progress_shades(count: int, progress: float) -> np.ndarray:
    """Return the strengths of highlights that show how far a walk has come.

    Args:
        count: Number of words.
        progress: Share of the reference path that is walked, 0..1.

    Returns:
        (count,): faint for the words up to that share, strong for the last of them.
    """
    done = np.clip(progress * count - np.arange(count), 0, 1)
    newest = np.clip(1 - np.abs(progress * count - 1 - np.arange(count)) / 3, 0, 1)
    return 0.25 * done + 0.65 * done * newest


def path_progress(walked: np.ndarray, path: np.ndarray) -> np.ndarray:
    """Return how much of a path a walk has covered.

    The progress never decreases, and gains at most the metres walked plus 1 m per position, so that
    a path that comes back to a place is not covered by its first visit.

    Args:
        walked: (T, 3) positions in metres.
        path: (P, 3) corners of the path in metres.

    Returns:
        (T,) shares of the path's length, 0..1.
    """
    ends = np.linalg.norm(np.diff(path, axis=0), axis=1).cumsum()
    if not ends.size or ends[-1] <= 0:
        return np.ones(len(walked))
    along = np.linspace(0, ends[-1], 2 + int(ends[-1] / _GRAIN))
    points = np.stack([np.interp(along, [0, *ends], axis) for axis in path.T], axis=1)
    moves = np.linalg.norm(np.diff(walked, axis=0, prepend=walked[:1]), axis=1)
    reached, shares = 0, []
    for position, moved in zip(walked, moves.tolist(), strict=True):
        last = np.searchsorted(along, along[reached] + moved + _AHEAD)
        far = np.linalg.norm(points[reached : last + 1] - position, axis=1)
        reached += int(far.argmin())
        shares.append(along[reached] / ends[-1])
    return np.array(shares)


def drawable(word: str) -> str:
    """Return a word in which "?" replaces characters that no font on this machine has."""
    try:
        text_width(word, _SMALLEST)
    except MissingFontError:
        return word.encode("ascii", "replace").decode()
    return word
