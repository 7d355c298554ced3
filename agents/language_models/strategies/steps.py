"""A choice among steps and turns, in continuous space."""

from clipnav.agents.language_models.prompts.messages import (
    Message,
    Part,
    Prompt,
    joined,
    read_template,
)
from clipnav.agents.language_models.prompts.steps import StepObservation
from clipnav.agents.language_models.strategies.plain import answer_request

_SYSTEM = read_template("steps.txt")
_MOST_LINES = 20  # earlier decisions in words


def steps_prompt(observation: StepObservation) -> Prompt:
    """Return the prompt of a decision: instruction, history, pictures and options."""
    parts: list[Part] = [
        f"Instruction: {observation.instruction}",
        f"Decision {observation.step + 1}; the walk may have {observation.limit} steps and turns.",
    ]
    first = max(0, len(observation.history) - _MOST_LINES)
    if first:
        parts.append(f"({first} earlier decisions are left out)")
    for number, words in enumerate(observation.history[first:], start=first + 1):
        parts.append(f"Decision {number}: {words}")
    if observation.plan:
        parts.append(f"Your last plan: {observation.plan}")
    if observation.photos:
        for number, photo in observation.past_photos():
            parts += [f"Picture at decision {number + 1}:", photo]
        parts += ["Picture now:", observation.photos[-1]]
    parts.append("Options:")
    parts += [f"{option.label}: {option.words}" for option in observation.options]
    parts.append(answer_request(observation.options))
    return Message("system", (_SYSTEM,)), Message("user", joined(parts))
