"""Export of episodes as one HTML file with pictures, which opens without a server."""

import base64
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from clipnav.envs.drawing.scenes import scene
from clipnav.envs.pictures.panorama_files import NoPictureError, Pictures
from clipnav.storage import write_text
from clipnav.storage.errors import UserError
from clipnav.storage.progress import progress_bar
from clipnav.viewer.site.library import Json, Library, metric_rows
from clipnav.viewer.site.routes import STATIC
from clipnav.viewer.trace import Outcome, outcome

WIDTH = 2048  # columns of the pictures
_STRAIGHT = 0.9  # SPL of a walk without detours
_IMPORT_MAP = re.compile(r'<script type="importmap">.*?</script>', re.DOTALL)


def export_page(
    path: Path, library: Library, pictures: Pictures, keys: Sequence[str], width: int = WIDTH
) -> None:
    """Write episodes with their walks into one HTML file."""
    for key in keys:
        if not library.walks(key):
            raise UserError(f"episode {key}: nobody has walked it, so there is nothing to export")
    write_text(path, page(bundle(library, pictures, keys, width)))


def representative_walks(rows: Sequence[Json], agent: str) -> tuple[str | None, str | None]:
    """Select one success and one failure that represent an agent well.

    The success is the longest walk, preferably without detours; the failure is the shortest walk,
    preferably a wrong stop.
    """
    walks = [(row["walks"][agent], row["key"]) for row in rows if agent in row["walks"]]
    won = [(walk, key) for walk, key in walks if walk["outcome"] == "success"]
    failed = [(walk, key) for walk, key in walks if walk["outcome"] in ("wrong stop", "lost")]
    best = max(
        won, key=lambda one: (one[0]["metrics"]["SPL"] >= _STRAIGHT, one[0]["steps"]), default=None
    )
    worst = min(
        failed, key=lambda one: (one[0]["outcome"] == "lost", one[0]["steps"]), default=None
    )
    return best and best[1], worst and worst[1]


def export_outcomes(
    folder: Path, library: Library, pictures: Pictures, agent: str
) -> dict[Outcome, Path]:
    """Write one page of a success and one of a failure of an agent, see `representative_walks`."""
    written: dict[Outcome, Path] = {}
    for name, key in zip(
        ("success", "failure"), representative_walks(library.rows(), agent), strict=True
    ):
        if key is not None:
            path = folder / f"{name}.html"
            export_page(path, library, pictures, [key])
            written[outcome(library.walks(key)[agent])] = path
    return written


def bundle(
    library: Library, pictures: Pictures, keys: Sequence[str], width: int = WIDTH
) -> dict[str, Any]:
    """Return everything that the page would request from a server."""
    walks = {key: library.walks(key) for key in keys}
    traces = [trace for by_agent in walks.values() for trace in by_agent.values()]
    scans = sorted({trace.scan for trace in traces})
    wanted = set(keys)
    visited = dict.fromkeys(
        (trace.scan, step.viewpoint) for trace in traces for step in trace.steps
    )
    found = {}
    # Rendering the positions of a continuous walk takes minutes.
    for scan, viewpoint in progress_bar(visited, desc="pictures", unit="panoramas", leave=False):
        try:
            data = pictures.jpeg(scan, viewpoint, width)
        except NoPictureError:
            continue
        found[f"{scan}/{viewpoint}"] = _data_url(data, "image/jpeg")
    return {
        "site": {
            "agents": list(dict.fromkeys(trace.agent for trace in traces)),
            "pictures": not pictures.note,
            "note": pictures.note,
            "widths": [width],
            "follower": None,
            "continuous": False,
            "user": None,
            "metrics": metric_rows(),
        },
        "episodes": [row for row in library.rows() if row["key"] in wanted],
        "traces": walks,
        "scenes": {scan: scene(library.graph(scan), library.files.world) for scan in scans},
        "pictures": found,
    }


def page(content: dict[str, Any]) -> str:
    """Return the page with its style, modules and content inlined."""
    text = (STATIC / "index.html").read_text("utf-8")
    style = (STATIC / "viewer.css").read_text("utf-8")
    text = text.replace(
        '<link rel="stylesheet" href="/static/viewer.css">', f"<style>\n{style}</style>"
    )
    modules = {
        f"viewer/{path.name}": _data_url(path.read_bytes(), "text/javascript")
        for path in sorted(STATIC.glob("*.js"))
    }
    mapped = f'<script type="importmap">{json.dumps({"imports": modules})}</script>'
    # msgspec writes null for values that are not numbers, such as those of a diverged network. No
    # text of an instruction may end the element that holds it.
    held = msgspec.json.encode(content).decode().replace("<", "\\u003c")
    held = f'<script type="application/json" id="bundle">{held}</script>'
    return _IMPORT_MAP.sub(lambda _: f"{mapped}\n{held}", text)


def _data_url(data: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
