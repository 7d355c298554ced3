"""Requests of the page and their answers; `clipnav.viewer.site.server` handles HTTP."""

import contextlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

import msgspec

from clipnav.envs.drawing.scenes import scene
from clipnav.envs.episodes import Episode
from clipnav.envs.pictures.panorama_files import WIDTHS, NoPictureError, Pictures
from clipnav.storage.errors import UnknownNameError, UserError
from clipnav.viewer.site.library import Library, metric_rows
from clipnav.viewer.site.manual_walks import ManualProgress, ManualWalks
from clipnav.viewer.trace import Trace
from clipnav.viewer.trace.format import position_of

STATIC = Path(__file__).resolve().parents[1] / "static"
TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
_LONGEST_INSTRUCTION = 4000  # characters

# Lets an agent follow an instruction of the user's.
Follow = Callable[[Episode], Trace]
Query = Mapping[str, str]
Json = dict[str, Any]


@dataclass(frozen=True)
class Answer:
    """Answer to a request.

    Attributes:
        body: Bytes to send.
        kind: Media type.
        status: HTTP status code.
        keep: Seconds for which the browser may cache it.
    """

    body: bytes
    kind: str = "application/json"
    status: int = 200
    keep: int = 0


class RequestError(Exception):
    """A request that cannot be answered; the message states the reason.

    Attributes:
        status: HTTP status code.
    """

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class SiteRoutes:
    """Table of routes; answers requests."""

    def __init__(
        self,
        library: Library,
        pictures: Pictures,
        manual_walks: ManualWalks,
        follow: Follow | None = None,
        follower: str = "",
    ) -> None:
        self.library = library
        self.pictures = pictures
        self._manual_walks = manual_walks
        self._follow = follow
        # The follower has the state of one walk, and each request runs in its own thread.
        self._following = Lock()
        self._follower = follower
        # Only files that exist at start-up are sent, so no path can lead outside this folder.
        self._files = {path.name: path for path in STATIC.iterdir() if path.suffix in TYPES}
        self._gets: dict[str, Callable[[Query], Answer]] = {
            "/": lambda _: self._file("index.html"),
            "/api/site": self._site,
            "/api/episodes": self._episodes,
            "/api/trace": self._trace,
            "/api/scene": self._scene,
            "/api/picture": self._picture,
        }
        self._posts: dict[str, Callable[[Json], Answer]] = {
            "/api/walk": self._start_walk,
            "/api/act": self._act,
            "/api/follow": self._own_instruction,
        }

    def get(self, path: str, query: Query) -> Answer:
        """Answer a GET request."""
        if path.startswith("/static/"):
            return self._file(path.removeprefix("/static/"))
        return self._find(self._gets, self._posts, path)(query)

    def post(self, path: str, body: Json) -> Answer:
        """Answer a POST request."""
        return self._find(self._posts, self._gets, path)(body)

    def _find(self, table: Mapping[str, Any], other: Mapping[str, Any], path: str) -> Any:
        if path in table:
            return table[path]
        if path in other:
            raise RequestError(405, f"{path} does not accept this method; use GET or POST")
        raise RequestError(404, f"{path} does not exist on this server")

    def _file(self, name: str) -> Answer:
        if name not in self._files:
            raise RequestError(404, f"the page has no file {name!r}")
        path = self._files[name]
        return Answer(path.read_bytes(), f"{TYPES[path.suffix]}; charset=utf-8")

    def _site(self, query: Query) -> Answer:
        return _json(
            {
                "agents": self.library.agents,
                "pictures": not self.pictures.note,
                "note": self.pictures.note,
                "widths": WIDTHS,
                "follower": self._follower if self._follow else None,
                "continuous": self._manual_walks.is_continuous,
                "user": self._manual_walks.agent,
                "metrics": metric_rows(),
            }
        )

    def _episodes(self, query: Query) -> Answer:
        unfinished = self._manual_walks.unfinished()
        rows = self.library.rows()
        return _json([{**row, "unfinished": row["key"] in unfinished} for row in rows])

    def _trace(self, query: Query) -> Answer:
        key, agent = _text(query, "episode"), _text(query, "agent")
        self._episode(key)
        try:
            return _json(self.library.trace(key, agent))
        except KeyError:
            raise RequestError(404, f"{agent!r} has not walked episode {key!r}") from None

    def _scene(self, query: Query) -> Answer:
        scan = self._known_scan(_text(query, "scan"))
        return _json(scene(self.library.graph(scan), self.library.files.world))

    def _picture(self, query: Query) -> Answer:
        scan = self._known_scan(_text(query, "scan"))
        viewpoint = _text(query, "viewpoint")
        width = query.get("width", str(WIDTHS[0]))
        most = query.get("most", width)
        for value in (width, most):
            if value not in map(str, WIDTHS):
                known = ", ".join(map(str, WIDTHS))
                raise RequestError(400, f"width {value!r} is not one of {known}")
        # Viewpoints become file names, so only those of the graph and positions are accepted.
        if viewpoint not in self.library.graph(scan) and position_of(viewpoint) is None:
            raise RequestError(404, f"scan {scan!r} has no viewpoint {viewpoint!r}")
        try:
            wanted = [one for one in WIDTHS if int(width) <= one <= int(most)] or [int(width)]
            finest = self.pictures.finest(scan, viewpoint, wanted)
            picture = self.pictures.jpeg(scan, viewpoint, finest)
        except NoPictureError as error:
            raise RequestError(404, str(error)) from error
        # A finer picture may be on disk at the next request.
        return Answer(picture, "image/jpeg", keep=3600 if finest == wanted[-1] else 0)

    def _start_walk(self, body: Json) -> Answer:
        key = _text(body, "episode")
        self._episode(key)
        agent = _text(body, "agent") if "agent" in body else None
        steps, restart = _number(body, "steps", 0), bool(body.get("restart"))
        if steps < 0:
            raise RequestError(400, "field 'steps' is negative")
        try:
            with _saving():
                return _progress(self._manual_walks.start(key, agent, steps, restart=restart))
        except KeyError:
            raise RequestError(404, f"{agent!r} has not walked episode {key!r}") from None

    def _act(self, body: Json) -> Answer:
        key = _text(body, "episode")
        self._episode(key)
        action, step = _number(body, "action"), _number(body, "step")
        try:
            with _saving():
                return _progress(self._manual_walks.act(key, action, step))
        except KeyError:
            raise RequestError(404, f"episode {key!r} has no walk; start one first") from None

    def _own_instruction(self, body: Json) -> Answer:
        if self._follow is None:
            raise RequestError(
                400, "no agent can follow an instruction; start clipnav visualise with a run"
            )
        text = _text(body, "instruction").strip()
        if not 0 < len(text) <= _LONGEST_INSTRUCTION:
            raise RequestError(
                400, f"an instruction has 1 to {_LONGEST_INSTRUCTION} characters, not {len(text)}"
            )
        episode = self._episode(_text(body, "episode"))
        path = episode.path
        if not body.get("keep_goal"):
            viewpoint = _text(body, "viewpoint") if "viewpoint" in body else path[0]
            if viewpoint not in self.library.graph(episode.scan):
                raise RequestError(404, f"scan {episode.scan!r} has no viewpoint {viewpoint!r}")
            path = (viewpoint,)
        heading = body.get("heading", episode.heading)
        if not isinstance(heading, int | float):
            raise RequestError(400, f"field 'heading' is {heading!r}, not a number of radians")
        custom = Episode("own", 0, episode.scan, path, float(heading), text, language_of(text))
        with self._following:
            try:
                trace = self._follow(custom)
            except UnknownNameError as error:
                raise RequestError(
                    400, f"{error}: the agent knows the buildings of its split; choose --split"
                ) from None
        return _json(trace)

    def _episode(self, key: str) -> Episode:
        try:
            return self.library.entry(key).episode
        except KeyError:
            known = self.library.keys()
            first = f"; there are {len(known)} others, such as {known[0]!r}" if known else ""
            raise RequestError(
                404, f"episode {key!r} does not exist{first}; /api/episodes lists all"
            ) from None

    def _known_scan(self, scan: str) -> str:
        if scan not in self.library.scans:
            raise RequestError(404, f"no episode is in scan {scan!r}")
        return scan


def language_of(text: str) -> str:
    """Return the RxR language tag of a text, derived from its script."""
    if re.search("[\u0900-\u097f]", text):
        return "hi"
    return "te" if re.search("[\u0c00-\u0c7f]", text) else "en"


def _json(value: Any) -> Answer:
    # Unlike json.dumps, it writes null for values that are not numbers.
    return Answer(msgspec.json.encode(value))


@contextlib.contextmanager
def _saving() -> Iterator[None]:
    """Turn invalid steps of a walk, and a full disk, into request errors with the reason."""
    try:
        yield
    except UserError as error:
        raise RequestError(400, str(error)) from error
    except OSError as error:
        raise RequestError(507, f"your walk cannot be saved: {error}") from error


def _progress(progress: ManualProgress) -> Answer:
    file = None if progress.file is None else str(progress.file)
    return _json({"trace": progress.trace, "file": file})


def _text(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str):
        raise RequestError(400, f"field {name!r} is missing or not a string")
    return value


def _number(fields: Mapping[str, Any], name: str, default: int | None = None) -> int:
    value = fields.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool):
        raise RequestError(400, f"field {name!r} is missing or not an integer")
    return value
