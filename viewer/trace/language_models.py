"""Prompts and answers of an agent that asks a language model, as parts of a trace."""

from typing import Literal

import msgspec


class PromptPart(msgspec.Struct, frozen=True, omit_defaults=True):
    """Text or picture of a prompt.

    Attributes:
        role: Role of its message: "system", "user" or "assistant".
        text: The text; empty for a picture.
        viewpoint: Viewpoint of a picture's camera; empty for a text.
        heading: Heading of the camera in radians.
        elevation: Elevation of the camera in radians.
    """

    role: str
    text: str = ""
    viewpoint: str = ""
    heading: float = 0.0
    elevation: float = 0.0


class ModelAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """Answer of a model.

    Attributes:
        text: The answer, or the first part of a long one.
        kind: "valid", or why it names no action.
        problem: What is wrong with it.
        reasoning: Reasoning that the server reports separately.
    """

    text: str
    kind: Literal["valid", "invalid", "refused", "truncated", "too_long"]
    problem: str = ""
    reasoning: str = ""


class ModelDecision(msgspec.Struct, frozen=True):
    """Decision of a model.

    Attributes:
        prompt: Texts and pictures of the first prompt, in order.
        answers: Answers; several if the model was asked again.
        thought: Thought of the last answer.
        plan: Plan of the last answer.
    """

    prompt: tuple[PromptPart, ...]
    answers: tuple[ModelAnswer, ...]
    thought: str = ""
    plan: str = ""
