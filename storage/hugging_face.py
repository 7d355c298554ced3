"""Load models and tokenizers of transformers from a folder or by name, without running their code.

A folder can name Python files (`auto_map`) that transformers would import with
`trust_remote_code=True`, or after a "y" on standard input; both are always off here. Sizes in the
configuration are checked before memory is allocated.
"""

import json
import socket
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from clipnav.storage.errors import UserError, in_one_line, panics_as_errors
from clipnav.storage.json_files import read_json_object

_SECONDS = 1.5
_PORTS = {"http": 80, "https": 443}
_CONFIG, _TOKENIZER_CONFIG = "config.json", "tokenizer_config.json"
_HINT = "write the folder again with save_pretrained of transformers"
# Configurations of processors name code as well, but their numbers of pixels allocate nothing.
_PROCESSOR_CONFIGS = (
    "processor_config.json",
    "preprocessor_config.json",
    "video_preprocessor_config.json",
)
_LARGEST = 1 << 24
# Maximum values, by end of the name, of settings that make transformers create one object each.
_COUNTED = {
    "layer": 512,
    "layers": 512,
    "num_labels": 100_000,
    "extra_ids": 100_000,
    "experts": 1024,
}
_UNBOUNDED = ("model_max_length", "rope_theta")  # 10^30 means no limit; 10^8 in Mistral Small
_KERNEL = "_implementation"  # within the names of settings that can be a repository of kernels
# Prefix of weights that no model here uses, so they may be missing.
_UNUSED = "pooler."


def is_in_hub_cache(name: str) -> bool:
    """Return whether files of a repository of Hugging Face, such as "timm/resnet", are here."""
    from huggingface_hub.constants import HF_HUB_CACHE

    folder = Path(HF_HUB_CACHE) / f"models--{name.replace('/', '--')}" / "snapshots"
    return any(folder.glob("*/*"))


def is_reachable(address: str, seconds: float = _SECONDS) -> bool:
    """Return whether the host of a URL, or its proxy, accepts a connection in time.

    Args:
        seconds: Time limit.
    """
    scheme = urlsplit(address).scheme
    host = urlsplit(address).hostname or ""
    proxy = urllib.request.getproxies().get(scheme)
    if proxy and not urllib.request.proxy_bypass(host):
        address = proxy if "//" in proxy else f"http://{proxy}"
    parts = urlsplit(address)
    target = parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 443)
    connected = threading.Event()

    def connect() -> None:
        try:
            socket.create_connection(target, seconds).close()
        except OSError:
            return
        connected.set()

    # A name lookup has no time limit of its own, so a thread is joined with one.
    worker = threading.Thread(target=connect, daemon=True)
    worker.start()
    worker.join(seconds)
    return connected.is_set()


def load_text_model(name: str) -> Any:
    """Load a model of transformers with all of its weights in float32, in evaluation mode."""
    from transformers import AutoModel

    return _load(name, text_model_config(name), AutoModel)


def load_translation_model(name: str) -> Any:
    """Load a Marian model of transformers; see `load_text_model`."""
    from transformers import AutoModelForSeq2SeqLM

    config = text_model_config(name)
    if config.model_type != "marian":
        raise UserError(
            f"{name}: a model of type {config.model_type!r}, not 'marian'; give a Marian model, "
            "such as Helsinki-NLP/opus-mt-en-fr"
        )
    return _load(name, config, AutoModelForSeq2SeqLM)


def _load(name: str, config: Any, kind: Any) -> Any:
    """Load a model by a class of transformers; see `load_text_model`."""
    import torch

    with reading(name):
        with torch.device("meta"):
            empty = kind.from_config(config, trust_remote_code=False)
    folder = Path(name)
    if folder.is_dir():  # it cannot have more weights than its files have bytes
        files = [*folder.glob("*.safetensors"), *folder.glob("*.bin")]
        if not files:
            raise FileNotFoundError(f"{folder / 'model.safetensors'}: missing; {_HINT}")
        weights = empty.named_parameters()
        count = sum(weight.numel() for key, weight in weights if not key.startswith(_UNUSED))
        size = sum(file.stat().st_size for file in files)
        if count > size:
            raise UserError(
                f"{folder / _CONFIG}: describes a model of {count} weights, but the files of "
                f"weights have only {size} bytes; {_HINT}"
            )
    with reading(name):
        model, info = kind.from_pretrained(
            name,
            config=config,
            dtype=torch.float32,  # by default that of the file, which can be half precision
            trust_remote_code=False,
            output_loading_info=True,
        )
    missing = sorted(key for key in info["missing_keys"] if not key.startswith(_UNUSED))
    if missing:
        raise UserError(
            f"{name}: {len(missing)} weights are missing and would be random, the first is "
            f"{missing[0]}; {_HINT}"
        )
    return model.eval()


def text_model_config(name: str) -> Any:
    """Load the configuration of a model that transformers implements; see `load_text_model`."""
    from transformers import AutoConfig

    check_folder(name, _CONFIG)
    with reading(name):
        return AutoConfig.from_pretrained(name, trust_remote_code=False)


def load_hugging_face_tokenizer(name: str) -> Any:
    """Load a tokenizer of transformers; raises the errors of `load_text_model`."""
    from transformers import AutoTokenizer

    check_folder(name)
    with reading(name):
        tokenizer = AutoTokenizer.from_pretrained(name, trust_remote_code=False)
        tokenizer("a room")  # invalid settings fail here at the latest
        return tokenizer


@contextmanager
def reading(name: str, hint: str = _HINT) -> Iterator[None]:
    """Convert any exception of transformers into an error of one line with a remedy."""
    from transformers import dynamic_module_utils

    # transformers asks on standard input whether to run code, also for parts of a processor, to
    # which it does not hand trust_remote_code; with this time-out it refuses at once.
    dynamic_module_utils.TIME_OUT_REMOTE_CODE = 0
    try:
        with panics_as_errors():
            yield
    except Exception as error:
        if isinstance(error, OSError) and not Path(name).exists():
            raise ConnectionError(
                f"{name}: cannot be downloaded ({in_one_line(error)}); download it on a machine "
                "with network access and name its folder"
            ) from error
        raise UserError(
            f"{name}: transformers cannot read it ({in_one_line(error)}); {hint}"
        ) from error


def check_folder(name: str, *needed: str) -> None:
    """Check that the configurations of a folder name no code and have plausible sizes."""
    folder = Path(name)
    if not folder.exists():
        from huggingface_hub.constants import ENDPOINT

        if not is_in_hub_cache(name) and not is_reachable(ENDPOINT):
            raise ConnectionError(
                f"{name}: neither a folder nor downloaded before, and {ENDPOINT} cannot be "
                "reached; download it on a machine with network access and name its folder"
            )
        return
    if not folder.is_dir():
        raise UserError(f"{name}: a file, not a folder of transformers; name the folder")
    for file in (_CONFIG, _TOKENIZER_CONFIG, *_PROCESSOR_CONFIGS):
        if file in needed or (folder / file).exists():
            _check_entries(read_json_object(folder / file, _HINT), folder / file)


def _check_entries(config: Any, path: Path) -> None:
    for name, value in _entries(config):
        if name == "auto_map" and value:
            raise UserError(
                f"{path}: names Python code (auto_map), which is not run; use a model that "
                "transformers implements, or remove auto_map if it does"
            )
        if _KERNEL in name and "/" in json.dumps(value):  # also as a mapping by part of the model
            raise UserError(f"{path}: {name} names code to download, which is not run; remove it")
        if path.name in _PROCESSOR_CONFIGS or name in _UNBOUNDED:
            continue
        if isinstance(value, (int, float)):
            counted = [most for end, most in _COUNTED.items() if name.endswith(end)]
            if not abs(value) <= min(counted, default=_LARGEST):
                raise UserError(f"{path}: {name} is {value}, an implausible size; {_HINT}")


def _entries(config: Any) -> Iterator[tuple[str, Any]]:
    """Yield the names and values at all levels of a JSON object."""
    if isinstance(config, dict):
        for name, value in config.items():
            yield name, value
            yield from _entries(value)
    elif isinstance(config, list):
        for value in config:
            yield from _entries(value)


def any_is_downloaded() -> bool:
    """Return whether any weights of open_clip are on this machine."""
    from huggingface_hub.constants import HF_HUB_CACHE

    downloaded = Path(HF_HUB_CACHE).glob("models--*/snapshots/*/open_clip*")
    return any(downloaded) or any(openai_folder().glob("*"))


def openai_folder() -> Path:
    """Return the folder into which open_clip downloads OpenAI's files."""
    return Path("~/.cache/clip").expanduser()
