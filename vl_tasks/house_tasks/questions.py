"""Questions about images of the houses, balanced so that their wording does not reveal answers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from operator import attrgetter

import numpy as np

from clipnav.envs.houses.views.captions import pick, with_article
from clipnav.envs.houses.views.view_facts import SIDES
from clipnav.vl_tasks.house_tasks.balance import Answers, choose_balanced
from clipnav.vl_tasks.house_tasks.images import HouseImage
from clipnav.vl_tasks.house_tasks.wording import pick_synonym

COUNTED = (
    "chair picture window door plant armchair nightstand bookshelf stool curtain rug mirror".split()
)
_PLURALS = {"bookshelf": "bookshelves"}
_MAX_COUNT = 4
# Minimum number of answers per subject; 3 for counts, so that they are not merely existence.
_MIN_ANSWERS = {"existence": 2, "nearer": 2, "count": 3, "position": 3, "colour": 4, "room": 4}


@dataclass(frozen=True, slots=True)
class HouseQuestion:
    """A question about an image.

    Attributes:
        kind: "existence", "count", "colour", "position", "nearer" or "room".
        subject: Names that the wording contains; with the kind, they determine its meaning.
        answer: Answer in normalised VQA form.
        image: The image.
    """

    kind: str
    subject: tuple[str, ...]
    answer: str
    image: HouseImage


def generate_questions(
    images: Sequence[HouseImage],
    count: int,
    rng: np.random.Generator,
    known: Answers | None = None,
) -> tuple[list[tuple[HouseQuestion, str]], dict[str, float]]:
    """Generate questions about images."""
    generators = {kind: partial(_candidates, kind, images, rng) for kind in _GENERATORS}
    chosen, chances = choose_balanced(
        generators, attrgetter("answer"), count, _MIN_ANSWERS, rng, known
    )
    return [(question, question_text(question, rng)) for question in chosen], chances


def answers_of(questions: Iterable[HouseQuestion]) -> Answers:
    """Return the answers of questions by kind."""
    answers: dict[str, set[str]] = defaultdict(set)
    for question in questions:
        answers[question.kind].add(question.answer)
    return answers


def image_facts(image: HouseImage) -> dict[tuple[str, tuple[str, ...]], str]:
    """Return the answers to the questions about colour, position, distance and room of an image.

    The keys are kind and subject of the questions.
    """
    generators = (_colour, _position, _nearer, _room)
    questions = (one for generate in generators for one in generate(image))
    return {(one.kind, one.subject): one.answer for one in questions}


def answer_type(question: HouseQuestion) -> str:
    """Return the answer type of VQA v2."""
    return {"existence": "yes/no", "count": "number"}.get(question.kind, "other")


def _candidates(
    kind: str, images: Sequence[HouseImage], rng: np.random.Generator
) -> Iterator[HouseQuestion]:
    return (question for image in images for question in _GENERATORS[kind](image, images, rng))


Generate = Callable[
    [HouseImage, Sequence[HouseImage], np.random.Generator], Iterator[HouseQuestion]
]


def _existence(
    image: HouseImage, images: Sequence[HouseImage], rng: np.random.Generator
) -> Iterator[HouseQuestion]:
    for name in sorted({thing.name for thing in image.clear}):
        yield HouseQuestion("existence", (name,), "yes", image)
    # Things of two other images that this image does not show at all.
    others = images[int(rng.integers(len(images)))], images[int(rng.integers(len(images)))]
    for name in sorted({thing.name for other in others for thing in other.things}):
        if not image.meant(name):
            yield HouseQuestion("existence", (name,), "no", image)


def _count(
    image: HouseImage, images: Sequence[HouseImage], rng: np.random.Generator
) -> Iterator[HouseQuestion]:
    for name in COUNTED:
        things = image.meant(name)
        if len(things) <= _MAX_COUNT and all(t.is_clear and t.name == name for t in things):
            yield HouseQuestion("count", (name,), str(len(things)), image)


def _colour(image: HouseImage, *_: object) -> Iterator[HouseQuestion]:
    for thing in image.singles:
        if thing.has_clear_colour:
            yield HouseQuestion("colour", (thing.name,), thing.colour, image)


def _position(image: HouseImage, *_: object) -> Iterator[HouseQuestion]:
    for thing in image.singles:
        for side, (narrow, _) in SIDES.items():
            if narrow[0] <= thing.across <= narrow[1]:
                yield HouseQuestion("position", (thing.name,), side, image)


def _nearer(image: HouseImage, *_: object) -> Iterator[HouseQuestion]:
    for pair in combinations(image.singles, 2):
        near, far = sorted(pair, key=lambda thing: thing.distance)
        if near.is_nearer(far):
            first, second = sorted((near.name, far.name))
            yield HouseQuestion("nearer", (first, second), near.name, image)


def _room(image: HouseImage, *_: object) -> Iterator[HouseQuestion]:
    if image.room:
        yield HouseQuestion("room", (), image.room, image)


_GENERATORS: dict[str, Generate] = {
    # Kinds with few questions come first, because later kinds fill the rest of their share.
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


def question_text(question: HouseQuestion, rng: np.random.Generator) -> str:
    """Return a question as a sentence, which does not depend on its answer."""
    frame = pick(_FRAMES[question.kind], rng)
    # The answer to "which is nearer" must be a name that the question contains.
    synonyms = question.kind != "nearer"
    subject = [pick_synonym(name, rng) if synonyms else name for name in question.subject]
    if question.kind == "nearer" and rng.random() < 0.5:
        subject.reverse()
    plural = [_PLURALS.get(name, f"{name}s") for name in question.subject]
    text = frame.replace("{0s}", plural[0]) if plural else frame
    return text.replace("{a0}", with_article(subject[0]) if subject else "").format(*subject)
