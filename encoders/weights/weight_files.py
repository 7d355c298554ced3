"""Weights of any file that PyTorch users exchange, read without running code from it."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from encoders.weights.torchscript import is_torchscript, read_torchscript
from storage.messages import in_one_line

REMEDY = "download the file again, or save the weights as safetensors where they were made"
# Tied weights are saved once and named twice; more copies than this are an attack on the memory.
_MOST_COPIES = 4
# What training with several processes puts before every name.
_WRAPPER = "module."


def read_weights(path: Path, ignored: tuple[str, ...] = ()) -> tuple[dict[str, torch.Tensor], bool]:
    """Weights by name, on the CPU, in the types of the file.

    Safetensors hold nothing but tensors. TorchScript archives are parsed, not executed
    (`encoders.weights.torchscript`). All else is read by `torch.load(weights_only=True)`.

    Args:
        path: The file.
        ignored: Names of entries that need not be tensors.

    Returns:
        The weights, and whether the file is a TorchScript archive.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is damaged, or holds more than tensors.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file of weights")
    archive = is_torchscript(path)
    if archive:
        found: Any = read_torchscript(path)
    else:
        found = _load(path)
    weights = found.get("state_dict", found) if isinstance(found, Mapping) else None
    if not isinstance(weights, Mapping) or not weights:
        raise ValueError(f"{path}: holds no weights by name; {REMEDY}")
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
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds, among them pickle's own
        raise ValueError(
            f"{path}: damaged, or holds more than tensors; files that run code when they are read "
            f"are refused; {REMEDY} ({in_one_line(error)})"
        ) from error


def _check(path: Path, weights: Mapping[Any, Any]) -> None:
    """Refuse what is no plain tensor, and tensors that take far more memory than the file."""
    size = 0
    for name, tensor in weights.items():
        if not isinstance(name, str) or not isinstance(tensor, torch.Tensor):
            raise ValueError(f"{path}: {name!r} is not a tensor with a name; {REMEDY}")
        if tensor.layout != torch.strided or tensor.device.type != "cpu" or tensor.is_quantized:
            raise ValueError(f"{path}: {name} is not a plain tensor of numbers; {REMEDY}")
        size += math.prod(tensor.shape) * tensor.element_size()
    if size > _MOST_COPIES * path.stat().st_size:
        raise ValueError(
            f"{path}: its tensors would take {size} bytes, far more than the file has; {REMEDY}"
        )
