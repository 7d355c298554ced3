"""Explain an answer: highlight the image regions that support it."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from encoders.explanations import Explanation, explain
from storage.errors import UserError
from vl_tasks.data.images import read_image
from vl_tasks.grids.grids import Grids
from vl_tasks.grids.sources import GridSource
from vl_tasks.settings.gqa import read_question_config
from vl_tasks.vqa.answering import as_questions, open_run
from vl_tasks.vqa.inputs import FeatureInputs, FineTuningInputs
from vl_tasks.vqa.learning import ANSWERS


def explain_answer(
    run: Path, image: Path, question: str, answer: str | None = None, device: str = "cpu"
) -> tuple[str, Explanation]:
    """Explain the score of an answer under the model of a run.

    Args:
        run: Folder of the run.
        image: Image file.
        question: Question about the image.
        answer: Answer from the model's vocabulary; default: the model's own answer.
        device: Device of the model.

    Returns:
        The answer, and the relevance of the image regions.

    Raises:
        FileNotFoundError: The folder is not a run, or the image file does not exist.
        UserError: The run belongs to another task, is damaged, uses no grid features, or its
            answer vocabulary does not contain the answer.
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
    if answer is None:
        answer = opened.answers.answers[int(opened.logits([question])[0].argmax())]
    if answer not in opened.answers.answers:
        raise UserError(
            f"{run}: the answer {answer!r} is not in {run / ANSWERS}; choose an answer of this file"
        )
    number = opened.answers.answers.index(answer)
    if isinstance(inputs, FineTuningInputs):
        return answer, inputs.explain(inputs.encode(as_questions([question])), number)
    return answer, _explain_features(inputs, read_image(image), question, number)


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
