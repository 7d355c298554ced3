"""Highlight the image regions that support a text, or an answer to a question.

$ clipnav explain-image photo.jpg "a red sofa"
$ clipnav explain-image photo.jpg "a red sofa" --encoder RN50 --pretrained openai --output sofa.png
$ clipnav explain-image photo.jpg red --question "what colour is the sofa?" --run runs/vqa
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import tyro

from clipnav.parsing import parse
from clipnav.storage.errors import UserError
from clipnav.storage.outputs import check_outputs
from clipnav.training.settings import check_effects

if TYPE_CHECKING:
    from PIL import Image

    from clipnav.encoders.explanations import Explanation


@dataclass(frozen=True)
class ExplainArguments:
    """Write the image, and beside it a copy in which supporting regions are red."""

    image: tyro.conf.Positional[Path]
    """Image file."""
    text: tyro.conf.Positional[str]
    """Text to compare the image with; with --question, the answer."""
    output: Path = Path("explanation.png")
    """PNG file to write."""
    encoder: str = "house_clip"
    """Encoder: "house_clip", a folder in open_clip's local-dir format, or an open_clip name."""
    pretrained: str | None = None
    """Weights of an open_clip name: a tag such as openai, or a weight file."""
    fit: Literal["center_crop", "stretch", "pad", "native"] = "stretch"
    """How the image is resized: cropped as in CLIP's training, stretched, padded, or kept at its
    native size."""
    image_size: tuple[int, int] | None = None
    """Height and width of the encoder's input in pixels; by default those of its training. Larger
    images give a finer heat map."""
    question: str | None = None
    """Question that the text answers. The model of --run is explained instead of --encoder, with
    the encoder, fit and image size of the run."""
    run: Path = Path("runs/vqa-mcan-house")
    """Folder of a run of clipnav finetune-vqa or clipnav finetune-gqa; used with --question."""

    def __post_init__(self) -> None:
        if not self.text.strip():
            raise UserError('the text is empty; write clipnav explain-image IMAGE "a red sofa"')
        if self.question is not None and not self.question.strip():
            raise UserError('--question is empty; write --question "what colour is the sofa?"')
        check_outputs(self, {"output": (".png",)})
        if self.question is None:
            check_effects(self, {"run": "without --question"})
        else:
            reason = "with --question, which explains the model of --run"
            check_effects(
                self, dict.fromkeys(("encoder", "pretrained", "fit", "image_size"), reason)
            )


def run(arguments: ExplainArguments) -> None:
    """Run the command."""
    import numpy as np
    from PIL import Image

    from clipnav.encoders.explanations import overlay
    from clipnav.storage import atomic_write
    from clipnav.vl_tasks.data.images import read_image

    image = read_image(arguments.image)
    if arguments.question is None:
        fit, (score, explanation) = arguments.fit, explain_text(arguments, image)
    else:
        from clipnav.vl_tasks.vqa.answering import explain_answer

        answer = (arguments.run, arguments.image, arguments.question, arguments.text)
        fit, (found, value, explanation) = "", explain_answer(*answer)
        score = f"{found} {value:.1%}"
    # With these fits the heat map covers the whole image, so the original is shown.
    shown = np.asarray(image) if fit in ("stretch", "native") else explanation.image
    pair = np.concatenate([shown, overlay(shown, explanation.heat)], axis=1)
    with atomic_write(arguments.output) as temporary:
        Image.fromarray(pair).save(temporary)
    rows, columns = explanation.heat.shape
    support = "" if explanation.heat.any() else "; no region supports the text"
    print(f"{arguments.output}: {score}, grid of {rows} x {columns}{support}")


def explain_text(arguments: ExplainArguments, image: "Image.Image") -> tuple[str, "Explanation"]:
    """Return the printable score of the text and its explanation."""
    from clipnav.encoders.clip import ClipEncoder
    from clipnav.encoders.explanations import explain, text_score

    encoder = ClipEncoder.load(arguments.encoder, arguments.pretrained, "fp32")
    score = text_score(encoder, arguments.text)
    explanation = explain(encoder, image, score, size=arguments.image_size, fit=arguments.fit)
    return f"cosine {explanation.score:.3f}", explanation


def main(arguments: Sequence[str]) -> None:
    """Parse the command line and run the command."""
    run(parse(ExplainArguments, __name__, __doc__, arguments))
