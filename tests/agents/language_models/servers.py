"""Servers for tests: a chat-completions server with any behaviour, and an oracle."""

import base64
import io
import itertools
import json
import math
import re
import threading
import zlib
from collections.abc import Callable
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from clipnav.agents.language_models.models.replies import ModelQuestion
from clipnav.agents.language_models.prompts.messages import Message
from clipnav.envs.graphs.candidates import candidate_table, start_views
from clipnav.envs.pictures.view_pictures import ViewPose
from clipnav.viewer.trace.building import candidates


class Sent(NamedTuple):
    """Response of a server: status, headers and body, which is sent as it is if it is bytes."""

    status: int = 200
    headers: dict[str, str] = {}  # noqa: RUF012
    body: Any = b""


def completion(content, finish="stop", tokens=(100, 10), **message):
    """Body of an answer."""
    prompt, answer = tokens
    return {
        "id": "1",
        "object": "chat.completion",
        "model": "oracle",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": content, **message},
                "finish_reason": finish,
            }
        ],
        "usage": {"prompt_tokens": prompt, "completion_tokens": answer},
    }


def error(status, message="no", headers=None, **fields):
    return Sent(status, headers or {}, {"error": {"message": message, **fields}})


QUESTION = ModelQuestion((Message("user", ("Where to? Answer in JSON.",)),), ("A", "B"))
ANSWER = '{"action": "B"}'
GOOD = Sent(body=completion(ANSWER))
UNFINISHED = error(
    400,
    "Could not finish the message because max_tokens or model output limit was reached. Please "
    "try again with higher max_tokens.",
)


class Server:
    """Running server.

    Attributes:
        url: Base address.
        requests: Bodies that arrived, without those of the probe.
        headers: Headers of the last request.
        models: Names that the server lists.
    """

    def __init__(self, answer: Callable[[dict], Any]) -> None:
        self.answer = answer
        self.requests: list[dict] = []
        self.headers: dict[str, str] = {}
        self.models = ["oracle"]
        self.url, self.port = "", 0
        self.lock = threading.Lock()

    def respond(self, body: dict) -> Sent:
        if "Which colour" in json.dumps(body):
            return Sent(body=completion("grey"))
        with self.lock:
            self.requests.append(body)
        answer = self.answer(body)
        return answer if isinstance(answer, Sent) else Sent(body=completion(answer))


@contextmanager
def serving(answer, port=0):
    """Run a server that answers bodies with texts or `Sent`."""
    server = Server(answer)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # otherwise each body waits 40 ms for a receipt of its head

        def do_GET(self):
            names = [{"id": name} for name in server.models]
            self.send(Sent(body={"object": "list", "data": names}))

        def do_POST(self):
            server.headers = dict(self.headers)
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self.send(server.respond(body))

        def send(self, sent: Sent):
            if callable(sent.body):
                sent.body(self)
                return
            data = sent.body if isinstance(sent.body, bytes) else json.dumps(sent.body).encode()
            self.send_response(sent.status)
            headers = {"Content-Length": str(len(data)), **sent.headers}
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *arguments):
            pass

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request, client_address):
            pass  # clients that were killed or gave up

    http = Quiet(("127.0.0.1", port), Handler)
    server.port = http.server_port
    server.url = f"http://127.0.0.1:{server.port}/v1"
    thread = threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()


def draw_colour(view: ViewPose) -> np.ndarray:
    """Picture of one colour that depends on viewpoint and heading."""
    code = zlib.crc32(f"{view.scan} {view.viewpoint} {view.heading:.3f}".encode())
    return np.full((16, 16, 3), [code & 255, code >> 8 & 255, code >> 16 & 255], np.uint8)


def user_parts(body):
    """Texts and pictures of the first user message."""
    return next(m["content"] for m in body["messages"] if m["role"] == "user")


def user_text(body):
    return "\n".join(part["text"] for part in user_parts(body) if part["type"] == "text")


class Oracle:
    """Answers from the text of the prompt alone; it knows the houses and the episodes.

    Attributes:
        faults: Differences between the prompts and its own derivation.
        pictures: Number of pictures checked.
    """

    def __init__(self, split, draw=None, tolerance=4.0) -> None:
        self._episodes = {" ".join(e.instruction.split()): e for e in split.episodes}
        self._graphs = split.nav_world.graphs
        self._draw, self._tolerance = draw, tolerance
        self.faults: list[str] = []
        self.pictures = 0

    def __call__(self, body) -> str:
        text = user_text(body)
        instruction = re.findall(r"^Instruction: (.*)$", text, re.M)[0]
        episode = self._episodes[instruction]
        graph, path = self._graphs[episode.scan], episode.path
        walked = re.findall(r"^(?:Places walked|Trajectory): ([\d ]+)$", text, re.M)[0]
        where = self._replay(graph, episode, [int(n) for n in walked.split()])
        if where is None:
            return json.dumps({"action": "?"})
        here, heading, numbers, connections = where
        options = re.findall(r"^(\w+): (?:place (\d+), (.*)|stop here)$", text, re.M)
        self._check_map(text, connections)
        self._check_options(options, graph, here, heading, numbers, connections)
        self._check_pictures(body, graph, here, options)
        if here == path[-1]:
            wanted = ""
        elif here in path:
            wanted = str(numbers[path[path.index(here) + 1]])
        else:
            wanted = str(numbers[graph.next_hop(here, path[-1])])
        labels = [label for label, place, _ in options if place == wanted]
        return json.dumps({"thought": "I know the way.", "plan": "on", "action": labels[0]})

    def _replay(self, graph, episode, walked):
        """Walk by the numbers of places; return viewpoint, heading, numbers and connections."""
        table = candidate_table(graph)
        here, heading = episode.path[0], int(start_views(np.array([episode.heading]))[0]) % 12
        numbers: dict[str, int] = {}
        connections = {}
        for step, place in enumerate(walked):
            near = [candidate.viewpoint for candidate in candidates(graph, here)]
            if step:
                chosen = [vp for vp in near if numbers.get(vp) == place]
                if not chosen:
                    self.faults.append(f"place {place} is not next to {here}")
                    return None
                heading = int(table.views[graph.index(here), near.index(chosen[0])]) % 12
                here = chosen[0]
                near = [candidate.viewpoint for candidate in candidates(graph, here)]
            for viewpoint in (here, *near):
                numbers.setdefault(viewpoint, len(numbers))
            connections[numbers[here]] = [numbers[viewpoint] for viewpoint in near]
        if numbers[here] != walked[-1]:
            self.faults.append("the walk does not begin at place 0")
        return here, math.radians(30 * heading), numbers, connections

    def _check_map(self, text, connections):
        lines = re.findall(r"^Place (\d+) is connected with places ([\d, ]+)$", text, re.M)
        read = {int(one): [int(n) for n in others.split(",")] for one, others in lines}
        if read and read != connections:
            self.faults.append(f"map {read} instead of {connections}")

    def _check_options(self, options, graph, here, heading, numbers, connections):
        shown = [(place, words) for _, place, words in options if place]
        wanted = []
        position = graph.positions[graph.index(here)]
        for candidate in candidates(graph, here):
            offset = graph.positions[graph.index(candidate.viewpoint)] - position
            angle = math.degrees(math.atan2(offset[0], offset[1]) - heading)
            angle = 10 * round(round((angle + 180) % 360 - 180, 4) / 10)
            side = "right" if angle > 0 else "left"
            words = f"{abs(angle)} degrees to the {side}"
            words = {0: "straight ahead", 180: "straight behind"}.get(abs(angle), words)
            words += f", {np.linalg.norm(offset):.1f} m"
            if abs(offset[2]) > 0.3:
                words += ", up" if offset[2] > 0 else ", down"
            number = numbers[candidate.viewpoint]
            words += ", visited" if number in connections else ""
            wanted.append((str(number), words))
        if shown != wanted:
            self.faults.append(f"options {shown} instead of {wanted}")
        if [label for label, *_ in options] != [chr(65 + i) for i in range(len(options))]:
            self.faults.append(f"labels of {options}")

    def _check_pictures(self, body, graph, here, options):
        if self._draw is None:
            return
        parts = user_parts(body)
        near = {c.viewpoint: c for c in candidates(graph, here)}
        position = graph.positions[graph.index(here)]
        headings = []
        for viewpoint in near:
            offset = graph.positions[graph.index(viewpoint)] - position
            headings.append(math.atan2(offset[0], offset[1]))
        labels = {label: i for i, (label, *_) in enumerate([o for o in options if o[1]])}
        for text, picture in itertools.pairwise(parts):
            label = re.search(r"(?:^|\n)(\w+): place \d+, .*$", text.get("text", ""))
            if picture["type"] != "image_url" or not label:
                continue
            data = picture["image_url"]["url"].removeprefix("data:image/jpeg;base64,")
            seen = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))), int)
            drawn = self._draw(ViewPose(graph.scan, here, headings[labels[label[1]]])).astype(int)
            self.pictures += 1
            if seen.shape != drawn.shape or np.abs(seen - drawn).mean() > self._tolerance:
                self.faults.append(f"picture of {label[1]} at {here}")
