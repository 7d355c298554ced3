"""Loading of CLIP models: the shipped one, open_clip names, folders and weight files."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from encoders.weights.local_dir import CONFIG_FILE, WEIGHTS_FILE, read_config, read_config_file
from encoders.weights.model_building import build_model
from encoders.weights.model_config import (
    REMEDY,
    check_model_config,
    check_preprocess_config,
)
from encoders.weights.openai_weights import read_openai_weights
from encoders.weights.reachability import is_downloaded, is_reachable, source_of
from encoders.weights.weight_files import read_weights
from storage.hugging_face import check_folder, reading, text_model_config
from storage.messages import in_one_line

HOUSE_CLIP = "house_clip"
HOUSE_CLIP_DIR = Path(__file__).parents[1] / "house_clip"
_LOCAL, _HUB = "local-dir:", "hf-hub:"
_PREPROCESSING = ("mean", "std", "interpolation", "resize_mode")  # entries of an open_clip tag
_SEED = 0  # fixed, so that an interrupted command with random weights resumes with the same ones


@dataclass(frozen=True)
class _Origin:
    """Configuration, weights and names that a model is built from."""

    config: dict[str, Any]
    """open_clip's `model_cfg`, validated."""
    preprocessing: dict[str, Any]
    """Preprocessing fields that differ from open_clip's defaults."""
    weights: dict[str, torch.Tensor] | None
    """Weights by name; None for random ones."""
    tokenizer: str
    """Argument of `open_clip.get_tokenizer`."""
    name: str
    """Name of the model in the metadata of features."""
    file: str
    """Weight file, folder or model name, for error messages."""
    is_folder: bool = False
    """Whether configuration and weights are in one folder and must match exactly."""


def load_model(
    name_or_path: str, pretrained: str | None = None, random_weights: bool = False
) -> tuple[nn.Module, Any, str]:
    """Build a CLIP in float32 on the CPU. Files are read without running any code from them.

    Args:
        name_or_path: "house_clip", a folder (with or without "local-dir:"), an open_clip name, or
            "hf-hub:..."
        pretrained: For an open_clip name, a tag that open_clip lists or a weight file, including
            OpenAI's own TorchScript archives.
        random_weights: Initialise the weights at random with a fixed seed instead of loading them.

    Returns:
        The model in evaluation mode, its tokenizer, and its name for the metadata of features.

    Raises:
        FileNotFoundError: A folder or file is missing.
        ValueError: Model or weights are unknown to open_clip, a file is damaged, or neither weights
            nor random weights are requested.
        ConnectionError: The weights cannot be downloaded.
    """
    if random_weights and pretrained is not None:
        raise ValueError(
            f"random weights and the weights {pretrained!r} exclude each other; give one of them"
        )
    origin = _origin(name_or_path, pretrained, random_weights)
    _check_text_tower(origin)
    tokenizer = _tokenizer(origin)
    model = _build(origin, random_weights)
    _check_towers(model, tokenizer, origin)
    _set_preprocessing(model, origin)
    return model.eval(), tokenizer, f"{origin.name}/random" if random_weights else origin.name


def weights_sha256(model: nn.Module) -> str:
    """Return the SHA-256 of names, shapes and float32 values of all weights.

    The digest does not depend on the format of the file that contained them.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def draw_weights(model: nn.Module) -> None:
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


def _origin(name_or_path: str, pretrained: str | None, random_weights: bool) -> _Origin:
    """Read and check the configuration and the weights of a model."""
    folder = _folder(name_or_path)
    hub = name_or_path.startswith(_HUB)
    if (folder or hub) and pretrained is not None:
        raise ValueError(f"{name_or_path} contains its own weights; leave out {pretrained!r}")
    if folder:
        return _from_folder(folder, random_weights)
    if hub:
        return _from_hub(name_or_path, random_weights)
    return _from_name(name_or_path, pretrained, random_weights)


def _folder(name_or_path: str) -> Path | None:
    if name_or_path == HOUSE_CLIP:
        return HOUSE_CLIP_DIR
    if name_or_path.startswith(_LOCAL):
        return Path(name_or_path.removeprefix(_LOCAL))
    return Path(name_or_path) if Path(name_or_path).is_dir() else None


def _from_folder(folder: Path, random_weights: bool) -> _Origin:
    config, preprocessing = read_config(folder)
    text = config["text_cfg"]
    # A text tower of transformers may be a subfolder, which open_clip would look for on Hugging
    # Face.
    tower = folder / str(text.get("hf_model_name"))
    if tower.is_dir():
        text["hf_model_name"] = str(tower)
    return _Origin(
        config,
        preprocessing,
        None if random_weights else read_weights(folder / WEIGHTS_FILE)[0],
        f"{_LOCAL}{folder}",
        folder.resolve().name,
        str(folder),
        is_folder=True,
    )


def _from_hub(source: str, random_weights: bool) -> _Origin:
    from open_clip.pretrained import download_pretrained_from_hf

    hub_name = source.removeprefix(_HUB)
    with _downloading(source, "give its folder instead"):
        config_file = download_pretrained_from_hf(hub_name, filename=CONFIG_FILE)
    config, preprocessing = read_config_file(Path(config_file))
    weights = None
    if not random_weights:
        with _downloading(source, "give its folder instead"):
            file = download_pretrained_from_hf(hub_name)
        weights, _ = read_weights(Path(file))
    return _Origin(config, preprocessing, weights, source, source, source)


def _from_name(name: str, pretrained: str | None, random_weights: bool) -> _Origin:
    import open_clip
    from open_clip.pretrained import download_pretrained

    config = open_clip.get_model_config(name.replace("/", "-"))
    if config is None:
        raise ValueError(
            f"{name!r} is neither a folder nor a model of open_clip; give a folder, or a name that "
            "open_clip.list_models() lists"
        )
    config = check_model_config(config, name)
    if pretrained is None:
        if not random_weights:
            raise ValueError(
                f"{name} has no weights of its own; give a tag of {_tags(name)} or a file as "
                "`pretrained` (--pretrained), or request random weights (--random-weights, "
                "random_weights=True)"
            )
        return _Origin(config, {}, None, name, name, name)
    file, tag = Path(pretrained), open_clip.get_pretrained_cfg(name, pretrained)
    if not file.is_file():
        if not tag:
            raise ValueError(
                f"{name} has no weights {pretrained!r}: there is no such file; give a weight file, "
                f"or one of open_clip's tags {_tags(name)}"
            )
        with _downloading(f"the weights {pretrained!r} of {name}", "give the file as `pretrained`"):
            if not is_downloaded(tag) and not is_reachable(source_of(tag)):
                raise OSError(f"{source_of(tag)} cannot be reached")
            file = Path(download_pretrained(tag))
    else:
        tag = {}
    weights, openai = read_openai_weights(file)
    if openai or tag.get("quick_gelu"):
        # open_clip's plain configurations use GELU, but OpenAI's weights need QuickGELU.
        config["quick_gelu"] = True
    preprocessing = {key: value for key, value in tag.items() if key in _PREPROCESSING}
    full_name = f"{name}/{Path(pretrained).name}"
    return _Origin(config, preprocessing, weights, name, full_name, str(file))


def _tags(name: str) -> list[str]:
    import open_clip

    return open_clip.list_pretrained_tags_by_model(name)


@contextmanager
def _downloading(thing: str, remedy: str) -> Iterator[None]:
    try:
        yield
    except (RuntimeError, OSError) as error:
        raise ConnectionError(
            f"cannot download {thing} ({in_one_line(error)}); download it on a machine with a "
            f"network and {remedy}"
        ) from error


def _check_text_tower(origin: _Origin) -> None:
    """Refuse a transformers text tower that contains code; open_clip would prompt the user."""
    name = origin.config["text_cfg"].get("hf_model_name")
    if name:
        text_model_config(name)


def _tokenizer(origin: _Origin) -> Any:
    """Return open_clip's tokenizer of the model; one that contains code is refused."""
    import open_clip

    options: dict[str, Any] = {}
    source = origin.config["text_cfg"].get("hf_tokenizer_name")
    if source:
        options["trust_remote_code"] = False
    if origin.tokenizer.startswith(_LOCAL):
        source = origin.tokenizer.removeprefix(_LOCAL)
        check_folder(source)
    with reading(source or origin.name):
        return open_clip.get_tokenizer(origin.tokenizer, **options)


def _check_towers(model: Any, tokenizer: Any, origin: _Origin) -> None:
    """Refuse a model whose towers do not match its tokenizer or its image size."""
    try:
        with torch.inference_mode():
            model.eval().encode_text(tokenizer(["a room"]))
    except Exception as error:  # open_clip and transformers raise many types for a wrong size
        raise ValueError(
            f"{origin.file}: the text tower does not accept the tokens of its tokenizer "
            f"({in_one_line(error)}); {REMEDY}"
        ) from error
    trunk, size = getattr(model.visual, "trunk", None), model.visual.image_size
    # Folders only: open_clip's own ViTamin-XL-384 has an image size that differs from its trunk's.
    fixed = getattr(getattr(trunk, "patch_embed", None), "img_size", None)
    if (
        origin.is_folder
        and fixed is not None
        and tuple(fixed) != ((size, size) if isinstance(size, int) else tuple(size))
    ):
        raise ValueError(
            f"{origin.file}: the image tower requires images of {tuple(fixed)} pixels, not of "
            f"{size}; {REMEDY}"
        )


def _set_preprocessing(model: Any, origin: _Origin) -> None:
    """Set the preprocessing configuration of a model as `open_clip.create_model` does."""
    from open_clip.model import set_model_preprocess_cfg
    from open_clip.transform import PreprocessCfg, merge_preprocess_dict

    own = {**origin.preprocessing, "size": model.visual.image_size}
    set_model_preprocess_cfg(model, merge_preprocess_dict(PreprocessCfg(), own))


def load_image_tower(
    name_or_path: str, pretrained: str | None = None, random_weights: bool = False
) -> tuple[Any, dict[str, Any]]:
    """Build the image tower of a CLIP, see `load_model`.

    Returns:
        The tower, and a description from which `build_image_tower` builds it again.
    """
    origin = _origin(name_or_path, pretrained, random_weights)
    _check_text_tower(origin)
    description = {"model_cfg": origin.config, "preprocess_cfg": origin.preprocessing}
    return _tower(origin, random_weights), description


def build_image_tower(description: dict[str, Any], source: str) -> Any:
    """Build an image tower with random weights from the description of `load_image_tower`.

    Args:
        description: JSON object with `model_cfg` and `preprocess_cfg`.
        source: File of the description, for error messages.

    Raises:
        ValueError: The description is damaged.
    """
    config = check_model_config(description.get("model_cfg"), source)
    preprocessing = check_preprocess_config(description.get("preprocess_cfg") or {}, source)
    return _tower(_Origin(config, preprocessing, None, source, source, source), False)


def _tower(origin: _Origin, random_weights: bool) -> Any:
    model = _build(origin, random_weights)
    _set_preprocessing(model, origin)
    return model.visual


def _build(origin: _Origin, random_weights: bool) -> Any:
    with torch.random.fork_rng([]):
        # Building a model draws weights; they are kept only if random weights are requested.
        torch.manual_seed(_SEED)
        model = build_model(origin.config, origin.weights, origin.file, not origin.is_folder)
        if random_weights:
            torch.manual_seed(_SEED)
            draw_weights(model)
    return model
