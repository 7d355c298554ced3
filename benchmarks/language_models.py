"""CPU time of decisions of a vision-language model, beside the model.

A server in a process of its own answers every request at once with one of the moves, which depends
on the request. Episodes end after 6 decisions, about as many as a good agent needs. The client's
process is measured: walks, prompts, pictures, requests, parsing and cache.
"""

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import tyro
from measuring import BenchmarkConfig, Figure, peak_memory, report

_DECISIONS = 6  # of an episode
BAR = 100.0  # CPU milliseconds per decision
_SERVER = """
import json
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # otherwise each body waits 40 ms for a receipt of its head
    def do_POST(self):
        data = self.rfile.read(int(self.headers["Content-Length"]))
        schema = json.loads(data)["response_format"]["json_schema"]["schema"]
        moves = schema["properties"]["action"]["enum"][1:]
        content = json.dumps({"action": moves[zlib.crc32(data) % len(moves)]})
        answer = {"choices": [{"message": {"role": "assistant", "content": content}}]}
        answer = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)
    def log_message(self, *arguments):
        pass
server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
"""


@dataclass(frozen=True)
class LanguageModelsConfig(BenchmarkConfig):
    """Measure the CPU time of a decision in one thread, without the model's."""

    data_dir: Path | None = None
    """Data folder of world matterport, with skyboxes; the built-in houses by default."""
    split: str = "val_unseen"
    """Split of the episodes."""
    episodes: int = 12
    """Number of episodes."""
    image_size: int = 224
    """Height and width of a picture in pixels."""


def main() -> None:
    """Parse the command line, measure and report."""
    config = tyro.cli(LanguageModelsConfig)
    os.environ["OMP_NUM_THREADS"] = "1"  # read by torch, which is imported later
    figures = []
    with _server() as url, tempfile.TemporaryDirectory() as folder:
        _measure(config, url, Path(folder), "candidates")  # renders panoramas, which are cached
        for pictures in ("candidates", "none"):
            name = "candidates' pictures" if pictures == "candidates" else "words only"
            figures.append(
                Figure(
                    f"decision, {name}",
                    _measure(config, url, Path(folder), pictures),
                    "CPU ms",
                    BAR if pictures == "candidates" else None,
                    at_most=True,
                )
            )
    figures.append(Figure("peak memory", peak_memory(), "MiB"))
    report("language_models", figures, config.json)


def _measure(config: LanguageModelsConfig, url: str, folder: Path, pictures: str) -> float:
    """Walk the episodes with an empty cache; return the CPU milliseconds of a decision."""
    from clipnav.agents.language_models.evaluation.evaluating import prepare
    from clipnav.agents.language_models.models.bodies import BodyMaker
    from clipnav.agents.language_models.models.replies import ReplyCache, Spending
    from clipnav.agents.language_models.models.server import ServerModel
    from clipnav.agents.language_models.settings import (
        EvaluateVlmConfig,
        PromptConfig,
        ServerConfig,
    )
    from clipnav.agents.language_models.walks.running import walk_concurrently

    prompt = PromptConfig(pictures="none")
    if pictures == "candidates":
        prompt = PromptConfig(image_size=config.image_size)
    settings = EvaluateVlmConfig(
        url=url,
        model="any",
        split=config.split,
        world="matterport" if config.data_dir else "houses",
        data_dir=config.data_dir,
        episodes=1 if config.quick else config.episodes,
        max_episode_steps=2 if config.quick else _DECISIONS,
        prompt=prompt,
        server=ServerConfig(probe=False),
    )
    experiment = prepare(settings)
    bodies = BodyMaker("any", experiment.pictures, settings.sampling)
    with tempfile.TemporaryDirectory(dir=folder) as cache:
        spending = Spending(settings.budget)
        model = ServerModel(url, bodies, ReplyCache(Path(cache)), spending, settings.server, 1)
        start = time.process_time()
        finished = walk_concurrently(experiment.maker, model, 1, lambda walk: None)
        spent = time.process_time() - start
        model.close()
    decisions = sum(len(walk.decisions) for walk in finished.walks.values())
    return 1000 * spent / decisions


@contextlib.contextmanager
def _server() -> Iterator[str]:
    command = [sys.executable, "-c", _SERVER]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}/v1"
        finally:
            process.terminate()


if __name__ == "__main__":
    main()
