"""Questions about images of the houses, balanced so that their wording does not reveal answers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations

import numpy as np

from clipnav.envs.houses.views.captions import pick, with_article
from clipnav.envs.houses.views.view_facts import SIDES
from clipnav.vl_tasks.house_tasks.balance import Answers, Example, choose_balanced
from clipnav.vl_tasks.house_tasks.images import HouseImage, pick_synonym

COUNTED = (
    "chair picture window door plant armchair nightstand bookshelf stool curtain rug mirror".split()
)
_PLURALS = {"bookshelf": "bookshelves"}
_MAX_COUNT = 4
# Minimum number of answers per subject; 3 for counts, so that they are not merely existence. Kinds
# with few questions come first, because later kinds fill the rest of their share.
_MIN_ANSWERS = {"nearer": 2, "room": 4, "colour": 4, "position": 3, "count": 3, "existence": 2}
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


def generate_questions(
    images: Sequence[HouseImage],
    count: int,
    rng: np.random.Generator,
    known: Answers | None = None,
) -> tuple[list[tuple[Example, str]], dict[str, float]]:
    """Generate questions about images."""
    facts = [(image, image_facts(image)) for image in images]

    def candidates(kind: str) -> Iterator[Example]:
        for image, known_facts in facts:
            if kind == "existence":
                yield from existence_questions(image, images, rng)
            elif kind == "count":
                yield from count_questions(image)
            else:
                for (other, subject), answer in known_facts.items():
                    if other == kind:
                        yield Example(kind, subject, answer, image)

    chosen, chances = choose_balanced(candidates, count, _MIN_ANSWERS, rng, known)
    return [(question, question_text(question, rng)) for question in chosen], chances


def answers_of(questions: Iterable[Example]) -> Answers:
    """Return the answers of questions by kind."""
    answers: dict[str, set[str]] = defaultdict(set)
    for question in questions:
        answers[question.kind].add(question.answer)
    return answers


def image_facts(image: HouseImage) -> dict[tuple[str, tuple[str, ...]], str]:
    """Return the answers to the questions about colour, position, distance and room of an image.

    The keys are kind and subject of the questions.
    """
    facts: dict[tuple[str, tuple[str, ...]], str] = {}
    singles = image.singles
    for thing in singles:
        if thing.has_clear_colour:
            facts["colour", (thing.name,)] = thing.colour
        for side, (narrow, _) in SIDES.items():
            if narrow[0] <= thing.across <= narrow[1]:
                facts["position", (thing.name,)] = side
    for pair in combinations(singles, 2):
        near, far = sorted(pair, key=lambda thing: thing.distance)
        if near.is_nearer(far):
            facts["nearer", tuple(sorted((near.name, far.name)))] = near.name
    if image.room:
        facts["room", ()] = image.room
    return facts


def existence_questions(
    image: HouseImage, images: Sequence[HouseImage], rng: np.random.Generator
) -> Iterator[Example]:
    """Yield questions about clear things, and about things of two other images that are absent."""
    for name in sorted({thing.name for thing in image.clear}):
        yield Example("existence", (name,), "yes", image)
    others = images[int(rng.integers(len(images)))], images[int(rng.integers(len(images)))]
    for name in sorted({thing.name for other in others for thing in other.things}):
        if not image.meant(name):
            yield Example("existence", (name,), "no", image)


def count_questions(image: HouseImage) -> Iterator[Example]:
    """Yield questions about the number of things."""
    for name in COUNTED:
        things = image.meant(name)
        if len(things) <= _MAX_COUNT and all(t.is_clear and t.name == name for t in things):
            yield Example("count", (name,), str(len(things)), image)


def question_text(question: Example, rng: np.random.Generator) -> str:
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
