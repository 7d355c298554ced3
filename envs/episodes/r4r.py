"""Generation of Room-for-Room (R4R): pairs of R2R paths, where one ends near the other's start.

R4R is published as a recipe instead of files (Jain et al. 2019, "Stay on the Path", section 4, and
google-research `r4r/r4r_generate_data.py`), because it consists of R2R's data. R4R of the built-in
houses is generated when it is loaded.
"""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from clipnav.envs.datasets import dataset_spec
from clipnav.envs.episodes.annotations import PathRecord, read_paths
from clipnav.envs.episodes.episode import path_problems
from clipnav.envs.graphs.nav_graph import NavGraph
from clipnav.envs.worlds import WorldFiles
from clipnav.storage import atomic_write
from clipnav.storage.errors import UserError
from clipnav.storage.records import RecordError, read_records

_JOIN_DISTANCE = 3.0
"""Largest distance in metres between the end of one path and the start of the next."""

# The instructions of the built-in houses end without a space; the published generator adds none.
_HOUSE_SEPARATOR = " "


class _MeasuredPath(PathRecord, frozen=True, gc=False):
    """Path of R2R with its annotated length in metres, which own annotations may lack."""

    distance: float | None = None


def write_r4r(split: str, files: WorldFiles) -> Path:
    """Write the R4R file of a split, generated from the R2R file of the same split."""
    source = files.annotations("r2r", split)
    joined = join_paths(split, files)
    if not joined:
        raise UserError(f"{source}: no two paths can be joined; {files.hint}")
    path = r4r_path(split, files)
    with atomic_write(path) as temporary:
        temporary.write_bytes(msgspec.json.encode(joined))
    return path


def r4r_path(split: str, files: WorldFiles) -> Path:
    """Return the path of the R4R file of a split, whether it exists or not."""
    return files.annotations_dir / dataset_spec("r4r").annotations[0].format(split)


def join_paths(split: str, files: WorldFiles) -> list[dict[str, Any]]:
    """Join the paths of a split of R2R.

    Each instruction of the first path is joined with each instruction of the second, with a space
    between them in the built-in houses. Scans and paths keep their order of first occurrence in
    R2R, which determines the numbers of the joined paths.

    Returns:
        Records of R4R, with the fields of the published generator.
    """
    source = files.annotations("r2r", split)
    if split.startswith("test"):
        raise UserError(
            f"{source}: R4R has no split '{split}', because the ends of these paths are secret; "
            "use train, val_seen or val_unseen"
        )
    hint = files.record_hint(source)
    records = read_records(source, _MeasuredPath, hint)
    scans = [record.scan for record in records]
    problems = path_problems(scans, [record.path for record in records], files.connectivity_dir)
    for number in sorted(problems)[:1]:
        raise RecordError(source, number, problems[number], hint, records[number].name)
    by_scan: dict[str, list[_MeasuredPath]] = defaultdict(list)
    for record in records:
        by_scan[record.scan].append(record)
    separator = _HOUSE_SEPARATOR if files.is_built_in else ""
    joined: list[dict[str, Any]] = []
    for scan, paths in by_scan.items():
        graph = NavGraph.load(scan, files.connectivity_dir)
        ends = [graph.index(record.path[-1]) for record in paths]
        starts = [graph.index(record.path[0]) for record in paths]
        near = graph.distances[np.ix_(ends, starts)] <= _JOIN_DISTANCE
        for i, j in np.argwhere(near):
            joined.append(_join(graph, paths[i], paths[j], len(joined), separator))
    return joined


def read_r4r(path: Path, split: str, files: WorldFiles, timed: bool) -> Sequence[PathRecord]:
    """Read a file of R4R; that of the built-in houses is generated from R2R, see `join_paths`."""
    if files.is_built_in:
        return msgspec.convert(join_paths(split, files), list[PathRecord])
    return read_paths(path, split, files, timed)


def _join(
    graph: NavGraph, first: _MeasuredPath, second: _MeasuredPath, path_id: int, separator: str
) -> dict[str, Any]:
    between = graph.shortest_path(first.path[-1], second.path[0])
    shortest = graph.shortest_path(first.path[0], second.path[-1])
    return {
        "distance": _length(graph, first) + graph.path_length(between) + _length(graph, second),
        "scan": graph.scan,
        "path_id": path_id,
        "path": [*first.path[:-1], *between, *second.path[1:]],
        "heading": first.heading,
        "instructions": [
            start + separator + end for start in first.instructions for end in second.instructions
        ],
        "shortest_path_distance": graph.path_length(shortest),
        "shortest_path": shortest,
        "first_path_id": first.path_id,
        "second_path_id": second.path_id,
    }


def _length(graph: NavGraph, record: _MeasuredPath) -> float:
    return graph.path_length(record.path) if record.distance is None else record.distance
