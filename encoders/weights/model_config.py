"""Validation of open_clip's configurations before a model is built from them.

open_clip does not validate a configuration: a width of 10^9 ends in the operating system's
out-of-memory killer, and a misspelt field in a traceback. Field names and types are those of
open_clip's own dataclasses.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_type_hints

import msgspec

from clipnav.storage.errors import UserError

# Bounds of the fields that determine the size of a model; far beyond those of all known models.
_RANGES = {
    "embed_dim": (1, 1 << 16),
    "width": (1, 1 << 15),
    "layers": (1, 256),
    "heads": (1, 1024),
    "head_width": (1, 1 << 13),
    "dim_head": (1, 1 << 13),
    "mlp_ratio": (0.01, 64),
    "patch_size": (1, 1024),
    "image_size": (1, 8192),
    "context_length": (1, 8192),
    "vocab_size": (1, 1 << 22),
    "attn_pooler_queries": (1, 1 << 16),
    "n_queries": (1, 1 << 16),
    "attn_pooler_heads": (1, 1024),
    "patch_dropout": (0, 1),
}
_LARGEST = 1e6  # bound of all other numbers
_MOST_CELLS = 1 << 16
_RESNET_STRIDE = 32
_PARTS = ("vision_cfg", "text_cfg", "multimodal_cfg")
_TOP = {
    "embed_dim": int,
    "quick_gelu": bool,
    "custom_text": bool,
    "nonscalar_logit_scale": bool,
    "init_logit_scale": float,
    "init_logit_bias": float | None,
    "pad_id": int,
}
# Options of open_clip's tokenizers; any other would be passed to transformers.
_TOKENIZER_OPTIONS = {
    "clean": str,
    "strip_sep_token": bool,
    "language": str,
    "reduction_mask": str,
    "additional_special_tokens": list[str],
}
_CHOICES = {
    "interpolation": ("bicubic", "bilinear", "random"),
    "resize_mode": ("shortest", "longest", "squash"),
    "mode": ("RGB",),
    "hf_proj_type": ("linear", "mlp"),
}
HINT = "correct it, or download the model again"


def check_model_config(config: Any, source: str) -> dict[str, Any]:
    """Validate open_clip's `model_cfg` and return a copy; the model has a bounded size."""
    from open_clip.coca_model import MultimodalCfg
    from open_clip.model import CLIPTextCfg, CLIPVisionCfg

    checked = _fields(config, "model_cfg", source)
    for name in ("embed_dim", *_PARTS[:2]):
        if name not in checked:
            raise UserError(f"{source}: model_cfg.{name} is missing; {HINT}")
    top = {name: value for name, value in checked.items() if name not in _PARTS}
    _check_types(top, _TOP, "model_cfg", source)
    kinds = zip(_PARTS, (CLIPVisionCfg, CLIPTextCfg, MultimodalCfg), strict=True)
    for part, kind in kinds:
        if part in checked:
            checked[part] = _fields(checked[part], f"model_cfg.{part}", source)
            _check_types(checked[part], get_type_hints(kind), f"model_cfg.{part}", source)
    _check_vision(checked["vision_cfg"], f"{source}: model_cfg.vision_cfg")
    _check_text(checked["text_cfg"], f"{source}: model_cfg.text_cfg")
    options = checked["text_cfg"].get("tokenizer_kwargs") or {}
    _check_types(options, _TOKENIZER_OPTIONS, "model_cfg.text_cfg.tokenizer_kwargs", source)
    return checked


def check_preprocess_config(config: Any, source: str) -> dict[str, Any]:
    """Validate open_clip's `preprocess_cfg` and return a copy."""
    from open_clip.transform import PreprocessCfg

    checked = _fields(config, "preprocess_cfg", source)
    _check_types(checked, get_type_hints(PreprocessCfg), "preprocess_cfg", source)
    for name in ("mean", "std"):
        values = checked.get(name, (1, 1, 1))
        if len(values) != 3 or (name == "std" and min(values) <= 0):
            raise UserError(
                f"{source}: preprocess_cfg.{name} is {values}, not one number "
                f"{'above 0 ' if name == 'std' else ''}for each of red, green and blue; {HINT}"
            )
    return checked


def height_width(size: int | Sequence[int]) -> tuple[int, int]:
    """Return (height, width) of open_clip's `image_size`, which is one number for squares."""
    height, width = (size, size) if isinstance(size, int) else size
    return height, width


def _fields(value: Any, name: str, source: str) -> dict[str, Any]:
    """Copy a JSON object without its null values, which mean the default."""
    if not isinstance(value, Mapping):
        raise UserError(f"{source}: {name} is not a JSON object; {HINT}")
    return {key: entry for key, entry in value.items() if entry is not None}


def _check_types(
    values: Mapping[str, Any], kinds: Mapping[str, Any], part: str, source: str
) -> None:
    for name, value in values.items():
        field = f"{source}: {part}.{name}"
        if name not in kinds:
            raise UserError(f"{field} is not a field of open_clip; {HINT}")
        try:
            msgspec.convert(value, kinds[name])
        except msgspec.ValidationError as error:
            raise UserError(f"{field} is {_shortened(value)}: {error}; {HINT}") from error
        low, high = _RANGES.get(name, (-_LARGEST, _LARGEST))
        if not all(low <= number <= high for number in _numbers(value)):
            raise UserError(f"{field} is {_shortened(value)}, not from {low} to {high}; {HINT}")
        if value not in _CHOICES.get(name, (value,)):
            known = ", ".join(_CHOICES[name])
            raise UserError(f"{field} is {_shortened(value)}, not one of {known}; {HINT}")


def _numbers(value: Any) -> Iterator[float]:
    """Yield all numbers in a JSON value."""
    if isinstance(value, (list, tuple)):
        for part in value:
            yield from _numbers(part)
    elif isinstance(value, Mapping):
        yield from _numbers(list(value.values()))
    elif isinstance(value, (int, float)):
        yield value


def _shortened(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:60] + "..."


def _check_vision(values: Mapping[str, Any], field: str) -> None:
    from open_clip.model import CLIPVisionCfg

    config = {**vars(CLIPVisionCfg()), **values}
    if config["timm_model_name"]:
        import timm

        # Any other name, such as one with "hf-hub:", would be downloaded.
        if not timm.is_model(config["timm_model_name"]):
            raise UserError(f"{field}.timm_model_name: timm has no such model; {HINT}")
        return
    size = config["image_size"]
    height, width = height_width(size)
    if isinstance(config["layers"], int):
        stride, channels = config["patch_size"], config["width"]
    else:
        stride, channels = _RESNET_STRIDE, _RESNET_STRIDE * config["width"]
    heads = channels // config["head_width"]
    if heads < 1 or channels % heads:
        raise UserError(
            f"{field}: width {config['width']} cannot be divided into heads of head_width "
            f"{config['head_width']}; {HINT}"
        )
    if min(height, width) < stride or (height // stride) * (width // stride) > _MOST_CELLS:
        raise UserError(
            f"{field}: image_size {size} has no or too many grid cells of {stride} x {stride} "
            f"pixels; {HINT}"
        )


def _check_text(values: Mapping[str, Any], field: str) -> None:
    from open_clip.model import CLIPTextCfg

    config = {**vars(CLIPTextCfg()), **values}
    if not config["hf_model_name"] and config["width"] % config["heads"]:
        raise UserError(
            f"{field}: width {config['width']} cannot be divided among {config['heads']} heads; "
            f"{HINT}"
        )
