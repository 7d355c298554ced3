"""Decisions on a graph as text with pictures, and the answer of the teacher.

Options have letters: A stops, B is the environment's action 1, and so on. Places are numbered in
the order in which a walk first sees them. The text contains nothing that an agent does not know:
no ids of viewpoints, no goal and no distance to it.
"""

import json
import math
from typing import NamedTuple

from agents.demonstrations.records import Candidate, RecordedWalk, Step

IMAGE = "<image>"
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

_TASK = (
    "You are a robot that follows an instruction inside a building. At each step, choose one "
    "option: stop where you are if the instruction is completed, or move to a place next to you. "
    'Answer with JSON such as {"action": "B"}, which contains the letter of the option.'
)
_STEEP = 0.3  # metres of rise from which a move goes up or down
_ROUNDED = 10  # degrees


class Prompt(NamedTuple):
    """Text and pictures of a decision.

    Attributes:
        task: Description of the task, the same for all decisions.
        text: The decision; each `IMAGE` stands for the next one of the pictures.
        pictures: Names of the pictures, in the order of the text.
        answer: Answer of the teacher.
    """

    task: str
    text: str
    pictures: tuple[str, ...]
    answer: str


def decision_prompts(walk: RecordedWalk, history: int = 0) -> list[Prompt]:
    """Return the prompt of each decision of a walk on a graph.

    Args:
        walk: Walk whose candidates, or steps, have pictures.
        history: Number of earlier egocentric pictures.

    Raises:
        ValueError: A viewpoint has more neighbours than there are letters.
    """
    places: dict[str, int] = {}
    visited: list[str] = []
    prompts = []
    for index, step in enumerate(walk.steps):
        if len(step.candidates) >= len(LETTERS):
            raise ValueError(
                f"viewpoint {step.viewpoint} of {walk.scan} has {len(step.candidates)} neighbours, "
                f"but there are letters for {len(LETTERS) - 1}; leave its episodes out"
            )
        for name in (step.viewpoint, *(each.viewpoint for each in step.candidates)):
            places.setdefault(name, len(places))
        visited.append(step.viewpoint)
        prompts.append(_prompt(walk, index, history, places, visited))
    return prompts


def _prompt(
    walk: RecordedWalk, index: int, history: int, places: dict[str, int], visited: list[str]
) -> Prompt:
    step = walk.steps[index]
    lines = [f"Instruction: {plain_text(walk.instruction)}"]
    pictures: list[str] = []
    lines.append(f"Places so far, in order: {', '.join(str(places[name]) for name in visited)}.")
    earlier = walk.steps[max(0, index - history) : index]
    if earlier:
        pictures += [each.picture for each in earlier]
        lines.append(f"Your earlier views, oldest first: {' '.join([IMAGE] * len(earlier))}")
    if not any(each.picture for each in step.candidates):
        pictures.append(step.picture)
        lines.append(f"Your view: {IMAGE}")
    lines += ["Options:", "A. stop here"]
    for letter, candidate in zip(LETTERS[1:], step.candidates, strict=False):
        line = f"{letter}. {_words(step, candidate, places, visited)}"
        if candidate.picture:
            pictures.append(candidate.picture)
            line += f": {IMAGE}"
        lines.append(line)
    answer = json.dumps({"action": LETTERS[step.label]})
    return Prompt(_TASK, "\n".join(lines), tuple(pictures), answer)


def plain_text(instruction: str) -> str:
    """Return an instruction on one line, without the marker of pictures."""
    return " ".join(instruction.replace(IMAGE, "[image]").split())


def _words(step: Step, candidate: Candidate, places: dict[str, int], visited: list[str]) -> str:
    words = f"place {places[candidate.viewpoint]}, {direction(candidate.heading - step.heading)}"
    words += f", {candidate.distance:.1f} m"
    if abs(candidate.rise) > _STEEP:
        words += ", going up" if candidate.rise > 0 else ", going down"
    return words + (", visited before" if candidate.viewpoint in visited else "")


def direction(angle: float) -> str:
    """Return a relative heading in radians, clockwise, in words."""
    degrees = (math.degrees(angle) + 180) % 360 - 180
    rounded = _ROUNDED * round(degrees / _ROUNDED)
    if rounded == 0:
        return "straight ahead"
    if abs(rounded) == 180:
        return "behind you"
    return f"{abs(rounded)} degrees to the {'right' if rounded > 0 else 'left'}"
