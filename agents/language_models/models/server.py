"""Models behind a server with OpenAI's chat-completions interface."""

import json
import os
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from threading import Event, Lock
from typing import Any

import msgspec
import numpy as np

from clipnav.agents.language_models.models.bodies import (
    FORMATS,
    Body,
    BodyMaker,
    format_of,
    request_key,
    with_format,
)
from clipnav.agents.language_models.models.replies import (
    ModelQuestion,
    Reply,
    ReplyCache,
    RequestFailed,
    ServerRefusal,
    Spending,
    StopRun,
    Usage,
)
from clipnav.agents.language_models.models.transport import (
    Rejected,
    Response,
    Transport,
    read_response,
)
from clipnav.agents.language_models.prompts.pictures import PromptPictures
from clipnav.agents.language_models.settings import AnswerFormat, ServerConfig
from clipnav.envs.pictures.view_pictures import ViewPose
from clipnav.storage.errors import UserError, truncate

_FIRST_WAIT, _LONGEST_WAIT, _JITTER = 0.5, 8.0, 0.25  # seconds; share of the wait
_PATH = "chat/completions"
_PROBE_SECONDS = 5.0
# Characters. Shorter keys, such as "x" for servers that require any, can occur in every answer.
_SHORTEST_SECRET = 8
_TEXTS = ("text", "finish", "refusal", "reasoning")
_SHOWN = 10  # names of models in a message
_SIDE = 56  # pixels; some processors refuse smaller pictures


def read_api_key(path: Path | None) -> str:
    """Return the API key of a file or of OPENAI_API_KEY; "" if there is none."""
    if path is None:
        source, key = "OPENAI_API_KEY", os.environ.get("OPENAI_API_KEY", "").strip()
        if not key:
            return ""
    else:
        source, key = str(path), path.read_text(encoding="utf-8", errors="replace").strip()
    # HTTP libraries quote another key in their errors.
    if len(key.split()) != 1 or not (key.isascii() and key.isprintable()):
        raise UserError(f"{source}: must contain the API key and nothing else")
    return key


@dataclass
class _Tally:
    """Attempts and tokens of one question, and the answer format of the last attempt."""

    attempts: int = 0
    usage: Usage = field(default_factory=Usage)
    answer_format: AnswerFormat = "text"


class ServerModel:
    """Model on a server; its methods may be called from several threads.

    Retries temporary errors, tries other answer formats, and allows more tokens once if reasoning
    has used them up. Replies are cached under the request as it is sent first, in the answer format
    that the server accepts. Replies that "auto" got without a schema have keys of their own, which
    keeps runs with different formats apart.
    """

    def __init__(
        self,
        url: str,
        bodies: BodyMaker,
        cache: ReplyCache,
        spending: Spending,
        settings: ServerConfig,
        connections: int = 8,
    ) -> None:
        self._url = url.rstrip("/")
        self._bodies, self._cache, self._spending = bodies, cache, spending
        self._settings = settings
        self._key = read_api_key(settings.api_key_file)
        self._transport = Transport(self._url, self._key, connections)
        self._format: AnswerFormat = (
            FORMATS[0] if settings.answer_format == "auto" else settings.answer_format
        )
        self._probing = Lock()
        self._probed = not settings.probe
        self._refusal = ""
        self._stopped = Event()

    def reply(self, question: ModelQuestion) -> Reply:
        """Answer a question; see `Model`."""
        chosen = self._settings.answer_format
        formats: tuple[AnswerFormat, ...] = ("auto", "schema") if chosen == "auto" else (chosen,)
        body = self._bodies.make(question)
        keys = {one: request_key(self._url, with_format(body, one, question)) for one in formats}

        def ask() -> tuple[Reply, str]:
            reply, accepted = self._ask(question, body)
            return reply, keys.get(accepted, keys[chosen])

        return self._cache.get(list(keys.values()), ask)

    def close(self) -> None:
        """Cancel requests and close the connections."""
        self._stopped.set()
        self._transport.close()

    def _ask(self, question: ModelQuestion, body: Body) -> tuple[Reply, AnswerFormat]:
        """Return the reply to a question, and the answer format that the server accepted."""
        self._probe_once(question)
        started = time.monotonic()
        tally = _Tally()
        reply = self._complete(with_format(body, self._format, question), question, tally)
        text = reply.text.strip()
        # Some servers leave reasoning in the text of the answer.
        is_reasoning = not text or (text.startswith("<think>") and "</think>" not in text)
        if reply.finish == "length" and is_reasoning:  # which has used up the tokens
            longer = self._bodies.with_more_tokens(with_format(body, self._format, question))
            reply = self._complete(longer, question, tally)
        reply = msgspec.structs.replace(
            reply,
            usage=tally.usage,
            attempts=tally.attempts,
            seconds=round(time.monotonic() - started, 3),
        )
        return reply, tally.answer_format

    def _complete(self, body: Body, question: ModelQuestion, tally: _Tally) -> Reply:
        """Return the reply to a body, in the first answer format that the server accepts."""
        while True:
            result = self._attempts(body, tally)
            if isinstance(result, Reply):
                return result
            if result.problem == "too_long":
                return Reply(result.message, "too_long")
            if result.problem == "format" and self._next_format(body):
                body = with_format(body, self._format, question)
                continue
            if result.problem == "fatal":
                raise ServerRefusal(f"{self._url}: {result.message}")
            if result.problem == "format" and "response_format" in body:
                raise ServerRefusal(
                    f"{self._url}: {result.message}; choose another --answer-format"
                )
            raise RequestFailed(result.message)

    def _next_format(self, body: Body) -> bool:
        """Change to the next answer format; return whether there is one."""
        refused = format_of(body)
        if self._settings.answer_format != "auto" or refused == FORMATS[-1]:
            return False
        following = FORMATS.index(refused) + 1
        # Another thread may have changed it already.
        self._format = FORMATS[max(following, FORMATS.index(self._format))]
        return True

    def _attempts(self, body: Body, tally: _Tally) -> Reply | Rejected:
        """Send a body until there is an answer that another attempt would not change."""
        settings = self._settings
        tally.answer_format = format_of(body)
        for attempt in range(settings.max_retries + 1):
            if self._stopped.is_set():
                raise StopRun("the run was stopped")
            self._spending.start_request()
            tally.attempts += 1
            result = self._send(body)
            if isinstance(result, Reply):
                self._spending.add(result.usage)
                tally.usage = tally.usage + result.usage
                return result
            if result.problem != "temporary" or attempt == settings.max_retries:
                return result
            # A Retry-After of 0, or one whose date is past by this clock, names no time.
            wait = result.wait or _backoff(attempt)
            if wait > settings.longest_wait:
                return replace(
                    result,
                    message=f"{result.message}; the server asks to wait {wait:.0f} s, more than "
                    f"--longest-wait {settings.longest_wait:g}",
                )
            self._stopped.wait(wait)
        raise AssertionError("unreachable")

    def _send(self, body: Body) -> Reply | Rejected:
        response = self._transport.post(_PATH, body, self._settings.request_timeout)
        if not response.status:
            return Rejected("temporary", self._safe(response.content.decode()))
        hides = len(self._key) >= _SHORTEST_SECRET
        if hides:  # before a message is shortened, which could leave a part of the key
            content = response.content.replace(self._key.encode(), b"***")
            response = response._replace(content=content)
        result = read_response(*response)
        if isinstance(result, Rejected):
            return replace(result, message=self._safe(result.message))
        if hides:  # JSON can also contain the key with escapes
            texts = {name: self._safe(getattr(result, name)) for name in _TEXTS}
            result = msgspec.structs.replace(result, **texts)
        return result

    def _safe(self, text: str) -> str:
        """Return a text of the server without the API key."""
        return text.replace(self._key, "***") if self._key else text

    def _probe_once(self, question: ModelQuestion) -> None:
        with self._probing:
            if self._probed:
                return
            if self._refusal:  # of the probe of another thread
                raise ServerRefusal(self._refusal)
            try:
                self._probe(question)
            except ServerRefusal as error:
                self._refusal = str(error)
                raise
            self._probed = True

    def _probe(self, question: ModelQuestion) -> None:
        shows = any(not isinstance(part, str) for m in question.prompt for part in m.parts)
        listed = self._transport.get("models", _PROBE_SECONDS)
        probe(self._url, self._bodies.model, listed, self._safe)
        if shows:
            self._check_pictures()

    def _check_pictures(self) -> None:
        self._spending.start_request()
        model = self._bodies.model
        result = self._send(_picture_body(model, self._settings.token_field))
        if isinstance(result, Reply):
            self._spending.add(result.usage)
        elif result.problem == "fatal":
            raise ServerRefusal(f"{self._url}: {result.message}")
        elif result.problem != "temporary":
            raise ServerRefusal(
                f"{self._url}: {model} refuses a small test picture ({result.message}); "
                "choose a model that reads pictures, or --pictures none"
            )


def _backoff(attempt: int) -> float:
    """Return the seconds before another attempt, with jitter."""
    wait = min(_LONGEST_WAIT, _FIRST_WAIT * 2**attempt)
    return wait * (1 - _JITTER * random.random())


def probe(url: str, model: str, listed: Response, safe: Callable[[str], str]) -> None:
    """Check the list of models of a server."""
    if not listed.status:
        reason = safe(listed.content.decode())
        raise ServerRefusal(f"{url}: not reachable ({reason}); start the server, or check --url")
    if listed.status in (401, 403):
        result = read_response(*listed)
        assert isinstance(result, Rejected)
        raise ServerRefusal(f"{url}: {safe(result.message)}")
    if listed.status != 200:
        return  # some servers do not list their models
    names = _served_names(listed.content)
    # Gemini lists its names with a prefix and Ollama with a tag, and both accept them without.
    if names and not {model, f"models/{model}", f"{model}:latest"} & set(names):
        shown = safe(", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else ""))
        raise ServerRefusal(
            f"{url}: has no model {model!r}; it has {truncate(shown, 400)} (--no-probe skips this "
            "check)"
        )


def _served_names(content: bytes) -> list[str]:
    """Return the names of the models that a server lists; none if the list cannot be read."""
    try:
        document: Any = json.loads(content)
    except (ValueError, RecursionError):
        return []
    data = document.get("data") if isinstance(document, dict) else None
    models = data if isinstance(data, list) else []
    return [str(entry["id"]) for entry in models if isinstance(entry, dict) and "id" in entry]


def _picture_body(model: str, token_field: str) -> dict[str, Any]:
    """Return a small request with a picture."""
    image = {"type": "image_url", "image_url": {"url": _grey()}}
    content = [{"type": "text", "text": "Which colour is this picture?"}, image]
    return {"model": model, "messages": [{"role": "user", "content": content}], token_field: 16}


@lru_cache(1)
def _grey() -> str:
    picture = np.full((_SIDE, _SIDE, 3), 128, np.uint8)
    return PromptPictures(lambda view: picture).data_uri(ViewPose("", "", 0.0))
