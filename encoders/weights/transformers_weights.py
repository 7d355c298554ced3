"""Conversion of CLIPs and their preprocessing between transformers (ViT only) and open_clip."""

import json
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from clipnav.encoders.weights.model_building import check_fit
from clipnav.encoders.weights.model_config import (
    check_model_config,
    check_preprocess_config,
    height_width,
)
from clipnav.encoders.weights.weight_files import WEIGHTS_FILE, read_config, read_weights
from clipnav.storage import write_text
from clipnav.storage.errors import UserError, truncate
from clipnav.storage.hugging_face import check_folder, reading
from clipnav.storage.json_files import read_json_object

_WEIGHTS, _CONFIG = "model.safetensors", "config.json"
# Parts of parameter names: (transformers, open_clip).
_NAMES = (
    ("vision_model.embeddings.class_embedding", "visual.class_embedding"),
    ("vision_model.embeddings.patch_embedding.weight", "visual.conv1.weight"),
    ("vision_model.embeddings.position_embedding.weight", "visual.positional_embedding"),
    ("vision_model.pre_layrnorm.", "visual.ln_pre."),
    ("vision_model.post_layernorm.", "visual.ln_post."),
    ("vision_model.encoder.layers.", "visual.transformer.resblocks."),
    ("visual_projection.weight", "visual.proj"),
    ("text_model.embeddings.token_embedding.", "token_embedding."),
    ("text_model.embeddings.position_embedding.weight", "positional_embedding"),
    ("text_model.final_layer_norm.", "ln_final."),
    ("text_model.encoder.layers.", "transformer.resblocks."),
    ("text_projection.weight", "text_projection"),
    (".layer_norm1.", ".ln_1."),
    (".layer_norm2.", ".ln_2."),
    (".mlp.fc1.", ".mlp.c_fc."),
    (".mlp.fc2.", ".mlp.c_proj."),
    (".self_attn.", ".attn."),
)
_TRANSPOSED = ("visual.proj", "text_projection")
_QUERY_KEY_VALUE = ("q_proj", "k_proj", "v_proj")
_ACTIVATIONS = {"quick_gelu": True, "gelu": False}
# Settings of open_clip's towers that a CLIPModel has, too, or that do not change features.
_SHARED_SETTINGS = frozenset(
    {
        *("width", "layers", "heads", "head_width", "mlp_ratio"),
        *("image_size", "patch_size", "patch_dropout", "output_tokens"),
        # The positions are among the weights.
        "pos_embed_type",
        *("context_length", "vocab_size", "pad_id", "eos_id"),
        *("hf_tokenizer_name", "tokenizer_mode", "tokenizer_kwargs"),
    }
)
_EPSILON = 1e-5  # of the layer norms of open_clip
_HINT = "write the folder again with CLIPModel.save_pretrained"
_PREPROCESSOR, _PROCESSOR = "preprocessor_config.json", "processor_config.json"
_RESAMPLING = {"bilinear": 2, "bicubic": 3}  # Pillow's numbers, which transformers records
# Settings of CLIPImageProcessor that a file may lack, with their defaults. These are the same in
# transformers 4, slow and fast, and in transformers 5.
_PROCESSOR_DEFAULTS: dict[str, Any] = {
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
_PROCESSOR_HINT = "write the folder again with CLIPProcessor.save_pretrained"


def from_transformers(weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Convert the weights of a CLIPModel to open_clip's names."""
    converted: dict[str, torch.Tensor] = {}
    for name, tensor in weights.items():
        if name.endswith("position_ids") or ".k_proj." in name or ".v_proj." in name:
            continue
        if ".q_proj." in name:
            names = [name.replace("q_proj", part) for part in _QUERY_KEY_VALUE]
            parts = [weights[part] for part in names if part in weights]
            if len({part.shape for part in parts}) > 1 or len(parts) < len(names):
                raise UserError(
                    f"{' or '.join(names[1:])} is missing, or its shape differs from {name}"
                )
            tensor, name = torch.cat(parts), name.replace("q_proj.", "in_proj_")
        name = _renamed(name, 0, 1)
        converted[name] = tensor.T if name in _TRANSPOSED and tensor.ndim == 2 else tensor
    return converted


def _to_transformers(weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Convert the weights of open_clip's CLIP with a ViT to the names of a CLIPModel."""
    converted: dict[str, torch.Tensor] = {}
    for name, tensor in weights.items():
        new = _renamed(name, 1, 0)
        if ".in_proj_" in new:
            for part, piece in zip(_QUERY_KEY_VALUE, tensor.chunk(3), strict=True):
                converted[new.replace("in_proj_", f"{part}.")] = piece
        else:
            converted[new] = tensor.T if name in _TRANSPOSED else tensor
    return converted


def read_transformers_clip(
    folder: str | Path,
) -> tuple[dict[str, torch.Tensor], dict[str, Any], dict[str, Any]]:
    """Read a folder that CLIPModel.save_pretrained wrote."""
    folder = Path(folder)
    for file in (_CONFIG, _WEIGHTS):
        if not (folder / file).is_file():
            raise FileNotFoundError(f"{folder / file}: the file is missing; {_HINT}")
    check_folder(str(folder), _CONFIG)
    config = read_json_object(folder / _CONFIG, _HINT)
    if config.get("model_type") != "clip":
        raise UserError(
            f"{folder / _CONFIG}: model_type is {config.get('model_type')!r}, not 'clip'; give the "
            "folder of a CLIPModel"
        )
    model_config = _open_clip_config(folder, config)
    weights, _ = read_weights(folder / _WEIGHTS)
    try:
        converted = from_transformers(weights)
    except UserError as error:
        raise UserError(f"{folder / _WEIGHTS}: {error}; {_HINT}") from error
    image_size = model_config["vision_cfg"]["image_size"]
    return converted, model_config, read_preprocessing(folder, image_size)


def write_transformers_clip(source: str | Path, folder: str | Path) -> None:
    """Convert a folder in open_clip's local-dir format to a CLIPModel and its image processor."""
    from transformers import CLIPConfig, CLIPModel

    source = Path(source)
    if source.is_file():
        raise UserError(
            f"{source}: a file, not a folder in open_clip's format; convert it to a folder with "
            "clipnav convert-openai-clip --output FOLDER first"
        )
    model, preprocessing = read_config(source)
    weights, _ = read_weights(source / WEIGHTS_FILE)
    if "visual.proj" not in weights or "text_projection" not in weights:
        raise UserError(
            f"{source}: transformers does not support these towers; give a CLIP with a plain ViT"
        )
    check_fit(model, weights, str(source))
    vision, text = _tower_settings(model, source)
    processor = image_processor(preprocessing, vision["image_size"], source)
    activation = "quick_gelu" if model.get("quick_gelu") else "gelu"
    head_width = vision["head_width"]
    config = CLIPConfig(
        projection_dim=model["embed_dim"],
        vision_config={
            **_sizes(vision, vision["width"] // head_width, activation),
            "image_size": vision["image_size"],
            "patch_size": vision["patch_size"],
            "projection_dim": model["embed_dim"],
        },
        text_config={
            **_sizes(text, text["heads"], activation),
            "max_position_embeddings": text["context_length"],
            "vocab_size": text["vocab_size"],
            "projection_dim": model["embed_dim"],
            # The last token of CLIP's vocabulary ends a sentence.
            "eos_token_id": text["vocab_size"] - 1,
            "bos_token_id": text["vocab_size"] - 2,
        },
    )
    converted = CLIPModel(config)
    converted.load_state_dict(
        {name: tensor.float() for name, tensor in _to_transformers(weights).items()}
    )
    converted.save_pretrained(folder)
    write_text(Path(folder) / _PREPROCESSOR, json.dumps(processor, indent=2) + "\n")


def _renamed(name: str, old: int, new: int) -> str:
    for names in _NAMES:
        # Parts with a leading dot match anywhere in a name, all others only at its start.
        start = "" if names[old].startswith(".") else "^"
        name = re.sub(start + re.escape(names[old]), names[new], name)
    return name


def _tower_settings(
    model: Mapping[str, Any], source: Path
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return all settings of the image tower and of the text tower, defaults included."""
    from open_clip.model import CLIPTextCfg, CLIPVisionCfg

    towers = []
    for part, defaults in (("vision_cfg", CLIPVisionCfg()), ("text_cfg", CLIPTextCfg())):
        for name, value in model[part].items():
            if name == "norm_kwargs" and set(value or ()) <= {"eps"}:
                continue  # layer_norm_eps of a CLIPModel
            if name not in _SHARED_SETTINGS and value != getattr(defaults, name):
                raise UserError(
                    f"{source}: transformers does not support {part}.{name} {value!r}; give a CLIP "
                    "with a plain ViT"
                )
        towers.append({**vars(defaults), **model[part]})
    vision, text = towers
    if not isinstance(vision["image_size"], int):
        raise UserError(
            f"{source}: transformers does not support vision_cfg.image_size "
            f"{vision['image_size']}; give a CLIP of square images"
        )
    return vision, text


def _sizes(tower: Mapping[str, Any], heads: int, activation: str) -> dict[str, Any]:
    return {
        "hidden_size": tower["width"],
        "intermediate_size": int(tower["width"] * tower["mlp_ratio"]),  # as in open_clip
        "num_hidden_layers": tower["layers"],
        "num_attention_heads": heads,
        "hidden_act": activation,
        "layer_norm_eps": (tower["norm_kwargs"] or {}).get("eps", _EPSILON),
    }


def _open_clip_config(folder: Path, config: Mapping[str, Any]) -> dict[str, Any]:
    from transformers import CLIPConfig

    with reading(str(folder)):
        full = CLIPConfig(**config)  # adds the defaults
    vision: Any = full.vision_config
    text: Any = full.text_config
    if vision.hidden_act not in _ACTIVATIONS or vision.hidden_act != text.hidden_act:
        raise UserError(
            f"{folder / _CONFIG}: activations {vision.hidden_act!r} and {text.hidden_act!r} are "
            f"not supported; open_clip requires one of {sorted(_ACTIVATIONS)} for both"
        )
    for tower in (vision, text):
        sizes = (tower.hidden_size, tower.intermediate_size, tower.num_attention_heads)
        if min(sizes) < 1 or tower.hidden_size % tower.num_attention_heads:
            raise UserError(
                f"{folder / _CONFIG}: hidden_size, intermediate_size and num_attention_heads "
                f"{sizes} cannot be divided into heads; {_HINT}"
            )
    model_config = {
        "embed_dim": full.projection_dim,
        "quick_gelu": _ACTIVATIONS[vision.hidden_act],
        "vision_cfg": {
            "image_size": vision.image_size,
            "layers": vision.num_hidden_layers,
            "width": vision.hidden_size,
            "head_width": vision.hidden_size // vision.num_attention_heads,
            "patch_size": vision.patch_size,
            "mlp_ratio": _mlp_ratio(vision),
            "norm_kwargs": _norm_settings(vision),
        },
        "text_cfg": {
            "context_length": text.max_position_embeddings,
            "vocab_size": text.vocab_size,
            "width": text.hidden_size,
            "heads": text.num_attention_heads,
            "layers": text.num_hidden_layers,
            "mlp_ratio": _mlp_ratio(text),
            "norm_kwargs": _norm_settings(text),
        },
    }
    return check_model_config(model_config, str(folder / _CONFIG))


def _norm_settings(tower: Any) -> dict[str, float] | None:
    """Return open_clip's settings of a tower's layer norms, None if they have the default."""
    return None if tower.layer_norm_eps == _EPSILON else {"eps": tower.layer_norm_eps}


def _mlp_ratio(tower: Any) -> float:
    """Return the ratio from which open_clip computes the width of a tower's hidden layers."""
    width, hidden = tower.hidden_size, tower.intermediate_size
    ratio = hidden / width
    # open_clip truncates the product, which may be just below the whole number.
    return ratio if int(width * ratio) == hidden else math.nextafter(ratio, math.inf)


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
    settings = {**_PROCESSOR_DEFAULTS, **given}
    height, width = height_width(image_size)
    unsupported = _unsupported_setting(settings, height, width)
    if unsupported is not None:
        default = "" if unsupported in given else ", the default of transformers"
        raise UserError(
            f"{path}: {unsupported} is {truncate(settings[unsupported])}{default}; open_clip does "
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
        if settings[name] != _PROCESSOR_DEFAULTS[name]:
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
    path = folder / _PREPROCESSOR
    if path.is_file():
        return path, read_json_object(path, _PROCESSOR_HINT)
    path = folder / _PROCESSOR
    settings = (
        read_json_object(path, _PROCESSOR_HINT).get("image_processor") if path.is_file() else None
    )
    if settings is None:
        print(f"{folder}: no {_PREPROCESSOR}; OpenAI's mean, deviation and resizing are assumed")
        return path, None
    if not isinstance(settings, dict):
        raise UserError(f"{path}: 'image_processor' is not an object; {_PROCESSOR_HINT}")
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
