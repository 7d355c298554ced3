"""Checks of a server before the first request."""

import json
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from clipnav.agents.language_models.models.replies import ServerRefusal
from clipnav.agents.language_models.models.responses import Rejected, read_response
from clipnav.agents.language_models.models.transport import Response
from clipnav.agents.language_models.prompts.pictures import Pictures
from clipnav.envs.pictures.view_pictures import ViewPose
from clipnav.storage.errors import shortened

_SHOWN = 10  # names of models in a message
_SIDE = 56  # pixels; some processors refuse smaller pictures


def probe(url: str, model: str, listed: Response, safe: Callable[[str], str]) -> None:
    """Check the list of models of a server.

    Args:
        url: Base address, for messages.
        model: Name of the model.
        listed: Response to GET /models.
        safe: Function that removes the API key from a text of the server.

    Raises:
        ServerRefusal: The server cannot be reached, refuses the key or has no such model.
    """
    if not listed.status:
        reason = safe(listed.content.decode())
        raise ServerRefusal(f"{url}: not reachable ({reason}); start the server, or check --url")
    if listed.status in (401, 403):
        result = read_response(*listed)
        assert isinstance(result, Rejected)
        raise ServerRefusal(f"{url}: {safe(result.message)}")
    if listed.status != 200:
        return  # some servers do not list their models
    names = served_names(listed.content)
    # Gemini lists its names with a prefix and Ollama with a tag, and both accept them without.
    if names and not {model, f"models/{model}", f"{model}:latest"} & set(names):
        shown = safe(", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else ""))
        raise ServerRefusal(
            f"{url}: has no model {model!r}; it has {shortened(shown, 400)} (--no-probe skips this "
            "check)"
        )


def served_names(content: bytes) -> list[str]:
    """Return the names of the models that a server lists; none if the list cannot be read."""
    try:
        document: Any = json.loads(content)
    except (ValueError, RecursionError):
        return []
    data = document.get("data") if isinstance(document, dict) else None
    models = data if isinstance(data, list) else []
    return [str(entry["id"]) for entry in models if isinstance(entry, dict) and "id" in entry]


def picture_body(model: str, token_field: str) -> dict[str, Any]:
    """Return a small request with a picture."""
    image = {"type": "image_url", "image_url": {"url": _grey()}}
    content = [{"type": "text", "text": "Which colour is this picture?"}, image]
    return {"model": model, "messages": [{"role": "user", "content": content}], token_field: 16}


@lru_cache(1)
def _grey() -> str:
    picture = np.full((_SIDE, _SIDE, 3), 128, np.uint8)
    return Pictures(lambda view: picture).data_uri(ViewPose("", "", 0.0))
