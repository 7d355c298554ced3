"""Writer of VLN-CE's episode files and ground truth files for the built-in houses.

The folders and names are those of VLN-CE: `R2R_VLNCE_v1-3` (raw),
`R2R_VLNCE_v1-3_preprocessed` (padded tokens, ground truth) and `RxR_VLNCE_v0`.
"""

import gzip
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from clipnav.envs.continuous.coordinates import heading_to_rotation, rounded_heading, to_habitat
from clipnav.envs.continuous.episodes import ContinuousEpisode, continuous_episodes
from clipnav.envs.continuous.experts import PathKey, expert_walks, path_key
from clipnav.envs.continuous.house_simulator import HouseSimulator
from clipnav.envs.continuous.settings import FORWARD, ContinuousSettings, task_settings
from clipnav.envs.datasets import ContinuousForm, continuous_version, dataset_spec
from clipnav.envs.episodes import load_episodes
from clipnav.envs.tokenizers import split_words
from clipnav.envs.worlds import World, world_files
from clipnav.storage import atomic_write

_PADDED_LENGTH = 200  # tokens of a preprocessed instruction
PAD_INDEX, UNK_INDEX = 0, 1
GOAL_RADIUS = 3.0

Json = dict[str, Any]


@dataclass(frozen=True)
class ExportedSplit:
    """Result of an export.

    Attributes:
        files: Files that were written.
        episodes: Number of episodes that were written.
        dropped: `instr_id` of the episodes whose reference path the expert cannot follow.
    """

    files: list[Path]
    episodes: int
    dropped: list[str]


def export_split(
    dataset: str,
    split: str,
    folder: str | Path,
    world: World = "houses",
    settings: ContinuousSettings | None = None,
    rounded_headings: bool = False,
    workers: int = 1,
) -> ExportedSplit:
    """Write the episodes of a split of the built-in houses in VLN-CE's format.

    An episode is kept if the greedy expert passes every node of its reference path within 0.5 m,
    as in the making of R2R-CE. The test splits have no goals, so all their episodes are kept, and
    they get no ground truth. RxR's annotations of the houses are all guides'; the files of
    followers, which VLN-CE's nDTW opens too, are written without episodes.

    Args:
        rounded_headings: Round initial headings to 30 degrees, as R2R_VLNCE v1-3 does.
    """
    form, label = continuous_version(dataset).form, dataset_spec(dataset).label
    settings = settings or task_settings(dataset)
    episodes = _episodes(dataset, split, world)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)  # before the walks, which take minutes
    if rounded_headings:
        episodes = [replace(e, heading=float(rounded_heading(e.heading))) for e in episodes]
    walks = expert_walks(episodes, settings, workers)
    kept = [e for e in episodes if not e.has_goal or walks[path_key(e)].is_complete]
    dropped = [e.instr_id for e in episodes if e.has_goal and not walks[path_key(e)].is_complete]
    distances = _geodesic_distances(kept, settings)
    records = [_record(form, e, distances.get(path_key(e))) for e in kept]
    truths = {}
    for e in (e for e in kept if e.has_goal):
        walk = walks[path_key(e)]
        truths[e.episode_id] = {
            "locations": _vectors(walk.positions),
            "actions": walk.actions.tolist(),
            "forward_steps": int((walk.actions == FORWARD).sum()),
        }
    if form == "rxr-ce":
        base = folder / f"{label}_VLNCE_v0" / split
        files: dict[Path, Json] = {base / f"{split}_guide.json.gz": {"episodes": records}}
        files[base / f"{split}_follower.json.gz"] = {"episodes": []}
        truth_path = base / f"{split}_guide_gt.json.gz"
        if truths:
            files[base / f"{split}_follower_gt.json.gz"] = {}
    else:
        words = _instruction_words(e.instruction for e in _episodes(dataset, "train", world))
        base = folder / f"{label}_VLNCE_v1-3_preprocessed" / split
        raw, padded = _tokenized(records, words, False), _tokenized(records, words, True)
        files = {folder / f"{label}_VLNCE_v1-3" / split / f"{split}.json.gz": raw}
        files[base / f"{split}.json.gz"] = padded
        truth_path = base / f"{split}_gt.json.gz"
    if truths:
        files[truth_path] = truths
    for path, document in files.items():
        write_packed(path, document)
    return ExportedSplit(list(files), len(kept), dropped)


def _instruction_words(sentences: Iterable[str]) -> list[str]:
    """Return the words of VLN-CE's vocabulary: padding, unknown, and all words by frequency."""
    counts = Counter(word for sentence in sentences for word in split_words(sentence))
    return ["<pad>", "<unk>", *(w for w, _ in sorted(counts.items(), key=lambda c: (-c[1], c[0])))]


def write_packed(path: Path, document: Json) -> None:
    """Write a compressed JSON file, whose bytes depend on the document only."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(document, ensure_ascii=False, allow_nan=False)
    with atomic_write(path) as beside:
        beside.write_bytes(gzip.compress(text.encode("utf-8"), mtime=0))


def _episodes(dataset: str, split: str, world: World) -> list[ContinuousEpisode]:
    files = world_files(world)
    episodes = load_episodes(dataset, split, files, timed=True)
    return continuous_episodes(dataset, episodes, files.connectivity_dir)


def _geodesic_distances(
    episodes: Sequence[ContinuousEpisode], settings: ContinuousSettings
) -> dict[PathKey, float]:
    """Return the geodesic distance from start to goal of each reference path in metres."""
    simulator = HouseSimulator(settings)
    distances: dict[PathKey, float] = {}
    for episode in episodes:
        if episode.has_goal and path_key(episode) not in distances:
            floor, start = simulator.floor(episode.scan), np.array([episode.start])
            distance = floor.distances(start, np.array(episode.goal))[0]
            distances[path_key(episode)] = float(distance)
    return distances


def _record(form: ContinuousForm, episode: ContinuousEpisode, distance: float | None) -> Json:
    """Return an episode in VLN-CE's order of fields; other fields would stop its loaders."""
    record: Json = {
        "episode_id": int(episode.episode_id) if form == "r2r-ce" else episode.episode_id,
        "trajectory_id": episode.path_id if form == "r2r-ce" else str(episode.path_id),
        "scene_id": f"houses/{episode.scan}/{episode.scan}.stage_config.json",
        "start_position": _vectors([episode.start])[0],
        "start_rotation": (heading_to_rotation(episode.heading) + 0.0).tolist(),
    }
    if episode.has_goal:
        path = _vectors(episode.reference_path)
        record["info"] = {"geodesic_distance": distance, "instr_id": episode.instr_id}
        record["goals"] = [{"position": path[-1], "radius": GOAL_RADIUS}]
    record["instruction"] = {"instruction_text": episode.instruction}
    if form == "rxr-ce":
        record["instruction"] |= {
            "instruction_id": episode.instr_id,
            "language": episode.language,
            "annotator_id": None if episode.annotator_id is None else str(episode.annotator_id),
            "edit_distance": episode.edit_distance,
            "timed_instruction": [
                {"word": w.word, "start_time": w.start_time, "end_time": w.end_time}
                for w in episode.timed_instruction
            ],
            "instruction_tokens": None,  # RxR-CE reads features of BERT instead
        }
    if episode.has_goal:
        record["reference_path"] = path
    return record


def _tokenized(records: Sequence[Json], words: Sequence[str], padded: bool) -> Json:
    """Return an episode file of R2R-CE with the token ids of the instructions."""
    indices = {word: index for index, word in enumerate(words)}
    tokenized = []
    for record in records:
        text = record["instruction"]["instruction_text"]
        ids = [indices.get(word, UNK_INDEX) for word in split_words(text)]
        if padded:
            ids = (ids + [PAD_INDEX] * _PADDED_LENGTH)[:_PADDED_LENGTH]
        instruction = {"instruction_text": text, "instruction_tokens": ids}
        tokenized.append({**record, "instruction": instruction})
    vocabulary = {
        "word_list": list(words),
        "word2idx_dict": indices,
        "stoi": indices,
        "itos": list(words),
        "num_vocab": len(words),
        "UNK_INDEX": UNK_INDEX,
        "PAD_INDEX": PAD_INDEX,
    }
    return {"episodes": tokenized, "instruction_vocab": vocabulary}


def _vectors(positions: Any) -> list[list[float]]:
    return (to_habitat(np.array(positions)) + 0.0).round(9).tolist()
