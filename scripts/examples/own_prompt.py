"""A prompt of your own for a vision-language model: print it, and answer it by a rule.

$ python scripts/examples/own_prompt.py

With a model on a server, pass `landmarks_first` to `clipnav.evaluate_vlm` instead, as in
docs/tutorials/own_prompt.md. Here a small server answers with the first option that is ahead.
"""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import clipnav

SYSTEM = """You guide a visitor through a building. Name the next landmark of the instruction and
choose the option that leads to it. Answer with one JSON object:
{"thought": "next landmark", "action": "label of one option"}"""


def landmarks_first(observation):
    """Return the messages of one decision."""
    parts = [f"Instruction: {observation.instruction}"]
    for option in observation.options:
        words = "stop here" if option.place is None else f"place {option.place}, {option.words}"
        parts.append(f"{option.label}: {words}")
    return clipnav.Message("system", (SYSTEM,)), clipnav.Message("user", ("\n".join(parts),))


class Rule(BaseHTTPRequestHandler):
    """Answers like a server with OpenAI's interface."""

    shown = False

    def do_GET(self) -> None:
        """List the models."""
        self._send({"object": "list", "data": [{"id": "rule", "object": "model"}]})

    def do_POST(self) -> None:
        """Choose the first option that is ahead, or the last one."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        content = body["messages"][-1]["content"]
        text = content if isinstance(content, str) else content[0]["text"]
        if not Rule.shown:
            print(text)
            Rule.shown = True
        options = [line for line in text.splitlines()[1:] if ":" in line]
        ahead = [line for line in options if "ahead" in line] or options[-1:]
        answer = {"thought": "straight ahead", "action": ahead[0].partition(":")[0]}
        message = {"role": "assistant", "content": json.dumps(answer)}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        self._send(
            {"id": "1", "object": "chat.completion", "model": "rule", "created": 0,
             "choices": [choice], "usage": usage}
        )  # fmt: skip

    def _send(self, value: dict) -> None:
        data = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Print no requests."""


server = ThreadingHTTPServer(("127.0.0.1", 0), Rule)
threading.Thread(target=server.serve_forever, daemon=True).start()
config = clipnav.EvaluateVlmConfig(
    url=f"http://127.0.0.1:{server.server_port}/v1", model="rule", episodes=4
)
status = clipnav.evaluate_vlm(config, landmarks_first)
server.shutdown()
