"""Observations and options of agents that walk by steps and turns in continuous space."""

import string
from dataclasses import dataclass

import numpy as np

from clipnav.agents.language_models.prompts.observations import Option
from clipnav.agents.language_models.prompts.pictures import Photo
from clipnav.agents.language_models.prompts.points import PointForm
from clipnav.agents.language_models.settings import PromptConfig
from clipnav.envs.continuous.settings import FORWARD, LEFT, RIGHT, STOP, ContinuousSettings
from clipnav.storage.errors import UserError

CENTIMETRES = 100  # of a metre


@dataclass(frozen=True)
class Motion:
    """Equal primitive actions that one decision carries out."""

    primitive: int
    repeats: int
    words: str


@dataclass(frozen=True)
class StepObservation:
    """Everything that an agent in continuous space knows at a decision.

    Attributes:
        instruction: Instruction with single blanks.
        step: Number of the decision, from 0.
        limit: Largest number of steps and turns.
        options: Options in the order of the prompt.
        photos: Picture ahead at each decision so far, this one included.
        history: Earlier decisions in words.
        plan: Plan of the last answer.
        points: Form of answers in space; None if the options are the only answers.
        below: Look-down picture, if answers are its pixels.
        settings: Contents and wording of the prompt.
    """

    instruction: str
    step: int
    limit: int
    options: tuple[Option, ...]
    photos: tuple[Photo, ...]
    history: tuple[str, ...]
    plan: str
    settings: PromptConfig
    points: PointForm | None = None
    below: Photo | None = None

    def past_photos(self) -> list[tuple[int, Photo]]:
        """Return numbers and pictures of earlier decisions, evenly spread over the walk."""
        count = min(self.settings.history_pictures, len(self.photos) - 1)
        chosen = np.linspace(0, len(self.photos) - 2, count).round().astype(int) if count else []
        return [(int(number), self.photos[number]) for number in chosen]


def make_motions(task: ContinuousSettings, most_repeats: int) -> list[Motion]:
    """Return the motions of a task; the first one stops."""
    motions = [Motion(STOP, 1, "stop here")]
    for repeats in range(1, most_repeats + 1):
        length = round(CENTIMETRES * task.step_size * repeats)
        motions.append(Motion(FORWARD, repeats, f"move forward {length} cm"))
    for primitive, side in ((LEFT, "left"), (RIGHT, "right")):
        for repeats in range(1, most_repeats + 1):
            words = f"turn {side} {task.turn_angle * repeats:g} degrees"
            motions.append(Motion(primitive, repeats, words))
    return motions


def step_options(motions: list[Motion], can_stop: bool, labels: str) -> tuple[Option, ...]:
    """Return the options of a decision; their actions are indices of motions."""
    indices = range(0 if can_stop else 1, len(motions))
    if labels == "letters" and len(indices) > len(string.ascii_uppercase):
        raise UserError(
            f"{len(indices)} options, but {len(string.ascii_uppercase)} letters; use --labels "
            "numbers or fewer --most-repeats"
        )
    names = string.ascii_uppercase if labels == "letters" else [str(index) for index in indices]
    return tuple(
        Option(name, index, words=motions[index].words)
        for name, index in zip(names, indices, strict=False)
    )
