"""Files of paired paths, written from RxR guide files and read back, also over the real graphs."""

import dataclasses
import gzip
import json
import shutil

import numpy as np
import pytest

from clipnav.agents.clear.objects import read_objects
from clipnav.agents.clear.pair_files import (
    MinedPair,
    mine_pairs,
    multi_path,
    pair_paths,
    path_embeddings,
    read_multi_file,
    read_pairs,
    similar_paths,
    write_multi_file,
)
from clipnav.agents.clear.settings import PairPathsConfig
from clipnav.envs.episodes import load_episodes
from clipnav.envs.graphs.nav_graph import NavGraph
from clipnav.envs.worlds import world_files
from clipnav.storage.errors import UserError
from clipnav.training.settings import CONFIG

PATHS = [
    ("a", ("1", "2")),
    ("a", ("2", "3")),
    ("b", ("4", "5")),
    ("b", ("4", "5", "6")),
    ("c", ("7", "8")),
]


def test_pairs_are_similar_of_the_same_length_and_in_another_scan():
    embeddings = np.array([[1, 0], [1, 0.1], [0, 1], [1, 0], [0.9, 0.2]], float)
    pairs = mine_pairs(PATHS, embeddings)
    # The nearest path of the first two is in their own scan or has another length.
    assert [(pairs[path].scan, pairs[path].path) for path in PATHS[:2]] == [("c", ("7", "8"))] * 2
    assert pairs[PATHS[4]][:2] == PATHS[1]
    assert PATHS[3] not in pairs
    cosine = 0.9 / np.hypot(0.9, 0.2)
    assert pairs[PATHS[0]].similarity == pytest.approx(cosine)


def test_mining_in_parts_equals_an_exhaustive_search(monkeypatch):
    rng = np.random.default_rng(1)
    paths = [
        (f"s{rng.integers(4)}", tuple(f"{number}-{k}" for k in range(rng.integers(2, 4))))
        for number in range(40)
    ]
    embeddings = rng.standard_normal((40, 5))
    monkeypatch.setattr("clipnav.agents.clear.pair_files._ROWS_AT_ONCE", 7)
    pairs = mine_pairs(paths, embeddings)
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    for number, (scan, path) in enumerate(paths):
        allowed = [
            k for k, other in enumerate(paths) if other[0] != scan and len(other[1]) == len(path)
        ]
        best = max(allowed, key=lambda k: unit[k] @ unit[number])
        assert pairs[scan, path][:2] == paths[best]


def test_the_embedding_of_a_path_ignores_the_length_of_its_instructions():
    embeddings = np.array([[10.0, 0.0], [0.0, 1.0], [3.0, 0.0]])
    means = path_embeddings([[0, 1], [2]], embeddings)
    assert means.tolist() == [[0.5, 0.5], [1.0, 0.0]]


HINT = "get the data again"
LANGUAGES = ("en-IN", "en-US", "hi-IN", "te-IN")
TEXTS = {"en": "Walk to the door.", "hi": "दरवाज़े तक जाएँ।", "te": "తలుపు దగ్గరకు వెళ్లండి."}


def guide(number, path_id, scan, path, language, **extra):
    """A record of RxR's guide files, with the times of its words."""
    text = TEXTS[language[:2]]
    words = [{"word": word, "start_time": 0.5, "end_time": 0.9} for word in text.split()]
    del words[0]["end_time"]  # as in some records of RxR
    return {
        "split": "train",
        "instruction_id": number,
        "annotator_id": 7,
        "language": language,
        "path_id": path_id,
        "scan": scan,
        "path": list(path),
        "heading": 1.25,
        "instruction": f"{text} {path_id}",
        "timed_instruction": words,
        "edit_distance": 0.125,
        **extra,
    }


@pytest.fixture(scope="module")
def real_paths(tmp_path_factory):
    """Data folder with the real graphs and synthetic guides over shortest paths in them."""
    from tests.conftest import SHARED

    connectivity = SHARED / "data" / "matterport" / "connectivity"
    if not connectivity.is_dir():
        pytest.skip(f"real graphs not found: {connectivity}")
    folder = tmp_path_factory.mktemp("real")
    (folder / "matterport").mkdir()
    (folder / "matterport" / "connectivity").symlink_to(connectivity)
    (folder / "rxr").mkdir()
    rng = np.random.default_rng(0)
    records = []
    for number, file in enumerate(sorted(connectivity.glob("*_connectivity.json"))[:6]):
        graph = NavGraph.load(file.name.removesuffix("_connectivity.json"), connectivity)
        paths = set()
        while len(paths) < 5:
            start, goal = rng.integers(len(graph), size=2)
            if np.isfinite(graph.distances[start, goal]):
                ids = graph.viewpoint_ids
                path = tuple(graph.shortest_path(ids[start], ids[goal]))
                if 3 <= len(path) <= 6:
                    paths.add(path)
        for path in sorted(paths):
            path_id = 100 * number + len(records)
            for language in LANGUAGES:
                records.append(guide(len(records), path_id, graph.scan, path, language))
    lines = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    packed = gzip.compress(lines.encode())
    (folder / "rxr" / "rxr_train_guide.jsonl.gz").write_bytes(packed)
    return folder, records


def test_synthetic_rxr_over_real_graphs_is_written_and_read_back(real_paths, tmp_path):
    folder, records = real_paths
    files = world_files("matterport", folder)
    episodes = load_episodes("rxr", "train", files)
    paths = list({(episode.scan, episode.path): None for episode in episodes})
    mined = mine_pairs(paths, np.random.default_rng(1).standard_normal((len(paths), 8)))
    assert mined
    target = multi_path(tmp_path, "train")
    source = files.annotations("rxr", "train")
    assert write_multi_file(target, source, mined, HINT) == len(records)

    # The file is one JSON array, as released; every field of the guide file is kept.
    array = json.loads(target.read_text(encoding="utf-8"))
    for written, record in zip(array, records, strict=True):
        assert {name: written[name] for name in record} == record
        others = [
            other
            for other in records
            if other["path_id"] == record["path_id"] and other is not record
        ]
        assert written["instructions"] == [other["instruction"] for other in others]
        assert written["languages"] == [other["language"] for other in others]
    pairs = read_pairs(target, files)
    assert {(pair.scan, pair.path) for pair in pairs} == set(mined)
    for pair in pairs:
        counterpart = mined[pair.scan, pair.path]
        assert (pair.pair_scan, pair.pair_path) == (counterpart.scan, counterpart.path)
        assert pair.pair_scan != pair.scan
        assert len(pair.pair_path) == len(pair.path)
    # Our own loader reads the written file like a guide file.
    (folder / "rxr" / "rxr_again_guide.jsonl").write_bytes(target.read_bytes())
    assert load_episodes("rxr", "again", files) == episodes


@pytest.fixture
def written(doors, tmp_path):
    """Function that writes one record, changed by fields, and returns its file and world."""
    files = world_files("matterport", doors)
    first = guide(5, 1, "room0", ("room0-c", "room0-1"), "en-IN")
    fields = {
        "instructions": ["दरवाज़े तक जाएँ।"],
        "languages": ["hi-IN"],
        "pair_scan": "room1",
        "pair_path": ["room1-c", "room1-2"],
    }

    def write(**changes):
        record = {**first, **fields, **changes}
        kept = {name: value for name, value in record.items() if value is not None}
        path = multi_path(tmp_path, "train")
        path.write_text(json.dumps([kept]))
        return path, files

    return write


def test_a_released_record_is_read(written):
    path, files = written()
    (pair,) = read_pairs(path, files)
    assert pair.pair_scan == "room1"
    (record,) = read_multi_file(path)
    assert (record.instructions, record.languages) == (("दरवाज़े तक जाएँ।",), ("hi-IN",))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pair_scan": "room0"}, r"field 'pair_scan': 'room0' is the scan of the path itself"),
        ({"pair_path": ["room1-c"]}, r"field 'pair_path' has 1 viewpoints, but the path has 2"),
        (
            {"pair_path": ["room1-c", "room1-9"]},
            r"field 'pair_path': scan 'room1' has no viewpoint",
        ),
        ({"pair_scan": "../room1"}, r"field 'pair_scan': '../room1' has no navigation graph"),
        ({"pair_path": None}, r"only one of the fields 'pair_scan' and 'pair_path' is present"),
        ({"path": ["room0-c", "nowhere"]}, r"field 'path': scan 'room0' has no viewpoint"),
        ({"languages": []}, r"1 'instructions', but 0 'languages'"),
        ({"pair_path": 3}, r"field 'pair_path': expected array"),
        ({"scan": None}, r"field 'scan' is missing"),
    ],
)
def test_damaged_records_are_named(written, changes, message):
    path, files = written(**changes)
    with pytest.raises(ValueError, match=rf"{path}: record 0 \(instruction_id 5\): {message}") as e:
        read_pairs(path, files)
    assert str(e.value).endswith("; write it again with clipnav pair-paths")


def test_a_file_without_pairs_or_without_records_is_refused(written, tmp_path):
    path, files = written(pair_scan=None, pair_path=None)
    with pytest.raises(ValueError, match="no record has the fields 'pair_scan' and 'pair_path'"):
        read_pairs(path, files)
    with pytest.raises(FileNotFoundError, match=r"rxr_val_seen_guide_multi\.jsonl: no such file"):
        read_pairs(multi_path(tmp_path, "val_seen"), files)


def test_a_damaged_guide_file_leaves_no_output(doors, tmp_path):
    source = tmp_path / "guide.jsonl"
    record = json.dumps(guide(1, 1, "room0", ("room0-c", "room0-1"), "en-IN"))
    source.write_text(record + "\n{damaged\n")
    pair = {("room0", ("room0-c", "room0-1")): MinedPair("room1", ("room1-c", "room1-1"), 0.5)}
    target = multi_path(tmp_path, "train")
    with pytest.raises(ValueError, match=rf"{source}: record 1: .*get the data again"):
        write_multi_file(target, source, pair, HINT)
    assert not target.exists()


def colours_of(records):
    """English text of each path."""
    return {(r.scan, r.path): r.instruction for r in records if r.language == "en-IN"}


def test_paths_to_doors_of_the_same_colour_are_paired(doors, paired_folder):
    files = world_files("matterport", doors)
    for split, count in (("train", 32), ("val_seen", 8), ("val_unseen", 8)):
        path = multi_path(paired_folder, split)
        texts = colours_of(read_multi_file(path))
        pairs = read_pairs(path, files)
        assert len(pairs) == count
        for pair in pairs:
            assert texts[pair.scan, pair.path] == texts[pair.pair_scan, pair.pair_path]


def test_the_command_prints_the_pairs(doors, language_run, tmp_path, run_command):
    printed = run_command(
        *("pair-paths", "--language-representation", language_run, "--output", tmp_path),
        *("--world", "matterport", "--data-dir", doors, "--splits", "val_seen", "--threads", 1),
    )
    assert "24 instructions, 8 of 8 paths paired, mean similarity" in printed
    written = sorted(path.name for path in tmp_path.glob("*.json*"))
    assert written == ["results.json", "rxr_val_seen_guide_multi.jsonl"]
    results = json.loads((tmp_path / "results.json").read_text())["results"]
    assert results["val_seen"].keys() == {"pairs", "similarity"}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {"en-IN", "hi-IN", "te-IN"}),
        ({"languages": ["en", "hi"]}, {"en-IN", "hi-IN"}),
        ({"dataset": "r2r"}, {"en-IN"}),
    ],
    ids=["all", "two", "r2r"],
)
def test_only_languages_that_the_representation_has_read_are_embedded(
    doors, language_run, tmp_path, monkeypatch, capsys, changes, expected
):
    run = shutil.copytree(language_run, tmp_path / "run")
    config = json.loads((run / CONFIG).read_text())
    (run / CONFIG).write_text(json.dumps(config | changes))
    embedded = []

    def spy(network, data, centre):
        embedded.extend(data.episodes)
        return similar_paths(network, data, centre)

    monkeypatch.setattr("clipnav.agents.clear.pair_files.similar_paths", spy)
    output = tmp_path / "pairs"
    pair_paths(PairPathsConfig(run, output, "matterport", doors, ("val_seen",), threads=1))
    assert {episode.language for episode in embedded} == expected
    # The file contains the instructions in all languages nevertheless.
    path = multi_path(output, "val_seen")
    assert len(read_multi_file(path)) == 24
    assert len(read_pairs(path, world_files("matterport", doors))) == 8
    names = ", ".join(sorted(tag.partition("-")[0] for tag in expected))
    line = f"Languages of the instructions, which the representation has read: {names}\n"
    assert line in capsys.readouterr().out


def test_pairs_are_not_written_into_a_run(language_run, run_command, capsys):
    before = (language_run / "results.json").read_bytes()
    with pytest.raises(SystemExit):
        run_command(
            *("pair-paths", "--language-representation", language_run, "--output", language_run)
        )
    assert "is a run; name another folder" in " ".join(capsys.readouterr().err.split())
    assert (language_run / "results.json").read_bytes() == before


def test_a_missing_run_or_split_is_named_before_anything_is_written(doors, language_run, tmp_path):
    output = tmp_path / "pairs"
    config = PairPathsConfig(language_run, output, "matterport", doors, splits=("train", "dev"))
    with pytest.raises(FileNotFoundError, match="no annotations of split 'dev' of rxr"):
        pair_paths(config)
    with pytest.raises(FileNotFoundError, match=r"config\.json: no such file"):
        pair_paths(dataclasses.replace(config, splits=("train",), language_representation=doors))
    assert not output.exists()


def test_objects_and_results_of_other_splits_are_kept(language_run, tmp_path, monkeypatch):
    asked = []

    def empty_views(viewpoints):
        asked.append(list(viewpoints))
        classes = {}
        for scan, viewpoint in asked[-1]:
            classes.setdefault(scan, {})[viewpoint] = np.zeros((36, 27), bool)
        return classes

    monkeypatch.setattr("clipnav.agents.clear.pair_files.house_objects", empty_views)
    config = PairPathsConfig(language_run, tmp_path, splits=("val_seen",), threads=1)
    pair_paths(config)
    pair_paths(dataclasses.replace(config, splits=("val_unseen",)))
    written = read_objects(tmp_path / "objects_27.json")
    kept = {(scan, viewpoint) for scan, viewpoints in written.items() for viewpoint in viewpoints}
    assert len(asked) == 2
    assert kept == set(asked[0]) | set(asked[1])
    results = json.loads((tmp_path / "results.json").read_text())["results"]
    assert results.keys() == {"val_seen", "val_unseen"}
    (tmp_path / "results.json").write_text("[]")
    with pytest.raises(UserError, match=r"results\.json"):
        pair_paths(config)
