"""Show which places of a picture speak for a text, or for an answer to a question.

$ explain_image.py photo.jpg "a red sofa"
$ explain_image.py photo.jpg "a red sofa" --encoder RN50 --pretrained openai --output sofa.png
$ explain_image.py photo.jpg red --question "what colour is the sofa?" --run runs/vqa-mcan-house
"""

from complaints import friendly_errors

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import tyro

if TYPE_CHECKING:
    from PIL import Image

    from encoders.explanations import Explanation


@dataclass(frozen=True)
class ExplainArguments:
    """Writes the picture, and beside it the same with what speaks for the text in red."""

    image: tyro.conf.Positional[Path]
    """The picture."""
    text: tyro.conf.Positional[str]
    """What it is compared with; or, with a question, the answer."""
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
    question: str | None = None
    """A question that the text answers. The model of RUN then says what it comes from; encoder,
    fit and size are the run's."""
    run: Path = Path("runs/vqa-mcan-house")
    """Folder of a run of finetune_vqa.py."""


def main(arguments: ExplainArguments) -> None:
    """Run the command."""
    import numpy as np
    from PIL import Image

    from encoders.explanations import overlay
    from storage import atomic_write
    from vl_tasks.data.images import read_image

    image = read_image(arguments.image)
    if arguments.question is None:
        fit, (score, found) = arguments.fit, explained_text(arguments, image)
    else:
        from vl_tasks.vqa.explaining import explain_answer

        answer = (arguments.run, arguments.image, arguments.question, arguments.text)
        fit, (_, found) = "", explain_answer(*answer)
        score = f"score {found.score:.3f}"
    # Where the whole picture was seen, the heat fits it as it was given.
    picture = np.asarray(image) if fit in ("stretch", "native") else found.picture
    pair = np.concatenate([picture, overlay(picture, found.heat)], axis=1)
    with atomic_write(arguments.output) as beside:
        Image.fromarray(pair).save(beside)
    rows, columns = found.heat.shape
    print(f"{arguments.output}: {score}, {rows} x {columns} places")


def explained_text(arguments: ExplainArguments, image: "Image.Image") -> tuple[str, "Explanation"]:
    """The text's score in words, and what of the picture speaks for it."""
    from encoders.clip import ClipEncoder
    from encoders.explanations import explain, text_score

    encoder = ClipEncoder.load(arguments.encoder, arguments.pretrained, "fp32")
    score = text_score(encoder, arguments.text)
    found = explain(encoder, image, score, size=arguments.size, fit=arguments.fit)
    return f"cosine {found.score:.3f}", found


if __name__ == "__main__":
    with friendly_errors():
        main(tyro.cli(ExplainArguments, description=__doc__))
