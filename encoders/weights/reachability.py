"""Quick checks whether weights can be downloaded, instead of a minute of retries."""

import socket
import threading
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

_SECONDS = 1.5
_PORTS = {"http": 80, "https": 443}


def is_downloaded(tag: dict[str, Any]) -> bool:
    """Return whether the weights of an open_clip tag are on this machine.

    Args:
        tag: Result of `open_clip.get_pretrained_cfg`.
    """
    from huggingface_hub.constants import HF_HUB_CACHE

    if not tag.get("hf_hub"):
        name = Path(urlsplit(tag.get("url", "")).path).name
        return (Path.home() / ".cache/clip" / name).is_file()
    owner, repository = tag["hf_hub"].split("/")[:2]
    folder = Path(HF_HUB_CACHE) / f"models--{owner}--{repository}" / "snapshots"
    return any(folder.glob("*/*"))


def any_is_downloaded() -> bool:
    """Return whether any weights of open_clip are on this machine."""
    from huggingface_hub.constants import HF_HUB_CACHE

    downloaded = Path(HF_HUB_CACHE).glob("models--*/snapshots/*/open_clip*")
    return any(downloaded) or any((Path.home() / ".cache/clip").glob("*"))


def source_of(tag: dict[str, Any]) -> str:
    """Return the URL that the weights of an open_clip tag are downloaded from."""
    from huggingface_hub.constants import ENDPOINT

    return ENDPOINT if tag.get("hf_hub") else tag.get("url", "")


def is_reachable(address: str, seconds: float = _SECONDS) -> bool:
    """Return whether the host of a URL, or its proxy, accepts a connection in time.

    Args:
        address: URL such as "https://huggingface.co".
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
