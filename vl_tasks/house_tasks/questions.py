"""Questions about pictures of houses, balanced so that their words do not give the answer away."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations

import numpy as np

from envs.houses.views.captions import pick, with_article
from envs.houses.views.view_facts import SIDES
from vl_tasks.house_tasks.balance import share_out
from vl_tasks.house_tasks.views import CLEAR, View
from vl_tasks.house_tasks.wording import say

COUNTED = (
    "chair picture window door plant armchair nightstand bookshelf stool curtain rug mirror".split()
)
_PLURALS = {"bookshelf": "bookshelves"}
_MOST_COUNTED = 4
# Fewest answers that a subject must have; counting is more than seeing whether there is any.
_FEWEST = {"existence": 2, "nearer": 2, "count": 3, "position": 3, "colour": 4, "room": 4}
_COLOUR_AREA = 0.02  # a colour is asked of things that cover more than that
_RATIO, _APART = 1.3, 0.6  # how much nearer the nearer thing is, times and metres


@dataclass(frozen=True, slots=True)
class Asked:
    """A question about a picture.

    Attributes:
        kind: "existence", "count", "colour", "position", "nearer" or "room".
        subject: What it asks of: with the kind, all that its words say.
        answer: In the words of a normalised VQA answer.
        view: The picture.
    """

    kind: str
    subject: tuple[str, ...]
    answer: str
    view: View


def ask_questions(
    views: Sequence[View], count: int, rng: np.random.Generator
) -> tuple[list[tuple[Asked, str]], dict[str, float]]:
    """Questions about pictures.

    Args:
        views: The pictures.
        count: How many to ask, as far as the pictures carry so many.
        rng: Draws questions and their words.

    Returns:
        Questions with their words, by picture; and the chance of somebody who does not look, for
        each kind and "all".
    """
    finders = {kind: partial(_find, kind, views, rng) for kind in _FINDERS}
    chosen, chances = share_out(finders, _answer, count, _FEWEST, rng)
    return [(asked, _words(asked, rng)) for asked in chosen], chances


def answer_type(asked: Asked) -> str:
    """Of VQA v2."""
    return {"existence": "yes/no", "count": "number"}.get(asked.kind, "other")


def _find(kind: str, views: Sequence[View], rng: np.random.Generator) -> Iterator[Asked]:
    return (asked for view in views for asked in _FINDERS[kind](view, views, rng))


def _answer(asked: Asked) -> str:
    return asked.answer


Finder = Callable[[View, Sequence[View], np.random.Generator], Iterator[Asked]]


def _existence(view: View, views: Sequence[View], rng: np.random.Generator) -> Iterator[Asked]:
    for name in sorted({thing.name for thing in view.things if thing.area >= CLEAR}):
        yield Asked("existence", (name,), "yes", view)
    # What other pictures show, and this one not even a little.
    others = views[int(rng.integers(len(views)))], views[int(rng.integers(len(views)))]
    for name in sorted({thing.name for other in others for thing in other.things}):
        if not view.named(name):
            yield Asked("existence", (name,), "no", view)


def _count(view: View, views: Sequence[View], rng: np.random.Generator) -> Iterator[Asked]:
    for name in COUNTED:
        found = view.named(name)
        if len(found) <= _MOST_COUNTED and all(thing.area >= CLEAR for thing in found):
            yield Asked("count", (name,), str(len(found)), view)


def _colour(view: View, views: Sequence[View], rng: np.random.Generator) -> Iterator[Asked]:
    for thing in view.singles:
        if thing.colour and thing.area >= _COLOUR_AREA:
            yield Asked("colour", (thing.name,), thing.colour, view)


def _position(view: View, views: Sequence[View], rng: np.random.Generator) -> Iterator[Asked]:
    for thing in view.singles:
        for side, (narrow, _) in SIDES.items():
            if narrow[0] <= thing.across <= narrow[1]:
                yield Asked("position", (thing.name,), side, view)


def _nearer(view: View, views: Sequence[View], rng: np.random.Generator) -> Iterator[Asked]:
    for pair in combinations(view.singles, 2):
        near, far = sorted(pair, key=lambda thing: thing.distance)
        if far.distance > max(near.distance * _RATIO, near.distance + _APART):
            first, second = sorted((near.name, far.name))
            yield Asked("nearer", (first, second), near.name, view)


def _room(view: View, views: Sequence[View], rng: np.random.Generator) -> Iterator[Asked]:
    if view.room:
        yield Asked("room", (), view.room, view)


_FINDERS: dict[str, Finder] = {
    # Kinds that find few questions come first; what they leave over goes to the others.
    "nearer": _nearer,
    "room": _room,
    "colour": _colour,
    "position": _position,
    "count": _count,
    "existence": _existence,
}
_FRAMES: dict[str, tuple[str, ...]] = {
    "existence": ("Is there {a0} in the photo?", "Is there {a0}?", "Can you see {a0}?"),
    "count": ("How many {0s} are there?", "How many {0s} can you see?"),
    "colour": ("What colour is the {0}?", "What is the colour of the {0}?"),
    "position": (
        "Is the {0} on the left, on the right or in the middle?",
        "On which side is the {0}?",
    ),
    "nearer": ("Which is nearer, the {0} or the {1}?", "What is closer, the {0} or the {1}?"),
    "room": ("Which room is this?", "What kind of room is this?", "What room does this show?"),
}


def _words(asked: Asked, rng: np.random.Generator) -> str:
    """Put a question into words, which do not depend on its answer."""
    frame = pick(_FRAMES[asked.kind], rng)
    # Where a name is the answer, it must be the one that the question uses.
    synonyms = asked.kind != "nearer"
    subject = [say(name, rng) if synonyms else name for name in asked.subject]
    if asked.kind == "nearer" and rng.random() < 0.5:
        subject.reverse()
    plural = [_PLURALS.get(name, f"{name}s") for name in asked.subject]
    text = frame.replace("{0s}", plural[0]) if plural else frame
    return text.replace("{a0}", with_article(subject[0]) if subject else "").format(*subject)
