"""REVERIE: an instruction names a distant object, which the agent must reach and point out.

The goal of an episode is every viewpoint that sees its object. Sources: YuankaiQi/REVERIE
(`eval_release.py`), DUET (`map_nav_src/reverie/env.py`) and ScaleVLN.
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from clipnav.connectivity import read_connectivity
from clipnav.envs.episodes import Episode
from clipnav.envs.episodes.annotations import Id, Name
from clipnav.envs.episodes.annotations import Path as ViewpointPath
from clipnav.envs.goals.scores import GoalScores, Walked, official_efficiency
from clipnav.envs.graphs.goal import Goal, ObjectAnswer
from clipnav.envs.metrics import Metric
from clipnav.envs.metrics.table import by_name, path_efficiency
from clipnav.envs.worlds import WorldFiles
from clipnav.storage.errors import UserError
from clipnav.storage.json_files import decode_part, read_bytes, read_packed
from clipnav.storage.records import read_records

Visible = Mapping[str, tuple[str, ...]]
_HINT = "correct the boxes, or get REVERIE's BBox folder or DUET's BBoxes.json again"


class ViewBoxes(msgspec.Struct, frozen=True, gc=False):
    """Boxes of an object in the views 0..35 of a viewpoint; none where it is not visible."""

    visible_pos: tuple[Annotated[int, Meta(ge=0, le=35)], ...]
    bbox2d: tuple[tuple[float, float, float, float], ...]
    name: str = ""


class _Item(msgspec.Struct, frozen=True, gc=False):
    """Item of a file: a path and an object, of which test splits give the start only."""

    scan: Name
    path: ViewpointPath
    heading: float
    instructions: Annotated[tuple[str, ...], Meta(min_length=1)]
    id: int | str = ""
    path_id: Id | None = None
    objId: int | str | None = None
    languages: tuple[str, ...] = ()  # of the instructions; the built-in houses have several
    # Fields by which the versions differ.
    distance: Any = None
    instr_encodings: Any = None
    world: str = ""


@dataclass(frozen=True)
class ReverieRecord:
    """Item of a file with what its building shows.

    Attributes:
        item: The item.
        visible: Viewpoints that see each object of the building, by its id.
        boxes: File or folder of the boxes.
    """

    item: _Item
    visible: Visible
    boxes: Path

    @property
    def scan(self) -> str:
        """Name of the building."""
        return self.item.scan

    @property
    def path(self) -> tuple[str, ...]:
        """Viewpoints of the path."""
        return self.item.path

    @property
    def name(self) -> str:
        """Name of the record in error messages."""
        return f"id {self._id}"

    @property
    def _id(self) -> str:
        item = self.item
        known = item.path_id is not None and item.objId is not None
        return f"{item.path_id}_{item.objId}" if known else str(item.id)

    def episodes(self) -> Iterator[Episode]:
        """Yield one episode per instruction."""
        item, goal = self.item, self._goal()
        number = str(self._id).partition("_")[0]
        if not number.isdecimal():
            raise UserError(f"field 'id': {item.id!r} does not begin with a number")
        languages = item.languages or ("en",) * len(item.instructions)
        if len(languages) != len(item.instructions):
            raise UserError("field 'languages' has another length than 'instructions'")
        for k, text in enumerate(item.instructions):
            if not text.strip():
                raise UserError(f"field 'instructions': instruction {k} is blank")
            yield Episode(
                f"{self._id}_{k}",
                int(number),
                item.scan,
                item.path,
                item.heading,
                text,
                languages[k],
                target=goal,
            )

    def _goal(self) -> Goal | None:
        target, end = self.item.objId, self.path[-1]
        if target is None and len(self.path) > 1:
            raise UserError("field 'objId' is missing")
        if target is None:
            return None
        if str(target) not in self.visible:
            raise UserError(f"field 'objId': object {target} has no box in {self.boxes}")
        viewpoints = self.visible[str(target)]
        if not viewpoints:
            raise UserError(
                f"field 'objId': the boxes of object {target} in {self.boxes} have no views, so "
                "that no viewpoint sees it"
            )
        return Goal(viewpoints, 0.0, end, str(target))


def read_reverie(path: Path, split: str, files: WorldFiles, timed: bool) -> Sequence[ReverieRecord]:
    """Read a file of REVERIE, version 1 or 2 or DUET's, and the boxes beside it."""
    items = read_records(path, _Item, files.record_hint(path))
    boxes = boxes_of(path.parent)
    # Viewpoints that see each object, by scan and id; none where its boxes have no views.
    visible: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    if any(item.objId is not None for item in items):
        scans = {item.scan for item in items}
        for scan, viewpoint, objects in read_boxes(boxes, scans, files.connectivity_dir):
            for number, box in objects.items():
                # An object without views is not visible from here: a quarter of the pairs.
                visible[scan][number] += [viewpoint] * bool(box.visible_pos)
    sorted_names = {
        scan: {number: tuple(sorted(names)) for number, names in objects.items()}
        for scan, objects in visible.items()
    }
    return [ReverieRecord(item, sorted_names.get(item.scan, {}), boxes) for item in items]


def boxes_of(folder: Path) -> Path:
    """Return the boxes in a folder of REVERIE: BBoxes.json, perhaps compressed, or folder BBox."""
    merged = folder / "BBoxes.json"
    others = [merged, merged.with_suffix(".json.gz"), folder / "BBox"]
    return next((path for path in others if path.exists()), merged)


def read_boxes(
    boxes: Path, scans: set[str], graphs: Path, hint: str = _HINT
) -> Iterator[tuple[str, str, dict[str, ViewBoxes]]]:
    """Yield scan, viewpoint and the boxes of each object by its id, also those without views.

    The viewpoints that see an object are its goal, so that a file that is lost would change goals
    and scores. A folder must have a file for each viewpoint of a graph, as REVERIE's has.

    Args:
        boxes: Folder BBox of a file per viewpoint, or BBoxes.json, which joins them.
        scans: Buildings to read.
        graphs: Folder of the navigation graphs of the buildings.
        hint: What to do about wrong boxes.

    Raises:
        FileNotFoundError: The boxes or a graph are missing.
        UserError: The folder is not complete, or the boxes are wrong.
    """
    for source, scan, viewpoint, raw in _of_viewpoints(boxes, scans, graphs, hint):
        place = f"{source}: viewpoint {viewpoint}"
        objects = decode_part(raw, dict[str, ViewBoxes], place, hint)
        for number, box in objects.items():
            if len(box.visible_pos) != len(box.bbox2d):
                raise UserError(
                    f"{place}, object {number}: {len(box.visible_pos)} "
                    f"views but {len(box.bbox2d)} boxes; {hint}"
                )
        yield scan, viewpoint, objects


def _of_viewpoints(
    boxes: Path, scans: set[str], graphs: Path, hint: str
) -> Iterator[tuple[Path, str, str, msgspec.Raw]]:
    """Yield file, scan, viewpoint and objects of each viewpoint."""
    raw = dict[str, msgspec.Raw]
    if not boxes.exists():
        raise FileNotFoundError(
            f"{boxes}: the boxes of REVERIE's objects are missing; put REVERIE's folder BBox or "
            "DUET's BBoxes.json beside the annotations"
        )
    included = {
        scan: {record["image_id"]: record["included"] for record in read_connectivity(scan, graphs)}
        for scan in sorted(scans)
    }
    if boxes.is_file():
        for key, objects in decode_part(read_packed(boxes, hint), raw, f"{boxes}", hint).items():
            scan, _, viewpoint = key.rpartition("_")
            if scan in scans and viewpoint not in included[scan]:
                raise UserError(
                    f"{boxes}: viewpoint {viewpoint} is not in {scan}_connectivity.json; {hint}"
                )
            if scan in scans:
                yield boxes, scan, viewpoint, objects
        return
    for scan, viewpoints in included.items():
        names = sorted(viewpoint for viewpoint, is_included in viewpoints.items() if is_included)
        files = {viewpoint: boxes / f"{scan}_{viewpoint}.json" for viewpoint in names}
        if lost := [file.name for file in files.values() if not file.is_file()]:
            raise UserError(
                f"{boxes}: {len(lost)} of the {len(files)} files of scan {scan} are missing, such "
                f"as {lost[0]}; {hint}"
            )
        for viewpoint, file in files.items():
            parts = decode_part(read_bytes(file, hint), raw, f"{file}", hint)
            if list(parts) != [viewpoint]:
                keys = ", ".join(parts) or "nothing"
                raise UserError(f"{file}: has {keys:.80} instead of viewpoint {viewpoint}; {hint}")
            yield file, scan, viewpoint, parts[viewpoint]


def version(path: Path) -> str:
    """Return the version of an annotation file: that of the evaluation until 2025, or the second.

    The built-in houses are "houses".

    Figures of different versions are not comparable.
    """
    first = read_records(path, _Item, _HINT)[0]
    if first.world:
        return first.world
    number = "v2" if first.distance is None else "v1"
    return f"{number}, of DUET" if first.instr_encodings is not None else number


def _answer(record: Mapping[str, Any]) -> str | None:
    """Return the id of the predicted object (`predObjId`, in DUET's records `pred_objid`)."""
    answer = record.get("predObjId", record.get("pred_objid"))
    if answer is not None and (isinstance(answer, bool) or not isinstance(answer, int | str)):
        raise UserError(f"predObjId is {answer!r}, which is not the id of an object")
    return None if answer is None else str(answer)


def _score(walked: Walked, episode: Episode, answer: Any, definition: str) -> dict[str, float]:
    """Score a walk and its answer.

    The official evaluator divides by zero where the start is the goal and the agent stays; here
    this right answer counts fully ("official"), as in the evaluator of CVDN, or not at all, as in
    DUET.
    """
    goal, length = episode.goal, walked.length
    success = float(walked.path[-1] in goal.viewpoints)
    named = float(answer is not None and answer == goal.object_id)
    if definition == "with_success":
        named *= success
    if definition == "official":
        efficiency = official_efficiency(walked.distances([episode.path[-1]])[0], length)
    else:
        efficiency = path_efficiency(walked.length_of(episode.path), length)
    return {
        "success": success,
        "oracle_success": float(not set(goal.viewpoints).isdisjoint(walked.path)),
        "spl": success * efficiency,
        "rgs": named,
        "rgspl": named * efficiency,
    }


SCORES = GoalScores(
    definitions=("official", "duet", "with_success"),
    score=_score,
    metrics=by_name(Metric("RGS", "rgs"), Metric("RGSPL", "rgspl")),
    answer=_answer,
    pointed=lambda answer: answer.object_id,
)


def reverie_text(
    path: str | Path,
    trajectories: Mapping[str, Sequence[Any]],
    answers: Mapping[str, ObjectAnswer],
) -> str:
    """Return a submission file in the form of REVERIE; see `DatasetSpec.submission`."""
    items = []
    for instr_id, trajectory in trajectories.items():
        poses = [[viewpoint, float(h), float(e)] for viewpoint, h, e in trajectory]
        item: dict[str, Any] = {"instr_id": instr_id, "trajectory": poses}
        if instr_id in answers:
            name = answers[instr_id].object_id
            item["predObjId"] = int(name) if name.isdecimal() else name
        items.append(item)
    return json.dumps(items)
