"""Reading of weight files in PyTorch's formats without running code from them."""

import json
import math
import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from clipnav.encoders.weights import model_config
from clipnav.encoders.weights.model_config import check_model_config, check_preprocess_config
from clipnav.encoders.weights.torchscript import is_torchscript, read_torchscript
from clipnav.storage import atomic_write, write_text
from clipnav.storage.errors import UserError, in_one_line
from clipnav.storage.json_files import read_json_object

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
        raise UserError(f"{path}: contains no weights by name; {HINT}")
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
            f"{problem}; {HINT}"
        ) from error


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
