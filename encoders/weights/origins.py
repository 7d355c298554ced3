"""Configuration and weights of a model: the shipped one, open_clip names, folders and files."""

import difflib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import torch

from clipnav.encoders.weights import efficientnet_lite
from clipnav.encoders.weights.model_config import check_model_config
from clipnav.encoders.weights.openai_weights import read_openai_weights
from clipnav.encoders.weights.weight_files import (
    CONFIG_FILE,
    WEIGHTS_FILE,
    read_config,
    read_config_file,
    read_weights,
)
from clipnav.storage.errors import UserError, in_one_line
from clipnav.storage.hugging_face import is_in_hub_cache, is_reachable, openai_folder

_HOUSE_CLIP = "house_clip"
LOCAL, _HUB = "local-dir:", "hf-hub:"
_PREPROCESSING = ("mean", "std", "interpolation", "resize_mode")  # entries of an open_clip tag


def is_downloaded(tag: dict[str, Any]) -> bool:
    """Return whether the weights of an open_clip tag are on this machine."""
    if not tag.get("hf_hub"):
        name = Path(urlsplit(tag.get("url", "")).path).name
        return (openai_folder() / name).is_file()
    return is_in_hub_cache("/".join(tag["hf_hub"].split("/")[:2]))


def _source_of(tag: dict[str, Any]) -> str:
    """Return the URL that the weights of an open_clip tag are downloaded from."""
    from huggingface_hub.constants import ENDPOINT

    return ENDPOINT if tag.get("hf_hub") else tag.get("url", "")


_HOUSE_CLIP_DIR = Path(__file__).parents[1] / "house_clip"


@dataclass(frozen=True)
class Origin:
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
    images_only: bool = False
    """Whether the model has no text tower; `weights` are those of the image tower."""


def find_origin(name_or_path: str, pretrained: str | None, random_weights: bool) -> Origin:
    """Read and check the configuration and the weights of a model."""
    folder = _folder(name_or_path)
    hub = name_or_path.startswith(_HUB)
    if (folder or hub) and pretrained is not None:
        raise UserError(f"{name_or_path} contains its own weights; leave out {pretrained!r}")
    if folder:
        return _from_folder(folder, random_weights)
    if name_or_path == efficientnet_lite.NAME:
        return _efficientnet(pretrained, random_weights)
    if hub:
        return _from_hub(name_or_path, random_weights)
    return _from_name(name_or_path, pretrained, random_weights)


def _folder(name_or_path: str) -> Path | None:
    if name_or_path == _HOUSE_CLIP:
        return _HOUSE_CLIP_DIR
    if name_or_path.startswith(LOCAL):
        return Path(name_or_path.removeprefix(LOCAL))
    return Path(name_or_path) if Path(name_or_path).is_dir() else None


def _from_folder(folder: Path, random_weights: bool) -> Origin:
    config, preprocessing = read_config(folder)
    text = config["text_cfg"]
    # A text tower of transformers may be a subfolder, which open_clip would look for on Hugging
    # Face.
    tower = folder / str(text.get("hf_model_name"))
    if tower.is_dir():
        text["hf_model_name"] = str(tower)
    return Origin(
        config,
        preprocessing,
        None if random_weights else read_weights(folder / WEIGHTS_FILE)[0],
        f"{LOCAL}{folder}",
        folder.resolve().name,
        str(folder),
        is_folder=True,
    )


def _from_hub(source: str, random_weights: bool) -> Origin:
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
    return Origin(config, preprocessing, weights, source, source, source)


def _efficientnet(pretrained: str | None, random_weights: bool) -> Origin:
    name = efficientnet_lite.NAME
    if pretrained is not None:
        raise UserError(f"{name} has its own weights; leave out {pretrained!r}")
    return Origin(
        check_model_config(efficientnet_lite.CONFIG, name),
        efficientnet_lite.PREPROCESSING,
        None if random_weights else efficientnet_lite.imagenet_weights(),
        efficientnet_lite.TOKENIZER,
        name,
        name,
        images_only=True,
    )


def check_source(name_or_path: str, pretrained: str | None, random_weights: bool) -> None:
    """Check that a name is one of open_clip and has weights; folders and other sources pass."""
    others = name_or_path == efficientnet_lite.NAME or name_or_path.startswith(_HUB)
    if not others and _folder(name_or_path) is None:
        _named_config(name_or_path, pretrained, random_weights)


def _named_config(name: str, pretrained: str | None, random_weights: bool) -> dict[str, Any]:
    """Return the configuration of a model of open_clip; see `check_source`."""
    import open_clip

    config = open_clip.get_model_config(name.replace("/", "-"))
    if config is None:
        own = (_HOUSE_CLIP, efficientnet_lite.NAME)
        near = difflib.get_close_matches(name, [*own, *open_clip.list_models()], n=1)
        meant = f"did you mean {near[0]}? Otherwise " if near else ""
        raise UserError(
            f"{name!r} is neither a folder nor a model of open_clip; {meant}give a folder, "
            f"{' or '.join(own)}, or a name that open_clip.list_models() lists"
        )
    if pretrained is None and not random_weights:
        raise UserError(
            f"{name} has no weights of its own; give a tag of {_tags(name)} or a file as "
            "`pretrained` (--pretrained)"
        )
    return check_model_config(config, name)


def _from_name(name: str, pretrained: str | None, random_weights: bool) -> Origin:
    import open_clip
    from open_clip.pretrained import download_pretrained

    config = _named_config(name, pretrained, random_weights)
    if pretrained is None:
        return Origin(config, {}, None, name, name, name)
    file, tag = Path(pretrained), open_clip.get_pretrained_cfg(name, pretrained)
    if not file.is_file():
        if not tag:
            raise UserError(
                f"{name} has no weights {pretrained!r}: there is no such file; give a weight file, "
                f"or one of open_clip's tags {_tags(name)}"
            )
        with _downloading(f"the weights {pretrained!r} of {name}", "give the file as `pretrained`"):
            if not is_downloaded(tag) and not is_reachable(_source_of(tag)):
                raise OSError(f"{_source_of(tag)} cannot be reached")
            file = Path(download_pretrained(tag))
    else:
        tag = {}
    weights, openai = read_openai_weights(file)
    if openai or tag.get("quick_gelu"):
        # open_clip's plain configurations use GELU, but OpenAI's weights need QuickGELU.
        config["quick_gelu"] = True
    preprocessing = {key: value for key, value in tag.items() if key in _PREPROCESSING}
    full_name = f"{name}/{Path(pretrained).name}"
    return Origin(config, preprocessing, weights, name, full_name, str(file))


def _tags(name: str) -> list[str]:
    import open_clip

    return open_clip.list_pretrained_tags_by_model(name)


@contextmanager
def _downloading(source: str, hint: str) -> Iterator[None]:
    try:
        yield
    except (RuntimeError, OSError) as error:
        raise ConnectionError(
            f"cannot download {source} ({in_one_line(error)}); download it on a machine with a "
            f"network and {hint}"
        ) from error
