"""Where CLIP models come from: the shipped one, open_clip names, folders and weight files."""

import hashlib
import warnings
from pathlib import Path
from typing import Any

from torch import nn

from encoders.local_dir import read_config
from encoders.openai_weights import read_openai_weights
from encoders.reachability import is_fetched, is_reachable, source_of

HOUSE_CLIP = "house_clip"
HOUSE_CLIP_DIR = Path(__file__).parent / "house_clip"


def load_model(name_or_path: str, pretrained: str | None) -> tuple[nn.Module, Any, str]:
    """Build a CLIP in float32 on the CPU.

    Args:
        name_or_path: "house_clip", a folder (with or without "local-dir:"), an open_clip name, or
            "hf-hub:..."
        pretrained: For an open_clip name, a tag that open_clip lists or a file of weights; OpenAI's
            own TorchScript archives are read as well.

    Returns:
        The model in evaluation mode, its tokenizer, and the name to record beside features.

    Raises:
        FileNotFoundError: A folder or file is missing.
        ValueError: open_clip knows no such model, or no such weights of it.
        ConnectionError: The weights cannot be fetched.
    """
    import open_clip

    source, name = _source(name_or_path)
    if ":" in source:
        if pretrained is not None:
            raise ValueError(f"{name_or_path} brings its own weights; leave out {pretrained!r}")
        model = _model_with_weights(source)
    else:
        model = _named_model(source, pretrained)
        name = f"{source}/{Path(pretrained).name}" if pretrained else f"{source}/random"
    return model.eval(), open_clip.get_tokenizer(source), name


def weights_sha256(model: nn.Module) -> str:
    """SHA-256 over names, shapes and float32 values of all weights, whatever file held them."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def draw_weights(model: nn.Module) -> None:
    """Draw all weights of a model anew, as its modules do it; those of no such module, by width."""
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
        # Positions, class tokens and projections; a number alone, such as the temperature, stays.
        for weight in module.parameters(recurse=False):
            if weight.ndim:
                nn.init.normal_(weight, std=weight.shape[-1] ** -0.5)


def _source(name_or_path: str) -> tuple[str, str]:
    """What open_clip shall load, and its short name."""
    if name_or_path == HOUSE_CLIP:
        folder = HOUSE_CLIP_DIR
    elif name_or_path.startswith("local-dir:"):
        folder = Path(name_or_path.removeprefix("local-dir:"))
    elif Path(name_or_path).is_dir():
        folder = Path(name_or_path)
    else:
        return name_or_path, name_or_path
    return f"local-dir:{folder}", folder.resolve().name


def _model_with_weights(source: str) -> nn.Module:
    """A model from a folder or from Hugging Face."""
    import open_clip

    if source.startswith("local-dir:"):
        folder = Path(source.removeprefix("local-dir:"))
        text = read_config(folder)["model_cfg"].get("text_cfg", {})
        tower = folder / str(text.get("hf_model_name"))
        # A text tower of transformers may lie in the folder; open_clip would look for it on
        # Hugging Face.
        own: dict[str, Any] = {}
        if tower.is_dir():
            own["text_cfg"] = {
                **text,
                "hf_model_name": str(tower),
                "hf_model_pretrained": False,  # the weights are among the others
            }
        return open_clip.create_model(source, require_pretrained=True, **own)
    try:
        return open_clip.create_model(source, require_pretrained=True)
    except (RuntimeError, OSError) as error:
        raise ConnectionError(
            f"cannot fetch {source}; fetch it where there is a network and name its folder"
        ) from error


def _named_model(name: str, pretrained: str | None) -> nn.Module:
    import open_clip

    if name.replace("/", "-") not in open_clip.list_models():
        raise ValueError(
            f"{name!r} is neither a folder nor a model that open_clip knows; "
            "open_clip.list_models() lists those"
        )
    if pretrained is None:
        tags = open_clip.list_pretrained_tags_by_model(name)
        warnings.warn(
            f"{name} has random weights: its features mean nothing. Weights to choose: {tags} or "
            "a file",
            stacklevel=4,
        )
        return open_clip.create_model(name)
    if Path(pretrained).is_file():
        return _model_from_file(name, Path(pretrained))
    tag = open_clip.get_pretrained_cfg(name, pretrained)
    if not tag:
        raise ValueError(
            f"{name} has no weights {pretrained!r}: no such file, and open_clip's tags of it are "
            f"{open_clip.list_pretrained_tags_by_model(name)}"
        )
    if not is_fetched(tag) and not is_reachable(source_of(tag)):
        raise ConnectionError(
            f"cannot fetch the weights {pretrained!r} of {name}: {source_of(tag)} cannot be "
            "reached; fetch them where there is a network and pass the file as `pretrained`"
        )
    try:
        # The plain configurations use GELU, but weights like OpenAI's were trained with QuickGELU.
        quick = bool(tag.get("quick_gelu"))
        return open_clip.create_model(name, pretrained=pretrained, force_quick_gelu=quick)
    except (RuntimeError, OSError) as error:
        raise ConnectionError(
            f"cannot fetch the weights {pretrained!r} of {name}; fetch them where there is a "
            "network and pass the file as `pretrained`"
        ) from error


def _model_from_file(name: str, path: Path) -> nn.Module:
    import open_clip

    if path.suffix != ".safetensors":
        weights, openai = read_openai_weights(path)
        if openai:
            model = open_clip.create_model(name, force_quick_gelu=True, load_weights=False)
            model.load_state_dict({key: tensor.float() for key, tensor in weights.items()})
            return model
    return open_clip.create_model(name, pretrained=str(path))
