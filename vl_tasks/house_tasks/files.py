"""Files of the house tasks, in the formats of VQA v2, SNLI-VE, Karpathy's COCO split and LXMERT.

`gqa_files` writes the files in the format of GQA.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clipnav.storage import write_text
from clipnav.storage.json_files import write_json
from clipnav.vl_tasks.data.questions import Question, write_questions
from clipnav.vl_tasks.house_tasks.balance import Example
from clipnav.vl_tasks.house_tasks.hypotheses import LETTERS
from clipnav.vl_tasks.house_tasks.images import HouseImage
from clipnav.vl_tasks.house_tasks.languages.lexicons import LANGUAGES_FOLDER
from clipnav.vl_tasks.text.ptb import python_words

# Names of the splits in Karpathy's file.
_KARPATHY = {"train": "train", "val_seen": "val", "val_unseen": "test"}
# Questions with soft scores of their answers, by source and image id.
LabelledQuestions = Mapping[str, Mapping[int, Sequence[tuple[str, Mapping[str, float]]]]]
_TYPES = {
    "existence": "is there",
    "count": "how many",
    "colour": "what colour is the",
    "position": "where is the",
    "nearer": "which is nearer",
    "room": "which room is this",
}
_ANSWER_TYPES = {"existence": "yes/no", "count": "number"}


@dataclass(frozen=True)
class HouseTaskFiles:
    """Files of the house tasks.

    Attributes:
        folder: The folder of the files.
    """

    folder: Path

    def in_language(self, language: str) -> HouseTaskFiles:
        """Return the files of the questions and pairs in another language than English."""
        return HouseTaskFiles(self.folder / LANGUAGES_FOLDER / language)

    def images(self, split: str) -> Path:
        """Return the image folder of a split."""
        return self.folder / "images" / split

    def questions(self, split: str) -> Path:
        """Return the questions file of a split, in the format of VQA v2."""
        return self.folder / f"v2_OpenEnded_houses_{split}_questions.json"

    def annotations(self, split: str) -> Path:
        """Return the annotations file of a split, in the format of VQA v2."""
        return self.folder / f"v2_houses_{split}_annotations.json"

    def hypotheses(self, split: str) -> Path:
        """Return the hypotheses file of a split, in the format of SNLI-VE."""
        return self.folder / f"snli_ve_{split}.jsonl"

    def gqa_questions(self, split: str, balanced: bool = True) -> Path:
        """Return the file of the balanced or of all questions of a split, in the format of GQA."""
        return self.folder / f"{split}_{'balanced' if balanced else 'all'}_questions.json"

    def gqa_choices(self, split: str) -> Path:
        """Return the file of the valid and plausible answers of a split, in the format of GQA."""
        return self.folder / f"{split}_choices.json"

    def scene_graphs(self, split: str) -> Path:
        """Return the file of the scene graphs of a split, in the format of GQA."""
        return self.folder / f"{split}_sceneGraphs.json"

    def pairs(self, split: str) -> Path:
        """Return the file of the pre-training pairs of a split, in the format of LXMERT."""
        return self.folder / f"lxmert_{split}.json"

    @property
    def captions(self) -> Path:
        """Captions file of all splits in Karpathy's format; `_KARPATHY` maps the split names."""
        return self.folder / "dataset_houses.json"

    @property
    def summary(self) -> Path:
        """File of the settings and the accuracy of blind baselines; it is written last."""
        return self.folder / "house_tasks.json"


def write_house_questions(
    files: HouseTaskFiles, split: str, questions: Sequence[tuple[Example, str]]
) -> list[Question]:
    """Write questions with their texts, and annotations in which all annotators agree.

    The question id is the image id times 1000, plus the number of the question for the image.
    """
    counts: Counter[int] = Counter()
    records = []
    for question, text in questions:
        image_id = question.image.image_id
        records.append(
            Question(
                question_id=image_id * 1000 + counts[image_id],
                image_id=image_id,
                text=text,
                answers=(question.answer,),
                question_type=_TYPES[question.kind],
                answer_type=_ANSWER_TYPES.get(question.kind, "other"),
                majority_answer=question.answer,
            )
        )
        counts[image_id] += 1
    write_questions(records, files.questions(split), files.annotations(split), "houses", split)
    return records


def write_house_hypotheses(
    files: HouseTaskFiles,
    split: str,
    hypotheses: Sequence[tuple[Example, str]],
    captions: dict[int, list[str]],
) -> None:
    """Write hypotheses with their texts, one per line; the premise is a caption of the image."""
    lines, counts = [], Counter[int]()
    for hypothesis, text in hypotheses:
        image_id, label = hypothesis.image.image_id, hypothesis.answer
        stem = Path(hypothesis.image.file).stem
        number = counts[image_id]
        counts[image_id] += 1
        record = {
            "annotator_labels": [label],
            "captionID": f"{stem}.jpg#0",
            "gold_label": label,
            "pairID": f"{stem}.jpg#0r{number}{LETTERS[label]}",
            "sentence1": sentence(captions[image_id][0]),
            "sentence2": text,
            "Flickr30K_ID": stem,
        }
        lines.append(json.dumps(record) + "\n")
    write_text(files.hypotheses(split), "".join(lines))


def write_house_captions(
    files: HouseTaskFiles, images: dict[str, list[HouseImage]], captions: dict[int, list[str]]
) -> None:
    """Write the captions of all splits."""
    records: list[dict[str, Any]] = []
    number = 0
    for split, images_of_split in images.items():
        for image in images_of_split:
            raw = [sentence(text) for text in captions[image.image_id]]
            sentences = [
                {
                    "tokens": python_words(text),
                    "raw": text,
                    "imgid": len(records),
                    "sentid": number + k,
                }
                for k, text in enumerate(raw)
            ]
            number += len(raw)
            records.append(
                {
                    "filepath": split,
                    "filename": image.file,
                    "sentids": [record["sentid"] for record in sentences],
                    "imgid": len(records),
                    "cocoid": image.image_id,
                    "split": _KARPATHY[split],
                    "sentences": sentences,
                }
            )
    write_json(files.captions, {"dataset": "houses", "images": records})


def write_pairs(
    files: HouseTaskFiles,
    split: str,
    images: Sequence[HouseImage],
    captions: Mapping[int, Sequence[str]],
    questions: LabelledQuestions,
) -> int:
    """Write the pairs of a split for pre-training, in the format of LXMERT.

    A list of {"img_id", "sentf": {source: [sentence, ...]}, "labelf": {source: [{answer: score},
    ...]}}. Questions have answers, captions have none.
    """
    records = []
    for image in images:
        sentences = {"captions": list(captions[image.image_id])}
        labels = {}
        for source, by_image in questions.items():
            labelled = by_image.get(image.image_id, ())
            if labelled:
                sentences[source] = [text for text, _ in labelled]
                labels[source] = [dict(scores) for _, scores in labelled]
        records.append({"img_id": Path(image.file).stem, "sentf": sentences, "labelf": labels})
    write_json(files.pairs(split), records)
    return sum(len(texts) for record in records for texts in record["sentf"].values())


def sentence(caption: str) -> str:
    """Return a caption as a sentence, with a capital and a full stop."""
    return f"{caption[0].upper()}{caption[1:]}."
