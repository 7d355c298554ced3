"""Captions of views by a trained captioner, for clipnav evaluate-vlm --strategy navgpt."""

import tempfile
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from threading import Lock

from clipnav.agents.language_models.prompts.pictures import QUALITY, Draw, world_drawing
from clipnav.agents.language_models.settings import EvaluateVlmConfig
from clipnav.envs.pictures.view_pictures import ViewPose
from clipnav.storage.pictures import encode_jpeg

_KEPT = 4096
Captions = Callable[[Sequence[Path]], list[str]]


class ViewCaptions:
    """Describes views by captions of their pictures."""

    def __init__(self, captions: Captions, draw: Draw) -> None:
        self._captions, self._draw = captions, draw
        self._lock = Lock()  # a captioner serves one thread at a time
        self._cached = lru_cache(_KEPT)(self._describe)

    def __call__(self, view: ViewPose) -> str:
        """Return the caption of a view."""
        with self._lock:
            return self._cached(view)

    def _describe(self, view: ViewPose) -> str:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "view.jpg"
            path.write_bytes(encode_jpeg(self._draw(view), QUALITY))
            return self._captions([path])[0]


def view_captions(config: EvaluateVlmConfig) -> ViewCaptions | None:
    """Return the descriptions of --captioner; None without it."""
    if config.prompt.captioner is None:
        return None
    from clipnav.vl_tasks.captioning.writing import LoadedCaptioner

    captioner = LoadedCaptioner(config.prompt.captioner, device=config.device)
    return ViewCaptions(captioner.captions, world_drawing(config))
