"""Episodes: one instruction to follow each, read from R2R and RxR annotations."""

import gzip
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from envs.nav_graph import NavGraph
from envs.worlds import Dataset, WorldFiles
from storage import write_text

Trajectory = Sequence[tuple[str, float, float]]


@dataclass(frozen=True, slots=True)
class Episode:
    """One instruction, where it starts and the path it describes.

    Attributes:
        instr_id: Names the episode: `<path_id>_<k>` for instruction k of a path of R2R,
            `instruction_id` in RxR.
        path_id: Names the path.
        scan: Name of the building.
        path: Viewpoints of the reference path; only its start where the goal is kept secret (the
            test splits).
        heading: Initial heading, radians clockwise from +y.
        instruction: Raw text.
        language: Language tag, such as "en" or "hi-IN".
    """

    instr_id: str
    path_id: int
    scan: str
    path: tuple[str, ...]
    heading: float
    instruction: str
    language: str

    @property
    def has_goal(self) -> bool:
        """Whether the goal, the last viewpoint of the path, is known."""
        return len(self.path) > 1


def load_episodes(
    dataset: Dataset, split: str, files: WorldFiles, language: str | None = None
) -> list[Episode]:
    """Read all episodes of a split and check them against the navigation graphs.

    Args:
        dataset: "r2r" or "rxr".
        split: "train", "val_seen", "val_unseen", ...
        files: The world.
        language: Keep one language: "hi" keeps "hi-IN".

    Raises:
        FileNotFoundError: No such split.
        ValueError: A record is damaged or does not fit the graphs; the message names the file, the
            record and the remedy. Also if no episode is left.
    """
    path = files.annotations(dataset, split)
    records = _read_records(path, files)
    episodes: dict[str, Episode] = {}
    for number, record in enumerate(records):
        try:
            for episode in _record_episodes(record):
                if episode.instr_id in episodes:
                    raise ValueError(f"episode {episode.instr_id} occurs twice")
                episodes[episode.instr_id] = episode
            _check_path(record["scan"], record["path"], files.connectivity_dir)
        except ValueError as error:
            raise ValueError(f"{path}: record {number}: {error}; {files.remedy}") from error
    kept = [e for e in episodes.values() if language is None or _speaks(e.language, language)]
    if not kept:
        wanted = f" in language '{language}'" if language else ""
        raise ValueError(f"{path}: no episode{wanted}")
    return kept


def base_language(tag: str) -> str:
    """Language without the country: "en" for "en-IN"."""
    return tag.partition("-")[0]


def write_r2r_submission(path: str | Path, trajectories: Mapping[str, Trajectory]) -> None:
    """Write walked paths for the Room-to-Room test server (EvalAI challenge 97).

    Args:
        path: JSON file to write.
        trajectories: By `instr_id`: (viewpoint, heading, elevation) per step, in radians.
    """
    items = [
        {"instr_id": instr_id, "trajectory": [list(step) for step in trajectory]}
        for instr_id, trajectory in trajectories.items()
    ]
    write_text(path, json.dumps(items))


def write_rxr_submission(path: str | Path, trajectories: Mapping[str, Trajectory]) -> None:
    """Write walked paths for the Room-across-Room test server, one JSON object a line.

    Args:
        path: JSON Lines file to write.
        trajectories: By `instr_id`: (viewpoint, heading, elevation) per step, in radians.
    """
    lines = [
        json.dumps({"instruction_id": int(instr_id), "path": [step[0] for step in trajectory]})
        for instr_id, trajectory in trajectories.items()
    ]
    write_text(path, "".join(f"{line}\n" for line in lines))


def _read_records(path: Path, files: WorldFiles) -> list[Any]:
    """Records of a JSON array, or of JSON Lines."""
    try:
        raw = path.read_bytes()
        text = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode("utf-8")
        # Some RxR files that circulate are one JSON array under the name of JSON Lines.
        if text.lstrip()[:1] == "[":
            return json.loads(text)
        # Not splitlines: a JSON string may hold other line separators such as U+2028.
        return [json.loads(line) for line in text.split("\n") if line.strip()]
    except (ValueError, EOFError, gzip.BadGzipFile) as error:
        raise ValueError(f"{path}: not valid JSON ({error}); {files.remedy}") from error


def _record_episodes(record: Any) -> Iterator[Episode]:
    """Episodes of one record of R2R (several instructions) or RxR (one instruction)."""
    scan = _field(record, "scan", str)
    path = tuple(_field(record, "path", list))
    heading = float(_field(record, "heading", int | float))
    if not path or not all(isinstance(viewpoint, str) for viewpoint in path):
        raise ValueError("field 'path' is not a list of viewpoint ids")
    if not math.isfinite(heading):
        raise ValueError(f"field 'heading' is {heading}")
    if "instructions" in record:
        path_id = _field(record, "path_id", int)
        texts = _field(record, "instructions", list)
        items = [(f"{path_id}_{k}", text, "en") for k, text in enumerate(texts)]
    else:
        instruction_id = _field(record, "instruction_id", int)
        # RxR keeps the path secret in its test splits.
        path_id = record.get("path_id", instruction_id)
        language = _field(record, "language", str)
        items = [(str(instruction_id), _field(record, "instruction", str), language)]
    for instr_id, text, language in items:
        if not isinstance(text, str) or not text.strip():
            raise ValueError(f"instruction {instr_id} is empty or not text")
        yield Episode(instr_id, path_id, scan, path, heading, text, language)


def _field(record: Any, name: str, kind: Any) -> Any:
    if not isinstance(record, dict):
        raise ValueError(f"expected an object but found {type(record).__name__}")
    if name not in record:
        raise ValueError(f"field '{name}' is missing")
    if not isinstance(record[name], kind) or isinstance(record[name], bool):
        raise ValueError(f"field '{name}' is a {type(record[name]).__name__}")
    return record[name]


def _check_path(scan: str, path: Sequence[str], connectivity_dir: Path) -> None:
    try:
        graph = NavGraph.load(scan, connectivity_dir)
    except FileNotFoundError as error:
        raise ValueError(f"scan '{scan}' has no navigation graph in {connectivity_dir}") from error
    for viewpoint in path:
        if viewpoint not in graph:
            raise ValueError(
                f"scan '{scan}' has no viewpoint '{viewpoint}' that one can stand on in "
                f"{connectivity_dir}"
            )
    if math.isinf(graph.geodesic(path[0], path[-1])):
        raise ValueError(f"no way leads from '{path[0]}' to '{path[-1]}' in scan '{scan}'")


def _speaks(tag: str, language: str) -> bool:
    return tag == language or base_language(tag) == language
