"""Building of open_clip models from a configuration and matching weights."""

import copy
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from clipnav.encoders.weights.model_config import HINT
from clipnav.storage.errors import UserError, in_one_line

_MATCH_HINT = "give the model that they were trained with, or the weights of this model"
_POSITIONS = {"visual.positional_embedding", "positional_embedding", "text.positional_embedding"}
_MOST_WEIGHTS = 10**10  # twice the size of the largest published CLIP


def build_model(
    config: Mapping[str, Any],
    weights: Mapping[str, torch.Tensor] | None,
    source: str,
    resize_positions: bool = True,
) -> nn.Module:
    """Build a model from a checked configuration and load weights into it.

    The names and shapes of the weights are compared with those of a model on the meta device, so
    that a mismatch is refused before any memory is allocated.

    Args:
        weights: Weights by open_clip's names, or older names that open_clip still reads; None for
            random weights.
    """
    with torch.device("meta"):
        probe = _build(config, source)
    if weights is None:
        count = sum(weight.numel() for weight in probe.parameters())
        if count > _MOST_WEIGHTS:
            raise UserError(f"{source}: describes {count} weights, more than any CLIP; {HINT}")
        return _build(config, source)
    state = _converted(weights, probe, source, resize_positions)
    check_shapes(state, probe, source)
    model = _build(config, source)
    model.load_state_dict(state)
    return model


def check_fit(config: Mapping[str, Any], weights: Mapping[str, torch.Tensor], source: str) -> None:
    """Check that weights match a checked configuration exactly."""
    with torch.device("meta"):
        check_shapes(weights, _build(config, source), source)


def check_shapes(
    weights: Mapping[str, torch.Tensor],
    model: nn.Module,
    source: str,
    hint: str = _MATCH_HINT,
) -> None:
    """Check that weights have the names and shapes of a model's."""
    expected = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    actual = {name: tuple(tensor.shape) for name, tensor in weights.items()}
    wrong = [name for name in {**expected, **actual} if expected.get(name) != actual.get(name)]
    if not wrong:
        return
    name = wrong[0]
    if name not in actual:
        problem = f"{name} is missing"
    elif name not in expected:
        problem = f"{name} is not part of the model"
    else:
        problem = f"{name} has shape {actual[name]}, not {expected[name]}"
    raise UserError(
        f"{source}: the weights do not match the model: {problem} ({len(wrong)} mismatches in "
        f"all); {hint}"
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
    except Exception as error:  # open_clip, timm and transformers raise many types
        raise UserError(
            f"{source}: open_clip cannot build a model from this configuration "
            f"({in_one_line(error)}); {HINT}"
        ) from error


def _converted(
    weights: Mapping[str, torch.Tensor], model: nn.Module, source: str, resize_positions: bool
) -> dict[str, torch.Tensor]:
    """Convert weights as `open_clip.load_checkpoint` does, which accepts files only."""
    from open_clip.convert import convert_state_dict
    from open_clip.model import (
        convert_to_custom_text_state_dict,
        resize_pos_embed,
        resize_text_pos_embed,
    )

    untyped: Any = model  # open_clip's functions are annotated for CLIP only
    try:
        state = convert_state_dict(untyped, dict(weights))
        if "positional_embedding" in state and not hasattr(model, "positional_embedding"):
            state = convert_to_custom_text_state_dict(state)
        for name in ("logit_scale", "logit_bias"):
            own = getattr(model, name, None)
            if own is not None and name in state:
                state[name] = state[name].reshape(own.shape)  # () or (1,)
            elif own is not None and name == "logit_bias":
                state[name] = torch.zeros(own.shape)
        own_state = model.state_dict()
        positions = _POSITIONS & set(state) & set(own_state)
        same_width = all(state[name].shape[1:] == own_state[name].shape[1:] for name in positions)
        if resize_positions and same_width:  # another width means another model
            for name in positions:
                state[name] = state[name].float()  # half precision cannot be resized on a CPU
            resize_pos_embed(state, untyped)
            resize_text_pos_embed(state, untyped)
    except Exception as error:  # open_clip's functions expect weights of the right shapes
        raise UserError(
            f"{source}: the weights do not match the model ({in_one_line(error)}); {_MATCH_HINT}"
        ) from error
    # transformers saved position indices among the weights until version 4.31.
    for name in set(state) - set(own_state):
        if name.endswith("embeddings.position_ids"):
            del state[name]
    return state
