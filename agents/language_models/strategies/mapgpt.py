"""MapGPT's prompt (Chen et al. 2024, arXiv 2401.07314): a map and a plan in words.

Directions are those of the places themselves, not of the 30-degree views that show them; distances
are given; and an answer that cannot be read is never taken for stop.
"""

from clipnav.agents.language_models.prompts.messages import (
    Message,
    Part,
    Prompt,
    joined,
    read_template,
)
from clipnav.agents.language_models.prompts.observations import Observation
from clipnav.agents.language_models.strategies.plain import answer_request, map_lines, option_words

_SYSTEM = read_template("mapgpt.txt")


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
        f"step {number}: " + ("stay" if past.option is None else option_words(past.option))
        for number, past in enumerate(observation.history, start=1)
    ]
    plan = observation.history[-1].plan if observation.history else ""
    parts += [
        f"Instruction: {observation.instruction}",
        f"History: {', '.join(actions) or 'the walk begins here'}",
        f"Trajectory: {' '.join(map(str, observation.trajectory))}",
        "Map:",
        *map_lines(observation),
        f"Supplementary info: {supplementary(observation)}",
        f"Previous planning: {plan or 'none'}",
        f"Action options (step {observation.step + 1} of at most {observation.limit}):",
        *(f"{option.label}: {option_words(option)}" for option in observation.options),
        answer_request(observation.options),
    ]
    return Message("system", (_SYSTEM,)), Message("user", joined(parts))


def supplementary(observation: Observation) -> str:
    """Return the places that were seen, but are neither visited nor options now."""
    seen = {number for others in observation.connections.values() for number in others}
    now = {option.place for option in observation.options}
    left = sorted(seen - set(observation.connections) - now)
    return f"places {', '.join(map(str, left))}" if left else "nothing"
