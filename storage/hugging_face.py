"""Models and tokenizers of transformers, by folder or by name, without the code that they bring.

A folder can name Python files (`auto_map`) that transformers imports for whoever trusts it; nobody
is trusted here. Its numbers are checked before anything of their size is made.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from storage.json_files import read_json_object
from storage.messages import in_one_line

_CONFIG, _TOKENIZER_CONFIG = "config.json", "tokenizer_config.json"
_REMEDY = "get the folder anew with save_pretrained of transformers"
_LARGEST = 10_000_000
# By parts of names: what transformers makes Python objects of, one by one.
_COUNTED = {"layer": 512, "num_labels": 100_000, "extra_ids": 100_000, "expert": 1024}
_UNBOUNDED = ("model_max_length",)  # 10^30 says that there is no limit
_KERNELS = ("attn_implementation", "_attn_implementation", "experts_implementation")
# What no model here reads, so that weights without it are complete.
_UNREAD = "pooler."


def load_text_model(name: str) -> Any:
    """A model of transformers in evaluation mode, with all of its weights.

    Args:
        name: Its folder, or its name on Hugging Face.

    Raises:
        FileNotFoundError: A file of the folder is missing.
        ValueError: The folder is damaged, brings code, or lacks weights.
        ConnectionError: A model that is no folder cannot be fetched.
    """
    import torch
    from transformers import AutoModel

    config = text_model_config(name)
    with reading(name):
        with torch.device("meta"):
            empty = AutoModel.from_config(config, trust_remote_code=False)
    if Path(name).is_dir():
        _check_size(Path(name), empty)
    with reading(name):
        model, info = AutoModel.from_pretrained(
            name, config=config, trust_remote_code=False, output_loading_info=True
        )
    missing = sorted(one for one in info["missing_keys"] if not one.startswith(_UNREAD))
    if missing:
        raise ValueError(
            f"{name}: {len(missing)} of its weights are missing and would be random, the first is "
            f"{missing[0]}; {_REMEDY}"
        )
    return model.eval()


def text_model_config(name: str) -> Any:
    """Configuration of a model that transformers has the code of; see `load_text_model`."""
    from transformers import AutoConfig

    check_folder(name, _CONFIG)
    with reading(name):
        return AutoConfig.from_pretrained(name, trust_remote_code=False)


def load_tokenizer(name: str) -> Any:
    """A tokenizer of transformers; errors as of `load_text_model`."""
    from transformers import AutoTokenizer

    check_folder(name)
    with reading(name):
        tokenizer = AutoTokenizer.from_pretrained(name, trust_remote_code=False)
        tokenizer("a room")  # whatever its settings are used for goes wrong here at the latest
        return tokenizer


@contextmanager
def reading(name: str) -> Iterator[None]:
    """Let what transformers raises, on damage of every kind, come out as one line with a remedy.

    Raises:
        ConnectionError: A model that is no folder cannot be fetched.
        ValueError: Anything else is wrong with it.
    """
    try:
        yield
    except BaseException as error:
        # What goes wrong in Rust arrives as an exception that is none of Python's usual ones.
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        if isinstance(error, OSError) and not Path(name).exists():
            raise ConnectionError(
                f"cannot fetch {name}; fetch it where there is a network and name its folder "
                f"({in_one_line(error)})"
            ) from error
        raise ValueError(
            f"{name}: transformers cannot read it ({in_one_line(error)}); {_REMEDY}"
        ) from error


def check_folder(name: str, *needed: str) -> None:
    """Refuse a folder that brings code, or sizes that no model has; names of the Hub pass.

    Args:
        name: The folder, or a name on Hugging Face.
        needed: Files that must be in it.

    Raises:
        FileNotFoundError: One of those is missing.
        ValueError: A configuration is damaged, names code, or has an absurd size.
    """
    folder = Path(name)
    if not folder.exists():
        return
    if not folder.is_dir():
        raise ValueError(f"{name}: a file, not a folder of transformers; name the folder")
    for file in (_CONFIG, _TOKENIZER_CONFIG):
        if file in needed or (folder / file).exists():
            _check_entries(read_json_object(folder / file, _REMEDY), folder / file)


def _check_entries(config: Any, path: Path) -> None:
    for name, value in _entries(config):
        if name == "auto_map" and value:
            raise ValueError(
                f"{path}: names Python code (auto_map), which is not run; use a model whose code "
                "is part of transformers, or remove auto_map if it is"
            )
        if name in _KERNELS and isinstance(value, str) and "/" in value:
            raise ValueError(f"{path}: {name} names code to fetch, which is not run; remove it")
        if isinstance(value, (int, float)) and name not in _UNBOUNDED:
            counted = [most for part, most in _COUNTED.items() if part in name]
            if not abs(value) <= min(counted, default=_LARGEST):
                raise ValueError(f"{path}: {name} is {value}, which no model has; {_REMEDY}")


def _entries(config: Any) -> Iterator[tuple[str, Any]]:
    """Names and values at all levels of a JSON object."""
    if isinstance(config, dict):
        for name, value in config.items():
            yield name, value
            yield from _entries(value)
    elif isinstance(config, list):
        for value in config:
            yield from _entries(value)


def _check_size(folder: Path, model: Any) -> None:
    """Refuse a model that its folder's weights, of at least a byte each, cannot fill."""
    files = [*folder.glob("*.safetensors"), *folder.glob("*.bin")]
    if not files:
        raise FileNotFoundError(f"{folder / 'model.safetensors'}: missing; {_REMEDY}")
    count = sum(
        weight.numel() for name, weight in model.named_parameters() if not name.startswith(_UNREAD)
    )
    size = sum(file.stat().st_size for file in files)
    if count > size:
        raise ValueError(
            f"{folder / _CONFIG}: describes a model of {count} weights, more than its files of "
            f"{size} bytes hold; {_REMEDY}"
        )
