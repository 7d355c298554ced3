"""Preprocessing of images, between transformers' CLIPImageProcessor and open_clip."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from clipnav.encoders.weights.model_config import check_preprocess_config, height_width
from clipnav.storage.errors import UserError, shortened
from clipnav.storage.json_files import read_json_object

PREPROCESSOR, _PROCESSOR = "preprocessor_config.json", "processor_config.json"
_RESAMPLING = {"bilinear": 2, "bicubic": 3}  # Pillow's numbers, which transformers records
# Settings of CLIPImageProcessor that a file may lack, with their defaults. These are the same in
# transformers 4, slow and fast, and in transformers 5.
_DEFAULTS: dict[str, Any] = {
    "do_resize": True,
    "size": {"shortest_edge": 224},
    "default_to_square": False,
    "use_square_size": False,
    "do_center_crop": True,
    "crop_size": {"height": 224, "width": 224},
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
}
# Settings that open_clip lacks, because it always has these values.
_FIXED = ("do_resize", "use_square_size", "do_rescale")
_REMEDY = "write the folder again with CLIPProcessor.save_pretrained"


def read_preprocessing(folder: Path, image_size: int | Sequence[int]) -> dict[str, Any]:
    """Return open_clip's preprocessing of a folder of transformers; {} for OpenAI's.

    Args:
        image_size: Image size of the CLIP in pixels, as in open_clip's `vision_cfg`.
    """
    path, preprocessor = _processor_settings(folder)
    if preprocessor is None:
        return {}
    names = {"image_mean": "mean", "image_std": "std"}
    config = {names[key]: value for key, value in preprocessor.items() if key in names}
    resample = preprocessor.get("resample")
    if resample is not None:
        kinds = (kind for kind, number in _RESAMPLING.items() if number == resample)
        config["interpolation"] = next(kinds, f"resample {resample!r}")
    # transformers takes null for off in a switch, and for the default elsewhere.
    given = {
        key: value
        for key, value in preprocessor.items()
        if value is not None or key.startswith("do_")
    }
    settings = {**_DEFAULTS, **given}
    height, width = height_width(image_size)
    unsupported = _unsupported_setting(settings, height, width)
    if unsupported is not None:
        default = "" if unsupported in given else ", the default of transformers"
        raise UserError(
            f"{path}: {unsupported} is {shortened(settings[unsupported])}{default}; open_clip does "
            f"not support this for images of {height} x {width} pixels; give a CLIP whose images "
            "are resized to this size, or by their shorter side and then cropped to it, and "
            "rescaled by 1/255"
        )
    if _resized(settings) == {"height": height, "width": width}:
        config["resize_mode"] = "squash"
    if not settings["do_normalize"]:
        config |= {"mean": [0.0] * 3, "std": [1.0] * 3}
    return check_preprocess_config(config, str(path))


def _unsupported_setting(settings: Mapping[str, Any], height: int, width: int) -> str | None:
    """Return the name of a setting that no preprocessing of open_clip has, None without one.

    Args:
        height: Height in pixels of the images that the CLIP requires.
    """
    for name in _FIXED:
        if settings[name] != _DEFAULTS[name]:
            return name
    factor = settings["rescale_factor"]
    # Files contain 1/255 with different numbers of digits.
    if not isinstance(factor, int | float) or not abs(255 * factor - 1) < 1e-6:
        return "rescale_factor"
    whole = {"height": height, "width": width}
    is_whole = _resized(settings) == whole
    # open_clip resizes the shorter side only for square images.
    if not is_whole and (_resized(settings) != {"shortest_edge": height} or height != width):
        return "size"
    if not settings["do_center_crop"]:
        return None if is_whole else "do_center_crop"
    return None if _edges(settings["crop_size"], is_square=True) == whole else "crop_size"


def _resized(settings: Mapping[str, Any]) -> Any:
    return _edges(settings["size"], settings["default_to_square"])


def _edges(size: Any, is_square: bool) -> Any:
    """Return a size as transformers reads it: earlier versions wrote a number or a list."""
    if isinstance(size, Mapping):
        return {name: side for name, side in size.items() if side is not None}
    if isinstance(size, list):
        return dict(zip(("height", "width"), size, strict=False))
    return {"height": size, "width": size} if is_square else {"shortest_edge": size}


def _processor_settings(folder: Path) -> tuple[Path, dict[str, Any] | None]:
    """Return the file and the settings of the image processor, None if there is none.

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
        return path, None
    if not isinstance(settings, dict):
        raise UserError(f"{path}: 'image_processor' is not an object; {_REMEDY}")
    return path, settings


def image_processor(
    preprocessing: Mapping[str, Any], image_size: int, source: Path
) -> dict[str, Any]:
    """Return the configuration of transformers' CLIPImageProcessor.

    Args:
        image_size: Height and width in pixels.
    """
    from open_clip.transform import PreprocessCfg

    config = PreprocessCfg(**preprocessing)
    square = {"height": image_size, "width": image_size}
    sizes = {"shortest": {"shortest_edge": image_size}, "squash": square}
    if config.resize_mode not in sizes or config.interpolation not in _RESAMPLING:
        raise UserError(
            f"{source}: transformers does not support its preprocessing, resize mode "
            f"{config.resize_mode!r} with interpolation {config.interpolation!r}; give a CLIP that "
            "resizes the shorter side or the whole image"
        )
    return {
        "image_processor_type": "CLIPImageProcessor",
        "do_convert_rgb": True,
        "do_resize": True,
        "size": sizes[config.resize_mode],
        "resample": _RESAMPLING[config.interpolation],
        "do_center_crop": True,
        "crop_size": square,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": list(config.mean),
        "image_std": list(config.std),
    }
