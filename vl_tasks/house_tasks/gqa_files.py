"""Files of GQA-form questions: balanced and all questions, choices, and scene graphs."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np

from clipnav.envs.houses.views.captions import pick, with_article
from clipnav.storage.json_files import write_json
from clipnav.vl_tasks.house_tasks.balance import Example
from clipnav.vl_tasks.house_tasks.files import HouseTaskFiles
from clipnav.vl_tasks.house_tasks.gqa_questions import KINDS, OPPOSITE, YES_NO, Key, QuestionScene
from clipnav.vl_tasks.house_tasks.images import pick_synonym
from clipnav.vl_tasks.house_tasks.questions import question_text

# {0} is an element of the subject, {a0} the same with an article.
_FRAMES = {
    "query-object": ("What is to the {0} of the {1}?", "Which object is to the {0} of the {1}?"),
    "same-colour": (
        "Do the {0} and the {1} have the same colour?",
        "Is the colour of the {0} the same as that of the {1}?",
    ),
    "choose-room": ("Is this {a0} or {a1}?", "Does the photo show {a0} or {a1}?"),
    "verify-room": ("Is this {a0}?", "Does the photo show {a0}?"),
    "choose-colour": ("Is the {0} {1} or {2}?", "Does the {0} look {1} or {2}?"),
    "verify-colour": ("Is the {0} {1}?", "Is the colour of the {0} {1}?"),
    "choose-side": (
        "Is the {0} to the left or to the right of the {1}?",
        "Is the {0} to the right or to the left of the {1}?",
    ),
    "verify-side": (
        "Is the {0} to the {1} of the {2}?",
        "Do you see the {0} to the {1} of the {2}?",
    ),
    "both": ("Are there both {a0} and {a1}?", "Is there {a0} and also {a1}?"),
    "either": ("Is there either {a0} or {a1}?", "Can you see {a0} or {a1}?"),
}
# Elements of the subject whose order has no meaning, and which are drawn in any order.
_ANY_ORDER = {
    "same-colour": slice(0, 2),
    "choose-room": slice(0, 2),
    "choose-colour": slice(1, 3),
    "both": slice(0, 2),
    "either": slice(0, 2),
}
# Full answers for "yes" and "no".
_YES_NO = {
    "same-colour": ("Yes, they have the same colour.", "No, their colours are different."),
    "verify-room": ("Yes, this is {a0}.", "No, this is not {a0}."),
    "verify-colour": ("Yes, the {0} is {1}.", "No, the {0} is not {1}."),
    "verify-side": (
        "Yes, the {0} is to the {1} of the {2}.",
        "No, the {0} is not to the {1} of the {2}.",
    ),
    "both": ("Yes, there are both {a0} and {a1}.", "No, there are not both {a0} and {a1}."),
    "either": ("Yes, there is {a0} or {a1}.", "No, there is neither {a0} nor {a1}."),
    "existence": ("Yes, there is {a0}.", "No, there is no {0}."),
}
# Full answers that contain the answer, {x}, or the answer with an article, {ax}.
_WITH_ANSWER = {
    "query-object": "The {x} is to the {0} of the {1}.",
    "nearer": "The {x} is nearer.",
    "choose-room": "This is {ax}.",
    "room": "This is {ax}.",
    "choose-colour": "The {0} is {x}.",
    "colour": "The {0} is {x}.",
    "choose-side": "The {0} is to the {x} of the {1}.",
    "position": "The {0} is {side}.",
}
_POSITIONS = ("left", "middle", "right")
_SIDES = {"left": "on the left", "right": "on the right", "middle": "in the middle"}
_Step = tuple[str, str, tuple[int, ...]]  # operation, argument, dependencies
Records = dict[str, dict[str, Any]]


def gqa_text(question: Example, rng: np.random.Generator) -> str:
    """Return a question as a sentence, which does not depend on its answer."""
    kind, subject = question.kind, list(question.subject)
    if kind not in _FRAMES:
        return question_text(question, rng)
    if kind in _ANY_ORDER and rng.random() < 0.5:
        subject[_ANY_ORDER[kind]] = subject[_ANY_ORDER[kind]][::-1]
    # The answer to "choose-room" must be one of the words of the question.
    if kind != "choose-room":
        subject = [pick_synonym(word, rng) for word in subject]
    return _filled(pick(_FRAMES[kind], rng), subject)


def _full_answer(question: Example) -> str:
    """Return the answer as a sentence."""
    answer = question.answer
    if question.kind in _YES_NO:
        return _filled(_YES_NO[question.kind][answer == "no"], question.subject)
    words = {"x": answer, "ax": with_article(answer), "side": _SIDES.get(answer, "")}
    return _filled(_WITH_ANSWER[question.kind], question.subject, words)


def program(question: Example, scene: QuestionScene) -> list[dict[str, Any]]:
    """Return the functional programme of a question, in the form of GQA's field "semantic".

    The arguments contain the object ids of the things, "-" for absent things.
    """
    kind, subject = question.kind, question.subject
    if kind in ("room", "verify-room", "choose-room"):
        operation = {"room": "query", "verify-room": "verify", "choose-room": "choose"}[kind]
        steps = [("select", "scene", ()), _last(operation, "place", subject, (0,))]
    elif kind in ("both", "either"):
        steps = [*_exists(scene, subject[0], 0), *_exists(scene, subject[1], 2)]
        steps.append(("and" if kind == "both" else "or", "", (1, 3)))
    elif kind == "existence":
        steps = _exists(scene, subject[0], 0)
    elif kind in ("nearer", "same-colour"):
        operation = "choose nearer" if kind == "nearer" else "same color"
        steps = [*(_select(scene, name) for name in subject), (operation, "", (0, 1))]
    elif kind in ("query-object", "verify-side", "choose-side"):
        steps = _relation(question, scene)
    else:
        name, *colours = subject
        operation = {"verify-colour": "verify", "choose-colour": "choose"}.get(kind, "query")
        attribute = "hposition" if kind == "position" else "color"
        steps = [_select(scene, name), _last(operation, attribute, colours, (0,))]
    return [
        {"operation": operation, "argument": argument, "dependencies": list(dependencies)}
        for operation, argument, dependencies in steps
    ]


def _select(scene: QuestionScene, name: str) -> _Step:
    return "select", f"{name} ({_ids(scene, name)})", ()


def _exists(scene: QuestionScene, name: str, number: int) -> list[_Step]:
    return [_select(scene, name), ("exist", "?", (number,))]


def _last(
    operation: str, attribute: str, values: Iterable[str], dependencies: tuple[int, ...]
) -> _Step:
    if operation == "query":
        return operation, attribute, dependencies
    return f"{operation} {attribute}", "|".join(values), dependencies


def _relation(question: Example, scene: QuestionScene) -> list[_Step]:
    """Return the programme of a question about the sides of two things."""
    if question.kind == "query-object":
        side, reference = question.subject
        related = f"_,to the {side} of,s ({_ids(scene, question.answer)})"
        return [_select(scene, reference), ("relate", related, (0,)), ("query", "name", (1,))]
    name, reference = question.subject[0], question.subject[-1]
    if question.kind == "choose-side":
        operation, relation = "choose rel", "to the left of|to the right of"
    else:
        operation, relation = "verify rel", f"to the {question.subject[1]} of"
    argument = f"{name},{relation},s ({_ids(scene, name)})"
    return [_select(scene, reference), (operation, argument, (0,))]


def _ids(scene: QuestionScene, name: str) -> str:
    """Return the objects of a name in the scene graph."""
    ids = [str(thing.object_id) for thing in scene.image.clear if thing.name == name]
    return ",".join(ids) or "-"


def _filled(frame: str, words: Iterable[str], others: dict[str, str] | None = None) -> str:
    words = list(words)
    articles = {f"a{number}": with_article(word) for number, word in enumerate(words)}
    return frame.format(*words, **articles, **(others or {}))


def equivalent_keys(question: Example) -> list[Key]:
    """Return kind and subject of the questions with the same meaning as a question."""
    if question.kind != "verify-side":
        return []
    first, side, second = question.subject
    return [("verify-side", (second, OPPOSITE[side], first))]


def entailed_keys(question: Example) -> list[Key]:
    """Return kind and subject of the questions that an answered question entails."""
    return _ENTAILED[question.kind](question.answer, *question.subject)


def _exist(answer: str, *names: str) -> list[Key]:
    return [("existence", (name,)) for name in names]


_ENTAILED: dict[str, Callable[..., list[Key]]] = {
    "query-object": lambda answer, side, name: [
        *_exist("", answer, name),
        ("verify-side", (answer, side, name)),
        ("choose-side", (answer, name)),
    ],
    "same-colour": _exist,
    "nearer": _exist,
    "choose-room": lambda answer, *rooms: [
        ("room", ()),
        *(("verify-room", (room,)) for room in rooms),
    ],
    "verify-room": lambda answer, room: [("room", ())] if answer == "yes" else [],
    "room": lambda answer: [("verify-room", (answer,))],
    "choose-colour": lambda answer, name, *colours: [
        *_exist("", name),
        ("colour", (name,)),
        *(("verify-colour", (name, colour)) for colour in colours),
    ],
    "verify-colour": lambda answer, name, colour: [
        *_exist("", name),
        *([("colour", (name,))] if answer == "yes" else []),
    ],
    "colour": lambda answer, name: [*_exist("", name), ("verify-colour", (name, answer))],
    "choose-side": lambda answer, first, second: [
        *_exist("", first, second),
        ("choose-side", (second, first)),
        *(
            ("verify-side", (*pair,))
            for side in OPPOSITE
            for pair in ((first, side, second), (second, side, first))
        ),
    ],
    "verify-side": lambda answer, first, side, second: [
        *_exist("", first, second),
        ("verify-side", (second, OPPOSITE[side], first)),
        *(
            [("verify-side", (first, OPPOSITE[side], second)), ("choose-side", (first, second))]
            if answer == "yes"
            else []
        ),
    ],
    "position": _exist,
    "both": lambda answer, *names: (
        [*_exist("", *names), ("either", names)] if answer == "yes" else []
    ),
    "either": lambda answer, *names: (
        [*_exist("", *names), ("both", names)] if answer == "no" else []
    ),
    "existence": lambda answer, name: [],
}


class AnswerChoices:
    """Valid answers (in the scope of a question) and plausible answers (that occur in the houses).

    An answer is plausible if some image shows such a thing in that colour, with that other thing,
    or in that room.
    """

    def __init__(self, scenes: Iterable[QuestionScene]) -> None:
        self._colours: dict[str, set[str]] = defaultdict(set)  # by thing
        self._rooms: dict[str, set[str]] = defaultdict(set)  # by largest thing, "" if none
        self._companions: dict[str, set[str]] = defaultdict(set)  # by thing
        for scene in scenes:
            for (kind, subject), answer in scene.facts.items():
                if kind == "colour":
                    self._colours[subject[0]].add(answer)
                elif kind == "room":
                    self._rooms[_largest(scene)].add(answer)
            for first, second in permutations(scene.clear, 2):
                self._companions[first].add(second)
        self._all_rooms = sorted(set().union(*self._rooms.values()))
        self._all_colours = sorted(set().union(*self._colours.values()))

    def of(self, question: Example, scene: QuestionScene) -> dict[str, list[str]]:
        """Return the record of a question in the form of GQA's choices file."""
        kind, subject = question.kind, question.subject
        possible: Iterable[str]
        if kind in ("room", "choose-room"):
            valid = self._all_rooms if kind == "room" else list(subject)
            possible = self._rooms[_largest(scene)]
        elif kind in ("colour", "choose-colour"):
            valid = self._all_colours if kind == "colour" else list(subject[1:])
            possible = self._colours[subject[0]]
        elif kind == "query-object":
            valid, possible = sorted(self._companions), self._companions[subject[1]]
        else:
            options = {"nearer": subject, "position": _POSITIONS, "choose-side": tuple(OPPOSITE)}
            valid = possible = list(options.get(kind, YES_NO))
        return {"valid": valid, "plausible": [answer for answer in valid if answer in possible]}


def scene_graph(scene: QuestionScene, size: int) -> dict[str, Any]:
    """Return the scene graph of an image, in the form of GQA's file of scene graphs.

    Args:
        size: Height and width of the image in pixels.
    """
    things = scene.image.clear
    objects = {}
    for thing in things:
        left, top, width, height = thing.box
        sides = [(other, scene.side(thing.name, other.name)) for other in things]
        objects[str(thing.object_id)] = {
            "name": thing.name,
            "x": left,
            "y": top,
            "w": width,
            "h": height,
            "attributes": [thing.colour] if thing.colour else [],
            "relations": [
                {"name": f"to the {side} of", "object": str(other.object_id)}
                for other, side in sides
                if side is not None
            ],
        }
    graph: dict[str, Any] = {"width": size, "height": size, "objects": objects}
    return {**graph, "location": scene.image.room} if scene.image.room else graph


def _largest(scene: QuestionScene) -> str:
    return next((thing.name for thing in scene.image.clear), "")


def gqa_records(
    scenes: Sequence[QuestionScene],
    balanced: Sequence[Example],
    choices: AnswerChoices,
    rng: np.random.Generator,
) -> tuple[Records, Records]:
    """Return the records of questions and of their choices, by question id.

    The questions that a balanced question entails are added as unbalanced questions. The question
    id is the image id times 1000, plus the number of the question for the image.
    """
    by_image: dict[int, list[Example]] = {}
    for question in balanced:
        by_image.setdefault(question.image.image_id, []).append(question)
    questions: Records = {}
    answers: Records = {}
    for scene in scenes:
        chosen = by_image.get(scene.image.image_id, [])
        # The chosen questions of an image, then those that they entail.
        keys = {(question.kind, question.subject): None for question in chosen}
        for question in chosen:
            keys |= dict.fromkeys(entailed_keys(question))
        first = scene.image.image_id * 1000
        ids = {key: f"{first + number:010d}" for number, key in enumerate(keys)}
        for number, (key, question_id) in enumerate(ids.items()):
            question = scene.question(*key)
            record = _record(question, scene, ids, gqa_text(question, rng))
            questions[question_id] = {**record, "isBalanced": number < len(chosen)}
            answers[question_id] = choices.of(question, scene)
    return questions, answers


def write_gqa(
    files: HouseTaskFiles,
    split: str,
    records: tuple[Records, Records],
    scenes: Sequence[QuestionScene],
    size: int,
) -> None:
    """Write the GQA files of a split.

    Args:
        size: Height and width of an image in pixels.
    """
    questions, choices = records
    balanced = {key: record for key, record in questions.items() if record["isBalanced"]}
    graphs = {Path(scene.image.file).stem: scene_graph(scene, size) for scene in scenes}
    write_json(files.gqa_questions(split), balanced)
    write_json(files.gqa_questions(split, balanced=False), questions)
    write_json(files.gqa_choices(split), choices)
    write_json(files.scene_graphs(split), graphs)


def _record(
    question: Example, scene: QuestionScene, ids: dict[Key, str], text: str
) -> dict[str, Any]:
    """Return the record of a question, without "isBalanced"."""
    kind = KINDS[question.kind]
    own = ids[question.kind, question.subject]
    return {
        "imageId": Path(scene.image.file).stem,
        "question": text,
        "answer": question.answer,
        "fullAnswer": _full_answer(question),
        "types": {
            "structural": kind.structural,
            "semantic": kind.semantic,
            "detailed": kind.detailed,
        },
        # Answers are balanced in a local group.
        "groups": {"global": kind.group, "local": "-".join((question.kind, *question.subject))},
        "semantic": program(question, scene),
        "entailed": [ids[key] for key in entailed_keys(question) if key in ids],
        "equivalent": [own, *(ids[key] for key in equivalent_keys(question) if key in ids)],
    }
