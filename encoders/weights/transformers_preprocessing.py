"""Preprocessing of images, between transformers' CLIPImageProcessor and open_clip."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from encoders.weights.model_config import check_preprocess_config
from storage.errors import UserError
from storage.json_files import read_json_object

PREPROCESSOR, _PROCESSOR = "preprocessor_config.json", "processor_config.json"
_RESAMPLING = {"bilinear": 2, "bicubic": 3}  # Pillow's numbers, which transformers records
_REMEDY = "write the folder again with CLIPProcessor.save_pretrained"


def read_preprocessing(folder: Path) -> dict[str, Any]:
    """Return open_clip's preprocessing of a folder of transformers; {} for OpenAI's.

    Raises:
        UserError: A file is damaged, or open_clip has no such preprocessing.
    """
    path, preprocessor = _processor_settings(folder)
    names = {"image_mean": "mean", "image_std": "std"}
    config = {names[key]: value for key, value in preprocessor.items() if key in names}
    resample = preprocessor.get("resample")
    if resample is not None:
        kinds = (kind for kind, number in _RESAMPLING.items() if number == resample)
        config["interpolation"] = next(kinds, f"resample {resample!r}")
    return check_preprocess_config(config, str(path))


def _processor_settings(folder: Path) -> tuple[Path, dict[str, Any]]:
    """Return the file and the settings of the image processor; OpenAI's settings if there is none.

    CLIPImageProcessor.save_pretrained writes a file of its own; CLIPProcessor.save_pretrained of
    transformers 5 writes them into the file of the whole processor.
    """
    path = folder / PREPROCESSOR
    if path.is_file():
        return path, read_json_object(path, _REMEDY)
    path = folder / _PROCESSOR
    settings = read_json_object(path, _REMEDY).get("image_processor") if path.is_file() else None
    if settings is None:
        print(f"{folder}: no {PREPROCESSOR}; OpenAI's mean, deviation and resizing are assumed")
        return path, {}
    if not isinstance(settings, dict):
        raise UserError(f"{path}: 'image_processor' is not an object; {_REMEDY}")
    return path, settings


def image_processor(
    preprocessing: Mapping[str, Any], image_size: int, source: Path
) -> dict[str, Any]:
    """Return the configuration of transformers' CLIPImageProcessor.

    Args:
        preprocessing: Preprocessing of open_clip.
        image_size: Height and width in pixels.
        source: Folder of the CLIP, for messages.

    Raises:
        UserError: transformers has no such preprocessing.
    """
    from open_clip.transform import PreprocessCfg

    config = PreprocessCfg(**preprocessing)
    if config.resize_mode != "shortest" or config.interpolation not in _RESAMPLING:
        raise UserError(
            f"{source}: transformers does not support its preprocessing, resize mode "
            f"{config.resize_mode!r} with interpolation {config.interpolation!r}; give a CLIP that "
            "resizes the shorter side"
        )
    return {
        "image_processor_type": "CLIPImageProcessor",
        "do_convert_rgb": True,
        "do_resize": True,
        "size": {"shortest_edge": image_size},
        "resample": _RESAMPLING[config.interpolation],
        "do_center_crop": True,
        "crop_size": {"height": image_size, "width": image_size},
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": list(config.mean),
        "image_std": list(config.std),
    }
