"""Hypotheses about images of the houses, with the labels entailment, contradiction and neutral.

A hypothesis is about the surroundings, and the image shows only a part of them: statements about
things outside the image are neutral. Each sentence occurs equally often with each label.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import permutations
from operator import attrgetter

import numpy as np

from clipnav.envs.houses.views.captions import pick, with_article
from clipnav.vl_tasks.house_tasks.balance import choose_balanced, wording_key
from clipnav.vl_tasks.house_tasks.images import HouseImage
from clipnav.vl_tasks.house_tasks.wording import pick_synonym

LETTERS = {"entailment": "e", "neutral": "n", "contradiction": "c"}
_SIDE_OFFSET = 0.3  # minimum |across| of things on the left or on the right
_NEUTRAL_TRIES = 6  # candidate neutral hypotheses per image and kind


@dataclass(frozen=True, slots=True)
class HouseHypothesis:
    """A hypothesis about an image.

    Attributes:
        kind: "colour", "side", "nearer" or "room".
        subject: Names that the wording contains; with the kind, they determine its meaning.
        label: "entailment", "neutral" or "contradiction".
        image: The image.
    """

    kind: str
    subject: tuple[str, ...]
    label: str
    image: HouseImage


def generate_hypotheses(
    images: Sequence[HouseImage], count: int, rng: np.random.Generator
) -> tuple[list[tuple[HouseHypothesis, str]], dict[str, float]]:
    """Generate hypotheses about images."""
    generators = {kind: partial(_candidates, kind, images, rng) for kind in _GENERATORS}
    min_answers = dict.fromkeys(_GENERATORS, len(LETTERS))
    chosen, chances = choose_balanced(generators, attrgetter("label"), count, min_answers, rng)
    return [(hypothesis, _text(hypothesis, rng)) for hypothesis in chosen], chances


def _candidates(
    kind: str, images: Sequence[HouseImage], rng: np.random.Generator
) -> list[HouseHypothesis]:
    decided = _decided(images, _GENERATORS[kind])
    return decided + _neutral(images, decided, rng)


@dataclass(frozen=True, slots=True)
class _Known:
    """Colours and kinds of rooms that occur in some image."""

    colours: tuple[str, ...]
    rooms: tuple[str, ...]


Generate = Callable[[HouseImage, _Known], Iterator[HouseHypothesis]]


def _decided(images: Sequence[HouseImage], generate: Generate) -> list[HouseHypothesis]:
    """Return the hypotheses that an image entails or contradicts."""
    colours = {thing.colour for image in images for thing in image.things}
    rooms = {image.room for image in images}
    known = _Known(tuple(sorted(colours - {""})), tuple(sorted(rooms - {""})))
    return [hypothesis for image in images for hypothesis in generate(image, known)]


def _neutral(
    images: Sequence[HouseImage], decided: Sequence[HouseHypothesis], rng: np.random.Generator
) -> list[HouseHypothesis]:
    """Return neutral hypotheses with the same sentences: random ones for each image."""
    sentences = sorted({wording_key(hypothesis) for hypothesis in decided})
    if not sentences:
        return []
    drawn = rng.integers(len(sentences), size=(len(images), _NEUTRAL_TRIES))
    return [
        HouseHypothesis(sentences[k][0], sentences[k][1:], "neutral", image)
        for image, row in zip(images, drawn, strict=True)
        for k in sorted(set(row.tolist()))
        if _is_neutral(image, *sentences[k])
    ]


def _is_neutral(image: HouseImage, kind: str, *subject: str) -> bool:
    if kind == "room":
        return not image.room and subject[0] in image.rooms
    things = subject[:1] if kind in ("colour", "side") else subject
    return not all(image.meant(name) for name in things)


def _colour(image: HouseImage, known: _Known) -> Iterator[HouseHypothesis]:
    for thing in image.singles:
        if thing.has_clear_colour:
            for colour in known.colours:
                label = "entailment" if colour == thing.colour else "contradiction"
                yield HouseHypothesis("colour", (thing.name, colour), label, image)


def _side(image: HouseImage, known: _Known) -> Iterator[HouseHypothesis]:
    for thing in image.singles:
        if abs(thing.across) >= _SIDE_OFFSET:
            for side in ("left", "right"):
                true = (side == "left") == (thing.across < 0)
                yield HouseHypothesis(
                    "side", (thing.name, side), "entailment" if true else "contradiction", image
                )


def _nearer(image: HouseImage, known: _Known) -> Iterator[HouseHypothesis]:
    for first, second in permutations(image.singles, 2):
        if first.is_nearer(second) or second.is_nearer(first):
            label = "entailment" if first.is_nearer(second) else "contradiction"
            yield HouseHypothesis("nearer", (first.name, second.name), label, image)


def _room(image: HouseImage, known: _Known) -> Iterator[HouseHypothesis]:
    if image.room:
        yield HouseHypothesis("room", (image.room,), "entailment", image)
        for kind in sorted(set(known.rooms) - image.rooms):
            yield HouseHypothesis("room", (kind,), "contradiction", image)


_GENERATORS: dict[str, Generate] = {
    # Kinds with few hypotheses come first, because later kinds fill the rest of their share.
    "room": _room,
    "nearer": _nearer,
    "colour": _colour,
    "side": _side,
}
_FRAMES: dict[str, tuple[str, ...]] = {
    "colour": ("The {0} is {1}.", "The colour of the {0} is {1}.", "The {0} here is {1}."),
    "side": ("The {0} is on the {1}.", "The {0} is on the {1} side."),
    "nearer": ("The {0} is nearer than the {1}.", "The {1} is farther away than the {0}."),
    "room": ("This is {a0}.", "The room is {a0}.", "One sees {a0} here."),
}


def _text(hypothesis: HouseHypothesis, rng: np.random.Generator) -> str:
    """Return a hypothesis as a sentence, which does not depend on its label."""
    words = [pick_synonym(name, rng) for name in hypothesis.subject]
    text = pick(_FRAMES[hypothesis.kind], rng)
    for number, word in enumerate(words):
        text = text.replace(f"{{a{number}}}", with_article(word))
    return text.format(*words)
