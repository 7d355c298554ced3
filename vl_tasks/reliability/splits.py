"""Questions of a split, with the files that they come from."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from clipnav.vl_tasks.data.questions import Question, question_images, read_questions, wanted_images
from clipnav.vl_tasks.data_folders import data_folder, image_folder, split_file
from clipnav.vl_tasks.grids.regions import find_regions
from clipnav.vl_tasks.vqa.settings import VqaConfig


@dataclass(frozen=True)
class QuestionSplit:
    """Questions with answers.

    Attributes:
        questions_file: Questions file.
        annotations_file: Annotations file.
        questions: The questions.
    """

    questions_file: Path
    annotations_file: Path
    questions: list[Question]


def read_split(folder: Path, split: str, flag: str = "--split") -> QuestionSplit:
    """Read the questions of a split in a data folder."""
    questions = split_file(folder, split, "_questions.json", flags=flag)
    annotations = split_file(folder, split, "_annotations.json", flags=flag)
    return QuestionSplit(questions, annotations, read_questions(questions, annotations))


def input_files(config: VqaConfig, questions: list[Question]) -> Mapping[int, Path]:
    """Return the image files, or region files, that the model of a run reads, by image id."""
    if not config.vision:
        return {}
    if config.regions is not None:
        return find_regions(config.regions, wanted_images(questions))
    return question_images(questions, image_folder(config, data_folder(config)))
