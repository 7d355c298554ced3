"""Demonstrations: paths of RxR's followers, who walked according to the guides' instructions."""

from dataclasses import dataclass

import msgspec

from clipnav.envs.episodes.annotations import Id, Name, Path
from clipnav.envs.episodes.paths import path_problems
from clipnav.envs.worlds import WorldFiles
from clipnav.storage.records import RecordError, read_records


@dataclass(frozen=True, slots=True)
class DemonstrationMetrics:
    """Metrics of a follower's path against the guide's path, as published with RxR.

    Attributes:
        ne: Navigation error in metres.
        sr: Success, 0 or 1.
        spl: Success weighted by path length.
        dtw: Dynamic time warping distance in metres.
        ndtw: Normalised dynamic time warping, 0..1.
        sdtw: `ndtw` times success.
    """

    ne: float
    sr: float
    spl: float
    dtw: float
    ndtw: float
    sdtw: float


@dataclass(frozen=True, slots=True)
class Demonstration:
    """Path of a person who followed an instruction of RxR.

    Attributes:
        demonstration_id: Id of the demonstration and of its pose trace.
        instruction_id: Id of the instruction.
        annotator_id: Id of the follower.
        path: Viewpoints of the path.
        metrics: Metrics of the path.
    """

    demonstration_id: Id
    instruction_id: Id
    annotator_id: int
    path: Path
    metrics: DemonstrationMetrics

    @property
    def instr_id(self) -> str:
        """`Episode.instr_id` of the instruction."""
        return str(self.instruction_id)


class _Instruction(msgspec.Struct, frozen=True, gc=False):
    instruction_id: Id
    scan: Name


def load_demonstrations(split: str, files: WorldFiles) -> list[Demonstration]:
    """Read the follower file of an RxR split, checked against guide file and graphs."""
    path = files.followers(split)
    remedy = files.record_remedy(path)
    demonstrations = read_records(path, Demonstration, remedy)
    guides = read_records(files.annotations("rxr", split), _Instruction, remedy)
    scan_of = {guide.instruction_id: guide.scan for guide in guides}
    scans, seen = [], set()
    for number, walk in enumerate(demonstrations):
        name = f"demonstration_id {walk.demonstration_id}"
        if walk.demonstration_id in seen:
            raise RecordError(path, number, "occurs twice", remedy, name)
        seen.add(walk.demonstration_id)
        if walk.instruction_id not in scan_of:
            problem = f"field 'instruction_id': {walk.instruction_id} is not in the guide file"
            raise RecordError(path, number, problem, remedy, name)
        scans.append(scan_of[walk.instruction_id])
    paths = [walk.path for walk in demonstrations]
    problems = path_problems(scans, paths, files.connectivity_dir)
    for number in sorted(problems)[:1]:
        name = f"demonstration_id {demonstrations[number].demonstration_id}"
        raise RecordError(path, number, problems[number], remedy, name)
    return demonstrations
