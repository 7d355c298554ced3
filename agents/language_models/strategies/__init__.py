"""Strategies: functions from an observation to a prompt.

Write one of your own as in docs/tutorials/own_prompt.md.
"""

from collections.abc import Callable, Sequence

from clipnav.agents.language_models.prompts.messages import (
    Message,
    Part,
    Prompt,
    joined,
    read_template,
)
from clipnav.agents.language_models.prompts.observations import (
    ObjectObservation,
    Observation,
    Option,
)
from clipnav.agents.language_models.prompts.steps import StepObservation
from clipnav.agents.language_models.settings import PromptConfig
from clipnav.envs.pictures.view_pictures import ViewPose
from clipnav.storage.errors import UserError

Describe = Callable[[ViewPose], str]
_PLAIN = read_template("plain.txt")
_OBJECTS = read_template("objects.txt")
_MAPGPT = read_template("mapgpt.txt")
_NAVGPT = read_template("navgpt.txt")
SECTORS = 8  # directions of 45 degrees
_TASKS = {name: read_template(f"{name}.txt") for name in ("steps", "pixel", "waypoints")}
_MOST_LINES = 20  # earlier decisions in words


def make_strategy(
    config: PromptConfig, describe: Describe | None = None
) -> Callable[[Observation], Prompt]:
    """Return the strategy of settings."""
    if config.strategy == "navgpt":
        if describe is None:
            raise UserError("--strategy navgpt requires descriptions of views")
        return NavGptPrompt(describe)
    return {"plain": plain_prompt, "mapgpt": mapgpt_prompt}[config.strategy]


def plain_prompt(observation: Observation) -> Prompt:
    """Return the prompt of a decision: instruction, history, known map, and the options."""
    kind = observation.settings.picture_kind
    parts: list[Part] = [
        f"Instruction: {observation.instruction}",
        f"Decision {observation.step + 1} of at most {observation.limit}.",
        f"Places walked: {' '.join(map(str, observation.trajectory))}",
        *_history_lines(observation),
    ]
    if observation.settings.known_map:
        parts += ["Known map:", *_map_lines(observation)]
    if kind == "candidates":
        for number, view in observation.past_views():
            parts += [f"Place {number}, seen earlier:", view]
    if kind == "egocentric":
        for words, view in observation.around:
            parts += [f"View {words}:", view]
    parts.append(f"Options at place {observation.place}:")
    for option in observation.options:
        parts.append(f"{option.label}: {_option_words(option)}")
        if option.view is not None and kind == "candidates":
            parts.append(option.view)
    parts.append(_answer_request(observation.options))
    return Message("system", (_PLAIN,)), Message("user", joined(parts))


def _history_lines(observation: Observation) -> list[str]:
    """Return a line for each earlier decision, and the last plan."""
    lines = []
    for number, past in enumerate(observation.history, start=1):
        chosen = "stayed" if past.option is None else f"went to {_option_words(past.option)}"
        lines.append(f"Decision {number}: at place {past.place}, {chosen}")
    if observation.history and observation.history[-1].plan:
        lines.append(f"Your last plan: {observation.history[-1].plan}")
    return lines


def _map_lines(observation: Observation) -> list[str]:
    """Return the connections of each visited place."""
    return [
        f"Place {number} is connected with places {', '.join(map(str, others))}"
        for number, others in observation.connections.items()
    ]


def _option_words(option: Option) -> str:
    """Return what an option does, in words."""
    return "stop here" if option.place is None else f"place {option.place}, {option.words}"


def _answer_request(options: Sequence[Option]) -> str:
    """Return the line that lists the labels."""
    labels = ", ".join(option.label for option in options)
    return f"Answer with the JSON object. Its action is one of {labels}."


def object_prompt(observation: ObjectObservation) -> Prompt:
    """Return the prompt that asks for an object where the agent has stopped."""
    parts: list[Part] = [f"Instruction: {observation.instruction}", "Objects around you:"]
    for option in observation.options:
        parts.append(f"{option.label}: {option.words}")
        if option.view is not None and observation.settings.picture_kind != "none":
            parts.append(option.view)
    parts.append(_answer_request(observation.options))
    return Message("system", (_OBJECTS,)), Message("user", joined(parts))


def mapgpt_prompt(observation: Observation) -> Prompt:
    """Return the prompt of a decision: pictures of the known places, then the text."""
    parts: list[Part] = []
    views = dict(observation.past_views())
    views |= {o.place: o.view for o in observation.options if o.place is not None and o.view}
    if observation.place in observation.views:
        views[observation.place] = observation.views[observation.place]
    for number in sorted(views):
        parts += [f"Image {number}:", views[number]]
    actions = [
        f"step {number}: " + ("stay" if past.option is None else _option_words(past.option))
        for number, past in enumerate(observation.history, start=1)
    ]
    plan = observation.history[-1].plan if observation.history else ""
    parts += [
        f"Instruction: {observation.instruction}",
        f"History: {', '.join(actions) or 'the walk begins here'}",
        f"Trajectory: {' '.join(map(str, observation.trajectory))}",
        "Map:",
        *_map_lines(observation),
        f"Supplementary info: {supplementary(observation)}",
        f"Previous planning: {plan or 'none'}",
        f"Action options (step {observation.step + 1} of at most {observation.limit}):",
        *(f"{option.label}: {_option_words(option)}" for option in observation.options),
        _answer_request(observation.options),
    ]
    return Message("system", (_MAPGPT,)), Message("user", joined(parts))


def supplementary(observation: Observation) -> str:
    """Return the places that were seen, but are neither visited nor options now."""
    seen = {number for others in observation.connections.values() for number in others}
    now = {option.place for option in observation.options}
    left = sorted(seen - set(observation.connections) - now)
    return f"places {', '.join(map(str, left))}" if left else "nothing"


class NavGptPrompt:
    """Strategy that describes views in words."""

    def __init__(self, describe: Describe) -> None:
        self._describe = describe

    def __call__(self, observation: Observation) -> Prompt:
        """Return the prompt of a decision."""
        parts: list[Part] = [
            f"Instruction: {observation.instruction}",
            f"Places walked: {' '.join(map(str, observation.trajectory))}",
        ]
        for number, past in enumerate(observation.history, start=1):
            chosen = "stayed" if past.option is None else f"went to {_option_words(past.option)}"
            parts.append(f"Step {number}: at place {past.place}. {past.thought} Then you {chosen}.")
        parts.append(f"Step {observation.step + 1} of at most {observation.limit}. You see:")
        parts += [f"{words}: {self._describe(view)}" for words, view in observation.around]
        parts.append(f"Options at place {observation.place}:")
        parts += [f"{option.label}: {_option_words(option)}" for option in observation.options]
        parts.append(_answer_request(observation.options))
        return Message("system", (_NAVGPT,)), Message("user", joined(parts))


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
    if observation.below is not None:
        parts += ["Look-down picture:", observation.below]
    parts.append("Options:")
    parts += [f"{option.label}: {option.words}" for option in observation.options]
    request, task = _answer_request(observation.options), _TASKS["steps"]
    if observation.points is not None:
        request = request.removesuffix(".") + f", or {observation.points.words}."
        task = _TASKS[observation.points.answers]
    parts.append(request)
    return Message("system", (task,)), Message("user", joined(parts))
