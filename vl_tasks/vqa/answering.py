"""Answer questions about any image with the model of a run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from clipnav.encoders.explanations import Explanation, explain
from clipnav.storage.errors import UserError
from clipnav.training.checkpoints import VOCABULARY, load_model
from clipnav.training.distributed import check_device
from clipnav.vl_tasks.classification.answers import AnswerVocabulary, normalised
from clipnav.vl_tasks.classification.inputs import FeatureInputs, Source
from clipnav.vl_tasks.classification.task import ANSWERS
from clipnav.vl_tasks.clip_vil_p.fine_tuning import FineTuning
from clipnav.vl_tasks.data.images import read_image
from clipnav.vl_tasks.data.questions import Question
from clipnav.vl_tasks.grids.grids import Grids
from clipnav.vl_tasks.grids.regions import RegionSource
from clipnav.vl_tasks.grids.sources import GridSource, open_source, uncached_source
from clipnav.vl_tasks.settings.runs import QuestionConfig
from clipnav.vl_tasks.specs import read_question_config
from clipnav.vl_tasks.text.vocabulary import Vocabulary


@dataclass(frozen=True)
class OpenedRun:
    """Model of a run with its answers, and the inputs of images.

    Attributes:
        config: Settings of the run.
        answers: Answer vocabulary.
        inputs: Network in evaluation mode, and the images.
    """

    config: QuestionConfig
    answers: AnswerVocabulary
    inputs: FeatureInputs | FineTuning

    def logits(self, questions: Sequence[str]) -> Tensor:
        """Compute the logits (N, answers) of questions."""
        asked = as_questions(questions)
        logits = torch.empty(len(asked), len(self.answers))
        for rows, part in self.inputs.logits(asked):
            logits[torch.from_numpy(np.asarray(rows))] = part.cpu()
        return logits

    def scores(self, questions: Sequence[str]) -> Tensor:
        """Compute the scores 0..1 (N, answers) of questions, as the run was trained.

        They are independent of each other after binary cross-entropy, and add up to 1 after
        cross-entropy (GQA, and the published multilingual training).
        """
        logits = self.logits(questions)
        return logits.softmax(1) if self.config.is_exclusive else logits.sigmoid()


def as_questions(texts: Sequence[str]) -> list[Question]:
    """Return texts as questions about image 0."""
    if isinstance(texts, str):
        raise UserError(f"questions {texts!r}: must be a list of questions: [{texts!r}]")
    return [Question(number, 0, text) for number, text in enumerate(texts)]


def open_run(
    run: Path,
    images: Mapping[int, Path],
    device: str = "cpu",
    precision: str | None = None,
    cached: bool = False,
) -> OpenedRun:
    """Load the model of a run for images by id."""
    config = replace(read_question_config(run), device=device)
    if precision is not None:
        config = replace(config, grids=replace(config.grids, precision=precision))
    check_device(device)
    answers = AnswerVocabulary.load(run / ANSWERS)
    if config.is_fine_tuned:
        settings = replace(config.clip_vil_p, workers=0)
        config = replace(config, clip_vil_p=settings)
        inputs = FineTuning(config, answers.answers, images, run)
    else:
        words = Vocabulary.load(run / VOCABULARY, config.tokenizer)
        source: Source
        if config.vision and config.regions is not None:
            source = RegionSource(images, in_rows=config.REGIONS_IN_ROWS)
        elif cached:
            source = open_source(config, images)
        else:
            source = uncached_source(config, images, device)
        inputs = FeatureInputs(config, source, words, len(answers))
    load_model(run, inputs.network, inputs.metadata)
    inputs.network.eval()
    return OpenedRun(config, answers, inputs)


def answer_questions(
    run: str | Path,
    image: str | Path,
    questions: Sequence[str],
    count: int = 5,
    device: str = "cpu",
) -> list[list[tuple[str, float]]]:
    """Return the most probable answers to each question, with their scores 0..1.

    Args:
        run: Folder of the run.
        image: Image file, or .npz file of region features for a model that uses regions.
        questions: Questions about the image.
        count: Number of answers per question.
        device: Device of the model.

    Raises:
        FileNotFoundError: The folder is not a run, or the image file does not exist.
        UserError: The run belongs to another task or is damaged, the image cannot be read, or
            `questions` is a single text.
    """
    opened = open_run(Path(run), {0: Path(image)}, device)
    answers = opened.answers
    best = opened.scores(questions).topk(min(count, len(answers)))
    return [
        [(answers.answers[k], score) for score, k in zip(scores, classes, strict=True)]
        for scores, classes in zip(best.values.tolist(), best.indices.tolist(), strict=True)
    ]


def explain_answer(
    run: Path, image: Path, question: str, answer: str | None = None, device: str = "cpu"
) -> tuple[str, float, Explanation]:
    """Explain the score of an answer under the model of a run.

    Args:
        answer: Answer from the model's vocabulary, or one that is normalised to such an answer;
            default: the model's own answer.
    """
    if read_question_config(run).regions is not None:
        raise UserError(
            f"{run}: this model uses region features; choose a run that uses grid features"
        )
    # Gradients in lower precision are too coarse.
    opened = open_run(run, {0: image}, device, precision="fp32")
    inputs = opened.inputs
    if isinstance(inputs, FeatureInputs) and not isinstance(inputs.source, GridSource):
        raise UserError(
            f"{run}: this model was trained with --no-vision; choose a run that uses images"
        )
    scores = opened.scores([question])[0]
    answers = opened.answers
    number = int(scores.argmax()) if answer is None else _class_of(answer, answers, run / ANSWERS)
    if isinstance(inputs, FineTuning):
        explanation = inputs.explain(as_questions([question]), number)
    else:
        explanation = _explain_features(inputs, read_image(image), question, number)
    return answers.answers[number], scores[number].item(), explanation


def _class_of(answer: str, answers: AnswerVocabulary, path: Path) -> int:
    number = answers.classes.get(answer, answers.normalised_classes.get(normalised(answer)))
    if number is None:
        raise UserError(f"{path}: has no answer {answer!r}; choose an answer of this file")
    return number


def _explain_features(inputs: FeatureInputs, image: Any, question: str, number: int) -> Explanation:
    """Explain the score of an answer by its class with a model over grid features."""
    assert isinstance(inputs.source, GridSource)
    config = inputs.config
    asked = as_questions([question])
    grids, tokens = inputs.batch(asked, inputs.encode(asked), np.arange(1))

    def score(grid: torch.Tensor) -> torch.Tensor:
        features = Grids(grid.flatten(1, 2).float(), grids.mask, grids.shape)
        return inputs.network(features, tokens)[0, number]

    sizes = (config.grids.image_size, config.grids.fit)
    return explain(inputs.source.encoder, image, score, "grid", *sizes)
