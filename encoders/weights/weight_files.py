"""Reading of weight files in PyTorch's formats without running code from them."""

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch

from clipnav.encoders.weights import model_config
from clipnav.encoders.weights.model_config import check_model_config, check_preprocess_config
from clipnav.encoders.weights.torchscript import is_torchscript, read_torchscript
from clipnav.storage import atomic_write, write_text
from clipnav.storage.errors import UserError, in_one_line
from clipnav.storage.json_files import read_json_object
from clipnav.storage.torch_files import TensorSpec, TorchTensors, open_torch_file, value_at

HINT = "download the file again, or save the weights as safetensors on the machine they are from"
# Tied weights are stored once under several names; more than this is an attack on the memory.
_MOST_COPIES = 4
# Prefix that DistributedDataParallel adds to every name.
_WRAPPER = "module."
CONFIG_FILE, WEIGHTS_FILE = "open_clip_config.json", "open_clip_model.safetensors"


def read_weights(
    path: Path, ignored: tuple[str, ...] = (), entries: tuple[str, ...] = ("state_dict",)
) -> tuple[dict[str, torch.Tensor], bool]:
    """Read weights by name, on the CPU, in the types of the file.

    Safetensors files contain only tensors. TorchScript archives and files of `torch.save` are
    parsed, not executed (`clipnav.storage.torch_files`); what else they contain, such as the state
    of an optimiser or an object with the settings, is not read.

    Args:
        entries: Names of nested entries that contain the weights, from outside; those that are
            missing are skipped.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: the weight file is missing; check its name")
    archive = is_torchscript(path)
    if archive:
        weights: Any = read_torchscript(path)
    elif path.suffix == ".safetensors":
        weights = _read_safetensors(path)
    else:
        weights = _read_checkpoint(path, entries)
    if not isinstance(weights, Mapping) or not weights:
        raise UserError(f"{path}: contains no weights by name; {HINT}")
    checked = {name: value for name, value in weights.items() if name not in ignored}
    _check(path, checked)
    if all(name.startswith(_WRAPPER) for name in weights):
        weights = {name.removeprefix(_WRAPPER): tensor for name, tensor in weights.items()}
    return dict(weights), archive


def read_settings(path: Path, names: Iterable[str]) -> dict[str, Any]:
    """Read settings from the configuration that a checkpoint of habitat contains.

    The configuration is an object of habitat's class, whose entries are read without it.

    Args:
        names: Dotted names, such as "IL.max_traj_len".

    Returns:
        Those settings that are there and are numbers or texts, by dotted name.
    """
    if path.suffix == ".safetensors" or is_torchscript(path):
        return {}
    with open_torch_file(path, HINT) as file:
        found = {name: value_at(file.content, f"config.{name}") for name in names}
    return {name: one for name, one in found.items() if isinstance(one, (int, float, str))}


def _read_safetensors(path: Path) -> dict[str, torch.Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, ValueError, KeyError) as error:
        raise UserError(f"{path}: damaged ({in_one_line(error)}); {HINT}") from error


def _read_checkpoint(path: Path, entries: tuple[str, ...]) -> Any:
    """Read the weights of a file of `torch.save`; entries that are no tensors stay as they are."""
    with open_torch_file(path, HINT) as file:
        weights, tensors = file.content, TorchTensors(file)
        for entry in entries:
            weights = weights.get(entry, weights) if isinstance(weights, dict) else None
        if not isinstance(weights, dict):
            return None
        return {
            name: tensors.read(one) if isinstance(one, TensorSpec) else one
            for name, one in weights.items()
        }


def _check(path: Path, weights: Mapping[Any, Any]) -> None:
    """Refuse entries that are not plain tensors, and tensors far larger than the file."""
    size = 0
    for name, tensor in weights.items():
        if not isinstance(name, str) or not isinstance(tensor, torch.Tensor):
            raise UserError(f"{path}: {name!r} is not a tensor with a name; {HINT}")
        if tensor.layout != torch.strided or tensor.device.type != "cpu" or tensor.is_quantized:
            raise UserError(f"{path}: {name} is not a dense CPU tensor; {HINT}")
        size += math.prod(tensor.shape) * tensor.element_size()
    if size > _MOST_COPIES * path.stat().st_size:
        raise UserError(f"{path}: its tensors take {size} bytes, far more than the file; {HINT}")


def write_local_dir(
    folder: str | Path,
    weights: Mapping[str, torch.Tensor],
    model_config: Mapping[str, Any],
    preprocess_config: Mapping[str, Any],
) -> None:
    """Write a folder that open_clip and `ClipEncoder.load` can read."""
    from safetensors.torch import save

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    config = {"model_cfg": dict(model_config), "preprocess_cfg": dict(preprocess_config)}
    # safetensors refuses tensors that share memory.
    copies = {name: tensor.detach().contiguous().clone() for name, tensor in weights.items()}
    with atomic_write(folder / WEIGHTS_FILE) as temporary:
        temporary.write_bytes(save(copies, metadata={"format": "pt"}))
        write_text(folder / CONFIG_FILE, json.dumps(config, indent=2) + "\n")


def read_config(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read and check `model_cfg` and `preprocess_cfg` of a folder."""
    for file in (CONFIG_FILE, WEIGHTS_FILE):
        if not (folder / file).is_file():
            raise FileNotFoundError(
                f"{folder / file} is missing; create the folder with clipnav pretrain-house-clip "
                f"--export {folder}, or with clipnav convert-openai-clip --output {folder}"
            )
    return read_config_file(folder / CONFIG_FILE)


def read_config_file(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read and check `model_cfg` and `preprocess_cfg` of a file in open_clip's format."""
    config = read_json_object(path, model_config.HINT)
    unknown = sorted(config.keys() - {"model_cfg", "preprocess_cfg"})
    if unknown or "model_cfg" not in config:
        field = repr(unknown[0]) if unknown else "'model_cfg'"
        problem = "is not a field of open_clip's configurations" if unknown else "is missing"
        raise UserError(f"{path}: {field} {problem}; {model_config.HINT}")
    preprocessing = config.get("preprocess_cfg") or {}
    return (
        check_model_config(config["model_cfg"], str(path)),
        check_preprocess_config(preprocessing, str(path)),
    )
