"""Reading of weight files in PyTorch's formats without running code from them."""

import math
import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from clipnav.encoders.weights.torchscript import is_torchscript, read_torchscript
from clipnav.storage.errors import UserError, in_one_line

REMEDY = "download the file again, or save the weights as safetensors on the machine they are from"
# Tied weights are stored once under several names; more than this is an attack on the memory.
_MOST_COPIES = 4
# Prefix that DistributedDataParallel adds to every name.
_WRAPPER = "module."


def read_weights(
    path: Path, ignored: tuple[str, ...] = (), entries: tuple[str, ...] = ("state_dict",)
) -> tuple[dict[str, torch.Tensor], bool]:
    """Read weights by name, on the CPU, in the types of the file.

    Safetensors files contain only tensors. TorchScript archives are parsed, not executed
    (`clipnav.encoders.weights.torchscript`). Other files are read by
    `torch.load(weights_only=True)`.

    Args:
        entries: Names of nested entries that contain the weights, from outside; those that are
            missing are skipped.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: the weight file is missing; check its name")
    archive = is_torchscript(path)
    content: Any = read_torchscript(path) if archive else _load(path)
    weights = content
    for entry in entries:
        weights = weights.get(entry, weights) if isinstance(weights, Mapping) else None
    if not isinstance(weights, Mapping) or not weights:
        raise UserError(f"{path}: contains no weights by name; {REMEDY}")
    checked = {name: value for name, value in weights.items() if name not in ignored}
    _check(path, checked)
    if all(name.startswith(_WRAPPER) for name in weights):
        weights = {name.removeprefix(_WRAPPER): tensor for name, tensor in weights.items()}
    return dict(weights), archive


def _load(path: Path) -> Any:
    from safetensors.torch import load_file

    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch also warns of files that it then refuses
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many types
        # The message of pickle's errors advises to load the file without protection.
        is_pickle = isinstance(error, pickle.UnpicklingError)
        problem = "" if is_pickle else f" ({in_one_line(error)})"
        raise UserError(
            f"{path}: damaged, or contains more than tensors, such as code, which is refused"
            f"{problem}; {REMEDY}"
        ) from error


def _check(path: Path, weights: Mapping[Any, Any]) -> None:
    """Refuse entries that are not plain tensors, and tensors far larger than the file."""
    size = 0
    for name, tensor in weights.items():
        if not isinstance(name, str) or not isinstance(tensor, torch.Tensor):
            raise UserError(f"{path}: {name!r} is not a tensor with a name; {REMEDY}")
        if tensor.layout != torch.strided or tensor.device.type != "cpu" or tensor.is_quantized:
            raise UserError(f"{path}: {name} is not a dense CPU tensor; {REMEDY}")
        size += math.prod(tensor.shape) * tensor.element_size()
    if size > _MOST_COPIES * path.stat().st_size:
        raise UserError(f"{path}: its tensors take {size} bytes, far more than the file; {REMEDY}")
