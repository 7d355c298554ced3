"""Convert CLIP weights of OpenAI or transformers to folders that every command can read.

$ clipnav convert-openai-clip --weights RN50.pt --output models/rn50_openai
$ clipnav convert-openai-clip --weights clip-vit-base-patch32/ --output models/vit_b32
$ clipnav convert-openai-clip --weights models/vit_b32 --output clip-vit-b32 --format transformers
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from clipnav.parsing import parse
from clipnav.storage.outputs import check_new

_UNMARKED = (
    "{0}: taken to be OpenAI's, with QuickGELU and OpenAI's preprocessing, as the file does not "
    "record its origin; load a file of another CLIP with --encoder NAME --pretrained {0} instead"
)


@dataclass(frozen=True)
class ConvertArguments:
    """Convert a CLIP without running code from its file."""

    weights: Path
    """File of OpenAI (RN50.pt, ViT-B-32.pt: a TorchScript archive or a file of tensors), or folder
    of a CLIPModel of transformers; with --format transformers, folder in open_clip's format."""
    output: Path
    """New folder to write; other commands read it with --encoder OUTPUT."""
    format: Literal["open_clip", "transformers"] = "open_clip"
    """Format to write. transformers supports ViTs only."""


def main(arguments: Sequence[str]) -> None:
    """Parse the command line and run the command."""
    config = parse(ConvertArguments, __name__, __doc__, arguments)
    from clipnav.encoders.weights.openai_weights import read_openai_weights, write_clip
    from clipnav.encoders.weights.transformers_weights import (
        read_transformers_clip,
        write_transformers_clip,
    )

    check_new(config.output)
    if config.format == "transformers":
        write_transformers_clip(config.weights, config.output)
        print(f"{config.output}: written; load it with CLIPModel.from_pretrained")
        return
    source = str(config.weights)
    if config.weights.is_dir():
        weights, architecture, preprocessing = read_transformers_clip(config.weights)
        write_clip(weights, config.output, architecture, preprocessing, source)
    else:
        weights, is_openai = read_openai_weights(config.weights)
        write_clip(weights, config.output, source=source)
        if not is_openai:
            print(_UNMARKED.format(source))
    print(f"{config.output}: written; use it with --encoder {config.output}")
