"""Hypotheses about pictures of houses: borne out, contradicted or left open by the picture.

A hypothesis speaks of the place, of which the picture shows a part: what it says of a thing that
the picture does not show may be true or not. Each sentence occurs equally often with each label.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import permutations

import numpy as np

from envs.houses.views.captions import pick, with_article
from vl_tasks.house_tasks.balance import share_out, words_of
from vl_tasks.house_tasks.views import View
from vl_tasks.house_tasks.wording import say

LETTERS = {"entailment": "e", "neutral": "n", "contradiction": "c"}
_COLOUR_AREA = 0.02  # a colour is told of things that cover more than that
_ASIDE = 0.3  # from where on a thing is on the left or on the right
_RATIO, _APART = 1.3, 0.6  # how much nearer the nearer thing is, times and metres
_DRAWN = 6  # open hypotheses that are tried with each picture and kind


@dataclass(frozen=True, slots=True)
class Stated:
    """A hypothesis about a picture.

    Attributes:
        kind: "colour", "side", "nearer" or "room".
        subject: With the kind, all that its words say.
        label: "entailment", "neutral" or "contradiction".
        view: The picture.
    """

    kind: str
    subject: tuple[str, ...]
    label: str
    view: View


def state_hypotheses(
    views: Sequence[View], count: int, rng: np.random.Generator
) -> tuple[list[tuple[Stated, str]], dict[str, float]]:
    """Hypotheses about pictures.

    Args:
        views: The pictures.
        count: How many to state, as far as the pictures carry so many.
        rng: Draws hypotheses and their words.

    Returns:
        Hypotheses with their words, by picture; and the chance of somebody who does not look, for
        each kind and "all".
    """
    finders = {kind: partial(_find, kind, views, rng) for kind in _FINDERS}
    fewest = dict.fromkeys(_FINDERS, len(LETTERS))
    chosen, chances = share_out(finders, _label, count, fewest, rng)
    return [(stated, _words(stated, rng)) for stated in chosen], chances


def _find(kind: str, views: Sequence[View], rng: np.random.Generator) -> list[Stated]:
    said = _closed(views, _FINDERS[kind])
    return said + _open(views, said, rng)


def _label(stated: Stated) -> str:
    return stated.label


@dataclass(frozen=True, slots=True)
class _Known:
    """Words that hypotheses may use because some picture bears them out."""

    colours: tuple[str, ...]
    rooms: tuple[str, ...]


Finder = Callable[[View, _Known], Iterator[Stated]]


def _closed(views: Sequence[View], find: Finder) -> list[Stated]:
    """What pictures bear out or contradict."""
    colours = {thing.colour for view in views for thing in view.things}
    rooms = {view.room for view in views}
    known = _Known(tuple(sorted(colours - {""})), tuple(sorted(rooms - {""})))
    return [stated for view in views for stated in find(view, known)]


def _open(views: Sequence[View], said: Sequence[Stated], rng: np.random.Generator) -> list[Stated]:
    """The same sentences of pictures that leave them open: each picture tries some of them."""
    sentences = sorted({words_of(stated) for stated in said})
    if not sentences:
        return []
    drawn = rng.integers(len(sentences), size=(len(views), _DRAWN))
    return [
        Stated(sentences[k][0], sentences[k][1:], "neutral", view)
        for view, row in zip(views, drawn, strict=True)
        for k in sorted(set(row.tolist()))
        if _leaves_open(view, *sentences[k])
    ]


def _leaves_open(view: View, kind: str, *subject: str) -> bool:
    if kind == "room":
        return not view.room and subject[0] in view.rooms
    things = subject[:1] if kind in ("colour", "side") else subject
    return not all(view.named(name) for name in things)


def _colour(view: View, known: _Known) -> Iterator[Stated]:
    for thing in view.singles:
        if thing.colour and thing.area >= _COLOUR_AREA:
            for colour in known.colours:
                label = "entailment" if colour == thing.colour else "contradiction"
                yield Stated("colour", (thing.name, colour), label, view)


def _side(view: View, known: _Known) -> Iterator[Stated]:
    for thing in view.singles:
        if abs(thing.across) >= _ASIDE:
            for side in ("left", "right"):
                true = (side == "left") == (thing.across < 0)
                yield Stated(
                    "side", (thing.name, side), "entailment" if true else "contradiction", view
                )


def _nearer(view: View, known: _Known) -> Iterator[Stated]:
    for first, second in permutations(view.singles, 2):
        near, far = sorted((first.distance, second.distance))
        if far > max(near * _RATIO, near + _APART):
            label = "entailment" if first.distance == near else "contradiction"
            yield Stated("nearer", (first.name, second.name), label, view)


def _room(view: View, known: _Known) -> Iterator[Stated]:
    if view.room:
        yield Stated("room", (view.room,), "entailment", view)
        for kind in sorted(set(known.rooms) - view.rooms):
            yield Stated("room", (kind,), "contradiction", view)


_FINDERS: dict[str, Finder] = {
    # Kinds that find few hypotheses come first; what they leave over goes to the others.
    "room": _room,
    "nearer": _nearer,
    "colour": _colour,
    "side": _side,
}
_FRAMES: dict[str, tuple[str, ...]] = {
    "colour": ("The {0} is {1}.", "There is {a1} {0} and no other.", "The {0} here is {1}."),
    "side": ("The {0} is on the {1}.", "The {0} stands on the {1} side."),
    "nearer": ("The {0} is nearer than the {1}.", "The {1} is farther away than the {0}."),
    "room": ("This is {a0}.", "The room is {a0}.", "One sees {a0} here."),
}


def _words(stated: Stated, rng: np.random.Generator) -> str:
    """Put a hypothesis into words, which do not depend on its label."""
    words = [say(name, rng) for name in stated.subject]
    text = pick(_FRAMES[stated.kind], rng)
    for number, word in enumerate(words):
        text = text.replace(f"{{a{number}}}", with_article(word))
    return text.format(*words)
