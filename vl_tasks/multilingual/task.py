"""Visual question answering in several languages, scored in each."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from clipnav.storage.errors import UserError
from clipnav.vl_tasks.classification.answers import UNKNOWN, AnswerVocabulary
from clipnav.vl_tasks.clip_vil_p.fine_tuning import FineTuning
from clipnav.vl_tasks.data.images import first_file
from clipnav.vl_tasks.data.questions import Question
from clipnav.vl_tasks.data_folders import image_folders, split_file
from clipnav.vl_tasks.multilingual.questions import (
    LanguageQuestion,
    by_language,
    in_language,
    read_language_questions,
    read_tsv,
)
from clipnav.vl_tasks.settings.runs import HELD_OUT
from clipnav.vl_tasks.subsets import evenly_spaced, held_out_names
from clipnav.vl_tasks.text.normalising import Variant
from clipnav.vl_tasks.training import FinalScores, write_on_first_rank
from clipnav.vl_tasks.vqa.accuracy import VqaScores, score_predictions
from clipnav.vl_tasks.vqa.settings import VqaConfig
from clipnav.vl_tasks.vqa.task import VqaTask, scaled_answer_loss

_FITTED = 500  # images that the projection of grid features is fitted to


@dataclass(frozen=True)
class MultilingualScores:
    """Scores of a split, in percent.

    Attributes:
        accuracy: Mean official accuracy over the languages.
        languages: Official scores of each language.
        consistency: Share of the questions that all languages have whose answers are the same in
            all languages; None with one language, or without such questions.
        agreement: Share of these questions whose answers are those of the first language, by
            further language.
        shared: Number of questions that all languages have.
    """

    accuracy: float
    languages: dict[str, VqaScores]
    consistency: float | None
    agreement: dict[str, float]
    shared: int

    @property
    def text(self) -> str:
        """The scores in a line."""
        parts = ", ".join(f"{name} {one.overall:.2f}" for name, one in self.languages.items())
        variant = next(iter(self.languages.values())).variant
        count = sum(one.questions for one in self.languages.values())
        line = (
            f"accuracy {self.accuracy:.2f} ({variant}, {count} questions in "
            f"{len(self.languages)} language{'s' * (len(self.languages) > 1)}): {parts}"
        )
        return line if self.consistency is None else f"{line}; consistency {self.consistency:.2f}"


def score_languages(
    questions: Sequence[LanguageQuestion],
    predictions: Mapping[str, Mapping[int, str]],
    variant: Variant = "V2",
) -> MultilingualScores:
    """Score answers in several languages."""
    groups = by_language(questions)
    if not groups:
        raise UserError("no question to score")
    languages = {
        name: score_predictions(own, predictions.get(name, {}), variant)
        for name, own in groups.items()
    }
    accuracy = sum(one.overall for one in languages.values()) / len(languages)
    shared = set.intersection(*({one.question_id for one in own} for own in groups.values()))
    if len(groups) < 2 or not shared:
        return MultilingualScores(accuracy, languages, None, {}, len(shared))
    first, *others = (predictions[name] for name in groups)
    same = [sum(first[key] == other[key] for key in shared) for other in others]
    everywhere = sum(all(first[key] == other[key] for other in others) for key in shared)
    agreement = {
        name: 100 * count / len(shared) for name, count in zip([*groups][1:], same, strict=True)
    }
    consistency = 100 * everywhere / len(shared)
    return MultilingualScores(accuracy, languages, consistency, agreement, len(shared))


class MultilingualTask(VqaTask):
    """Multilingual VQA network with its training and evaluation questions."""

    def __init__(self, config: VqaConfig) -> None:
        self._photos: dict[str, int] = {}  # ids of the images of TSV files by name
        self._listed = None if config.answers is None else AnswerVocabulary.load(config.answers)
        if config.select_by == HELD_OUT and config.asked_languages != config.languages:
            raise UserError(
                f"--select-by {HELD_OUT} evaluates training questions, which are in the languages "
                "of --languages; omit --evaluation-languages, or name a validation split"
            )
        super().__init__(config)
        classes = [self.answers.classes.get(_label(one), 0) for one in self.examples]
        self._classes = torch.tensor(classes)
        ids = [one.question_id for one in self.examples]
        self._numbers = np.unique(ids, return_inverse=True)[1]  # of the questions, in any language
        count = len(config.languages)
        self._agreement = config.agreement if count > 1 and not config.faithful else 0.0
        if self._agreement:
            self.encoded = self.encoded._replace(groups=self._numbers, group_size=count)

    def loss_of(self, logits: Tensor, rows: np.ndarray) -> Tensor:
        """Compute the loss of the training questions `rows` from their logits.

        Binary cross-entropy with soft scores, and with --agreement that with the probabilities of
        the mean logits over the languages; or with --faithful cross-entropy with the most frequent
        answer as the only correct one.
        """
        config = self.config
        if config.faithful:
            return F.cross_entropy(logits, self._classes[rows].to(logits.device))
        loss = super().loss_of(logits, rows)
        if not self._agreement:
            return loss
        mean = group_means(logits.detach(), self._numbers[rows])
        return loss + self._agreement * scaled_answer_loss(logits, mean.sigmoid(), config)

    def score(self, split: str) -> dict[str, float]:
        """Return accuracies 0..1 on a split and the consistency."""
        scores, _ = self._scores(self.splits[split])
        by_name = {f"accuracy_{name}": one.overall for name, one in scores.languages.items()}
        consistency = scores.consistency
        figures = by_name if consistency is None else {**by_name, "consistency": consistency}
        return {
            "accuracy": scores.accuracy / 100,
            **{name: value / 100 for name, value in figures.items()},
        }

    def final_scores(self, split: str) -> Iterator[FinalScores]:
        """Yield the scores of a split."""
        scores, answers = self._scores(self.splits[split])
        results, text = asdict(scores), f"{split}: {scores.text}"
        if self.config.faithful:
            questions = cast(Sequence[LanguageQuestion], self.splits[split])
            results["top_1"] = 100 * self._top_1(questions, answers)
            text += f"; published top-1 accuracy {results['top_1']:.2f}"
        yield FinalScores(split, results, text)

    def write_submission(self, split: str, path: Path) -> None:
        """Write the answers of the first language, and those of the others beside them."""
        groups = by_language(cast(Sequence[LanguageQuestion], self.splits[split]))
        for number, (name, questions) in enumerate(groups.items()):
            own = path.with_name(f"{path.stem}_{name}{path.suffix}") if number else path
            answers = self.answer(questions).items()
            rows = [{"question_id": key, "answer": answer} for key, answer in answers]
            write_on_first_rank(own, rows)

    def _scores(
        self, questions: Sequence[Question]
    ) -> tuple[MultilingualScores, dict[str, dict[int, str]]]:
        """Return the scores and the answers by language."""
        own = cast(Sequence[LanguageQuestion], questions)
        answers = {name: self.answer(group) for name, group in by_language(own).items()}
        scored = {name: self.as_annotated(group) for name, group in answers.items()}
        return score_languages(own, scored, self.config.variant), answers

    def _top_1(
        self, questions: Sequence[LanguageQuestion], answers: dict[str, dict[int, str]]
    ) -> float:
        """Return the accuracy 0..1 of the published code, where unknown answers are a class."""
        labels = [_label(one) for one in questions]
        expected = [label if label in self.answers.classes else UNKNOWN for label in labels]
        given = [answers[one.language][one.question_id] for one in questions]
        return float(np.mean(np.array(given) == np.array(expected)))

    def read_training(self, split: str) -> list[Any]:
        """Read the questions of a training split in all languages."""
        return [*self._read_languages(split, self.config.languages)]

    def read(self, split: str, secret: bool = False) -> list[Any]:
        """Read the questions of a split in the languages of the evaluation."""
        return [*self._read_languages(split, self.config.asked_languages, secret)]

    def _read_languages(
        self, split: str, languages: Sequence[str], secret: bool = False
    ) -> list[LanguageQuestion]:
        """Read the questions of a split in some languages."""
        config = self.config
        if self._own is not None:
            if len({*config.languages, *config.asked_languages}) > 1:
                raise UserError(
                    f"{self._own.path}: its questions have no language; give one of --languages, "
                    "or a TSV file with the column lang"
                )
            return [*in_language(super().read(split, secret), languages[0])]
        tables = sorted(self.folder.glob("*.tsv"))
        if not tables:
            return [*read_language_questions(self.folder, split, languages, secret)]
        path = split_file(self.folder, split, ".tsv")
        listed = None if self._listed is None else self._listed.answers
        questions = read_tsv(path, listed, self._photos)
        present = by_language(questions)
        for language in languages:
            if language not in present:
                raise UserError(
                    f"{path}: it has no question in the language {language}, only in "
                    f"{', '.join(present)}; change --languages or --evaluation-languages"
                )
        return [one for language in languages for one in present[language]]

    def held_out_name(self, record: Any) -> int | str:
        """Return the image of a question as `is_held_out` takes it."""
        return self._tsv_names[record.image_id] if self._photos else super().held_out_name(record)

    @cached_property
    def _tsv_names(self) -> dict[int, str]:
        """Names of the images of TSV files by id, as the pre-training has them."""
        names = held_out_names([*self._photos])
        return dict(zip(self._photos.values(), names, strict=True))

    def images(self) -> Mapping[Any, Path]:
        """Find the images of all questions by id."""
        if not self._photos:
            return super().images()
        folders = image_folders(self.config, self.folder)
        used = {one.image_id for one in self.wanted()}
        paths: dict[int, Path] = {}
        for name, number in self._photos.items():
            path = first_file(folders, name)
            if path is not None:
                paths[number] = path
            elif number in used:
                searched = " or ".join(map(str, folders))
                raise FileNotFoundError(
                    f"{self.folder}: there is no image {name} in {searched}; set --images to the "
                    "folder of the images"
                )
        return paths

    def make_inputs(self) -> FineTuning:
        """Build the network, from a pre-trained or a new one, and its inputs."""
        config, images = self.config, self.images()
        texts = [one.text for one in self.examples]
        inputs = FineTuning(config, self.answers.answers, images, config.resume, texts)
        if config.resume is None and config.start_from is None:
            paths = [images[number] for number in dict.fromkeys(q.image_id for q in self.examples)]
            inputs.standardise([paths[k] for k in evenly_spaced(len(paths), _FITTED)])
        return inputs

    def choose_answers(self, examples: Sequence[Any]) -> AnswerVocabulary:
        """Return the answers; the published code has a class for unknown ones."""
        known = super().choose_answers(examples)
        if self.config.resume is not None or not self.config.faithful or UNKNOWN in known.classes:
            return known
        return AnswerVocabulary([UNKNOWN, *known.answers])  # class 0, as in the published code

    def count_answers(self, examples: Sequence[LanguageQuestion]) -> AnswerVocabulary:
        """Return the classes of a new run; each question counts once, in its first language."""
        distinct = {one.question_id: one for one in reversed(examples)}
        return super().count_answers([*reversed(distinct.values())])


def group_means(values: Tensor, groups: np.ndarray) -> Tensor:
    """Replace each row of values (B, N) by the mean over the rows of its group.

    Args:
        groups: Number of the group of each row: (B,).
    """
    _, places, counts = np.unique(groups, return_inverse=True, return_counts=True)
    index = torch.from_numpy(places).to(values.device)
    sums = values.new_zeros(len(counts), values.shape[1]).index_add(0, index, values)
    return (sums / torch.from_numpy(counts).to(values)[:, None])[index]


def _label(question: Question) -> str:
    """Return the most frequent answer, not normalised, as the published code looks it up."""
    return question.majority_answer or question.answers[0]
