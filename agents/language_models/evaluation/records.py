"""Log of the requests of a run: one JSON line for each."""

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from clipnav.agents.language_models.prompts.messages import prompt_text
from clipnav.agents.language_models.walks.asking import AskingWalk, DecisionRecord, Exchange
from clipnav.storage import atomic_write
from clipnav.storage.appending import append_bytes

_LONGEST = 4096  # characters of an answer in the log


def append_requests(path: Path, walk: AskingWalk) -> None:
    """Append the requests of a walk to the log."""
    append_bytes(path, b"".join(_lines(walk)))


def write_requests(path: Path, walks: Iterable[AskingWalk]) -> None:
    """Write the requests of all walks, in their order."""
    with atomic_write(path) as beside, beside.open("wb") as file:
        for walk in walks:
            file.writelines(_lines(walk))


def _lines(walk: AskingWalk) -> Iterator[bytes]:
    for step, decision in enumerate(walk.decisions):
        for exchange in decision.exchanges:
            entry = {"episode": walk.instr_id, "step": step, **_entry(decision, exchange)}
            yield msgspec.json.encode(entry) + b"\n"
    if walk.error:
        entry = {"episode": walk.instr_id, "step": len(walk.decisions)}
        yield msgspec.json.encode({**entry, "error": walk.error}) + b"\n"


def _entry(decision: DecisionRecord, exchange: Exchange) -> dict[str, Any]:
    text = prompt_text(exchange.question.prompt)
    answer, reply = exchange.answer, exchange.reply
    option = None if answer is None else answer.option
    return {
        "prompt_sha256": hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest(),
        "options": [option.label for option in decision.observation.options],
        "answer": reply.text[:_LONGEST],
        "refusal": reply.refusal,
        "reasoning": reply.reasoning[:_LONGEST],
        "finish": reply.finish,
        "kind": "too_long" if answer is None else answer.kind,
        "action": None if option is None else option.action,
        "words": "" if option is None else option.words,
        "problem": "" if answer is None else answer.problem,
        "usage": reply.usage,
        "seconds": reply.seconds,
        "attempts": reply.attempts,
    }
