"""Explain an answer: highlight the image regions that support it."""

from pathlib import Path

import torch

from encoders.explanations import Explanation, explain
from training.settings import read_config
from vl_tasks.data.images import read_image
from vl_tasks.grids.grids import Grids
from vl_tasks.grids.sources import GridSource
from vl_tasks.settings.configs import VqaConfig
from vl_tasks.vqa.answering import open_run
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
        ValueError: The run belongs to another task, is damaged, uses no grid features, or its
            answer vocabulary does not contain the answer.
    """
    if read_config(run, VqaConfig).regions is not None:
        raise ValueError(
            f"{run}: this model uses region features; choose a run that uses grid features"
        )
    # Gradients in lower precision are too coarse.
    opened = open_run(run, image, device, precision="fp32")
    if not isinstance(opened.source, GridSource):
        raise ValueError(
            f"{run}: this model was trained with --no-vision; choose a run that uses images"
        )
    tokens = opened.tokens([question])
    grids = opened.source.batch([0]).to(device)
    if answer is None:
        with torch.inference_mode():
            answer = opened.answers.answers[int(opened.network(grids, tokens)[0].argmax())]
    if answer not in opened.answers.answers:
        raise ValueError(
            f"{run}: the answer {answer!r} is not in {run / ANSWERS}; choose an answer of this file"
        )
    number = opened.answers.answers.index(answer)

    def score(grid: torch.Tensor) -> torch.Tensor:
        features = Grids(grid.flatten(1, 2).float(), grids.mask, grids.shape)
        return opened.network(features, tokens)[0, number]

    config = opened.config.grids
    explanation = explain(
        opened.source.encoder, read_image(image), score, "grid", config.size, config.fit
    )
    return answer, explanation
