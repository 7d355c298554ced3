"""Episodes of a house in the published forms of REVERIE, SOON, CVDN and SAME's object goals.

All targets are found by brute force over the objects of the house, and all paths are shortest paths
to the nearest viewpoint of the goal, of which the agent sees nothing at the start.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from clipnav.envs.graphs import wrap_angle
from clipnav.envs.graphs.routes import Routes
from clipnav.envs.houses.goals.boxes import Boxes, Looks, visible_boxes
from clipnav.envs.houses.goals.descriptions import Description, Things
from clipnav.envs.houses.goals.texts import LANGUAGES, GoalWriter, Talk, Walk
from clipnav.envs.houses.instructions.writing import TextWriter
from clipnav.envs.houses.survey.visibility import Survey, survey_house
from clipnav.envs.panoramas.cameras import perspective_camera
from clipnav.envs.panoramas.views import MATTERSIM_SIZE
from clipnav.storage.features.view_grid import VFOV, view_direction

if TYPE_CHECKING:
    from clipnav.envs.houses.building.house import House
    from clipnav.envs.panoramas.ray_tracer import RayTracer

Json = dict[str, Any]
_TASK_EDGES = (4, 7)  # of REVERIE's paths
SOON_EDGES = (6, 15)
DIALOG_EDGES = (6, 15)
_CATEGORY_EDGES = (2, 14)
_ENGLISH_TASKS = 3  # texts of a target in English; Hindi and Telugu have one each
_SHORTEST = 6  # descriptions of a target among which texts choose, the shortest ones
_PLANNED = 5  # edges that the oracle of a dialog sees
_MOST_QUESTIONS = 3
_DIALOG_SHARE = 0.2  # of the number of paths of a house
_LANGUAGE_STEP = 1000  # from the id of a question to that in the next language


@dataclass(frozen=True, eq=False)
class Scenery:
    """A house with what its viewpoints see, and its shortest paths."""

    house: House
    survey: Survey
    routes: Routes
    looks: Looks
    things: Things

    @classmethod
    def of(cls, house: House, tracer: RayTracer, records: list[Json]) -> Scenery:
        """Look around in a house with a navigation graph."""
        boxes: dict[str, dict[int, Boxes]] = {}
        things = Things(house)

        def visit(viewpoint: str, ids: np.ndarray, distances: np.ndarray) -> None:
            boxes[viewpoint] = visible_boxes(ids, distances, things.objects)

        survey = survey_house(house, tracer, records, visit)
        return cls(
            house,
            survey,
            Routes.of(survey.cameras, survey.edges),
            Looks(boxes, things.nouns),
            things,
        )

    @property
    def scan(self) -> str:
        """Name of the house."""
        return self.survey.scan

    def ids(self, walk: Sequence[int]) -> list[str]:
        """Return the viewpoints of a walk."""
        return [self.survey.viewpoints[number] for number in walk]

    def numbers(self, viewpoints: Sequence[str]) -> list[int]:
        """Return the numbers of viewpoints that can be reached from the first one of the house."""
        known = {viewpoint: number for number, viewpoint in enumerate(self.survey.viewpoints)}
        return [known[viewpoint] for viewpoint in viewpoints]

    def walks(
        self, ends: Sequence[int], edges: tuple[int, int], unseen: Sequence[int] = ()
    ) -> list[Walk]:
        """Return the shortest path to the nearest end from each start with some number of edges.

        Args:
            unseen: Objects that the start must not see, even from afar.
        """
        lengths = self.routes.lengths[:, list(ends)]
        sees = np.isfinite(self.survey.distances[:, list(unseen)]).any(1)
        found = []
        for start in np.flatnonzero(np.isfinite(lengths).any(1) & ~sees).tolist():
            walk = self.routes.path(start, ends[int(lengths[start].argmin())])
            if edges[0] <= len(walk) - 1 <= edges[1]:
                found.append(walk)
        return found


def _draws(choices: dict[int, list[Walk]], rng: np.random.Generator) -> Iterator[tuple[int, Walk]]:
    """Yield pairs of a target and a walk to it: each target once, then each again."""
    remaining = {target: list(walks) for target, walks in choices.items() if walks}
    while remaining:
        for target in rng.permutation(sorted(remaining)).tolist():
            walks = remaining[target]
            yield target, walks.pop(int(rng.integers(len(walks))))
            if not walks:
                del remaining[target]


class GoalEpisodes:
    """Episodes of the splits of a house; no start and target is in two splits."""

    def __init__(self, scenery: Scenery, rng: np.random.Generator) -> None:
        self._scenery, self._rng = scenery, rng
        self._writers = {tag: GoalWriter(tag, rng) for tag in LANGUAGES}
        things, looks = scenery.things, scenery.looks
        self._ends: dict[int, list[int]] = {}
        self._described: dict[int, list[Description]] = {}
        for index in range(len(things.objects)):
            seen = looks.viewpoints(index) if things.is_target(index) else []
            known = [
                one
                for one in (things.descriptions(index) if seen else ())
                if all(writer.knows(one) for writer in self._writers.values())
            ]
            if known:
                self._ends[index], self._described[index] = scenery.numbers(seen), known
        self._answers = TextWriter(scenery.survey, scenery.routes, rng)
        # Translated dialogs have a stream of their own: all other episodes are independent of it.
        own = rng.spawn(1)[0]
        self._translators = [GoalWriter(tag, own) for tag in list(LANGUAGES)[1:]]
        self._translated_answers = TextWriter(scenery.survey, scenery.routes, own)
        self._tasks = self._pairs(_TASK_EDGES)
        self._finds = self._pairs(SOON_EDGES)
        self._dialogs = _draws(self._rooms(), rng)
        choices = {}
        for indices in self._instances().values():
            seen = {v for index in indices for v in self._scenery.looks.viewpoints(index)}
            ends = self._scenery.numbers(sorted(seen))
            choices[indices[0]] = self._scenery.walks(ends, _CATEGORY_EDGES, indices)
        self._searches = _draws(choices, rng)

    def split(self, count: int, first_id: int) -> dict[str, list[Json]]:
        """Return the episodes of a split by dataset.

        Args:
            count: Number of paths; there are fewer dialogs.
            first_id: First id of a path.
        """
        number = range(first_id, first_id + count)
        return {
            "reverie": [self._task(*pair, k) for k, pair in zip(number, self._tasks, strict=False)],
            "soon": [self._find(*pair, k) for k, pair in zip(number, self._finds, strict=False)],
            "cvdn": self._talk(round(_DIALOG_SHARE * count), first_id),
            "objectnav": [
                episode
                for k, pair in zip(number, self._searches, strict=False)
                for episode in self._search(*pair, k)
            ],
        }

    def observed(self) -> Json:
        """Return the objects of each category and the viewpoints that observe one (SAME)."""
        things, looks = self._scenery.things, self._scenery.looks
        found: Json = {}
        for noun, indices in sorted(self._instances().items()):
            seen = {viewpoint for index in indices for viewpoint in looks.viewpoints(index)}
            instances: list[Json] = [
                {"object_id": index, "object_category": things.nouns[index]} for index in indices
            ]
            ids = {"all_observation_viewpoint_ids": sorted(seen)}
            found[self._key(noun)] = [*instances, ids]
        return found

    def _pairs(self, edges: tuple[int, int]) -> Iterator[tuple[int, Walk]]:
        choices = {
            index: self._scenery.walks(ends, edges, [index]) for index, ends in self._ends.items()
        }
        return _draws(choices, self._rng)

    def _heading(self) -> float:
        return round(float(self._rng.uniform(0, 2 * np.pi)), 3)

    def _task(self, target: int, walk: Walk, path_id: int) -> Json:
        """Return an item of REVERIE, with the languages of its texts."""
        shortest, texts = self._described[target][:_SHORTEST], []
        for tag in (*["en"] * _ENGLISH_TASKS, *list(LANGUAGES)[1:]):
            one = shortest[int(self._rng.integers(len(shortest)))]
            texts.append((self._writers[tag].task(one), tag))
        scenery = self._scenery
        return {
            "id": f"{path_id}_{target}",
            "scan": scenery.scan,
            "path": scenery.ids(walk),
            "heading": self._heading(),
            "path_id": path_id,
            "objId": target,
            "instructions": [text for text, _ in texts],
            "languages": [tag for _, tag in texts],
            "distance": round(float(scenery.routes.lengths[walk[0], walk[-1]]), 2),
            "world": "houses",
        }

    def _find(self, target: int, walk: Walk, path_id: int) -> Json:
        """Return a record of SOON, with the languages of its texts."""
        scenery, known = self._scenery, self._described[target]
        longest = max(known, key=lambda one: sum(map(bool, vars(one).values())))
        neighbours = self._neighbours(scenery.things.objects[target].room)
        instructions = []
        for tag in ("en", *LANGUAGES):
            other = self._drawn(neighbours)
            parts = self._writers[tag].parts(longest, other)
            texts = {f"{n}_{part}": text for n, (part, text) in enumerate(parts.items(), 1)}
            full = " ".join(filter(None, parts.values()))
            instructions.append({**texts, "full": full, "language": tag})
        boxes = []
        for viewpoint in scenery.looks.viewpoints(target):
            seen = scenery.looks.boxes[viewpoint]
            label = {"obj_id": target, "idx": list(seen).index(target)}
            corners = box_corners(seen[target])
            boxes.append({"image_id": viewpoint, "target": corners, "pseudo_label": label})
        return {
            "path_id": str(path_id),
            "scan": scenery.scan,
            "path": scenery.ids(walk),
            "bboxes": boxes,
            "instructions": instructions,
        }

    def _drawn(self, options: Sequence[str]) -> str:
        return options[int(self._rng.integers(len(options)))] if options else ""

    def _neighbours(self, room: int) -> list[str]:
        """Return the kinds of rooms that open into a room."""
        plan = self._scenery.house.plan
        others = {
            plan.rooms[other].kind
            for opening in plan.openings_of(room)
            if opening.kind not in ("closed door", "window")
            for other in opening.rooms
            if other not in (room, -1)
        }
        known = [set(writer._language.rooms) for writer in self._writers.values()]
        return sorted(others.intersection(*known) - {plan.rooms[room].kind})

    def _rooms(self) -> dict[int, list[Walk]]:
        """Return the walks to the nearest viewpoint of each room with things to talk about."""
        survey = self._scenery.survey
        choices = {}
        for room in range(len(survey.room_kinds)):
            ends = np.flatnonzero(survey.rooms == room).tolist()
            if ends and self._nouns_in(room, ends):
                choices[room] = self._scenery.walks(ends, DIALOG_EDGES)
        return choices

    def _nouns_in(self, room: int, ends: Sequence[int]) -> list[str]:
        """Return the names of objects that are visible from the viewpoints of their room."""
        things, looks = self._scenery.things, self._scenery.looks
        seen = {index for end in self._scenery.ids(ends) for index in looks.boxes[end]}
        own = {i for i in seen if things.objects[i].room == room and things.is_target(i)}
        return sorted({things.nouns[index] for index in own})

    def _talk(self, count: int, first_id: int) -> list[Json]:
        """Return the questions of some dialogs (NDH)."""
        records: list[Json] = []
        for number, (room, walk) in zip(range(count), self._dialogs, strict=False):
            ends = np.flatnonzero(self._scenery.survey.rooms == room).tolist()
            target = self._drawn(self._nouns_in(room, ends))
            first = 10 * (first_id + number)
            dialog = self._dialog(target, ends, walk, first)
            records += dialog
            for language, writer in enumerate(self._translators, 1):
                records += self._translated(dialog, writer, first + language * _LANGUAGE_STEP)
        return records

    def _dialog(self, target: str, ends: Sequence[int], walk: Walk, first: int) -> list[Json]:
        """Return the questions of a dialog along a path, and its start without a word."""
        scenery, rng = self._scenery, self._rng
        talk = Talk.of(self._writers["en"], self._answers)
        history: list[Json] = []
        records: list[Json] = []
        place, heading = 0, self._heading()
        for number in range(_MOST_QUESTIONS + 1):
            planned = walk[place : place + _PLANNED + 1]
            if number:
                turns = talk.turns(place, planned, heading, self._rooms_beside(walk[place]))
                if not turns:
                    break
                history = [*history, *turns]
            onward = min(place + int(rng.integers(3, _PLANNED + 1)), len(walk) - 1)
            is_last = number == _MOST_QUESTIONS or onward == len(walk) - 1
            onward = len(walk) - 1 if is_last else onward
            records.append(
                {
                    "inst_idx": first + number,
                    "scan": scenery.scan,
                    "target": target,
                    "start_pano": {
                        "heading": heading,
                        "elevation": 0.0,
                        "pano": scenery.ids(walk)[place],
                    },
                    "nav_camera": [],
                    "dialog_history": history,
                    "nav_history": scenery.ids(walk[: place + 1]),
                    "game_idx": first,
                    "end_panos": scenery.ids(ends),
                    "player_path": scenery.ids(walk[place : onward + 1]),
                    "planner_path": scenery.ids(planned),
                    "language": talk.writer.tag,
                }
            )
            if number and is_last:
                break
            if number:
                place = onward
                heading = round(
                    scenery.survey.heading(*walk[place - 1 : place + 1]) % (2 * np.pi), 3
                )
        return records

    def _translated(self, records: Sequence[Json], writer: GoalWriter, first: int) -> list[Json]:
        """Return a dialog in another language, up to a question without an answer."""
        talk = Talk.of(writer, self._translated_answers)
        target = writer.target(records[0]["target"])
        history: list[Json] = []
        translated: list[Json] = []
        for number, record in enumerate(records):
            if number:
                planned = tuple(self._scenery.numbers(record["planner_path"]))
                place, heading = len(record["nav_history"]) - 1, record["start_pano"]["heading"]
                turns = talk.turns(place, planned, heading, self._rooms_beside(planned[0]))
                if not turns:
                    break
                history = [*history, *turns]
            translated.append(
                record
                | {
                    "inst_idx": first + number,
                    "target": target,
                    "dialog_history": history,
                    "game_idx": first,
                    "language": writer.tag,
                }
            )
        return translated

    def _rooms_beside(self, viewpoint: int) -> list[str]:
        """Return the kinds of rooms that a question at a viewpoint may mention."""
        return self._neighbours(int(self._scenery.survey.rooms[viewpoint])) or ["hallway"]

    def _instances(self) -> dict[str, list[int]]:
        """Return the visible objects of each category that all languages name."""
        found: dict[str, list[int]] = {}
        things, looks = self._scenery.things, self._scenery.looks
        for index, noun in enumerate(things.nouns):
            one = Description(noun)
            known = all(writer.knows(one) for writer in self._writers.values())
            if known and things.is_target(index) and looks.viewpoints(index):
                found.setdefault(noun, []).append(index)
        return found

    def _key(self, noun: str) -> str:
        return f"{self._scenery.scan}.glb_{noun.replace(' ', '_')}"

    def _search(self, first: int, walk: Walk, path_id: int) -> Iterator[Json]:
        """Yield the episodes of a path to a category, one in each language."""
        noun = self._scenery.things.nouns[first]
        for number, (tag, writer) in enumerate(self._writers.items()):
            yield {
                "episode_id": len(LANGUAGES) * path_id + number,
                "scene_id": f"houses/{self._scenery.scan}.glb",
                "goals_key": self._key(noun),
                "path": self._scenery.ids(walk),
                "instruction": writer.category(noun),
                "language": tag,
            }


def _largest_view(boxes: Boxes) -> int:
    """Return the view in which the box of an object is largest."""
    return max(boxes, key=lambda view: boxes[view][2] * boxes[view][3])


def box_corners(boxes: Boxes) -> Json:
    """Return centre and corners of the largest box of an object in radians, in the form of SOON.

    The corners are those of the headings and elevations that the box covers. The sides of a box are
    not straight in these angles, so that its own corners might leave out its centre.
    """
    view = _largest_view(boxes)
    left, top, width, height = boxes[view]
    across, down = (np.linspace(0, size, 9) for size in (width, height))
    xs, ys = (part.ravel() for part in np.meshgrid(left + across, top + down))
    rays = perspective_camera(MATTERSIM_SIZE, *view_direction(view), VFOV)(xs, ys)
    headings = np.arctan2(rays[:, 0], rays[:, 1])
    elevations = np.arcsin(np.clip(rays[:, 2], -1, 1))
    middle = len(rays) // 2  # the middle of the grid is that of the box
    turned = wrap_angle(headings - headings[middle])
    sides = {"left": turned.min(), "right": turned.max()}
    ends = {"top": elevations.max(), "bottom": elevations.min()}
    places = {"center": (0.0, elevations[middle])}
    for side, end in (("left", "top"), ("right", "top"), ("right", "bottom"), ("left", "bottom")):
        places[f"{side}_{end}"] = sides[side], ends[end]
    return {
        name: {
            "heading": round(float((headings[middle] + aside) % (2 * np.pi)), 4),
            "elevation": round(float(elevation), 4),
        }
        for name, (aside, elevation) in places.items()
    }
