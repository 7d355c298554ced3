"""Read annotation files of R2R- and RxR-style episodes, and replace the episodes of some houses."""

import gzip
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from clipnav.storage import atomic_write, write_text
from clipnav.storage.records import read_records

ANSWERS = "answers"  # subfolder with the test episodes including their goals

Json = dict[str, Any]

_HINT = "build it with clipnav build-houses for all houses of the set; delete a damaged file first"


class _R2RKeys(msgspec.Struct):
    scan: str
    path_id: int


class _GuideKeys(msgspec.Struct):
    scan: str
    instruction_id: int


def r2r_path(data_dir: Path, split: str) -> Path:
    """Return the path of the R2R-style episodes of a split."""
    return data_dir / f"R2R_{split}.json"


def guide_path(data_dir: Path, split: str) -> Path:
    """Return the path of the RxR-style guide annotations of a split."""
    return data_dir / f"rxr_{split}_guide.jsonl.gz"


def read_annotations(path: Path, kind: type = Json) -> list[Json]:
    """Read the records of an R2R or a guide file, with all their fields."""
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing; {_HINT}")
    if kind is not Json:
        read_records(path, kind, _HINT)
    return read_records(path, Json, _HINT)


def merge_r2r(path: Path, scans: Sequence[str], records: Sequence[Json]) -> None:
    """Replace the episodes of some scans in an R2R file."""
    write_text(path, json_text(_merged(path, scans, records, "path_id", _R2RKeys)))


def merge_guide(path: Path, scans: Sequence[str], records: Sequence[Json]) -> None:
    """Replace the records of some scans in a guide file."""
    merged = _merged(path, scans, records, "instruction_id", _GuideKeys)
    lines = [json.dumps(record, ensure_ascii=False, separators=(",", ":")) for record in merged]
    text = "".join(f"{line}\n" for line in lines)
    with atomic_write(path) as partial:
        partial.write_bytes(gzip.compress(text.encode("utf-8"), mtime=0))


def json_text(value: list[Json] | Json) -> str:
    """Return compact JSON, with one list element per line so that diffs are readable."""
    if isinstance(value, list):
        lines = ",\n".join(json.dumps(record, separators=(",", ":")) for record in value)
        return f"[\n{lines}\n]\n"
    return json.dumps(value, separators=(",", ":")) + "\n"


def _merged(
    path: Path, scans: Sequence[str], records: Iterable[Json], key: str, kind: type
) -> list[Json]:
    kept: list[Json] = []
    if path.exists():
        kept = [record for record in read_annotations(path, kind) if record["scan"] not in scans]
    return sorted([*kept, *records], key=lambda record: record[key])
