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
from clipnav.training.settings import check_unused_options

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

    from clipnav.encoders.explanations import Explanation


@dataclass(frozen=True)
class ExplainArguments:
    """Write the image, and beside it a copy in which supporting regions are red, with a legend."""

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
            check_unused_options(self, {"run": "without --question"})
        else:
            reason = "with --question, which explains the model of --run"
            check_unused_options(
                self, dict.fromkeys(("encoder", "pretrained", "fit", "image_size"), reason)
            )


def main(arguments: Sequence[str]) -> None:
    """Parse the command line and run the command."""
    config = parse(ExplainArguments, __name__, __doc__, arguments)
    import numpy as np
    from PIL import Image

    from clipnav.encoders.explanations import overlay
    from clipnav.storage import atomic_write
    from clipnav.vl_tasks.data.images import read_image

    image = read_image(config.image)
    if config.question is None:
        fit, (score, explanation) = config.fit, _explain_text(config, image)
    else:
        from clipnav.vl_tasks.vqa.answering import explain_answer

        answer = (config.run, config.image, config.question, config.text)
        fit, (found, value, explanation) = "", explain_answer(*answer)
        score = f"{found} {value:.1%}"
    # With these fits the heat map covers the whole photo, or its middle, which is shown in its own
    # resolution.
    shown = np.asarray(explanation.image)
    if fit in ("stretch", "native"):
        shown = np.asarray(image)
    elif fit == "center_crop":
        shown = middle(np.asarray(image), shown.shape[1] / shown.shape[0])
    pair = np.concatenate([shown, overlay(shown, explanation.heat)], axis=1)
    picture = Image.fromarray(np.concatenate([pair, legend(pair.shape[1], config.text, score)]))
    with atomic_write(config.output) as temporary:
        picture.save(temporary, "PNG")
    rows, columns = explanation.heat.shape
    support = "" if explanation.heat.any() else "; no region supports the text"
    print(f"{config.output}: {score}, grid of {rows} x {columns}{support}")


def middle(photo: "np.ndarray", aspect: float) -> "np.ndarray":
    """Return the largest central part (H, W, 3) of a photo with an aspect ratio W / H."""
    height, width = photo.shape[:2]
    rows, columns = min(height, round(width / aspect)), min(width, round(height * aspect))
    top, left = (height - rows) // 2, (width - columns) // 2
    return photo[top : top + rows, left : left + columns]


def legend(width: int, text: str, score: str) -> "np.ndarray":
    """Return a strip (H, width, 3) uint8 with the text, its score and the colours' meaning."""
    import numpy as np
    from PIL import Image

    from clipnav.encoders.explanations import overlay
    from clipnav.envs.drawing.canvas import CARD, INK, MUTED, Canvas, text_width, truncate
    from clipnav.envs.drawing.words import drawable

    letters = min(16.0, max(9.0, width / 60))
    height = round(2.4 * letters)
    canvas = Canvas((width, height), CARD)
    gap, middle = 0.8 * letters, height / 2
    scale = round(7 * letters)
    none, most = "no support", "most"
    widths = [text_width(end, 0.8 * letters) for end in (none, most)]
    right = sum(widths) + scale + 2 * gap
    shown = right < width / 2
    room = width - 3 * gap - text_width(score, letters) - (right if shown else 0)
    words = truncate(" ".join(map(drawable, text.split())), letters, room, bold=True)
    canvas.text((gap, middle), words, letters, INK, "lm", bold=True)
    left = 2 * gap + text_width(words, letters, bold=True)
    canvas.text((left, middle), score, letters, MUTED, "lm")
    if not shown:
        return np.asarray(canvas.finished())
    canvas.text((width - right, middle), none, 0.8 * letters, MUTED, "lm")
    canvas.text((width - gap, middle), most, 0.8 * letters, MUTED, "rm")
    strip = canvas.finished()
    grey = np.full((round(letters), scale, 3), 200, np.uint8)
    ramp = overlay(grey, np.linspace(0, 1, scale, dtype=np.float32)[None])
    start = round(width - right + gap / 2 + widths[0])
    strip.paste(Image.fromarray(ramp), (start, (height - len(ramp)) // 2))
    return np.asarray(strip)


def _explain_text(arguments: ExplainArguments, image: "Image.Image") -> tuple[str, "Explanation"]:
    """Return the printable score of the text and its explanation."""
    from clipnav.encoders.clip import ClipEncoder
    from clipnav.encoders.explanations import explain, text_score

    encoder = ClipEncoder.load(arguments.encoder, arguments.pretrained, "fp32")
    score = text_score(encoder, arguments.text)
    explanation = explain(encoder, image, score, size=arguments.image_size, fit=arguments.fit)
    return f"cosine {explanation.score:.3f}", explanation
