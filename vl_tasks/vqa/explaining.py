"""Explain an answer: highlight the image regions that support it."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from clipnav.encoders.explanations import Explanation, explain
from clipnav.storage.errors import UserError
from clipnav.vl_tasks.classification.answers import AnswerVocabulary, normalised
from clipnav.vl_tasks.classification.inputs import FeatureInputs
from clipnav.vl_tasks.classification.task import ANSWERS
from clipnav.vl_tasks.clip_vil_p.fine_tuning import FineTuning
from clipnav.vl_tasks.data.images import read_image
from clipnav.vl_tasks.grids.grids import Grids
from clipnav.vl_tasks.grids.sources import GridSource
from clipnav.vl_tasks.specs import read_question_config
from clipnav.vl_tasks.vqa.answering import as_questions, open_run


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
