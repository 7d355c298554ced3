"""Where the built-in tasks lie, in the file formats of VQA v2, SNLI-VE and Karpathy's COCO."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from storage import write_text
from vl_tasks.data.question_files import write_questions
from vl_tasks.data.questions import Question
from vl_tasks.house_tasks.hypotheses import LETTERS, Stated
from vl_tasks.house_tasks.questions import Asked, answer_type
from vl_tasks.house_tasks.views import View
from vl_tasks.text.ptb import python_words

# Names of splits in Karpathy's file.
KARPATHY = {"train": "train", "val_seen": "val", "val_unseen": "test"}
_TYPES = {
    "existence": "is there",
    "count": "how many",
    "colour": "what colour is the",
    "position": "where is the",
    "nearer": "which is nearer",
    "room": "which room is this",
}


@dataclass(frozen=True)
class HouseTaskFiles:
    """Files of the built-in tasks.

    Attributes:
        folder: Where they lie.
    """

    folder: Path

    def images(self, split: str) -> Path:
        """Folder of the pictures of a split."""
        return self.folder / "images" / split

    @property
    def all_images(self) -> Path:
        """Folder of the folders of pictures: the root of the files in Karpathy's form."""
        return self.folder / "images"

    def questions(self, split: str) -> Path:
        """Questions file in the form of VQA v2."""
        return self.folder / f"v2_OpenEnded_houses_{split}_questions.json"

    def annotations(self, split: str) -> Path:
        """Annotations file in the form of VQA v2."""
        return self.folder / f"v2_houses_{split}_annotations.json"

    def hypotheses(self, split: str) -> Path:
        """Hypotheses file in the form of SNLI-VE."""
        return self.folder / f"snli_ve_{split}.jsonl"

    @property
    def captions(self) -> Path:
        """Captions of all splits in Karpathy's form; see `KARPATHY` for their names there."""
        return self.folder / "dataset_houses.json"

    @property
    def summary(self) -> Path:
        """How the tasks were made, and what a model reaches that does not look. Written last."""
        return self.folder / "house_tasks.json"


def write_asked(files: HouseTaskFiles, split: str, asked: Sequence[tuple[Asked, str]]) -> None:
    """Write questions and annotations; all annotators give the one true answer.

    A question's id is its picture's times 1000, plus its place among that picture's questions.
    """
    places: Counter[int] = Counter()
    questions = []
    for one, text in asked:
        image_id = one.view.image_id
        questions.append(
            Question(
                question_id=image_id * 1000 + places[image_id],
                image_id=image_id,
                text=text,
                answers=(one.answer,),
                question_type=_TYPES[one.kind],
                answer_type=answer_type(one),
                majority_answer=one.answer,
            )
        )
        places[image_id] += 1
    write_questions(questions, files.questions(split), files.annotations(split), "houses", split)


def write_stated(
    files: HouseTaskFiles,
    split: str,
    stated: Sequence[tuple[Stated, str]],
    captions: dict[int, list[str]],
) -> None:
    """Write hypotheses, one a line; the premise in words is a caption of the picture."""
    lines, places = [], Counter[int]()
    for one, text in stated:
        stem = Path(one.view.file).stem
        number = places[one.view.image_id]
        places[one.view.image_id] += 1
        record = {
            "annotator_labels": [one.label],
            "captionID": f"{stem}.jpg#0",
            "gold_label": one.label,
            "pairID": f"{stem}.jpg#0r{number}{LETTERS[one.label]}",
            "sentence1": sentence(captions[one.view.image_id][0]),
            "sentence2": text,
            "Flickr30K_ID": stem,
        }
        lines.append(json.dumps(record) + "\n")
    write_text(files.hypotheses(split), "".join(lines))


def write_captioned(
    files: HouseTaskFiles, views: dict[str, list[View]], captions: dict[int, list[str]]
) -> None:
    """Write the captions of all splits."""
    images: list[dict[str, Any]] = []
    number = 0
    for split, pictures in views.items():
        for view in pictures:
            raw = [sentence(text) for text in captions[view.image_id]]
            sentences = [
                {
                    "tokens": python_words(text),
                    "raw": text,
                    "imgid": len(images),
                    "sentid": number + k,
                }
                for k, text in enumerate(raw)
            ]
            number += len(raw)
            images.append(
                {
                    "filepath": split,
                    "filename": view.file,
                    "sentids": [one["sentid"] for one in sentences],
                    "imgid": len(images),
                    "cocoid": view.image_id,
                    "split": KARPATHY[split],
                    "sentences": sentences,
                }
            )
    _write(files.captions, {"dataset": "houses", "images": images})


def sentence(caption: str) -> str:
    """A caption as a sentence."""
    return f"{caption[0].upper()}{caption[1:]}."


def _write(path: Path, content: dict[str, Any]) -> None:
    write_text(path, json.dumps(content, separators=(",", ":")) + "\n")
