"""Files of GQA-form questions: balanced and all questions, choices, and scene graphs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from clipnav.storage.json_files import write_json
from clipnav.vl_tasks.house_tasks.files import HouseTaskFiles
from clipnav.vl_tasks.house_tasks.gqa_choices import AnswerChoices, group_names, scene_graph
from clipnav.vl_tasks.house_tasks.gqa_entailment import entailed_keys, equivalent_keys
from clipnav.vl_tasks.house_tasks.gqa_questions import KINDS, Key, Scene
from clipnav.vl_tasks.house_tasks.gqa_wording import full_answer, gqa_text, program
from clipnav.vl_tasks.house_tasks.questions import HouseQuestion

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
