"""Generate captions of images with a model that clipnav train-captioner trained.

$ clipnav caption photo.jpg
$ clipnav caption a.jpg b.jpg --run runs/captions-xe-house --beams 1
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from clipnav.parsing import parse
from clipnav.training.settings import check_counts


@dataclass(frozen=True)
class CaptionPicturesConfig:
    """Images, model and decoding."""

    images: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Image files."""
    run: Path = Path("runs/captions-scst-house")
    """Folder of the run, made by clipnav train-captioner."""
    beams: int | None = None
    """Beam width; default: the run's setting."""
    device: str = "cpu"
    """Device of the model: cpu, cuda, cuda:0, ..."""

    def __post_init__(self) -> None:
        check_counts(self, ("beams",))


def main(arguments: Sequence[str]) -> None:
    """Parse the command line and print the captions."""
    config = parse(CaptionPicturesConfig, __name__, __doc__, arguments)
    if not config.images:
        raise SystemExit("no image given; write clipnav caption IMAGE ...")
    # Imported here so that --help answers without loading torch.
    from clipnav.vl_tasks.captioning.writing import LoadedCaptioner

    captioner = LoadedCaptioner(config.run, config.beams, config.device)
    for image, caption in zip(config.images, captioner.captions(config.images), strict=True):
        print(f"{image}: {caption}")
