"""OpenAI's original CLIP files: read without unpickling, described, and written for open_clip."""

import math
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from encoders.weights.local_dir import write_local_dir

# Sizes that OpenAI's files carry as if they were weights; open_clip refuses them.
_EXTRAS = ("input_resolution", "context_length", "vocab_size")
_HEAD_WIDTH = 64  # of every model that OpenAI published (clip/model.py: width // 64 heads)
_RESNET_STRIDE = 32


def read_openai_weights(path: str | Path) -> tuple[dict[str, torch.Tensor], bool]:
    """Weights of a PyTorch file, as they are in it: float16 in those that OpenAI published.

    TorchScript archives are read by PyTorch's own loader, which builds no Python objects; other
    files may hold nothing but tensors (torch.load with weights_only). So no file can run code.

    Returns:
        The weights by open_clip's names, which are OpenAI's, and whether the file is marked as
        OpenAI's: it is a TorchScript archive or carries the sizes that theirs do.

    Raises:
        ValueError: The file holds more than tensors, or is damaged.
    """
    path = Path(path)
    archive = _is_torchscript(path)
    try:
        if archive:
            weights = dict(torch.jit.load(path, map_location="cpu").state_dict())
        else:
            weights = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds, among them pickle's own
        raise ValueError(
            f"{path}: damaged, or holds more than tensors; files that run code when they are read "
            f"are refused ({type(error).__name__})"
        ) from error
    weights = weights.get("state_dict", weights) if isinstance(weights, dict) else {}
    marked = archive or bool(set(_EXTRAS) & set(weights))
    return {name: tensor for name, tensor in weights.items() if name not in _EXTRAS}, marked


def openai_model_config(weights: Mapping[str, torch.Tensor]) -> dict[str, Any]:
    """open_clip's `model_cfg` of weights in OpenAI's layout, read from their shapes.

    Raises:
        ValueError: Something is missing that every CLIP has.
    """
    try:
        vision = _vit_config(weights) if "visual.proj" in weights else _resnet_config(weights)
        context, width = weights["positional_embedding"].shape
        return {
            "embed_dim": weights["text_projection"].shape[1],
            "quick_gelu": True,
            "vision_cfg": vision,
            "text_cfg": {
                "context_length": context,
                "vocab_size": len(weights["token_embedding.weight"]),
                "width": width,
                "heads": width // _HEAD_WIDTH,
                "layers": _count(weights, r"transformer\.resblocks\.(\d+)\."),
            },
        }
    except KeyError as error:
        raise ValueError(f"not a CLIP in OpenAI's layout: {error} is missing") from error


def write_clip(
    weights: Mapping[str, torch.Tensor],
    folder: str | Path,
    config: Mapping[str, Any] | None = None,
    preprocessing: Mapping[str, Any] | None = None,
) -> None:
    """Write weights as a folder that `ClipEncoder.load` reads.

    Args:
        weights: By open_clip's names; their types are kept.
        folder: Made if it is missing.
        config: open_clip's `model_cfg`; by default that of an OpenAI model, with QuickGELU.
        preprocessing: Where it differs from OpenAI's.

    Raises:
        ValueError: The weights do not make such a CLIP.
    """
    from open_clip.constants import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD
    from open_clip.model import CLIP

    config = dict(config or openai_model_config(weights))
    with torch.device("meta"):  # shapes only
        expected = {name: tensor.shape for name, tensor in CLIP(**config).state_dict().items()}
    found = {name: tensor.shape for name, tensor in weights.items()}
    wrong = sorted(n for n in {**expected, **found} if expected.get(n) != found.get(n))
    if wrong:
        raise ValueError(
            f"weights do not make a CLIP: {wrong[0]} has shape {found.get(wrong[0])}, but "
            f"{expected.get(wrong[0])} is expected"
        )
    preprocess = {
        "size": config["vision_cfg"]["image_size"],
        "mean": OPENAI_DATASET_MEAN,
        "std": OPENAI_DATASET_STD,
        "interpolation": "bicubic",
        "resize_mode": "shortest",
        **(preprocessing or {}),
    }
    write_local_dir(folder, weights, config, preprocess)


def _is_torchscript(path: Path) -> bool:
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any("/code/" in entry for entry in archive.namelist())


def _vit_config(weights: Mapping[str, torch.Tensor]) -> dict[str, Any]:
    width, _, _, patch = weights["visual.conv1.weight"].shape
    side = math.isqrt(len(weights["visual.positional_embedding"]) - 1)
    return {
        "image_size": patch * side,
        "layers": _count(weights, r"visual\.transformer\.resblocks\.(\d+)\."),
        "width": width,
        "head_width": _HEAD_WIDTH,
        "patch_size": patch,
    }


def _resnet_config(weights: Mapping[str, torch.Tensor]) -> dict[str, Any]:
    side = math.isqrt(len(weights["visual.attnpool.positional_embedding"]) - 1)
    return {
        "image_size": _RESNET_STRIDE * side,
        "layers": [_count(weights, rf"visual\.layer{stage}\.(\d+)\.") for stage in (1, 2, 3, 4)],
        "width": len(weights["visual.layer1.0.conv1.weight"]),
        "head_width": _HEAD_WIDTH,
        "patch_size": None,
    }


def _count(weights: Mapping[str, Any], pattern: str) -> int:
    """How many different numbers stand at the group of a pattern in the names."""
    return len({match[1] for name in weights if (match := re.match(pattern, name))})
