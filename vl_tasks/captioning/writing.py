"""Captions of any pictures, by the model of a run."""

from collections.abc import Sequence
from pathlib import Path

import torch

from training.checkpoints import VOCABULARY, load_model
from training.settings import read_config
from vl_tasks.captioning.networks import CaptionNetwork
from vl_tasks.grids.sources import pictures_source
from vl_tasks.settings.configs import CaptionConfig
from vl_tasks.text.vocabulary import Vocabulary
from vl_tasks.training import in_batches


def caption_pictures(
    run: Path, images: Sequence[Path], beams: int | None = None, device: str = "cpu"
) -> list[str]:
    """A caption of each picture.

    Args:
        run: Folder of the run.
        images: The pictures.
        beams: Of the search; the run's own by default.
        device: Where to compute.

    Raises:
        FileNotFoundError: The folder is no run, or a picture is not there.
        ValueError: The run is of another task or damaged, or a picture cannot be read.
    """
    config = read_config(run, CaptionConfig)
    words = Vocabulary.load(run / VOCABULARY)
    source = pictures_source(config, dict(enumerate(images)), device)
    network = CaptionNetwork(config, source.channels, len(words))
    load_model(run, network, dict(source.metadata))
    network.to(device).eval()
    captions: list[list[int]] = []
    for rows in in_batches(len(images), config.evaluation_batch):
        grids = source.batch(rows.tolist()).to(device)
        with torch.inference_mode():
            captions += network.write(grids, beams or config.beams).tolist()
    return [" ".join(words.decode(caption)) for caption in captions]
