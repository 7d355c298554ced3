"""OpenAI's original CLIP files: reading, configuration from tensor shapes, and conversion."""

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from clipnav.encoders.weights.model_building import check_fit
from clipnav.encoders.weights.model_config import check_model_config
from clipnav.encoders.weights.weight_files import read_weights, write_local_dir
from clipnav.storage.errors import UserError

# Sizes that OpenAI's files store among the weights; open_clip refuses them.
_EXTRAS = ("input_resolution", "context_length", "vocab_size")
_HEAD_WIDTH = 64  # in every model published by OpenAI (clip/model.py: width // 64 heads)
_RESNET_STRIDE = 32


def read_openai_weights(path: str | Path) -> tuple[dict[str, torch.Tensor], bool]:
    """Read the weights of a PyTorch file in their stored type (float16 in OpenAI's files).

    No code from the file is run, see `clipnav.encoders.weights.weight_files`.
    """
    weights, archive = read_weights(Path(path), _EXTRAS)
    marked = archive or bool(set(_EXTRAS) & set(weights))
    return {name: tensor for name, tensor in weights.items() if name not in _EXTRAS}, marked


def openai_model_config(
    weights: Mapping[str, torch.Tensor], source: str = "weights"
) -> dict[str, Any]:
    """Derive open_clip's `model_cfg` from the shapes of weights in OpenAI's layout."""
    shapes = _Shapes(weights, source)
    if "visual.proj" in weights:
        width, _, _, patch = shapes.of("visual.conv1.weight", 4)
        vision = {
            "image_size": patch * shapes.side("visual.positional_embedding"),
            "layers": shapes.count(r"visual\.transformer\.resblocks\.(\d+)\."),
            "width": width,
            "head_width": _HEAD_WIDTH,
            "patch_size": patch,
        }
    else:
        vision = {
            "image_size": _RESNET_STRIDE * shapes.side("visual.attnpool.positional_embedding"),
            "layers": [shapes.count(rf"visual\.layer{stage}\.(\d+)\.") for stage in (1, 2, 3, 4)],
            "width": shapes.of("visual.layer1.0.conv1.weight", 4)[0],
            "head_width": _HEAD_WIDTH,
            "patch_size": None,
        }
    context, width = shapes.of("positional_embedding", 2)
    config = {
        "embed_dim": shapes.of("text_projection", 2)[1],
        "quick_gelu": True,
        "vision_cfg": vision,
        "text_cfg": {
            "context_length": context,
            "vocab_size": shapes.of("token_embedding.weight", 2)[0],
            "width": width,
            "heads": width // _HEAD_WIDTH,
            "layers": shapes.count(r"transformer\.resblocks\.(\d+)\."),
        },
    }
    check_model_config(config, source)
    return config


def write_clip(
    weights: Mapping[str, torch.Tensor],
    folder: str | Path,
    config: Mapping[str, Any] | None = None,
    preprocessing: Mapping[str, Any] | None = None,
    source: str = "weights",
) -> None:
    """Write weights as a folder that `ClipEncoder.load` can read."""
    from open_clip.constants import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD

    config = dict(config or openai_model_config(weights, source))
    check_fit(config, weights, source)
    preprocess = {
        "size": config["vision_cfg"]["image_size"],
        "mean": OPENAI_DATASET_MEAN,
        "std": OPENAI_DATASET_STD,
        "interpolation": "bicubic",
        "resize_mode": "shortest",
        **(preprocessing or {}),
    }
    write_local_dir(folder, weights, config, preprocess)


class _Shapes:
    """Shapes of weights by name; a missing one is an error."""

    def __init__(self, weights: Mapping[str, torch.Tensor], source: str) -> None:
        self._shapes = {name: tuple(tensor.shape) for name, tensor in weights.items()}
        self._source = source

    def of(self, name: str, dimensions: int) -> tuple[int, ...]:
        """Return the shape of a tensor."""
        shape = self._shapes.get(name)
        if shape is None or len(shape) != dimensions:
            problem = "is missing" if shape is None else f"has shape {shape}"
            raise UserError(
                f"{self._source}: not a CLIP in OpenAI's layout: {name!r} {problem}; give a file "
                "of OpenAI's CLIP, or a folder with a CLIPModel of transformers"
            )
        return shape

    def count(self, pattern: str) -> int:
        """Count the distinct values of the pattern's group over all names."""
        return len({match[1] for name in self._shapes if (match := re.match(pattern, name))})

    def side(self, positions: str) -> int:
        """Return the side of the square grid of a position table with 1 + side ** 2 rows."""
        return math.isqrt(max(self.of(positions, 2)[0] - 1, 0))
