"""Quick checks whether files can be downloaded, instead of a minute of retries."""

import socket
import threading
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

_SECONDS = 1.5
_PORTS = {"http": 80, "https": 443}


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
