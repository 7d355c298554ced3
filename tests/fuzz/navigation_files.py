"""Samples of navigation files: graphs, annotations, submissions and traces."""

import gzip
import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
from samples import Sample, write_json, write_lines


def _world(folder: Path) -> Any:
    """Write the world of two tiny buildings into a folder."""
    from clipnav.envs.worlds import world_files

    spec = importlib.util.spec_from_file_location(
        "conftest", Path(__file__).resolve().parents[1] / "conftest.py"
    )
    assert spec is not None
    assert spec.loader is not None
    conftest = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(conftest)
    conftest.write_tiny_world(folder)
    return world_files("matterport", folder)


def connectivity(folder: Path) -> Sample:
    from clipnav.connectivity import read_connectivity

    directory = _world(folder).connectivity_dir
    return directory / "attic_connectivity.json", lambda: read_connectivity("attic", directory)


def scans(folder: Path) -> Sample:
    from clipnav.connectivity import read_scans

    path = folder / "scans.txt"
    path.write_text("attic\nbarn\n" * 3 + "".join(f"scan{i}\n" for i in range(9)))
    path.write_text("".join(f"scan{i}\n" for i in range(30)))
    return path, lambda: read_scans(folder)


def _episodes(folder: Path, dataset: Any, packed: bool = False, timed: bool = False) -> Sample:
    from clipnav.envs.episodes import load_episodes

    files = _world(folder)
    path = files.annotations("rxr" if dataset == "rxr" else "r2r", "train")
    if dataset == "r4r":
        path = write_json(folder / "r4r" / "R4R_train.json", json.loads(path.read_text()))
    if packed:
        raw = gzip.compress(path.read_bytes(), mtime=0)
        path.unlink()
        path = path.with_suffix(".jsonl.gz")
        path.write_bytes(raw)
    return path, lambda: load_episodes(dataset, "train", files, timed=timed)


def r2r(folder: Path) -> Sample:
    return _episodes(folder, "r2r")


def r4r(folder: Path) -> Sample:
    return _episodes(folder, "r4r")


def rxr(folder: Path) -> Sample:
    return _episodes(folder, "rxr")


def rxr_packed(folder: Path) -> Sample:
    return _episodes(folder, "rxr", packed=True, timed=True)


def joined_paths(folder: Path) -> Sample:
    from clipnav.envs.episodes.r4r import join_paths

    files = _world(folder)
    return files.annotations("r2r", "train"), lambda: join_paths("train", files)


def demonstrations(folder: Path) -> Sample:
    from clipnav.envs.episodes import load_demonstrations

    files = _world(folder)
    guides = files.annotations("rxr", "train").read_text().splitlines()
    metrics = {"ne": 0, "sr": 1.0, "spl": 0.9, "dtw": 1.5, "ndtw": 0.9, "sdtw": 0.9}
    walks = [
        {
            "demonstration_id": number,
            "instruction_id": guide["instruction_id"],
            "annotator_id": 43,
            "path": guide["path"],
            "metrics": metrics,
        }
        for number, guide in enumerate(map(json.loads, guides))
    ]
    path = write_lines(folder / "rxr" / "rxr_train_follower.jsonl", walks)
    return path, lambda: load_demonstrations("train", files)


def _submission(folder: Path, packed: bool) -> Sample:
    from clipnav.envs.submissions.ground_truth import ScoringRules, load_ground_truth
    from clipnav.envs.submissions.scores import score_submission

    files = _world(folder)
    rules = ScoringRules(splits=("train",), data_dir=folder, resamples=10)
    ground_truth = load_ground_truth(rules)
    records = [
        {
            "instr_id": f"{record['path_id']}_{k}",
            "trajectory": [[viewpoint, 0.1, 0.0] for viewpoint in record["path"]],
        }
        for record in json.loads(files.annotations("r2r", "train").read_text())
        for k in range(2)
    ]
    path = write_json(folder / "walks.json", records, packed)
    return path, lambda: score_submission(path, rules, ground_truth)


def submission(folder: Path) -> Sample:
    return _submission(folder, packed=False)


def submission_packed(folder: Path) -> Sample:
    return _submission(folder, packed=True)


def _trace(packed: bool) -> bytes:
    from clipnav.viewer.trace.format import Trace, TraceCandidate, TraceStep, trace_json

    far = {"NE": 3.5, "OSR": 0.0, "SR": 0.0}
    around = tuple(TraceCandidate(f"a{i}", 0.1 * i, 0.0, -0.4, 2.0, 0.25) for i in range(3))
    steps = (
        TraceStep("a0", 0.0, 0.0, around, 2, 3.5, far, 0.25, 0.1, (0.5,) * 7, (0.1,) * 36),
        TraceStep("a1", 0.5, 0.0, around, 0, 0.0, {"NE": 0.0, "OSR": 1.0, "SR": 1.0}, 0.25),
    )
    words = ("Walk ", "past ", "the ", "red ", "sofa.")
    trace = Trace(
        agent="follower",
        world="matterport",
        dataset="r2r",
        split="train",
        instr_id="100_0",
        path_id=100,
        scan="attic",
        path=("a0", "a1"),
        heading=0.0,
        instruction="".join(words),
        language="en",
        words=words,
        steps=steps,
        ending="stopped",
    )
    raw = trace_json(trace) + b"\n"
    return gzip.compress(raw, mtime=0) if packed else raw


def _traces(folder: Path, packed: bool) -> Sample:
    from clipnav.viewer.site.opening import kind_of
    from clipnav.viewer.trace.format import read_traces

    path = folder / "100_0.json"
    path.write_bytes(_trace(packed))
    return path, lambda: (kind_of(path), read_traces(path))


def traces(folder: Path) -> Sample:
    return _traces(folder, packed=False)


def traces_packed(folder: Path) -> Sample:
    return _traces(folder, packed=True)


def _continuous_episode() -> dict[str, Any]:
    return {
        "episode_id": 1,
        "trajectory_id": 7,
        "scene_id": "mp3d/attic/attic.glb",
        "start_position": [0.0, 0.1, 0.0],
        "start_rotation": [0.0, 0.0, 0.0, 1.0],
        "info": {"geodesic_distance": 4.5},
        "goals": [{"position": [3.0, 0.1, 1.0], "radius": 3.0}],
        "instruction": {"instruction_text": "Walk past the sofa.", "instruction_tokens": [2, 3, 0]},
        "reference_path": [[0.0, 0.1, 0.0], [3.0, 0.1, 1.0]],
    }


def continuous_episodes(folder: Path) -> Sample:
    from clipnav.envs.continuous.files.reading import read_vlnce_episodes

    episodes = [{**_continuous_episode(), "episode_id": number} for number in range(3)]
    document = {"episodes": episodes, "instruction_vocab": {"word_list": ["<pad>", "walk"]}}
    path = write_json(folder / "train.json.gz", document, packed=True)
    return path, lambda: read_vlnce_episodes(path)


def continuous_ground_truth(folder: Path) -> Sample:
    from clipnav.envs.continuous.files.reading import read_ground_truth

    walk = {"locations": [[0.0, 0.1, 0.0], [0.2, 0.1, 0.0]], "actions": [1, 2, 0]}
    path = write_json(folder / "train_gt.json", {str(number): walk for number in range(3)})
    return path, lambda: read_ground_truth(path)


def continuous_submission(folder: Path) -> Sample:
    from clipnav.envs.continuous.files.reading import read_vlnce_episodes
    from clipnav.envs.continuous.files.submissions import check_continuous_submission

    file = write_json(folder / "train.json", {"episodes": [_continuous_episode()]})
    episodes = read_vlnce_episodes(file).episodes
    counted = frozenset(episode.instr_id for episode in episodes)
    poses = [{"position": [0.1 * k, 0.1, 0.0], "heading": 0.5, "stop": k == 3} for k in range(4)]
    path = write_json(folder / "walks.json", {"1": poses})
    return path, lambda: check_continuous_submission(path, "r2r-ce", episodes, counted)


def view_objects(folder: Path) -> Sample:
    from clipnav.agents.clear.objects import NUM_CLASSES, read_objects, write_objects

    path = folder / "objects_27.json"
    write_objects(path, {"attic": {"a0": np.eye(36, NUM_CLASSES, dtype=bool)}})
    return path, lambda: read_objects(path)


def paired_paths(folder: Path) -> Sample:
    from clipnav.agents.clear.pair_files import multi_path, read_pairs

    files = _world(folder)
    added = {
        "path": ["a0", "a1"],
        "instructions": ["Walk on."],
        "languages": ["en-US"],
        "pair_scan": "barn",
        "pair_path": ["b0", "b1"],
    }
    guides = map(json.loads, files.annotations("rxr", "train").read_text().splitlines())
    records = [{**guide, **added} for guide in guides]
    path = write_json(multi_path(folder, "train"), records)
    return path, lambda: read_pairs(path, files)


def conversations(folder: Path) -> Sample:
    from PIL import Image

    from clipnav.agents.demonstrations.formats.conversations import read

    (folder / "images").mkdir()
    Image.new("RGB", (8, 6)).save(folder / "images" / "0.jpg")
    turns = (("system", "Walk."), ("user", "You see <image>."), ("assistant", '{"action": "A"}'))
    record = {
        "messages": [{"role": role, "content": text} for role, text in turns],
        "images": ["images/0.jpg"],
        "instr_id": "1_0",
        "step": 0,
        "language": "en",
        "options": ["A", "B"],
        "source": "teacher",
    }
    path = write_json(folder / "annotations.json", [{**record, "id": str(k)} for k in range(3)])
    return path, lambda: read(folder)


def graph_cache(folder: Path) -> Sample:
    from clipnav.envs.graphs.nav_graph import read_tables, write_tables

    path = folder / "attic.tables"
    write_tables(path, {"positions": np.zeros((3, 3)), "edges": np.zeros((2, 4), int)})
    return path, lambda: read_tables(path)
