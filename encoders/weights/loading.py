"""Loading of CLIP models: the shipped one, open_clip names, folders and weight files."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from clipnav.encoders.weights.model_building import build_model
from clipnav.encoders.weights.model_config import (
    HINT,
    check_model_config,
    check_preprocess_config,
    height_width,
)
from clipnav.encoders.weights.origins import LOCAL, Origin, find_origin
from clipnav.storage.errors import UserError, in_one_line
from clipnav.storage.hugging_face import check_folder, reading, text_model_config

# Settings of an image tower that the names and shapes of its weights determine.
_IN_WEIGHTS = ("layers", "width", "mlp_ratio", "patch_size")
_SEED = 0  # fixed, so that an interrupted command with random weights resumes with the same ones


def load_model(
    name_or_path: str, pretrained: str | None = None, random_weights: bool = False
) -> tuple[nn.Module, Any, str]:
    """Build a CLIP in float32 on the CPU. Files are read without running any code from them."""
    if random_weights and pretrained is not None:
        raise UserError(
            f"random weights and the weights {pretrained!r} exclude each other; give one of them"
        )
    origin = find_origin(name_or_path, pretrained, random_weights)
    _check_text_tower(origin)
    tokenizer = _tokenizer(origin)
    model = _build(origin, random_weights)
    _check_towers(model, tokenizer, origin)
    _set_preprocessing(model, origin)
    model.images_only = origin.images_only
    model.settings = _changed_settings(origin)
    return model.eval(), tokenizer, f"{origin.name}/random" if random_weights else origin.name


def weights_sha256(model: nn.Module) -> str:
    """Return the SHA-256 of names, shapes and float32 values of all weights, and of `settings`.

    The digest does not depend on the format of the file that contained them.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().float().cpu().contiguous().numpy().tobytes())
    digest.update(getattr(model, "settings", "").encode())
    return digest.hexdigest()


def _changed_settings(origin: Origin) -> str:
    """Return JSON of settings that change the features of images but not the weights.

    They are the activation, the division into heads, the preprocessing and others; "" if all of
    them are open_clip's defaults.
    """
    from open_clip.model import CLIPVisionCfg
    from open_clip.transform import PreprocessCfg

    vision = origin.config["vision_cfg"]
    # The position table has a row for each cell of the image size, except in models of timm.
    skipped = (*_IN_WEIGHTS, *(() if vision.get("timm_model_name") else ("image_size",)))
    settings = {
        "model": {"quick_gelu": True} if origin.config.get("quick_gelu") else {},
        "vision": _changed(vision, vars(CLIPVisionCfg()), skipped),
        "preprocessing": _changed(origin.preprocessing, vars(PreprocessCfg()), ("size",)),
    }
    return json.dumps(settings, sort_keys=True) if any(settings.values()) else ""


def _changed(
    values: Mapping[str, Any], defaults: Mapping[str, Any], skipped: Sequence[str]
) -> dict[str, Any]:
    """Return the values of JSON that differ from their defaults."""
    plain = json.loads(json.dumps(defaults)), json.loads(json.dumps(values))
    return {k: v for k, v in plain[1].items() if k not in skipped and v != plain[0].get(k)}


def _draw_weights(model: nn.Module) -> None:
    """Initialise all weights at random: by each module's own rule, else by normal noise."""
    modules = list(model.modules())
    for module in modules:
        if hasattr(module, "reset_parameters"):
            module.reset_parameters()  # pyright: ignore[reportCallIssue]
    for module in modules:
        if hasattr(module, "reset_parameters"):
            continue
        if isinstance(module, nn.MultiheadAttention):
            module._reset_parameters()
            continue
        # Positions, class tokens and projections. Scalars such as the temperature are kept.
        for weight in module.parameters(recurse=False):
            if weight.ndim:
                nn.init.normal_(weight, std=weight.shape[-1] ** -0.5)


def _check_text_tower(origin: Origin) -> None:
    """Refuse a transformers text tower that contains code; open_clip would prompt the user."""
    name = origin.config["text_cfg"].get("hf_model_name")
    if name:
        text_model_config(name)


def _tokenizer(origin: Origin) -> Any:
    """Return open_clip's tokenizer of the model; one that contains code is refused."""
    import open_clip

    options: dict[str, Any] = {}
    source = origin.config["text_cfg"].get("hf_tokenizer_name")
    if source:
        options["trust_remote_code"] = False
    if origin.tokenizer.startswith(LOCAL):
        source = origin.tokenizer.removeprefix(LOCAL)
        check_folder(source)
    with reading(source or origin.name):
        return open_clip.get_tokenizer(origin.tokenizer, **options)


def _check_towers(model: Any, tokenizer: Any, origin: Origin) -> None:
    """Refuse a model whose towers do not match its tokenizer or its image size."""
    try:
        with torch.inference_mode():
            model.eval().encode_text(tokenizer(["a room"]))
    except Exception as error:  # open_clip and transformers raise many types for a wrong size
        raise UserError(
            f"{origin.file}: the text tower does not accept the tokens of its tokenizer "
            f"({in_one_line(error)}); {HINT}"
        ) from error
    trunk, size = getattr(model.visual, "trunk", None), model.visual.image_size
    # Folders only: open_clip's own ViTamin-XL-384 has an image size that differs from its trunk's.
    fixed = getattr(getattr(trunk, "patch_embed", None), "img_size", None)
    if origin.is_folder and fixed is not None and tuple(fixed) != height_width(size):
        raise UserError(
            f"{origin.file}: the image tower requires images of {tuple(fixed)} pixels, not of "
            f"{size}; {HINT}"
        )


def _set_preprocessing(model: Any, origin: Origin) -> None:
    """Set the preprocessing configuration of a model as `open_clip.create_model` does."""
    from open_clip.model import set_model_preprocess_cfg
    from open_clip.transform import PreprocessCfg, merge_preprocess_dict

    own = {**origin.preprocessing, "size": model.visual.image_size}
    set_model_preprocess_cfg(model, merge_preprocess_dict(PreprocessCfg(), own))


def load_image_tower(
    name_or_path: str, pretrained: str | None = None, random_weights: bool = False
) -> tuple[Any, dict[str, Any]]:
    """Build the image tower of a CLIP, see `load_model`."""
    origin = find_origin(name_or_path, pretrained, random_weights)
    _check_text_tower(origin)
    description = {"model_cfg": origin.config, "preprocess_cfg": origin.preprocessing}
    return _tower(origin, random_weights), description


def build_image_tower(description: dict[str, Any], source: str) -> Any:
    """Build an image tower with random weights from the description of `load_image_tower`."""
    config = check_model_config(description.get("model_cfg"), source)
    preprocessing = check_preprocess_config(description.get("preprocess_cfg") or {}, source)
    return _tower(Origin(config, preprocessing, None, source, source, source), False)


def _tower(origin: Origin, random_weights: bool) -> Any:
    model = _build(origin, random_weights)
    _set_preprocessing(model, origin)
    return model.visual


def _build(origin: Origin, random_weights: bool) -> Any:
    with torch.random.fork_rng([]):
        # Building a model draws weights; they are kept only if random weights are requested.
        torch.manual_seed(_SEED)
        if origin.images_only and origin.weights is not None:
            random = build_model(origin.config, None, origin.file).state_dict()
            text = {name: w for name, w in random.items() if not name.startswith("visual.")}
            origin = replace(origin, weights={**text, **origin.weights})
        model = build_model(origin.config, origin.weights, origin.file, not origin.is_folder)
        if random_weights:
            torch.manual_seed(_SEED)
            _draw_weights(model)
    return model
