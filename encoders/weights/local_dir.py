"""Folders in open_clip's local-dir format: a configuration and weights that belong together."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from storage import write_text, written_whole

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
    with written_whole(folder / WEIGHTS_FILE) as beside:
        save_file(apart, beside, metadata={"format": "pt"})
        write_text(folder / CONFIG_FILE, json.dumps(config, indent=2) + "\n")


def read_config(folder: Path) -> dict[str, Any]:
    """Configuration of a folder.

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
    path = folder / CONFIG_FILE
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        return {"model_cfg": dict(config["model_cfg"]), **config}
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: not a configuration of open_clip ({error!r})") from error
