"""Show which places of a picture speak for a text.

explain_image.py photo.jpg "a red sofa"
explain_image.py photo.jpg "a red sofa" --encoder RN50 --pretrained openai --output sofa.png
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro


@dataclass(frozen=True)
class ExplainArguments:
    """Writes the picture, and beside it the same with what speaks for the text in red."""

    image: tyro.conf.Positional[Path]
    """The picture."""
    text: tyro.conf.Positional[str]
    """What it is compared with."""
    output: Path = Path("explanation.png")
    """PNG to write."""
    encoder: str = "house_clip"
    """"house_clip", a folder in open_clip's local-dir format, or a name that open_clip knows."""
    pretrained: str | None = None
    """For an open_clip name: a tag such as openai, or a file of weights."""
    fit: Literal["own", "stretch", "pad", "native"] = "stretch"
    """How the picture comes to the encoder's size: cut as in its training (own), whole but its
    aspect not kept, whole and padded, or in its own size."""
    size: tuple[int, int] | None = None
    """Height and width to encode at, if not the encoder's; more places, if larger."""


def main(arguments: ExplainArguments) -> None:
    """Run the command."""
    import numpy as np
    from PIL import Image

    from encoders.clip import ClipEncoder
    from encoders.explanations import explain, overlay, text_score
    from storage import written_whole

    with Image.open(arguments.image) as opened:
        image = opened.convert("RGB")
    encoder = ClipEncoder.load(arguments.encoder, arguments.pretrained, "fp32")
    score = text_score(encoder, arguments.text)
    found = explain(encoder, image, score, size=arguments.size, fit=arguments.fit)
    # Where the whole picture was seen, the heat fits it as it was given.
    picture = np.asarray(image) if arguments.fit in ("stretch", "native") else found.picture
    pair = np.concatenate([picture, overlay(picture, found.heat)], axis=1)
    with written_whole(arguments.output) as beside:
        Image.fromarray(pair).save(beside)
    rows, columns = found.heat.shape
    print(f"{arguments.output}: cosine {found.score:.3f}, {rows} x {columns} places")


if __name__ == "__main__":
    main(tyro.cli(ExplainArguments))
