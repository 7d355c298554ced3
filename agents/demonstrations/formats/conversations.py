"""Conversations with pictures: LLaVA's list of turns, and the variant of messages with roles.

`annotations.json` is a list with one record for each decision. LLaVA: `{"id", "image": [...],
"conversations": [{"from": "human", "value"}, {"from": "gpt", "value"}]}`. Messages: `{"messages":
[{"role", "content"}], "images": [...]}`, as Qwen-VL's trainings and LLaMA-Factory read it. Each
`<image>` of the text stands for the next picture. Further keys contain the episode,
the options and who chose the action.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec

from clipnav.agents.demonstrations.formats.files import (
    ANNOTATIONS,
    HINT,
    IMAGE,
    IMAGES,
    check_picture,
    checked_record,
    inside,
    link_pictures,
    write_records,
)
from clipnav.agents.demonstrations.recording.decisions import (
    decision_limit,
    labelled_decisions,
    picture_name,
)
from clipnav.agents.demonstrations.recording.records import RecordedWalk, Source
from clipnav.agents.demonstrations.recording.settings import DemonstrationConfig
from clipnav.agents.language_models.prompts.messages import Message
from clipnav.storage.errors import UserError, pluralise
from clipnav.storage.json_files import parse_json
from clipnav.storage.records import read_records


class Turn(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"speaker": "from"}):
    """Turn of a conversation."""

    speaker: Literal["human", "gpt"]
    value: str


class RoleMessage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Message of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


class LlavaRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Record of LLaVA's format; the last five keys are our own."""

    id: str
    image: list[str]
    conversations: list[Turn]
    instr_id: str
    step: int
    language: str
    options: list[str]
    source: Source


class MessagesRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Record of the variant with roles; the last six keys are our own."""

    messages: list[RoleMessage]
    images: list[str]
    id: str
    instr_id: str
    step: int
    language: str
    options: list[str]
    source: Source


class Conversation(msgspec.Struct, frozen=True):
    """A decision as read from either variant.

    Attributes:
        pictures: Files of the pictures, in the order of the text.
        system: Description of the task; "" in LLaVA's variant, whose first turn contains it.
        source: Source of the action taken: "teacher" or "policy".
    """

    id: str
    pictures: list[Path]
    system: str
    prompt: str
    answer: str
    options: list[str]
    source: Source

    @property
    def parts(self) -> list[str | Path]:
        """Texts and pictures of the prompt in order, as a processor of transformers reads them."""
        pictures, parts = iter(self.pictures), list[str | Path]()
        for number, text in enumerate(self.prompt.split(IMAGE)):
            if number:
                parts.append(next(pictures))
            if text := text.strip("\n"):
                parts.append(text)
        return parts


def write(
    walks: Iterable[RecordedWalk], pictures: Path, folder: Path, config: DemonstrationConfig
) -> None:
    """Write the records of walks on graphs, with links to their pictures."""
    used: set[str] = set()
    limit = decision_limit(config)

    def records() -> Iterator[dict[str, Any]]:
        for walk in walks:
            decisions = labelled_decisions(walk, limit, config.prompt)
            for number, decision in enumerate(decisions):
                pictures_of = [picture_name(view) for view in decision.views]
                used.update(pictures_of)
                task, text = map(_text, decision.prompt)
                images = [f"{IMAGES}/{name}" for name in pictures_of]
                if config.format == "llava":
                    turns = [("human", f"{task}\n\n{text}"), ("gpt", decision.answer)]
                    turns = [{"from": speaker, "value": value} for speaker, value in turns]
                    record = {"id": "", "image": images, "conversations": turns}
                else:
                    turns = [("system", task), ("user", text), ("assistant", decision.answer)]
                    turns = [{"role": role, "content": content} for role, content in turns]
                    record = {"messages": turns, "images": images}
                record |= {"id": f"{walk.instr_id}_{number}", "instr_id": walk.instr_id}
                record |= {"step": number, "language": walk.language, "options": decision.labels}
                yield record | {"source": walk.steps[number].source}

    write_records(folder / ANNOTATIONS, records())
    link_pictures(sorted(used), pictures, folder / IMAGES)


def _text(message: Message) -> str:
    """Return the parts of a message as one text, with a marker on its own line for each picture."""
    plain = (p.replace(IMAGE, "[image]") if isinstance(p, str) else IMAGE for p in message.parts)
    return "\n".join(plain)


def read(folder: Path, size: tuple[int, int] | None = None) -> list[Conversation]:
    """Read an export strictly."""
    path = folder / ANNOTATIONS
    records = read_records(path, msgspec.Raw, HINT)
    kind = LlavaRecord if records and b'"conversations"' in bytes(records[0]) else MessagesRecord
    decisions, seen = [], set[str]()
    for number, record in enumerate(read_records(path, kind, HINT)):
        with checked_record(path, number, f"id {record.id}"):
            if isinstance(record, LlavaRecord):
                roles = [turn.speaker for turn in record.conversations]
                texts = [turn.value for turn in record.conversations]
                expected, images = ["human", "gpt"], record.image
            else:
                roles = [message.role for message in record.messages]
                texts = [message.content for message in record.messages]
                expected, images = ["system", "user", "assistant"], record.images
            if roles != expected:
                raise UserError(
                    f"the turns are {', '.join(roles)} instead of {', '.join(expected)}"
                )
            *system, prompt, answer = texts
            pictures = [inside(folder, name) for name in images]
            texts = "".join(system), prompt, answer
            decision = Conversation(record.id, pictures, *texts, record.options, record.source)
            if decision.id in seen:
                raise UserError("its id occurs twice")
            markers = (decision.system + decision.prompt).count(IMAGE)
            if markers != len(decision.pictures):
                raise UserError(f"{markers} markers {IMAGE} for {len(decision.pictures)} pictures")
            if IMAGE in decision.answer:
                raise UserError(f"the answer contains {IMAGE}")
            action = parse_json(decision.answer, "the answer", HINT)
            label = action.get("action") if isinstance(action, dict) else None
            if label not in decision.options:
                raise UserError(
                    f"the answer {decision.answer} is none of {', '.join(decision.options)}"
                )
            for picture in decision.pictures:
                check_picture(picture, size)
        seen.add(decision.id)
        decisions.append(decision)
    return decisions


def check(folder: Path, manifest: dict[str, Any]) -> str:
    """Read an export strictly; return what it contains."""
    camera = manifest["camera"]
    decisions = read(folder, (camera["width"], camera["height"]))
    expected = manifest["counts"]["steps"]
    if len(decisions) != expected:
        raise UserError(f"{folder}: {len(decisions)} records, but the manifest has {expected}")
    pictures = {picture for decision in decisions for picture in decision.pictures}
    return f"{pluralise(len(decisions), 'record')}, {pluralise(len(pictures), 'picture')}"
