"""Which places of a picture an answer comes from."""

from pathlib import Path

import torch

from encoders.explanations import Explanation, explain
from storage.runs.settings import read_config
from vl_tasks.configs import VqaConfig
from vl_tasks.features import GridSource
from vl_tasks.grids import Grids
from vl_tasks.images import read_image
from vl_tasks.vqa.answering import open_run


def explain_answer(
    run: Path, image: Path, question: str, answer: str | None = None, device: str = "cpu"
) -> tuple[str, Explanation]:
    """Explain the score that the model of a run gives an answer.

    Args:
        run: Folder of the run.
        image: The picture.
        question: About it.
        answer: One that the model knows; by default the one that it gives.
        device: Where to compute.

    Returns:
        The answer, and what of the picture speaks for it.

    Raises:
        FileNotFoundError: The folder is no run, or the picture is not there.
        ValueError: The run is of another task, damaged, blind, or does not know the answer.
    """
    if read_config(run, VqaConfig).regions is not None:
        raise ValueError(f"{run}: this model sees regions, not grids; explain one that sees grids")
    opened = open_run(run, image, device, precision="fp32")  # gradients of less are coarse
    if not isinstance(opened.source, GridSource):
        raise ValueError(f"{run}: this model sees no pictures")
    tokens = opened.tokens([question])
    grids = opened.source.batch([0]).to(device)
    if answer is None:
        with torch.inference_mode():
            answer = opened.answers.answers[int(opened.network(grids, tokens)[0].argmax())]
    if answer not in opened.answers.answers:
        raise ValueError(f"{run}: its model does not know the answer {answer!r}")
    number = opened.answers.answers.index(answer)

    def score(grid: torch.Tensor) -> torch.Tensor:
        seen = Grids(grid.flatten(1, 2).float(), grids.mask, grids.shape)
        return opened.network(seen, tokens)[0, number]

    config = opened.config.grids
    found = explain(
        opened.source.encoder, read_image(image), score, "grid", config.size, config.fit
    )
    return answer, found
