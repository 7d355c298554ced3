"""Files of GQA-form questions: balanced and all questions, choices, and scene graphs."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from clipnav.storage.json_files import write_json
from clipnav.vl_tasks.house_tasks.files import HouseTaskFiles
from clipnav.vl_tasks.house_tasks.gqa_choices import AnswerChoices, group_names, scene_graph
from clipnav.vl_tasks.house_tasks.gqa_questions import KINDS, OPPOSITE, Key, Scene
from clipnav.vl_tasks.house_tasks.gqa_wording import full_answer, gqa_text, program
from clipnav.vl_tasks.house_tasks.questions import HouseQuestion


def entailed_keys(question: HouseQuestion) -> list[Key]:
    """Return kind and subject of the questions that an answered question entails."""
    return list(_ENTAILED[question.kind](question.answer, *question.subject))


def equivalent_keys(question: HouseQuestion) -> list[Key]:
    """Return kind and subject of the questions with the same meaning as a question."""
    if question.kind != "verify-side":
        return []
    first, side, second = question.subject
    return [("verify-side", (second, OPPOSITE[side], first))]


Entail = Callable[..., Iterator[Key]]


def _existence(answer: str, *names: str) -> Iterator[Key]:
    for name in names:
        yield "existence", (name,)


def _colour(answer: str, name: str) -> Iterator[Key]:
    yield from _existence(answer, name)
    yield "verify-colour", (name, answer)


def _verify_colour(answer: str, name: str, colour: str) -> Iterator[Key]:
    yield from _existence(answer, name)
    if answer == "yes":
        yield "colour", (name,)


def _choose_colour(answer: str, name: str, *colours: str) -> Iterator[Key]:
    yield from _existence(answer, name)
    yield "colour", (name,)
    for colour in colours:
        yield "verify-colour", (name, colour)


def _room(answer: str) -> Iterator[Key]:
    yield "verify-room", (answer,)


def _verify_room(answer: str, room: str) -> Iterator[Key]:
    if answer == "yes":
        yield "room", ()


def _choose_room(answer: str, *rooms: str) -> Iterator[Key]:
    yield "room", ()
    for room in rooms:
        yield "verify-room", (room,)


def _choose_side(answer: str, first: str, second: str) -> Iterator[Key]:
    yield from _existence(answer, first, second)
    yield "choose-side", (second, first)
    for side in OPPOSITE:
        yield "verify-side", (first, side, second)
        yield "verify-side", (second, side, first)


def _verify_side(answer: str, first: str, side: str, second: str) -> Iterator[Key]:
    yield from _existence(answer, first, second)
    yield "verify-side", (second, OPPOSITE[side], first)
    if answer == "yes":
        yield "verify-side", (first, OPPOSITE[side], second)
        yield "choose-side", (first, second)


def _query_object(answer: str, side: str, name: str) -> Iterator[Key]:
    yield from _existence(answer, answer, name)
    yield "verify-side", (answer, side, name)
    yield "choose-side", (answer, name)


def _both(answer: str, *names: str) -> Iterator[Key]:
    if answer == "yes":
        yield from _existence(answer, *names)
        yield "either", names


def _either(answer: str, *names: str) -> Iterator[Key]:
    if answer == "no":
        yield from _existence(answer, *names)
        yield "both", names


def _nothing(answer: str, *subject: str) -> Iterator[Key]:
    yield from ()


_ENTAILED: dict[str, Entail] = {
    "query-object": _query_object,
    "same-colour": _existence,
    "nearer": _existence,
    "choose-room": _choose_room,
    "verify-room": _verify_room,
    "room": _room,
    "choose-colour": _choose_colour,
    "verify-colour": _verify_colour,
    "colour": _colour,
    "choose-side": _choose_side,
    "verify-side": _verify_side,
    "position": _existence,
    "both": _both,
    "either": _either,
    "existence": _nothing,
}


Records = dict[str, dict[str, Any]]


def gqa_records(
    scenes: Sequence[Scene],
    balanced: Sequence[HouseQuestion],
    choices: AnswerChoices,
    rng: np.random.Generator,
) -> tuple[Records, Records]:
    """Return the records of questions and of their choices, by question id.

    The questions that a balanced question entails are added as unbalanced questions. The question
    id is the image id times 1000, plus the number of the question for the image.
    """
    by_image: dict[int, list[HouseQuestion]] = {}
    for question in balanced:
        by_image.setdefault(question.image.image_id, []).append(question)
    questions: Records = {}
    answers: Records = {}
    for scene in scenes:
        chosen = by_image.get(scene.image.image_id, [])
        ids = _numbered(scene, chosen)
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
    scenes: Sequence[Scene],
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


def _numbered(scene: Scene, chosen: Sequence[HouseQuestion]) -> dict[Key, str]:
    """Return the ids of the chosen questions of an image, then of those that they entail."""
    keys = {(question.kind, question.subject): None for question in chosen}
    for question in chosen:
        keys |= dict.fromkeys(entailed_keys(question))
    first = scene.image.image_id * 1000
    return {key: f"{first + number:010d}" for number, key in enumerate(keys)}


def _record(
    question: HouseQuestion, scene: Scene, ids: dict[Key, str], text: str
) -> dict[str, Any]:
    """Return the record of a question, without "isBalanced"."""
    kind = KINDS[question.kind]
    own = ids[question.kind, question.subject]
    return {
        "imageId": Path(scene.image.file).stem,
        "question": text,
        "answer": question.answer,
        "fullAnswer": full_answer(question),
        "types": {
            "structural": kind.structural,
            "semantic": kind.semantic,
            "detailed": kind.detailed,
        },
        "groups": group_names(question),
        "semantic": program(question, scene),
        "entailed": [ids[key] for key in entailed_keys(question) if key in ids],
        "equivalent": [own, *(ids[key] for key in equivalent_keys(question) if key in ids)],
    }
