"""Valid and plausible answers to GQA-form questions, and scene graphs of the images."""

from collections import defaultdict
from collections.abc import Iterable
from itertools import permutations
from typing import Any

from clipnav.vl_tasks.house_tasks.gqa_questions import KINDS, OPPOSITE, YES_NO, Scene
from clipnav.vl_tasks.house_tasks.questions import HouseQuestion

_POSITIONS = ("left", "middle", "right")


class AnswerChoices:
    """Valid answers (in the scope of a question) and plausible answers (that occur in the houses).

    An answer is plausible if some image shows such a thing in that colour, with that other thing,
    or in that room.
    """

    def __init__(self, scenes: Iterable[Scene]) -> None:
        self._colours: dict[str, set[str]] = defaultdict(set)  # by thing
        self._rooms: dict[str, set[str]] = defaultdict(set)  # by largest thing, "" if none
        self._companions: dict[str, set[str]] = defaultdict(set)  # by thing
        for scene in scenes:
            for (kind, subject), answer in scene.facts.items():
                if kind == "colour":
                    self._colours[subject[0]].add(answer)
                elif kind == "room":
                    self._rooms[_largest(scene)].add(answer)
            for first, second in permutations(scene.clear, 2):
                self._companions[first].add(second)
        self._all_rooms = sorted(set().union(*self._rooms.values()))
        self._all_colours = sorted(set().union(*self._colours.values()))

    def of(self, question: HouseQuestion, scene: Scene) -> dict[str, list[str]]:
        """Return the record of a question in the form of GQA's choices file."""
        valid, possible = self._answers(question, scene)
        plausible = [answer for answer in valid if answer in possible]
        return {"valid": valid, "plausible": plausible}

    def _answers(self, question: HouseQuestion, scene: Scene) -> tuple[list[str], Iterable[str]]:
        """Return the valid answers, and answers that include the plausible ones."""
        kind, subject = question.kind, question.subject
        if kind in ("room", "choose-room"):
            valid = self._all_rooms if kind == "room" else list(subject)
            return valid, self._rooms[_largest(scene)]
        if kind in ("colour", "choose-colour"):
            valid = self._all_colours if kind == "colour" else list(subject[1:])
            return valid, self._colours[subject[0]]
        if kind == "query-object":
            return sorted(self._companions), self._companions[subject[1]]
        options = {"nearer": subject, "position": _POSITIONS, "choose-side": tuple(OPPOSITE)}
        answers = options.get(kind, YES_NO)
        return list(answers), answers


def scene_graph(scene: Scene, size: int) -> dict[str, Any]:
    """Return the scene graph of an image, in the form of GQA's file of scene graphs.

    Args:
        size: Height and width of the image in pixels.
    """
    things = scene.image.clear
    objects = {}
    for thing in things:
        left, top, width, height = thing.box
        sides = [(other, scene.side(thing.name, other.name)) for other in things]
        objects[str(thing.object_id)] = {
            "name": thing.name,
            "x": left,
            "y": top,
            "w": width,
            "h": height,
            "attributes": [thing.colour] if thing.colour else [],
            "relations": [
                {"name": f"to the {side} of", "object": str(other.object_id)}
                for other, side in sides
                if side is not None
            ],
        }
    graph: dict[str, Any] = {"width": size, "height": size, "objects": objects}
    return {**graph, "location": scene.image.room} if scene.image.room else graph


def group_names(question: HouseQuestion) -> dict[str, str | None]:
    """Return the global and the local group of a question; answers are balanced in a local one."""
    return {
        "global": KINDS[question.kind].group,
        "local": "-".join((question.kind, *question.subject)),
    }


def _largest(scene: Scene) -> str:
    return next((thing.name for thing in scene.image.clear), "")
