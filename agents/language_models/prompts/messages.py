"""Messages of a prompt: texts and pictures in order."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Literal

from clipnav.agents.language_models.prompts.pictures import Photo
from clipnav.envs.pictures.view_pictures import ViewPose

Part = str | ViewPose | Photo


@dataclass(frozen=True)
class Message:
    """Message of a conversation.

    Attributes:
        role: Author of the message.
        parts: Texts and pictures in order.
    """

    role: Literal["system", "user", "assistant"]
    parts: tuple[Part, ...]


Prompt = tuple[Message, ...]


def read_template(name: str) -> str:
    """Return a text file beside the strategies, such as "plain.txt"."""
    text = (files("clipnav.agents.language_models.strategies") / name).read_text(encoding="utf-8")
    return text.strip()


def joined(parts: Sequence[Part]) -> tuple[Part, ...]:
    """Join neighbouring texts with line breaks, so that texts and pictures alternate."""
    merged: list[Part] = []
    for part in parts:
        if isinstance(part, str) and merged and isinstance(merged[-1], str):
            merged[-1] = f"{merged[-1]}\n{part}"
        else:
            merged.append(part)
    return tuple(merged)


def prompt_text(prompt: Prompt) -> str:
    """Return the text of a prompt, with [picture] for each picture."""
    lines = []
    for message in prompt:
        parts = (part if isinstance(part, str) else "[picture]" for part in message.parts)
        lines.append(f"{message.role}:\n" + "\n".join(parts))
    return "\n\n".join(lines)
