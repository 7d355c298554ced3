"""Models of open_clip, built of a configuration and weights that belong to it."""

import copy
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from encoders.weights.model_config import REMEDY
from storage.messages import in_one_line

_POSITIONS = {"visual.positional_embedding", "positional_embedding", "text.positional_embedding"}
_MOST_WEIGHTS = 10**10  # twice as many as the largest CLIP that has been published


def build_model(
    config: Mapping[str, Any],
    weights: Mapping[str, torch.Tensor] | None,
    source: str,
    resize_positions: bool = True,
) -> nn.Module:
    """Build a model of a checked configuration and give it weights.

    The names and shapes of the weights are compared with a model without memory, so that a
    configuration to which they do not belong is refused before anything is allocated.

    Args:
        config: See `check_model_config`.
        weights: By open_clip's names, or older ones that it still reads; None for random ones.
        source: Where both are from, for errors.
        resize_positions: Let positions be resized where they are those of pictures or texts of
            another size, as open_clip does it.

    Raises:
        ValueError: There is no such model, or the weights are not of it.
    """
    with torch.device("meta"):
        probe = _build(config, source)
    if weights is None:
        count = sum(weight.numel() for weight in probe.parameters())
        if count > _MOST_WEIGHTS:
            raise ValueError(f"{source}: describes {count} weights, which no CLIP has; {REMEDY}")
        return _build(config, source)
    state = _converted(weights, probe, source, resize_positions)
    _check_shapes(state, probe, source)
    model = _build(config, source)
    model.load_state_dict(state)
    return model


def check_fit(config: Mapping[str, Any], weights: Mapping[str, torch.Tensor], source: str) -> None:
    """Refuse weights that are not exactly those of a checked configuration.

    Raises:
        ValueError: There is no such model, or the weights are not of it.
    """
    with torch.device("meta"):
        _check_shapes(weights, _build(config, source), source)


def _check_shapes(weights: Mapping[str, torch.Tensor], model: nn.Module, source: str) -> None:
    expected = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    found = {name: tuple(tensor.shape) for name, tensor in weights.items()}
    wrong = [name for name in {**expected, **found} if expected.get(name) != found.get(name)]
    if not wrong:
        return
    name = wrong[0]
    if name not in found:
        problem = f"{name} is missing"
    elif name not in expected:
        problem = f"{name} is not part of such a model"
    else:
        problem = f"{name} has shape {found[name]}, not {expected[name]}"
    more = f" (as {len(wrong)} names or shapes in all)"
    raise ValueError(
        f"{source}: the weights are not those of the model: {problem}{more}; name the model that "
        "they were made with, or the weights of this one"
    )


def _build(config: Mapping[str, Any], source: str) -> nn.Module:
    from open_clip import CoCa, CustomTextCLIP
    from open_clip.model import CLIP

    own = copy.deepcopy(dict(config))
    custom = own.pop("custom_text", False)
    if own["text_cfg"].get("hf_model_name"):
        own["text_cfg"]["hf_model_pretrained"] = False
        custom = True
    if own["vision_cfg"].get("timm_model_name"):
        own["vision_cfg"]["timm_model_pretrained"] = False
    kind: Callable[..., nn.Module] = CLIP
    if custom:
        kind = CoCa if "multimodal_cfg" in own else CustomTextCLIP
    try:
        return kind(**own)
    except Exception as error:  # open_clip, timm and transformers raise many kinds
        raise ValueError(
            f"{source}: open_clip builds no model of this configuration ({in_one_line(error)}); "
            f"{REMEDY}"
        ) from error


def _converted(
    weights: Mapping[str, torch.Tensor], model: nn.Module, source: str, resize_positions: bool
) -> dict[str, torch.Tensor]:
    """Weights as `open_clip.load_checkpoint`, which takes a file, converts them."""
    from open_clip.convert import convert_state_dict
    from open_clip.model import (
        convert_to_custom_text_state_dict,
        resize_pos_embed,
        resize_text_pos_embed,
    )

    found: Any = model
    try:
        state = convert_state_dict(found, dict(weights))
        if "positional_embedding" in state and not hasattr(model, "positional_embedding"):
            state = convert_to_custom_text_state_dict(state)
        for name in ("logit_scale", "logit_bias"):
            own = getattr(model, name, None)
            if own is not None and name in state:
                state[name] = state[name].reshape(own.shape)  # a number, or one in a list
            elif own is not None and name == "logit_bias":
                state[name] = torch.zeros(own.shape)
        own_state = model.state_dict()
        positions = _POSITIONS & set(state) & set(own_state)
        alike = all(state[name].shape[1:] == own_state[name].shape[1:] for name in positions)
        if resize_positions and alike:  # else they are of another model
            for name in positions:
                state[name] = state[name].float()  # half precision cannot be resized on a CPU
            resize_pos_embed(state, found)
            resize_text_pos_embed(state, found)
    except Exception as error:  # open_clip's functions expect weights of the right shapes
        raise ValueError(
            f"{source}: the weights are not those of the model ({in_one_line(error)}); name the "
            "model that they were made with, or the weights of this one"
        ) from error
    # transformers kept the numbers of positions among the weights until version 4.31.
    for name in set(state) - set(own_state):
        if name.endswith("embeddings.position_ids"):
            del state[name]
    return state
