"""A choice among labelled options, each with its picture."""

from collections.abc import Sequence

from clipnav.agents.language_models.prompts.messages import (
    Message,
    Part,
    Prompt,
    joined,
    read_template,
)
from clipnav.agents.language_models.prompts.observations import Observation, Option

_SYSTEM = read_template("plain.txt")


def plain_prompt(observation: Observation) -> Prompt:
    """Return the prompt of a decision: instruction, history, known map, and the options."""
    kind = observation.settings.picture_kind
    parts: list[Part] = [
        f"Instruction: {observation.instruction}",
        f"Decision {observation.step + 1} of at most {observation.limit}.",
        f"Places walked: {' '.join(map(str, observation.trajectory))}",
        *history_lines(observation),
    ]
    if observation.settings.known_map:
        parts += ["Known map:", *map_lines(observation)]
    if kind == "candidates":
        for number, view in observation.past_views():
            parts += [f"Place {number}, seen earlier:", view]
    if kind == "egocentric":
        for words, view in observation.around:
            parts += [f"View {words}:", view]
    parts.append(f"Options at place {observation.place}:")
    for option in observation.options:
        parts.append(f"{option.label}: {option_words(option)}")
        if option.view is not None and kind == "candidates":
            parts.append(option.view)
    parts.append(answer_request(observation.options))
    return Message("system", (_SYSTEM,)), Message("user", joined(parts))


def history_lines(observation: Observation) -> list[str]:
    """Return a line for each earlier decision, and the last plan."""
    lines = []
    for number, past in enumerate(observation.history, start=1):
        chosen = "stayed" if past.option is None else f"went to {option_words(past.option)}"
        lines.append(f"Decision {number}: at place {past.place}, {chosen}")
    if observation.history and observation.history[-1].plan:
        lines.append(f"Your last plan: {observation.history[-1].plan}")
    return lines


def map_lines(observation: Observation) -> list[str]:
    """Return the connections of each visited place."""
    return [
        f"Place {number} is connected with places {', '.join(map(str, others))}"
        for number, others in observation.connections.items()
    ]


def option_words(option: Option) -> str:
    """Return what an option does, in words."""
    return "stop here" if option.place is None else f"place {option.place}, {option.words}"


def answer_request(options: Sequence[Option]) -> str:
    """Return the line that lists the labels."""
    labels = ", ".join(option.label for option in options)
    return f"Answer with the JSON object. Its action is one of {labels}."
