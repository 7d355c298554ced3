"""Folders in open_clip's local-dir format: a configuration and weights that belong together."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from encoders.weights.model_config import REMEDY, check_model_config, check_preprocess_config
from storage import atomic_write, write_text
from storage.json_files import read_json_object

CONFIG_FILE, WEIGHTS_FILE = "open_clip_config.json", "open_clip_model.safetensors"


def write_local_dir(
    folder: str | Path,
    weights: Mapping[str, torch.Tensor],
    model_config: Mapping[str, Any],
    preprocess_config: Mapping[str, Any],
) -> None:
    """Write a folder that open_clip and `ClipEncoder.load` read.

    Args:
        folder: Made if it is missing; other files in it stay.
        weights: By open_clip's names; their types are kept.
        model_config: open_clip's `model_cfg`.
        preprocess_config: open_clip's `preprocess_cfg`.
    """
    from safetensors.torch import save_file

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    config = {"model_cfg": dict(model_config), "preprocess_cfg": dict(preprocess_config)}
    # Apart from each other in memory, as safetensors wants them.
    apart = {name: tensor.detach().contiguous().clone() for name, tensor in weights.items()}
    with atomic_write(folder / WEIGHTS_FILE) as beside:
        save_file(apart, beside, metadata={"format": "pt"})
        write_text(folder / CONFIG_FILE, json.dumps(config, indent=2) + "\n")


def read_config(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """SubmissionCheck `model_cfg` and `preprocess_cfg` of a folder.

    Raises:
        FileNotFoundError: The configuration or the weights are missing.
        ValueError: The configuration is damaged.
    """
    for file in (CONFIG_FILE, WEIGHTS_FILE):
        if not (folder / file).is_file():
            raise FileNotFoundError(
                f"{folder / file} is missing; scripts/pretrain_house_clip.py and "
                f"scripts/convert_openai_clip.py make such folders with --output {folder}"
            )
    return read_config_file(folder / CONFIG_FILE)


def read_config_file(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """SubmissionCheck `model_cfg` and `preprocess_cfg` of a file in open_clip's format.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is damaged.
    """
    config = read_json_object(path, REMEDY)
    unknown = sorted(config.keys() - {"model_cfg", "preprocess_cfg"})
    if unknown or "model_cfg" not in config:
        problem = f"{unknown[0]} is not a field of" if unknown else "model_cfg is missing in"
        raise ValueError(f"{path}: {problem} open_clip's configurations; {REMEDY}")
    preprocessing = config.get("preprocess_cfg") or {}
    return (
        check_model_config(config["model_cfg"], str(path)),
        check_preprocess_config(preprocessing, str(path)),
    )
