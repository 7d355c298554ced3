"""Whether weights can be fetched, found out in a moment instead of by retries of a minute."""

import socket
import threading
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

_SECONDS = 1.5
_PORTS = {"http": 80, "https": 443}


def is_fetched(tag: dict[str, Any]) -> bool:
    """Whether the weights of an open_clip tag are on this machine.

    Args:
        tag: Of `open_clip.get_pretrained_cfg`.
    """
    from huggingface_hub.constants import HF_HUB_CACHE

    if not tag.get("hf_hub"):
        name = Path(urlsplit(tag.get("url", "")).path).name
        return (Path.home() / ".cache/clip" / name).is_file()
    owner, repository = tag["hf_hub"].split("/")[:2]
    folder = Path(HF_HUB_CACHE) / f"models--{owner}--{repository}" / "snapshots"
    return any(folder.glob("*/*"))


def any_is_fetched() -> bool:
    """Whether any weights of open_clip are on this machine."""
    from huggingface_hub.constants import HF_HUB_CACHE

    fetched = Path(HF_HUB_CACHE).glob("models--*/snapshots/*/open_clip*")
    return any(fetched) or any((Path.home() / ".cache/clip").glob("*"))


def source_of(tag: dict[str, Any]) -> str:
    """Address that the weights of an open_clip tag are fetched from."""
    from huggingface_hub.constants import ENDPOINT

    return ENDPOINT if tag.get("hf_hub") else tag.get("url", "")


def is_reachable(address: str, seconds: float = _SECONDS) -> bool:
    """Whether the host of an address, or the proxy that stands for it, takes a connection in time.

    Args:
        address: "https://huggingface.co".
        seconds: To wait at most.
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

    # Looking up a name knows no time limit, so it is waited for from outside.
    worker = threading.Thread(target=connect, daemon=True)
    worker.start()
    worker.join(seconds)
    return connected.is_set()
