"""Replies of models, and the errors of requests."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Protocol

import msgspec

from clipnav.agents.language_models.prompts.messages import Prompt
from clipnav.agents.language_models.prompts.points import PointForm
from clipnav.agents.language_models.settings import BudgetConfig
from clipnav.storage import atomic_write
from clipnav.storage.errors import UserError
from clipnav.storage.json_files import decode_part

_PRICE_UNIT = 1e6  # tokens


class Usage(msgspec.Struct, frozen=True):
    """Tokens of a request; 0 where the server reports none."""

    prompt: int = 0
    cached: int = 0
    completion: int = 0
    reasoning: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            self.prompt + other.prompt,
            self.cached + other.cached,
            self.completion + other.completion,
            self.reasoning + other.reasoning,
        )


class Reply(msgspec.Struct, frozen=True):
    """Answer of a model to a prompt.

    Attributes:
        finish: Why the model stopped: "stop", "length", "content_filter", ...; "too_long" if the
            server refused the prompt because of its length or number of pictures.
        usage: Tokens, of all attempts that the server answered.
    """

    text: str
    finish: str = "stop"
    refusal: str = ""
    reasoning: str = ""
    usage: Usage = Usage()
    attempts: int = 1
    seconds: float = 0.0


@dataclass(frozen=True)
class ModelQuestion:
    """A prompt, and the labels among which the answer chooses.

    Attributes:
        points: Form of answers in space; None if an answer must be a label.
    """

    prompt: Prompt
    labels: tuple[str, ...]
    points: PointForm | None = None


class RequestFailed(RuntimeError):
    """A request got no answer after all attempts; the run continues without its episode."""


class StopRun(RuntimeError):
    """No further request can succeed or may be sent; the message has reason and remedy."""


class ServerRefusal(StopRun, UserError):
    """The server refuses all requests: wrong key, unknown model, exhausted quota."""


class BudgetReached(StopRun):
    """A limit of the budget is reached."""


class Model(Protocol):
    """Model that answers questions."""

    def reply(self, question: ModelQuestion) -> Reply:
        """Answer a question."""
        ...

    def close(self) -> None:
        """Cancel requests; no further question can be answered."""
        ...


class BatchModel(Protocol):
    """Model that answers several questions at once."""

    def replies(self, questions: Sequence[ModelQuestion]) -> list[Reply]:
        """Answer questions, in their order."""
        ...


class Spending:
    """What a run has sent."""

    def __init__(self, limits: BudgetConfig) -> None:
        self._limits = limits
        self._lock = Lock()
        self.requests = 0
        self.usage = Usage()

    def start_request(self) -> None:
        """Count a request that is about to be sent."""
        limits = self._limits
        with self._lock:
            if limits.max_requests is not None and self.requests >= limits.max_requests:
                raise BudgetReached(f"--max-requests {limits.max_requests} is reached")
            tokens = self.usage.prompt + self.usage.completion
            if limits.max_tokens_total is not None and tokens >= limits.max_tokens_total:
                raise BudgetReached(f"--max-tokens-total {limits.max_tokens_total} is reached")
            cost = price(self.usage, limits)
            if limits.max_cost is not None and cost is not None and cost >= limits.max_cost:
                raise BudgetReached(f"--max-cost {limits.max_cost:g} is reached")
            self.requests += 1

    def add(self, usage: Usage) -> None:
        """Add the tokens of an answered request."""
        with self._lock:
            self.usage = self.usage + usage


def price(usage: Usage, prices: BudgetConfig) -> float | None:
    """Return what tokens cost; None without prices."""
    if prices.price_in is None or prices.price_out is None:
        return None
    return (prices.price_in * usage.prompt + prices.price_out * usage.completion) / _PRICE_UNIT


class ReplyCache:
    """Cache of replies: one file for each request, written beside and renamed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.hits = 0
        self._pending: dict[str, Lock] = {}
        self._lock = Lock()

    def get(self, keys: Sequence[str], ask: Callable[[], tuple[Reply, str]]) -> Reply:
        """Return the reply to a request, which is asked for only if it is not in the cache.

        Threads that ask for the same request wait for the first one.
        """
        with self._lock:
            pending = self._pending.setdefault(keys[0], Lock())
        with pending:
            for key in keys:
                if (reply := self.read(key)) is not None:
                    return reply
            reply, key = ask()
            self.write(key, reply)
        return reply

    def read(self, key: str) -> Reply | None:
        """Return a reply from the cache, or None."""
        path = self._path(key)
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return None
        reply = decode_part(data, Reply, str(path), "not a cached answer; delete the file")
        with self._lock:
            self.hits += 1
        return reply

    def write(self, key: str, reply: Reply) -> None:
        """Write a reply, unless the prompt was too long."""
        if reply.finish == "too_long":
            return
        path = self._path(key)
        with self._lock, atomic_write(path) as beside:
            beside.write_bytes(msgspec.json.encode(reply) + b"\n")

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.json"
