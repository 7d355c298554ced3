"""SOON: a description of an object and its surroundings, which the agent must reach and point at.

The goal of an episode is every viewpoint with a box of the object. Sources: ZhuFengdaaa/SOON, DUET
(`map_nav_src/soon/env.py`) and SAME.
"""

import json
import math
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from clipnav.envs.episodes import Episode
from clipnav.envs.episodes.annotations import Name
from clipnav.envs.episodes.annotations import Path as ViewpointPath
from clipnav.envs.goals.scores import GoalScores, Walked, end_scores
from clipnav.envs.graphs import wrap_angle
from clipnav.envs.graphs.goal import Goal, ObjectAnswer
from clipnav.envs.metrics import SUCCESS_THRESHOLD, Metric
from clipnav.envs.metrics.table import by_name, path_efficiency
from clipnav.envs.worlds import WorldFiles
from clipnav.storage.errors import UserError
from clipnav.storage.records import read_records

_HEADING = 1.52  # radians; files contain none, and DUET and SAME evaluate with this one

Point = tuple[float, float]


@dataclass(frozen=True)
class SoonGoal(Goal):
    """Goal with the boxes of the object.

    Attributes:
        boxes: Box of the object at each viewpoint: the centre and the four corners in order, as
            fractions of a turn: (heading / 2 pi, (elevation + pi) / 2 pi).
        object_ids: Detected object that fits the box best at each viewpoint, or None.
    """

    boxes: tuple[tuple[Point, ...], ...] = ()
    object_ids: tuple[str | None, ...] = ()

    def object_at(self, viewpoint: str) -> str | None:
        """Return the id of the detected object at a viewpoint, None where there is none."""
        return dict(zip(self.viewpoints, self.object_ids, strict=True)).get(viewpoint)


class _Angles(msgspec.Struct, frozen=True, gc=False):
    heading: float
    elevation: float

    @property
    def fractions(self) -> Point:
        elevation = self.elevation
        if not -math.pi < elevation <= math.pi:
            elevation = wrap_angle(elevation)
        return self.heading / math.tau, (elevation + math.pi) / math.tau


class _Corners(msgspec.Struct, frozen=True, gc=False):
    center: _Angles
    left_top: _Angles
    right_top: _Angles
    right_bottom: _Angles
    left_bottom: _Angles


class _Label(msgspec.Struct, frozen=True, gc=False):
    obj_id: int | str


class _Box(msgspec.Struct, frozen=True, gc=False):
    image_id: Name
    target: _Corners
    pseudo_label: _Label | None = None

    @property
    def points(self) -> tuple[Point, ...]:
        target = self.target
        corners = target.left_top, target.right_top, target.right_bottom, target.left_bottom
        return target.center.fractions, *(corner.fractions for corner in corners)


class _Texts(msgspec.Struct, frozen=True, gc=False):
    full: str
    language: str = "en"


class SoonRecord(msgspec.Struct, frozen=True, gc=False):
    """Path of SOON with all its descriptions; test splits may lack the boxes."""

    path_id: str | int
    scan: Name
    path: ViewpointPath
    instructions: Annotated[tuple[_Texts, ...], Meta(min_length=1)]
    bboxes: tuple[_Box, ...] | None = None

    @property
    def name(self) -> str:
        """Name of the record in error messages."""
        return f"path_id {self.path_id}"

    def episodes(self) -> Iterator[Episode]:
        """Yield one episode per description."""
        goal = None
        if self.bboxes is not None:
            if not self.bboxes:
                raise UserError("field 'bboxes' is empty, so that no viewpoint sees the object")
            boxes = {box.image_id: box for box in self.bboxes}
            goal = SoonGoal(
                tuple(boxes),
                spl_end=self.path[-1],
                boxes=tuple(box.points for box in boxes.values()),
                object_ids=tuple(
                    None if box.pseudo_label is None else str(box.pseudo_label.obj_id)
                    for box in boxes.values()
                ),
            )
        name = str(self.path_id)
        number = name.partition("-")[0]
        path_id = int(number) if number.isdecimal() else zlib.crc32(name.encode())
        for k, texts in enumerate(self.instructions):
            if not texts.full.strip():
                raise UserError(f"field 'instructions': description {k} is blank")
            yield Episode(
                f"{name}_{k}",
                path_id,
                self.scan,
                self.path,
                _HEADING,
                texts.full,
                texts.language,
                target=goal,
            )


def read_soon(path: Path, split: str, files: WorldFiles, timed: bool) -> Sequence[SoonRecord]:
    """Read a file of SOON in the form of DUET; see `DatasetSpec.read`."""
    return read_records(path, SoonRecord, files.record_hint(path))


def inside(point: Point, corners: Sequence[Point]) -> bool:
    """Return whether a point lies within a polygon, whose border is outside."""
    x, y = point
    odd = False
    for (x0, y0), (x1, y1) in pairwise([*corners, corners[0]]):
        side = (x1 - x0) * (y - y0) - (y1 - y0) * (x - x0)
        if side == 0 and min(x0, x1) <= x <= max(x0, x1) and min(y0, y1) <= y <= max(y0, y1):
            return False
        if (y0 > y) != (y1 > y) and (side > 0) == (y1 > y0):
            odd = not odd
    return odd


def _unwrapped(point: Point, middle: float) -> Point:
    """Return a point with its heading within half a turn of that of the centre."""
    return middle + (point[0] - middle + 0.5) % 1 - 0.5, point[1]


def _score(walked: Walked, episode: Episode, answer: Any, definition: str) -> dict[str, float]:
    """Score a walk and the point (fractions of a turn) that it answers with.

    Navigation is measured to the end of the path, or to the last viewpoint if that sees the object.
    "soon" is the published definition: a box across heading 0 covers the rest of the picture
    instead, and the oracle stops nearest to the end of the path even where another stop succeeds.
    """
    goal = episode.goal
    boxes = {}
    if isinstance(goal, SoonGoal):
        boxes = dict(zip(goal.viewpoints, goal.boxes, strict=True))
    end = episode.path[-1]
    aim = walked.path[-1] if walked.path[-1] in boxes else end
    to_end, to_aim = walked.distances([end]), walked.distances([aim])
    scores = end_scores(to_aim)
    if definition == "soon":
        oracle = float(to_aim[to_end.argmin()])
    else:
        oracle = 0.0 if not boxes.keys().isdisjoint(walked.path) else float(to_end.min())
    pointed = False
    if aim in boxes and aim == walked.path[-1] and answer is not None:
        centre, *corners = boxes[aim]
        if definition != "soon":
            corners = [_unwrapped(corner, centre[0]) for corner in corners]
            answer = _unwrapped(answer, centre[0])
        pointed = inside(answer, corners)
    efficiency = path_efficiency(to_aim[0], walked.length)
    return scores | {
        "oracle_error": oracle,
        "oracle_success": float(oracle < SUCCESS_THRESHOLD),
        "goal_progress": float(to_aim[0] - to_aim[-1]),
        "spl": scores["success"] * efficiency,
        "det_success": float(pointed),
        "det_spl": float(pointed) * efficiency,
    }


def _answer(record: Mapping[str, Any]) -> Point | None:
    """Return the point of a record, whose angles are numbers or the first of a list."""
    angles = [record.get(name) for name in ("obj_heading", "obj_elevation")]
    angles = [angle[0] if isinstance(angle, list) and angle else angle for angle in angles]
    if None in angles:
        return None
    try:
        return msgspec.convert(angles, Point)
    except msgspec.ValidationError as error:
        raise UserError(f"obj_heading and obj_elevation are no numbers: {error}") from error


def _aliases(episodes: Sequence[Episode]) -> dict[str, str]:
    """Return ids by the spelling of SAME's runs, and by the number alone where it is unique."""
    spelled: dict[str, str] = {}
    paths: dict[str, int] = {}
    numbers: dict[str, list[str]] = {}
    for episode in episodes:
        path = episode.instr_id.rpartition("_")[0]
        spelled[f"soon_{paths.setdefault(path, len(paths))}_{episode.instr_id}"] = episode.instr_id
        numbers.setdefault(str(episode.path_id), []).append(episode.instr_id)
    return spelled | {number: ids[0] for number, ids in numbers.items() if len(ids) == 1}


SCORES = GoalScores(
    definitions=("unwrapped", "soon"),
    score=_score,
    metrics=by_name(
        Metric("GP", "goal_progress", 1, "m"),
        Metric("det_SR", "det_success"),
        Metric("det_SPL", "det_spl"),
    ),
    answer=_answer,
    pointed=lambda answer: _Angles(answer.heading, answer.elevation).fractions,
    aliases=_aliases,
)


def soon_text(
    path: str | Path,
    trajectories: Mapping[str, Sequence[Any]],
    answers: Mapping[str, ObjectAnswer],
) -> str:
    """Return a submission file in the form of SOON; see `DatasetSpec.submission`.

    Walks without an answer point to (0, 0), as DUET's.

    Raises:
        UserError: An id has no number.
    """
    items = []
    for instr_id, trajectory in trajectories.items():
        number = instr_id.rpartition("_")[0].partition("-")[0]
        if not number.isdecimal():
            raise UserError(f"{path}: episode {instr_id!r} of SOON has no number")
        poses = [[viewpoint, 0, 0] for viewpoint, *_ in trajectory]
        x, y = SCORES.pointed(answers[instr_id]) if instr_id in answers else (0, 0)
        walk = {"path": poses, "obj_heading": [x], "obj_elevation": [y]}
        items.append({"instr_id": int(number), "trajectory": [walk]})
    return json.dumps(items)
