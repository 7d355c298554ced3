"""Generate captions of images with a model that train_captioner.py trained.

$ caption.py photo.jpg
$ caption.py a.jpg b.jpg --run runs/captions-xe-house --beams 1
"""

from complaints import friendly_errors

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from training.settings import check_counts


@dataclass(frozen=True)
class CaptionPicturesConfig:
    """Images, model and decoding."""

    images: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Image files."""
    run: Path = Path("runs/captions-scst-house")
    """Folder of the run, made by train_captioner.py."""
    beams: int | None = None
    """Beam width; default: the run's setting."""
    device: str = "cpu"
    """Device of the model: cpu, cuda, cuda:0, ..."""

    def __post_init__(self) -> None:
        check_counts(self, ("beams",))


def main() -> None:
    """Parse the command line and print the captions."""
    config = tyro.cli(CaptionPicturesConfig, description=__doc__)
    if not config.images:
        raise SystemExit("no image given; write caption.py IMAGE ...")
    # Imported here so that --help answers without loading torch.
    from vl_tasks.captioning.writing import caption_pictures

    captions = caption_pictures(config.run, config.images, config.beams, config.device)
    for image, caption in zip(config.images, captions, strict=True):
        print(f"{image}: {caption}")


if __name__ == "__main__":
    with friendly_errors():
        main()
