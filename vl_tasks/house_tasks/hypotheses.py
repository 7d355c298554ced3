"""Hypotheses about images of the houses, with the labels entailment, contradiction and neutral.

A hypothesis is about the surroundings, and the image shows only a part of them: statements about
things outside the image are neutral. Each sentence occurs equally often with each label.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import permutations

import numpy as np

from clipnav.envs.houses.views.captions import pick, with_article
from clipnav.vl_tasks.house_tasks.balance import Example, choose_balanced
from clipnav.vl_tasks.house_tasks.images import HouseImage, pick_synonym

LETTERS = {"entailment": "e", "neutral": "n", "contradiction": "c"}
_SIDE_OFFSET = 0.3  # minimum |across| of things on the left or on the right
_NEUTRAL_TRIES = 6  # candidate neutral hypotheses per image and kind
# Kinds with few hypotheses come first, because later kinds fill the rest of their share.
_FRAMES: dict[str, tuple[str, ...]] = {
    "room": ("This is {a0}.", "The room is {a0}.", "One sees {a0} here."),
    "nearer": ("The {0} is nearer than the {1}.", "The {1} is farther away than the {0}."),
    "colour": ("The {0} is {1}.", "The colour of the {0} is {1}.", "The {0} here is {1}."),
    "side": ("The {0} is on the {1}.", "The {0} is on the {1} side."),
}


def generate_hypotheses(
    images: Sequence[HouseImage], count: int, rng: np.random.Generator
) -> tuple[list[tuple[Example, str]], dict[str, float]]:
    """Generate hypotheses about images; their answers are the labels."""
    colours = sorted({thing.colour for image in images for thing in image.things} - {""})
    rooms = sorted({image.room for image in images} - {""})

    def candidates(kind: str) -> list[Example]:
        decided = [
            Example(kind, subject, "entailment" if holds else "contradiction", image)
            for image in images
            for subject, holds in _decided(kind, image, colours, rooms)
        ]
        # Neutral hypotheses with the same sentences: random ones for each image.
        sentences = sorted({example.wording for example in decided})
        if not sentences:
            return []
        drawn = rng.integers(len(sentences), size=(len(images), _NEUTRAL_TRIES))
        return decided + [
            Example(kind, sentences[k][1:], "neutral", image)
            for image, row in zip(images, drawn, strict=True)
            for k in sorted(set(row.tolist()))
            if is_neutral(image, *sentences[k])
        ]

    min_answers = dict.fromkeys(_FRAMES, len(LETTERS))
    chosen, chances = choose_balanced(candidates, count, min_answers, rng)
    texts = []
    for example in chosen:  # the wording does not depend on the label
        words = [pick_synonym(name, rng) for name in example.subject]
        articles = {f"a{number}": with_article(word) for number, word in enumerate(words)}
        texts.append(pick(_FRAMES[example.kind], rng).format(*words, **articles))
    return list(zip(chosen, texts, strict=True)), chances


def _decided(
    kind: str, image: HouseImage, colours: Sequence[str], rooms: Sequence[str]
) -> Iterator[tuple[tuple[str, ...], bool]]:
    """Yield the subjects of hypotheses that an image decides, and whether they hold."""
    if kind == "room":
        if image.room:
            yield (image.room,), True
            yield from (((other,), False) for other in rooms if other not in image.rooms)
    elif kind == "nearer":
        for first, second in permutations(image.singles, 2):
            if first.is_nearer(second) or second.is_nearer(first):
                yield (first.name, second.name), first.is_nearer(second)
    else:
        for thing in image.singles:
            if kind == "colour" and thing.has_clear_colour:
                yield from (((thing.name, one), one == thing.colour) for one in colours)
            elif kind == "side" and abs(thing.across) >= _SIDE_OFFSET:
                yield (thing.name, "left"), thing.across < 0
                yield (thing.name, "right"), thing.across >= 0


def is_neutral(image: HouseImage, kind: str, *subject: str) -> bool:
    """Return whether an image neither entails nor contradicts a hypothesis."""
    if kind == "room":
        return not image.room and subject[0] in image.rooms
    things = subject[:1] if kind in ("colour", "side") else subject
    return not all(image.meant(name) for name in things)
