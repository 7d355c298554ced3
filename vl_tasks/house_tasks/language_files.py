"""Files of the house tasks in further languages, in the formats of VQA v2 and LXMERT.

The folder languages/LANGUAGE contains the questions of each split, with the ids of the English
ones, whose annotations they share, and pairs for pre-training.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from clipnav.vl_tasks.data.question_files import write_question_file
from clipnav.vl_tasks.data.questions import Question
from clipnav.vl_tasks.house_tasks.captions import CAPTIONS, largest_things, side_of
from clipnav.vl_tasks.house_tasks.files import HouseTaskFiles
from clipnav.vl_tasks.house_tasks.images import HouseImage
from clipnav.vl_tasks.house_tasks.languages.lexicons import ENGLISH, LANGUAGES
from clipnav.vl_tasks.house_tasks.languages.wording import (
    PlannedQuestion,
    PlannedThing,
    word_caption,
    word_questions,
)
from clipnav.vl_tasks.house_tasks.pairs import write_pairs
from clipnav.vl_tasks.house_tasks.questions import HouseQuestion

_MAX_THINGS = 2  # in a caption
_WITH_ROOM = 0.5  # share of captions that name the room, if it is clearly visible
_COLOURED = 0.7  # share of things whose colour is mentioned


def write_language(
    files: HouseTaskFiles,
    split: str,
    language: str,
    questions: Sequence[tuple[HouseQuestion, Question]],
    images: Sequence[HouseImage],
    rng: np.random.Generator,
) -> None:
    """Write the questions and the pre-training pairs of a split in a language."""
    own = files.in_language(language)
    own.folder.mkdir(parents=True, exist_ok=True)
    planned = [PlannedQuestion(one.kind, one.subject, one.answer) for one, _ in questions]
    texts = word_questions(language, planned, rng)
    records = [
        replace(record, text=text) for (_, record), text in zip(questions, texts, strict=True)
    ]
    write_question_file(records, own.questions(split), "houses", split)
    captions = {image.image_id: _captions(language, image, rng) for image in images}
    labelled: dict[int, list[tuple[str, dict[str, float]]]] = {}
    for record in records:
        label = {record.majority_answer: 1.0}
        labelled.setdefault(record.image_id, []).append((record.text, label))
    write_pairs(own, split, images, captions, {"vqa": labelled})


def remove_other_languages(
    files: HouseTaskFiles, languages: Sequence[str], splits: Sequence[str]
) -> None:
    """Remove the files of languages that are not written again.

    Their texts would describe the images of an earlier call, whose ids and names the new ones have.
    """
    for language in set(LANGUAGES) - {ENGLISH, *languages}:
        own = files.in_language(language)
        for split in splits:
            own.questions(split).unlink(missing_ok=True)
            own.pairs(split).unlink(missing_ok=True)


def _captions(language: str, image: HouseImage, rng: np.random.Generator) -> list[str]:
    """Return captions of an image, each about at most two things of other names.

    Half of them also name the room, if these things are in it.
    """
    captions = []
    for _ in range(CAPTIONS):
        room = image.room if rng.random() < _WITH_ROOM else ""
        things = largest_things(image, in_room=bool(room))
        count = min(len(things), int(rng.integers(1, _MAX_THINGS + 1)))
        chosen = sorted(rng.permutation(len(things))[:count].tolist())
        planned = [
            PlannedThing(
                things[k].name,
                things[k].colour if rng.random() < _COLOURED else "",
                side_of(things[k]),
            )
            for k in chosen
        ]
        captions.append(word_caption(language, planned, room if planned else "", rng))
    return captions
