"""Chat templates of transformers, rendered in a process of their own with limits.

A chat template is a jinja program that comes with a model. Its sandbox keeps it from files, but not
from loops without end or from filling the memory. The process has a deadline for each batch and, on
Linux, a limit on its memory.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from clipnav.storage.errors import UserError, in_one_line

_SECONDS = 30.0  # of a batch
_MOST_BYTES = 1 << 29  # of memory beside that of transformers
_MOST_CHARACTERS = 1 << 22  # of a rendered conversation
_CODE = "from clipnav.storage.chat_templates import serve; serve()"
# Gives back a text that is part of the first message.
_GIVEN = "{{ messages[0]['rendered'] }}"
Conversation = Sequence[Mapping[str, Any]]


class ChatTemplate:
    """Chat template of a model.

    Attributes:
        processor: The processor.
    """

    def __init__(self, name: str, processor: Any) -> None:
        template = getattr(processor, "chat_template", None)
        if isinstance(template, dict):  # of several names
            template = template.get("default")
        if not template:
            raise UserError(f"{name}: has no chat template; choose a model for conversations")
        self.processor = processor
        self._name, self._template = name, template
        self._process: subprocess.Popen[str] | None = None

    def apply(self, conversations: Sequence[Conversation], **settings: Any) -> Any:
        """Return the inputs of the model for conversations that the model continues."""
        texts = self._render(conversations)
        given = [
            [{**first, "rendered": text}, *rest]
            for (first, *rest), text in zip(conversations, texts, strict=True)
        ]
        try:
            return self.processor.apply_chat_template(
                given,
                chat_template=_GIVEN,
                tokenize=True,
                return_dict=True,
                return_tensors="pt",
                **settings,
            )
        except Exception as error:  # such as a picture without a place in the text
            raise self._failure(in_one_line(error)) from error

    def _render(self, conversations: Sequence[Conversation]) -> list[str]:
        if self._process is None:
            self._process = _start()
            weakref.finalize(self, _end, self._process)
        process = self._process
        tokenizer = getattr(self.processor, "tokenizer", self.processor)
        request = {
            "conversations": conversations,
            "chat_template": self._template,
            "add_generation_prompt": True,
            **tokenizer.special_tokens_map,
        }
        # Templates look at which keys a picture has, not at the picture.
        line = json.dumps(request, default=lambda picture: "<picture>")
        assert process.stdin is not None
        assert process.stdout is not None
        timer = threading.Timer(_SECONDS, process.kill)
        timer.start()
        try:
            process.stdin.write(line + "\n")
            process.stdin.flush()
            answer = process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        finally:
            timer.cancel()
        if not answer.endswith("\n"):
            raise self._failure(f"no end within {_SECONDS:g} s, or too much memory")
        answer = json.loads(answer)
        if "error" in answer:
            raise self._failure(answer["error"])
        return answer["texts"]

    def _failure(self, problem: str) -> UserError:
        return UserError(f"{self._name}: its chat template fails ({problem}); choose another model")


def _start() -> "subprocess.Popen[str]":
    """Start a process that renders, and wait until it has imported transformers."""
    paths = [str(Path(__file__).resolve().parents[1]), *sys.path]
    process = subprocess.Popen(
        [sys.executable, "-c", _CODE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OPENBLAS_NUM_THREADS": "1"},
        start_new_session=True,  # so that Ctrl-C prints no traceback of it
    )
    assert process.stdout is not None
    if not process.stdout.readline():
        raise ChildProcessError("the process that renders chat templates cannot start")
    return process


def _end(process: "subprocess.Popen[str]") -> None:
    process.kill()
    process.communicate()


def serve() -> None:
    """Render the batches of standard input, one JSON line each, on standard output."""
    from transformers.utils.chat_template_utils import render_jinja_template

    if sys.platform == "linux":
        import resource

        pages = int(Path("/proc/self/statm").read_text().split()[5])
        most = pages * resource.getpagesize() + _MOST_BYTES
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    print("ready", flush=True)
    for line in sys.stdin:
        if hasattr(signal, "alarm"):  # should the main process have been killed meanwhile
            signal.alarm(2 * int(_SECONDS))
        try:
            texts, _ = render_jinja_template(**json.loads(line))
            if max(map(len, texts)) > _MOST_CHARACTERS:
                raise UserError(f"a text of more than {_MOST_CHARACTERS} characters")
            answer = {"texts": texts}
        except Exception as error:
            answer = {"error": in_one_line(error)}
        print(json.dumps(answer), flush=True)
        if hasattr(signal, "alarm"):
            signal.alarm(0)
