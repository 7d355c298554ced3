"""Checks whether weights of open_clip are on this machine."""

import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from clipnav.storage.reachability import is_in_hub_cache


def is_downloaded(tag: dict[str, Any]) -> bool:
    """Return whether the weights of an open_clip tag are on this machine."""
    if not tag.get("hf_hub"):
        name = Path(urlsplit(tag.get("url", "")).path).name
        return Path(os.path.expanduser("~/.cache/clip"), name).is_file()
    return is_in_hub_cache("/".join(tag["hf_hub"].split("/")[:2]))


def any_is_downloaded() -> bool:
    """Return whether any weights of open_clip are on this machine."""
    from huggingface_hub.constants import HF_HUB_CACHE

    downloaded = Path(HF_HUB_CACHE).glob("models--*/snapshots/*/open_clip*")
    return any(downloaded) or any(Path(os.path.expanduser("~/.cache/clip")).glob("*"))


def source_of(tag: dict[str, Any]) -> str:
    """Return the URL that the weights of an open_clip tag are downloaded from."""
    from huggingface_hub.constants import ENDPOINT

    return ENDPOINT if tag.get("hf_hub") else tag.get("url", "")
