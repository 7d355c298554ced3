"""Replies of models, and the errors of requests."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec

from clipnav.agents.language_models.prompts.messages import Prompt
from clipnav.storage.errors import UserError


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
        text: The answer.
        finish: Why the model stopped: "stop", "length", "content_filter", ...; "too_long" if the
            server refused the prompt because of its length or number of pictures.
        refusal: Refusal that the server reports separately.
        reasoning: Reasoning that the server reports separately.
        usage: Tokens, of all attempts that the server answered.
        attempts: Number of requests sent.
        seconds: Time until the answer.
    """

    text: str
    finish: str = "stop"
    refusal: str = ""
    reasoning: str = ""
    usage: Usage = Usage()
    attempts: int = 1
    seconds: float = 0.0


@dataclass(frozen=True)
class Question:
    """A prompt, and the labels among which the answer chooses.

    Attributes:
        prompt: Messages.
        labels: Labels of the options.
    """

    prompt: Prompt
    labels: tuple[str, ...]


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

    def reply(self, question: Question) -> Reply:
        """Answer a question.

        Raises:
            RequestFailed: There is no answer after all attempts.
            StopRun: No further question can be answered.
        """
        ...

    def close(self) -> None:
        """Cancel requests; no further question can be answered."""
        ...


class BatchModel(Protocol):
    """Model that answers several questions at once."""

    def replies(self, questions: Sequence[Question]) -> list[Reply]:
        """Answer questions, in their order.

        Raises:
            StopRun: No further question can be answered.
        """
        ...
