"""Similar paths, and files of paired paths in the form of CLEAR's `rxr_<split>_guide_multi.jsonl`.

Such a file is one JSON array, although its name ends in .jsonl. Its records are those of an RxR
guide file with four more fields: `instructions` and `languages`, all other instructions of the path
and their languages, and `pair_scan` and `pair_path`, a path of the same length in another building.
"""

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import torch

from clipnav.agents.clear.language_data import PathInstructions, split_episodes
from clipnav.agents.clear.language_network import LanguageRepresentation, embed
from clipnav.agents.clear.loading import load_language
from clipnav.agents.clear.objects import (
    OBJECTS_FILE,
    ObjectClasses,
    common_classes,
    house_objects,
    read_objects,
    write_objects,
)
from clipnav.agents.clear.settings import PairPathsConfig
from clipnav.envs.datasets import dataset_spec
from clipnav.envs.episodes.annotations import GuideRecord
from clipnav.envs.episodes.episode import path_problems
from clipnav.envs.worlds import WorldFiles, world_files
from clipnav.storage import atomic_write, write_text
from clipnav.storage.errors import UserError
from clipnav.storage.json_files import read_json_object
from clipnav.storage.locks import exclusive_lock
from clipnav.storage.progress import progress_bar
from clipnav.storage.records import RecordError, read_records
from clipnav.training.checkpoints import RESULTS
from clipnav.training.distributed import check_device

_ROWS_AT_ONCE = 512

PathKey = tuple[str, tuple[str, ...]]  # scan and viewpoints
_HINT = "write it again with clipnav pair-paths"


class MinedPair(NamedTuple):
    """The counterpart of a path.

    Attributes:
        path: Its viewpoints, as many as those of the path.
        similarity: Cosine similarity of the embeddings of both paths.
    """

    scan: str
    path: tuple[str, ...]
    similarity: float


def mine_pairs(paths: Sequence[PathKey], embeddings: np.ndarray) -> dict[PathKey, MinedPair]:
    """Find the most similar path of the same length in another scan for each path.

    Args:
        embeddings: (P, W) embeddings of their instructions.
    """
    embeddings = normalised(embeddings)
    scans = np.unique([scan for scan, _ in paths], return_inverse=True)[1]
    sizes = np.array([len(path) for _, path in paths])
    pairs: dict[PathKey, MinedPair] = {}
    for size in np.unique(sizes):
        rows = np.flatnonzero(sizes == size)
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            queries = rows[start : start + _ROWS_AT_ONCE]
            scores = embeddings[queries] @ embeddings[rows].T  # (Q, R)
            scores[scans[queries][:, None] == scans[rows]] = -np.inf
            best = scores.argmax(1)
            similarities = scores[np.arange(len(queries)), best]
            for query, row, value in zip(queries, rows[best], similarities.tolist(), strict=True):
                if np.isfinite(value):
                    scan, path = paths[row]
                    pairs[paths[query]] = MinedPair(scan, path, value)
    return pairs


def normalised(embeddings: np.ndarray) -> np.ndarray:
    """Return embeddings (..., W) float32 of length 1; zeros stay zero."""
    embeddings = np.asarray(embeddings, np.float32)
    length = np.linalg.norm(embeddings, axis=-1, keepdims=True)
    return embeddings / np.maximum(length, 1e-12)


def path_embeddings(groups: Sequence[Sequence[int]], embeddings: np.ndarray) -> np.ndarray:
    """Return the embedding (P, W) of each path: the mean over its instructions.

    Args:
        embeddings: (E, W) embeddings of instructions; their lengths have no effect.
    """
    embeddings = normalised(embeddings)
    return np.stack([embeddings[list(group)].mean(0) for group in groups])


@dataclass(frozen=True)
class PathPair:
    """Two paths of the same length in different scans."""

    scan: str
    path: tuple[str, ...]
    pair_scan: str
    pair_path: tuple[str, ...]


class MultiRecord(GuideRecord, frozen=True, gc=False):
    """Record of such a file; a path without a counterpart lacks the last two fields."""

    instructions: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    pair_scan: str | None = None
    pair_path: tuple[str, ...] | None = None


def multi_path(folder: Path, split: str) -> Path:
    """Return the file of a split in a folder."""
    return folder / f"rxr_{split}_guide_multi.jsonl"


def write_multi_file(
    path: Path, source: Path, pairs: Mapping[PathKey, MinedPair], hint: str
) -> int:
    """Write the records of a guide file with the other instructions and the paired paths.

    All fields of the guide file, such as the times of words, are kept.
    """
    # Raw values are copied as they are; the times of words would take gigabytes as objects.
    raw_records = read_records(source, dict[str, msgspec.Raw], hint)
    guides = read_records(source, GuideRecord, hint)
    groups: dict[PathKey, list[int]] = {}
    for number, guide in enumerate(guides):
        groups.setdefault((guide.scan, guide.path), []).append(number)
    encode = msgspec.json.encode
    with atomic_write(path) as beside, beside.open("wb") as file:
        file.write(b"[")
        for number, (raw, guide) in enumerate(zip(raw_records, guides, strict=True)):
            key = guide.scan, guide.path
            others = [guides[other] for other in groups[key] if other != number]
            added: dict[str, Any] = {
                "instructions": [other.instruction for other in others],
                "languages": [other.language for other in others],
            }
            if (pair := pairs.get(key)) is not None:
                added |= {"pair_scan": pair.scan, "pair_path": pair.path}
            file.write((b",\n" if number else b"\n") + encode({**raw, **added}))
        file.write(b"\n]\n")
    return len(guides)


def read_multi_file(path: Path) -> list[MultiRecord]:
    """Read all records of a file."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; {_HINT}, or name its folder with --pairs")
    records = read_records(path, MultiRecord, _HINT)
    for number, record in enumerate(records):
        if len(record.instructions) != len(record.languages):
            problem = (
                f"{len(record.instructions)} 'instructions', but {len(record.languages)} "
                "'languages'"
            )
            raise RecordError(path, number, problem, _HINT, record.name)
    return records


def read_pairs(path: Path, files: WorldFiles) -> list[PathPair]:
    """Read the distinct pairs of paths of a file and check them against the graphs."""
    records = read_multi_file(path)
    pairs: dict[PathPair, int] = {}
    for number, record in enumerate(records):
        if record.pair_scan is None and record.pair_path is None:
            continue
        if problem := _problem(record):
            raise RecordError(path, number, problem, _HINT, record.name)
        assert record.pair_scan is not None
        assert record.pair_path is not None
        pair = PathPair(record.scan, record.path, record.pair_scan, record.pair_path)
        pairs.setdefault(pair, number)
    if not pairs:
        raise UserError(f"{path}: no record has the fields 'pair_scan' and 'pair_path'; {_HINT}")
    scans = [name for pair in pairs for name in (pair.scan, pair.pair_scan)]
    paths = [part for pair in pairs for part in (pair.path, pair.pair_path)]
    if problems := path_problems(scans, paths, files.connectivity_dir):
        first = min(problems)
        number = list(pairs.values())[first // 2]
        text = problems[first]
        if first % 2:
            text = text.replace("field '", "field 'pair_", 1)
        raise RecordError(path, number, text, _HINT, records[number].name)
    return list(pairs)


def _problem(record: MultiRecord) -> str | None:
    """Return what is wrong with the pair of a record, or None."""
    if record.pair_scan is None or record.pair_path is None:
        return "only one of the fields 'pair_scan' and 'pair_path' is present"
    if record.pair_scan == record.scan:
        return f"field 'pair_scan': {record.pair_scan!r} is the scan of the path itself"
    if len(record.pair_path) != len(record.path):
        return (
            f"field 'pair_path' has {len(record.pair_path)} viewpoints, but the path has "
            f"{len(record.path)}"
        )
    return None


def pair_paths(config: PairPathsConfig) -> None:
    """Pair the paths of the splits and write the files.

    Objects and results of other splits that are already in the folder are kept.
    """
    if config.threads:
        torch.set_num_threads(config.threads)
    check_device(config.device)
    files = world_files(config.world, config.data_dir)
    sources = {split: files.annotations("rxr", split) for split in config.splits}
    network, tokenizer, settings = load_language(config.language_representation, config.device)
    languages = settings.languages or dataset_spec(settings.dataset).languages
    settings = dataclasses.replace(settings, dataset="rxr", languages=languages)
    read = ", ".join(settings.languages)
    print(f"Languages of the instructions, which the representation has read: {read}")
    config.output.mkdir(parents=True, exist_ok=True)
    pairs_of: dict[str, dict[PathKey, MinedPair]] = {}
    with exclusive_lock(config.output):
        results = _earlier_results(config.output / RESULTS)
        for split, source in sources.items():
            episodes = split_episodes(settings, files, split)
            data = PathInstructions(episodes, tokenizer, settings.max_instruction_length)
            pairs = similar_paths(network, data, settings.centre)
            target = multi_path(config.output, split)
            if not pairs:
                raise UserError(
                    f"{source}: no path has a counterpart of the same length in another building; "
                    "leave the split out of --splits"
                )
            count = write_multi_file(target, source, pairs, files.hint)
            pairs_of[split] = pairs
            similarity = float(np.mean([pair.similarity for pair in pairs.values()]))
            results[split] = {"pairs": len(pairs), "similarity": similarity}
            print(
                f"{target}: {count} instructions, {len(pairs)} of {len(data.paths)} paths paired, "
                f"mean similarity {similarity:.3f}"
            )
        if config.objects and files.is_built_in:
            classes = _write_house_objects(config.output / OBJECTS_FILE, pairs_of.values())
            for split, pairs in pairs_of.items():
                common, by_chance = common_classes(classes, _paired_viewpoints(pairs))
                results[split] |= {"common_classes": common, "common_classes_by_chance": by_chance}
                print(
                    f"{split}: paired panoramas have {100 * common:.1f} % of their object classes "
                    f"in common, others {100 * by_chance:.1f} %"
                )
        document = {"results": results}
        write_text(config.output / RESULTS, json.dumps(document, indent=2) + "\n")


def _earlier_results(path: Path) -> dict[str, dict[str, float]]:
    """Return the results by split that an earlier call has written."""
    if not path.exists():
        return {}
    hint = "delete it; then clipnav pair-paths writes it again"
    results = read_json_object(path, hint).get("results")
    if not isinstance(results, dict):
        raise UserError(f"{path}: no field 'results' with an object; {hint}")
    return results


def _paired_viewpoints(
    pairs: Mapping[PathKey, MinedPair],
) -> list[tuple[tuple[str, str], tuple[str, str]]]:
    """Return scan and viewpoint of both panoramas at each step of paired paths."""
    return [
        ((scan, viewpoint), (pair.scan, other))
        for (scan, path), pair in pairs.items()
        for viewpoint, other in zip(path, pair.path, strict=True)
    ]


def similar_paths(
    network: LanguageRepresentation, data: PathInstructions, centre: bool
) -> dict[PathKey, MinedPair]:
    """Return the counterpart of each path of a split, by the similarity of its instructions."""
    embeddings = embed(network, data.tokens, centre).numpy()
    firsts = [data.episodes[group[0]] for group in data.paths]
    keys = [(episode.scan, episode.path) for episode in firsts]
    return mine_pairs(keys, path_embeddings(data.paths, embeddings))


def _write_house_objects(
    path: Path, splits: Iterable[Mapping[PathKey, MinedPair]]
) -> ObjectClasses:
    """Write the classes of the objects at all viewpoints of paired paths."""
    ordered = sorted(
        {(scan, viewpoint) for pairs in splits for scan, way in pairs for viewpoint in way}
    )
    bar = progress_bar(ordered, total=len(ordered), desc="objects", unit="viewpoints")
    classes = read_objects(path) if path.exists() else {}
    for scan, viewpoints in house_objects(bar).items():
        classes[scan] = classes.get(scan, {}) | viewpoints
    write_objects(path, classes)
    print(f"{path}: {len(ordered)} viewpoints")
    return classes
