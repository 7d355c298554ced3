"""Navigation graphs in the connectivity format of the Matterport3D Simulator.

This folder contains the graphs of the built-in houses, one `<scan>_connectivity.json` each, and
`scans.txt` with their names. The same functions read the graphs of real Matterport3D buildings.
"""

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from clipnav.storage.errors import UserError
from clipnav.storage.json_files import read_bytes, read_json

CONNECTIVITY_DIR = Path(__file__).resolve().parent

_HINT = (
    "restore the file from the Matterport3DSimulator repository, or rebuild the built-in "
    "houses with clipnav build-houses"
)


def read_connectivity(scan: str, directory: str | Path | None = None) -> list[dict[str, Any]]:
    """Read and check the navigation graph of one building.

    Each of the N records has `image_id` (str), `pose` (16 floats, row-major camera-to-world matrix,
    metres, z up), `included` (bool), `visible` and `unobstructed` (N bools each, the latter
    symmetric) and `height` (metres of the camera above the floor), as in
    Matterport3DSimulator/connectivity/README.md.
    """
    path = Path(directory or CONNECTIVITY_DIR) / f"{scan}_connectivity.json"
    try:
        records = read_json(path, _HINT, allow_nan=True)
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: no navigation graph of scan '{scan}'; {_HINT}") from None
    if not isinstance(records, list) or not records:
        raise UserError(f"{path}: expected a non-empty list of viewpoint records; {_HINT}")
    for number, record in enumerate(records):
        problem = _record_problem(record, len(records))
        if problem:
            raise UserError(f"{path}: record {number}: {problem}; {_HINT}")
    problem = _graph_problem(records)
    if problem:
        raise UserError(f"{path}: {problem}; {_HINT}")
    return records


def read_scans(directory: str | Path | None = None) -> list[str]:
    """Read the names of the scans in `scans.txt`, in file order."""
    path = Path(directory or CONNECTIVITY_DIR) / "scans.txt"
    try:
        scans = read_bytes(path, _HINT).decode("utf-8").split()
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: the list of scans is missing; {_HINT}") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not valid UTF-8 ({error.reason}); {_HINT}") from error
    repeated = _first_repeated(scans)
    if not scans or repeated:
        problem = f"scan '{repeated}' is listed twice" if repeated else "no scan is listed"
        raise UserError(f"{path}: {problem}; {_HINT}")
    return scans


def _record_problem(record: Any, count: int) -> str | None:
    """Return the problem of one record in a graph of `count` viewpoints, or None."""
    if not isinstance(record, dict):
        return "not an object"
    missing = {"image_id", "pose", "included", "visible", "unobstructed", "height"} - record.keys()
    if missing:
        return f"field '{min(missing)}' is missing"
    if not isinstance(record["image_id"], str) or not record["image_id"]:
        return "field 'image_id' is not a viewpoint id"
    if not _is_number_list(record["pose"], 16):
        return "field 'pose' is not a list of 16 finite numbers"
    if not isinstance(record["included"], bool):
        return "field 'included' is neither true nor false"
    if not _is_number_list([record["height"]], 1):
        return "field 'height' is not a finite number"
    for field in ("visible", "unobstructed"):
        flags = record[field]
        if not isinstance(flags, list) or not all(isinstance(flag, bool) for flag in flags):
            return f"field '{field}' is not a list of true and false"
        if len(flags) != count:
            return f"field '{field}' has {len(flags)} entries for {count} viewpoints"
    return None


def _graph_problem(records: list[dict[str, Any]]) -> str | None:
    """Return the problem of a graph whose records are valid on their own, or None."""
    repeated = _first_repeated(record["image_id"] for record in records)
    if repeated:
        return f"field 'image_id': viewpoint '{repeated}' occurs twice"
    for i, record in enumerate(records):
        for j, unobstructed in enumerate(record["unobstructed"]):
            if unobstructed and not records[j]["unobstructed"][i]:
                return f"record {i}: field 'unobstructed' has an edge to {j}, but {j} has none back"
    return None


def _is_number_list(values: Any, count: int) -> bool:
    return (
        isinstance(values, list)
        and len(values) == count
        and all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
        and all(math.isfinite(v) for v in values)
    )


def _first_repeated(names: Iterable[str]) -> str | None:
    seen = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None
