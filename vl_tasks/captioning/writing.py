"""Generate captions of any images with the model of a run."""

from collections.abc import Sequence
from pathlib import Path

import torch

from training.checkpoints import VOCABULARY, load_model
from training.settings import read_config
from vl_tasks.captioning.networks import CaptionNetwork
from vl_tasks.grids.sources import uncached_source
from vl_tasks.settings.configs import CaptionConfig
from vl_tasks.text.vocabulary import Vocabulary
from vl_tasks.training import in_batches


def caption_pictures(
    run: Path, images: Sequence[Path], beams: int | None = None, device: str = "cpu"
) -> list[str]:
    """Generate one caption per image.

    Args:
        run: Folder of the run.
        images: Image files.
        beams: Beam width; default: the run's setting.
        device: Device of the model.

    Raises:
        FileNotFoundError: The folder is not a run, or an image file does not exist.
        ValueError: The run belongs to another task or is damaged, or an image cannot be read.
    """
    config = read_config(run, CaptionConfig)
    words = Vocabulary.load(run / VOCABULARY)
    source = uncached_source(config, dict(enumerate(images)), device)
    network = CaptionNetwork(config, source.channels, len(words))
    load_model(run, network, dict(source.metadata))
    network.to(device).eval()
    captions: list[list[int]] = []
    for rows in in_batches(len(images), config.evaluation_batch):
        grids = source.batch(rows.tolist()).to(device)
        with torch.inference_mode():
            captions += network.write(grids, beams or config.beams).tolist()
    return [" ".join(words.decode(caption)) for caption in captions]
