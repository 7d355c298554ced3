"""NavGPT's prompt (Zhou et al. 2023, arXiv 2305.16986): all views described in words."""

from collections.abc import Callable

from clipnav.agents.language_models.prompts.messages import (
    Message,
    Part,
    Prompt,
    joined,
    read_template,
)
from clipnav.agents.language_models.prompts.observations import Observation
from clipnav.agents.language_models.strategies.plain import answer_request, option_words
from clipnav.envs.pictures.view_pictures import ViewPose

_SYSTEM = read_template("navgpt.txt")
SECTORS = 8  # directions of 45 degrees

Describe = Callable[[ViewPose], str]


class NavGptPrompt:
    """Strategy that describes views in words.

    Args:
        describe: Function that describes a view in one sentence.
    """

    def __init__(self, describe: Describe) -> None:
        self._describe = describe

    def __call__(self, observation: Observation) -> Prompt:
        """Return the prompt of a decision."""
        parts: list[Part] = [
            f"Instruction: {observation.instruction}",
            f"Places walked: {' '.join(map(str, observation.trajectory))}",
        ]
        for number, past in enumerate(observation.history, start=1):
            chosen = "stayed" if past.option is None else f"went to {option_words(past.option)}"
            parts.append(f"Step {number}: at place {past.place}. {past.thought} Then you {chosen}.")
        parts.append(f"Step {observation.step + 1} of at most {observation.limit}. You see:")
        parts += [f"{words}: {self._describe(view)}" for words, view in observation.around]
        parts.append(f"Options at place {observation.place}:")
        parts += [f"{option.label}: {option_words(option)}" for option in observation.options]
        parts.append(answer_request(observation.options))
        return Message("system", (_SYSTEM,)), Message("user", joined(parts))
