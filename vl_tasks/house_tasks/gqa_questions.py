"""Questions about images of the houses in the form of GQA.

The wording of a question depends on its kind and subject only, and all answers are equally frequent
under each kind and subject. In a subject, things precede colours; two things, colours or rooms
whose order has no meaning are sorted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, permutations

import numpy as np

from clipnav.vl_tasks.house_tasks.balance import Answers, Example, choose_balanced
from clipnav.vl_tasks.house_tasks.images import HouseImage
from clipnav.vl_tasks.house_tasks.questions import image_facts

OPPOSITE = {"left": "right", "right": "left"}
YES_NO = ("yes", "no")
_MIN_GAP = 0.3  # minimum difference of `Thing.across` between things that are left and right
_PAIRS = 4  # pairs of names per image in questions about two things

Subject = tuple[str, ...]
Key = tuple[str, Subject]  # kind and subject


@dataclass(frozen=True)
class Kind:
    """Properties of a kind of questions.

    Attributes:
        structural: Structural type of GQA.
        semantic: Semantic type of GQA.
        detailed: Detailed type.
        group: Group of questions that share an answer distribution; None for binary questions.
        min_answers: Minimum number of answers per subject.
    """

    structural: str
    semantic: str
    detailed: str
    group: str | None = None
    min_answers: int = 2


# Kinds with few questions come first, because later kinds fill the rest of their share.
KINDS = {
    "query-object": Kind("query", "rel", "relO", "object", 3),
    "same-colour": Kind("compare", "attr", "twoSame"),
    "nearer": Kind("compare", "rel", "comparativeChoose"),
    "choose-room": Kind("choose", "global", "placeChoose"),
    "verify-room": Kind("verify", "global", "placeVerify"),
    "room": Kind("query", "global", "place", "place", 4),
    "choose-colour": Kind("choose", "attr", "chooseAttr"),
    "verify-colour": Kind("verify", "attr", "verifyAttr"),
    "colour": Kind("query", "attr", "directOf", "color", 4),
    "choose-side": Kind("choose", "rel", "relChooser"),
    "verify-side": Kind("verify", "rel", "relVerify"),
    "position": Kind("query", "attr", "positionQuery", "hposition", 3),
    "both": Kind("logical", "obj", "existAnd"),
    "either": Kind("logical", "obj", "existOr"),
    "existence": Kind("verify", "obj", "exist"),
}


class QuestionScene:
    """Answers to all questions about an image."""

    def __init__(self, image: HouseImage) -> None:
        self.image = image
        self.facts = image_facts(image)
        self.singles = {thing.name: thing for thing in image.singles}
        self.clear = sorted({thing.name for thing in image.clear})

    def answer(self, kind: str, subject: Subject) -> str | None:
        """Return the answer to a question, or None if the image does not determine it clearly."""
        if (kind, subject) in self.facts:
            return self.facts[kind, subject]
        return _ANSWERS[kind](self, *subject) if kind in _ANSWERS else None

    def question(self, kind: str, subject: Subject) -> Example:
        """Return a question with its answer."""
        answer = self.answer(kind, subject)
        if answer is None:
            raise ValueError(f"image {self.image.image_id} does not answer {kind} {subject}")
        return Example(kind, subject, answer, self.image)

    def colour(self, name: str) -> str | None:
        """Return the colour of a single thing, if it is clear."""
        return self.facts.get(("colour", (name,)))

    def subjects(self, kind: str) -> list[Subject]:
        """Return the subjects of the facts of a kind."""
        return [subject for other, subject in self.facts if other == kind]

    def beside(self, side: str, name: str) -> str | None:
        """Return the name of the only thing on a side of a single thing, if it is clear."""
        reference = self.singles.get(name)
        if reference is None:
            return None
        sign = -1 if side == "left" else 1
        there = [t for t in self.image.things if sign * (t.across - reference.across) > 0]
        return there[0].name if len(there) == 1 and self.side(there[0].name, name) else None

    def side(self, name: str, reference: str) -> str | None:
        """Return the side of a single thing, seen from another one, if it is clear."""
        first, second = self.singles.get(name), self.singles.get(reference)
        if first is None or second is None or abs(first.across - second.across) < _MIN_GAP:
            return None
        return "left" if first.across < second.across else "right"

    def exists(self, name: str) -> str | None:
        """Return whether a thing is clearly visible ("yes") or absent ("no")."""
        if name in self.clear:
            return "yes"
        return None if self.image.meant(name) else "no"


def generate_gqa_questions(
    scenes: Sequence[QuestionScene],
    count: int,
    rng: np.random.Generator,
    known_answers: Answers | None = None,
) -> tuple[list[Example], dict[str, float]]:
    """Generate balanced questions."""
    known = _Known(scenes)

    def candidates(kind: str) -> Iterator[Example]:
        for scene in scenes:
            for subject in _SUBJECTS[kind](scene, known, rng):
                answer = scene.answer(kind, subject)
                if answer is not None:
                    yield Example(kind, subject, answer, scene.image)

    min_answers = {name: kind.min_answers for name, kind in KINDS.items()}
    return choose_balanced(candidates, count, min_answers, rng, known_answers)


class _Known:
    """Colours of each thing, rooms, and names that occur in some image of the split."""

    def __init__(self, scenes: Iterable[QuestionScene]) -> None:
        colours: dict[str, set[str]] = {}
        rooms, names = set(), set()
        for scene in scenes:
            names.update(scene.clear)
            for (kind, subject), answer in scene.facts.items():
                if kind == "colour":
                    colours.setdefault(subject[0], set()).add(answer)
                elif kind == "room":
                    rooms.add(answer)
        self.colours = {name: sorted(values) for name, values in colours.items()}
        self.rooms = sorted(rooms)
        self.names = sorted(names)


def _equal(first: str | None, second: str | None) -> str | None:
    if first is None or second is None:
        return None
    return YES_NO[0] if first == second else YES_NO[1]


def _is_room(scene: QuestionScene, room: str) -> str | None:
    actual = scene.image.room
    if actual == room:
        return "yes"
    return None if not actual or room in scene.image.rooms else "no"


def _chosen_room(scene: QuestionScene, *rooms: str) -> str | None:
    answers = [_is_room(scene, room) for room in rooms]
    return scene.image.room if sorted(map(str, answers)) == ["no", "yes"] else None


def _combined(scene: QuestionScene, names: Iterable[str], decisive: str, other: str) -> str | None:
    answers = [scene.exists(name) for name in names]
    if decisive in answers:
        return decisive
    return None if None in answers else other


# Functions that answer the questions that `image_facts` does not contain.
_ANSWERS: dict[str, Callable[..., str | None]] = {
    "query-object": QuestionScene.beside,
    "same-colour": lambda scene, *names: _equal(*map(scene.colour, names)),
    "choose-room": _chosen_room,
    "verify-room": _is_room,
    "choose-colour": lambda scene, name, *colours: (
        actual if (actual := scene.colour(name)) in colours else None
    ),
    "verify-colour": lambda scene, name, colour: _equal(scene.colour(name), colour),
    "choose-side": QuestionScene.side,
    "verify-side": lambda scene, name, side, other: _equal(scene.side(name, other), side),
    "both": lambda scene, *names: _combined(scene, names, "no", "yes"),
    "either": lambda scene, *names: _combined(scene, names, "yes", "no"),
    "existence": QuestionScene.exists,
}


def _drawn_pairs(
    scene: QuestionScene, known: _Known, rng: np.random.Generator
) -> Iterator[Subject]:
    """Yield random pairs of visible things, of visible and other things, and of other things."""
    others = rng.permutation(known.names)[: 2 * _PAIRS].tolist()
    visible = rng.permutation(scene.clear).tolist() if scene.clear else []
    groups = ((visible, visible[1:]), (visible * _PAIRS, others), (others[::2], others[1::2]))
    for firsts, seconds in groups:
        pairs = [
            tuple(sorted(names))
            for names in zip(firsts, seconds, strict=False)
            if len({*names}) > 1
        ]
        yield from dict.fromkeys(pairs[:_PAIRS])


Subjects = Callable[[QuestionScene, _Known, np.random.Generator], Iterable[Subject]]
# Functions that yield the subjects of the candidates about an image.
_SUBJECTS: dict[str, Subjects] = {
    **{
        kind: lambda scene, known, rng, kind=kind: scene.subjects(kind)
        for kind in ("nearer", "room", "colour", "position")
    },
    "query-object": lambda scene, known, rng: (
        (side, name) for name in sorted(scene.singles) for side in OPPOSITE
    ),
    "same-colour": lambda scene, known, rng: combinations(sorted(scene.singles), 2),
    "choose-room": lambda scene, known, rng: combinations(known.rooms, 2),
    "verify-room": lambda scene, known, rng: ((room,) for room in known.rooms),
    "choose-colour": lambda scene, known, rng: (
        (name, *pair)
        for (name,) in scene.subjects("colour")
        for pair in combinations(known.colours[name], 2)
    ),
    "verify-colour": lambda scene, known, rng: (
        (name, colour) for (name,) in scene.subjects("colour") for colour in known.colours[name]
    ),
    "choose-side": lambda scene, known, rng: permutations(sorted(scene.singles), 2),
    "verify-side": lambda scene, known, rng: (
        (first, side, second)
        for first, second in permutations(sorted(scene.singles), 2)
        for side in OPPOSITE
    ),
    "both": _drawn_pairs,
    "either": _drawn_pairs,
    "existence": lambda scene, known, rng: ((name,) for name in known.names),
}
