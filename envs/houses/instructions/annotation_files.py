"""Files of R2R- and RxR-style episodes, in which those of some houses take the old ones' place."""

import gzip
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from storage import atomic_write, write_text
from storage.records import read_records

ANSWERS = "answers"  # folder, in that of the episodes, of test episodes with their goals

Json = dict[str, Any]

_REMEDY = "scripts/build_houses.py makes it with all houses of its set; delete a damaged one first"


def r2r_path(data_dir: Path, split: str) -> Path:
    """File of a split's R2R-style episodes."""
    return data_dir / f"R2R_{split}.json"


def guide_path(data_dir: Path, split: str) -> Path:
    """File of a split's RxR-style guide annotations."""
    return data_dir / f"rxr_{split}_guide.jsonl.gz"


def read_annotations(path: Path) -> list[Json]:
    """Records of a file of either kind.

    Raises:
        FileNotFoundError: It is not there; names the remedy.
        ValueError: It is damaged; names file, record and remedy.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing; {_REMEDY}")
    return read_records(path, Json, _REMEDY)


def merge_r2r(path: Path, scans: Sequence[str], records: Sequence[Json]) -> None:
    """Puts episodes of some scans into an R2R file in place of older ones of those scans."""
    write_text(path, json_text(_merged(path, scans, records, "path_id")))


def merge_guide(path: Path, scans: Sequence[str], records: Sequence[Json]) -> None:
    """Puts records of some scans into a guide file in place of older ones of those scans."""
    merged = _merged(path, scans, records, "instruction_id")
    lines = [json.dumps(one, ensure_ascii=False, separators=(",", ":")) for one in merged]
    text = "".join(f"{line}\n" for line in lines)
    with atomic_write(path) as beside:
        beside.write_bytes(gzip.compress(text.encode("utf-8"), mtime=0))


def json_text(value: list[Json] | Json) -> str:
    """Compact JSON, one list element a line so that versions compare well."""
    if isinstance(value, list):
        return "[\n" + ",\n".join(json.dumps(one, separators=(",", ":")) for one in value) + "\n]\n"
    return json.dumps(value, separators=(",", ":")) + "\n"


def _merged(path: Path, scans: Sequence[str], records: Iterable[Json], key: str) -> list[Json]:
    kept: list[Json] = []
    if path.exists():
        kept = [one for one in read_annotations(path) if one["scan"] not in scans]
    return sorted([*kept, *records], key=lambda one: one[key])
