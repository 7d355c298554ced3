"""HTTP requests with a deadline for the whole of each attempt.

Time-outs of HTTP libraries apply to single reads: a server that sends a byte per second is never
late. Here each attempt is a coroutine that is cancelled at its deadline, in connection, headers and
body alike. This is why the client is httpx, whose requests can be cancelled.

Compressed responses are refused: a few kilobytes can decode to gigabytes, and no deadline applies
while they are decoded.
"""

import asyncio
import email.utils
import json
import os
import re
import threading
import time
from collections.abc import Mapping
from concurrent.futures import CancelledError
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from clipnav.agents.language_models.models.replies import Reply, Usage
from clipnav.storage.errors import UserError, in_one_line, truncate
from clipnav.storage.extras import import_extra

_MOST_BYTES = 1 << 24  # of a response
_PROXIES = ("all_proxy", "https_proxy", "http_proxy", "no_proxy")  # httpx reads them in any case
Problem = Literal["temporary", "format", "too_long", "fatal", "failed"]
_RETRIED = (408, 409, 425, 429)
_REFUSED = (401, 402, 403, 404)
_CONTEXT = ("context length", "context_length", "maximum context", "context size")
_TOO_LONG = (
    *_CONTEXT,
    "too many images",
    "images may be provided",
    "limit-mm-per-prompt",
    "too large",
    "too long",
)
# llama.cpp and Ollama refuse pictures with status 500, although another attempt cannot succeed.
_NO_PICTURES = ("image input is not supported", "data required for image input")
_FORMAT = ("response_format", "json_schema", "json_object", "guided", "structured output")
_MOST_TOKENS = 2**40  # of one response
# OpenAI's error for reasoning that has used up all tokens of the answer.
_UNFINISHED = "could not finish the message"
_HINTS = {
    401: "check the API key (OPENAI_API_KEY or --api-key-file)",
    402: "check the credit of the account",
    403: "check the rights of the API key",
    404: "check --url, which usually ends in /v1, and --model",
}
# What to do if a server refuses a field of the request, by a pattern of the field's name.
_FIELD_HINTS = {
    "max_tokens|max_completion_tokens": "lower --max-answer-tokens, or try --token-field "
    "max_completion_tokens",
    "temperature": "choose another --temperature, or send none: --temperature None",
    r"\bseed\b": "send none: --sampling-seed None",
}


class Response(NamedTuple):
    """Response of a server; status 0 for an attempt without one, whose content is the reason."""

    status: int
    headers: Mapping[str, str]
    content: bytes


class Transport:
    """Sends requests from any thread through one event loop in a thread of its own."""

    def __init__(self, base_url: str, key: str = "", connections: int = 8) -> None:
        self._httpx = import_extra("httpx", "language-models", "a language-model server")
        self._base = base_url.rstrip("/")
        try:
            _ = self._httpx.URL(self._base).host
        except (ValueError, self._httpx.InvalidURL) as error:
            raise UserError(
                f"--url {truncate(self._base)}: not an address ({in_one_line(error)}); correct it"
            ) from error
        self._headers = {"Accept-Encoding": "identity"}
        if key:
            self._headers["Authorization"] = f"Bearer {key}"
        self._client = self._open(connections)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._guard, self._is_closed = threading.Lock(), False

    def post(self, path: str, body: Mapping[str, Any], seconds: float) -> Response:
        """Send a JSON body."""
        return self._response("POST", path, seconds, body)

    def get(self, path: str, seconds: float) -> Response:
        """Get a document."""
        return self._response("GET", path, seconds, None)

    def close(self) -> None:
        """Cancel requests and close connections; a second call has no effect."""
        with self._guard:
            if self._is_closed:
                return
            self._is_closed = True
            closing = asyncio.run_coroutine_threadsafe(self._close(), self._loop)
        closing.result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _response(self, method: str, path: str, seconds: float, body: Any) -> Response:
        try:
            coroutine = self._bounded(method, path, seconds, body)
            with self._guard:
                if self._is_closed:  # nothing would ever end a request on the stopped loop
                    coroutine.close()
                    raise CancelledError
                future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
            return future.result()
        except CancelledError:
            return Response(0, {}, b"the request was cancelled")

    def _open(self, connections: int) -> Any:
        limits = self._httpx.Limits(max_connections=connections)
        try:
            return self._httpx.AsyncClient(headers=self._headers, limits=limits, timeout=None)
        except ImportError as error:
            raise UserError(
                f"{_proxy_settings()}: a SOCKS proxy requires another package; pip install "
                "'httpx[socks]', or unset the proxy"
            ) from error
        except (ValueError, self._httpx.InvalidURL) as error:
            raise UserError(
                f"{_proxy_settings()}: the proxy cannot be used ({in_one_line(error)}); correct or "
                "unset it"
            ) from error

    async def _close(self) -> None:
        requests = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for request in requests:
            request.cancel()
        # The threads of the requests wait for their ends, which need the loop.
        await asyncio.gather(*requests, return_exceptions=True)
        await self._client.aclose()

    async def _bounded(self, method: str, path: str, seconds: float, body: Any) -> Response:
        try:
            async with asyncio.timeout(seconds):
                return await self._send(method, path, body)
        except TimeoutError:
            return Response(0, {}, f"no complete answer within {seconds:g} s".encode())
        except self._httpx.TransportError as error:
            return Response(0, {}, in_one_line(error).encode())

    async def _send(self, method: str, path: str, body: Any) -> Response:
        url = f"{self._base}/{path}"
        async with self._client.stream(method, url, json=body) as response:
            encoding = response.headers.get("content-encoding", "identity")
            if encoding.lower() != "identity":
                reason = f"the server compresses its answer ({truncate(encoding)}) unasked"
                return Response(0, {}, reason.encode())
            content = bytearray()
            async for chunk in response.aiter_raw():
                content += chunk
                if len(content) > _MOST_BYTES:
                    reason = f"an answer of more than {_MOST_BYTES} bytes"
                    return Response(0, {}, reason.encode())
            return Response(response.status_code, response.headers, bytes(content))


def _proxy_settings() -> str:
    """Return the names of the environment variables that name proxies."""
    names = [name for name in os.environ if name.lower() in _PROXIES]
    return ", ".join(names) or "proxy of the system"


@dataclass(frozen=True)
class Rejected:
    """Response without an answer.

    Attributes:
        problem: What can be done about it: retry, try another answer format, shorten the prompt,
            stop the run, or give up this request.
        wait: Seconds that the server asks to wait; None if it names none.
    """

    problem: Problem
    message: str
    wait: float | None = None


def read_response(status: int, headers: Mapping[str, str], content: bytes) -> Reply | Rejected:
    """Return the reply that a response contains, or why there is none."""
    if status == 200:
        return _read_answer(content)
    if 300 <= status < 400:
        target = truncate(headers.get("location", "another address"), 300)
        return Rejected("fatal", f"HTTP {status}: redirects to {target}; correct --url")
    text, code = _error(content)
    message = f"HTTP {status}: {truncate(text, 300)}" if text else f"HTTP {status}"
    lower = text.lower()
    if status == 400 and _UNFINISHED in lower:
        return Reply("", "length")
    if status == 429 and ("insufficient_quota" in (code, lower) or "quota" in code):
        return Rejected("fatal", f"{message}; the quota of the API key is exhausted")
    if status >= 500 and any(words in lower for words in _NO_PICTURES):
        return Rejected("failed", message)
    if status in _RETRIED or status >= 500:
        return Rejected("temporary", message, _retry_after(headers.get("retry-after")))
    if status in _REFUSED:
        return Rejected("fatal", f"{message}; {_HINTS[status]}")
    if status == 413:
        return Rejected("too_long", message)
    if status in (400, 422):
        return _read_bad_request(message, lower)
    return Rejected("failed", message)


def _read_bad_request(message: str, text: str) -> Rejected:
    """Return what a server refuses in a request, by its text in lower case."""
    if any(word in text for word in _FORMAT):
        return Rejected("format", message)
    # "max_tokens is too large" is no matter of the prompt, unless both exceed the context together.
    if not any(word in text for word in _CONTEXT):
        for field, hint in _FIELD_HINTS.items():
            if re.search(field, text):
                return Rejected("fatal", f"{message}; {hint}")
    too_many = "at most" in text and "image" in text
    if too_many or any(word in text for word in _TOO_LONG):
        return Rejected("too_long", message)
    return Rejected("failed", message)


def _retry_after(value: str | None) -> float | None:
    """Return the seconds of a Retry-After header, a number or an HTTP date; None if unreadable."""
    if value is None:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        then = email.utils.parsedate_to_datetime(value).timestamp()
    except (ValueError, TypeError):
        return None
    return max(0.0, then - time.time())


def _read_answer(content: bytes) -> Reply | Rejected:
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        start = truncate(content[:120].decode("utf-8", "replace"))
        return Rejected("temporary", f"the server sent no JSON, but {start!r}")
    choices = document.get("choices") if isinstance(document, dict) else None
    choice = choices[0] if isinstance(choices, list) and choices else None
    if isinstance(choice, dict) and (choice.get("error") or choice.get("finish_reason") == "error"):
        # A router reports the failure of a provider so, whatever text was written before.
        reason, _ = _describe(choice.get("error") or "no reason given", "")
        return Rejected("temporary", f"the provider failed: {truncate(reason, 300)}")
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(choice, dict) or not isinstance(message, dict):
        reason = truncate(_error(content)[0], 300)
        return Rejected("temporary", f"the server sent an answer without choices: {reason}")
    try:
        usage = _usage(document.get("usage"))
    except ValueError as error:
        return Rejected("temporary", f"the server reports {error}")
    finish = choice.get("finish_reason")
    return Reply(
        text=_text(message.get("content")),
        finish=finish if isinstance(finish, str) else "stop",
        refusal=_text(message.get("refusal")),
        reasoning=_text(message.get("reasoning_content") or message.get("reasoning")),
        usage=usage,
    )


def _usage(usage: Any) -> Usage:
    """Return the tokens of a response."""
    if not isinstance(usage, dict):
        return Usage()

    def count(*names: str) -> int:
        value: Any = usage
        for name in names:
            value = value.get(name) if isinstance(value, dict) else None
        if isinstance(value, bool) or (isinstance(value, int) and value > _MOST_TOKENS):
            raise ValueError(f"{truncate(json.dumps(value), 30)} as a number of {names[-1]}")
        return value if isinstance(value, int) and value >= 0 else 0

    prompt = count("prompt_tokens")
    return Usage(
        prompt=prompt,
        cached=count("prompt_tokens_details", "cached_tokens"),
        # xAI, Gemini and some gateways charge for reasoning, but count it in the total only.
        completion=max(count("completion_tokens"), count("total_tokens") - prompt),
        reasoning=count("completion_tokens_details", "reasoning_tokens"),
    )


def _text(value: Any) -> str:
    """Return a text; some servers send it as a list of parts."""
    if isinstance(value, list):
        return "".join(_text(part.get("text")) for part in value if isinstance(part, dict))
    # JSON can contain halves of surrogate pairs, which UTF-8 cannot.
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else ""


def _error(content: bytes) -> tuple[str, str]:
    """Return message and code of an error body."""
    text = content[:4000].decode("utf-8", "replace")
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        return text, ""
    if isinstance(document, list) and len(document) == 1:  # of Gemini
        document = document[0]
    error = document.get("error", document) if isinstance(document, dict) else document
    return _describe(error, text)


def _describe(error: Any, text: str) -> tuple[str, str]:
    """Return message and code of an error, which has the message `text` if it names none."""
    if isinstance(error, dict):
        message = error.get("message") or error.get("detail") or text
        codes = (error.get("code"), error.get("type"))
        return str(message), " ".join(str(code) for code in codes if code)
    return str(error), ""
