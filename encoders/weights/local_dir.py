"""Folders in open_clip's local-dir format: a configuration and the weights that match it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from clipnav.encoders.weights.model_config import (
    REMEDY,
    check_model_config,
    check_preprocess_config,
)
from clipnav.storage import atomic_write, write_text
from clipnav.storage.errors import UserError
from clipnav.storage.json_files import read_json_object

CONFIG_FILE, WEIGHTS_FILE = "open_clip_config.json", "open_clip_model.safetensors"


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
    config = read_json_object(path, REMEDY)
    unknown = sorted(config.keys() - {"model_cfg", "preprocess_cfg"})
    if unknown or "model_cfg" not in config:
        field = repr(unknown[0]) if unknown else "'model_cfg'"
        problem = "is not a field of open_clip's configurations" if unknown else "is missing"
        raise UserError(f"{path}: {field} {problem}; {REMEDY}")
    preprocessing = config.get("preprocess_cfg") or {}
    return (
        check_model_config(config["model_cfg"], str(path)),
        check_preprocess_config(preprocessing, str(path)),
    )
