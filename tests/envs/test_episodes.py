import gzip
import json
import math
import shutil

import pytest

from envs.episodes import (
    base_language,
    load_episodes,
    write_r2r_submission,
    write_rxr_submission,
)
from envs.nav_graph import NavGraph
from envs.worlds import world_files


@pytest.fixture
def files(tiny_world):
    return world_files("matterport", tiny_world)


@pytest.fixture
def own_world(tiny_world, tmp_path):
    """A copy of the tiny world to damage."""
    return shutil.copytree(tiny_world, tmp_path / "world")


def test_r2r_gives_one_episode_per_instruction(files):
    episodes = load_episodes("r2r", "train", files)
    assert [e.instr_id for e in episodes[:3]] == ["100_0", "100_1", "101_0"]
    assert len(episodes) == 14
    first = episodes[1]
    assert first.path == ("a0", "a1", "a2", "a5")
    assert (first.scan, first.path_id, first.heading, first.language) == ("attic", 100, 0.0, "en")
    assert first.instruction == "Walk past the red sofa, then stop near the door."
    assert first.has_goal


def test_goals_of_the_test_split_are_secret(files):
    assert [e.has_goal for e in load_episodes("r2r", "test", files)] == [False] * 4


def test_rxr_gives_one_episode_per_line_and_filters_languages(files):
    episodes = load_episodes("rxr", "train", files)
    assert [e.language for e in episodes[:2]] == ["en-IN", "hi-IN"]
    assert [e.instr_id for e in episodes[:2]] == ["1000", "1001"]
    assert episodes[1].instruction == "दरवाज़े के पास रुकें।"
    hindi = load_episodes("rxr", "train", files, "hi")
    assert hindi == [e for e in episodes if e.language == "hi-IN"]
    assert load_episodes("rxr", "train", files, "hi-IN") == hindi
    assert base_language("hi-IN") == base_language("hi") == "hi"
    with pytest.raises(ValueError, match=r"rxr_train_guide\.jsonl: no episode in language 'te'"):
        load_episodes("rxr", "train", files, "te")


def test_rxr_is_read_compressed_and_as_an_array(own_world):
    files = world_files("matterport", own_world)
    expected = load_episodes("rxr", "train", files)
    path = own_world / "rxr" / "rxr_train_guide.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text(json.dumps([json.loads(line) for line in lines]), encoding="utf-8")
    assert load_episodes("rxr", "train", files) == expected
    path.unlink()
    packed = gzip.compress("\n".join(lines).encode())
    path.with_suffix(".jsonl.gz").write_bytes(packed)
    assert load_episodes("rxr", "train", files) == expected
    path.with_suffix(".jsonl.gz").write_bytes(packed[:-20])
    with pytest.raises(ValueError, match=r"rxr_train_guide\.jsonl\.gz: not valid JSON"):
        load_episodes("rxr", "train", files)


def test_rxr_test_lines_may_lack_a_path_id(own_world):
    path = own_world / "rxr" / "rxr_train_guide.jsonl"
    line = json.loads(path.read_text(encoding="utf-8").splitlines()[0])
    del line["path_id"]
    line["path"] = line["path"][:1]
    path.write_text(json.dumps(line))
    (episode,) = load_episodes("rxr", "train", world_files("matterport", own_world))
    assert episode.path_id == 1000
    assert not episode.has_goal


def damaged(**changes):
    def apply(record):
        for name, value in changes.items():
            if value is None:
                del record[name]
            else:
                record[name] = value

    return apply


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (damaged(scan="cellar"), "scan 'cellar' has no navigation graph in .*connectivity"),
        (damaged(scan=3), "field 'scan' is a int"),
        (damaged(path=["a0", "z9"]), "scan 'attic' has no viewpoint 'z9'"),
        (damaged(path=["a7", "a9"]), "scan 'attic' has no viewpoint 'a9'"),
        (damaged(path=["a0", "a10"]), "no way leads from 'a0' to 'a10'"),
        (damaged(path=[]), "field 'path' is not a list of viewpoint ids"),
        (damaged(path=["a0", 1]), "field 'path' is not a list of viewpoint ids"),
        (damaged(path="a0"), "field 'path' is a str"),
        (damaged(path=None), "field 'path' is missing"),
        (damaged(heading=math.nan), "field 'heading' is nan"),
        (damaged(heading="north"), "field 'heading' is a str"),
        (damaged(heading=True), "field 'heading' is a bool"),
        (damaged(instructions=["Go.", " "]), "instruction 101_1 is empty"),
        (damaged(instructions=[3]), "instruction 101_0 is empty or not text"),
        (damaged(instructions=None), "field 'instruction_id' is missing"),
        (damaged(path_id="101"), "field 'path_id' is a str"),
        (damaged(path_id=100), "episode 100_0 occurs twice"),
    ],
)
def test_damaged_records_are_named(own_world, damage, message):
    path = own_world / "r2r" / "R2R_train.json"
    records = json.loads(path.read_text())
    damage(records[1])
    path.write_text(json.dumps(records))
    with pytest.raises(ValueError, match=rf"R2R_train\.json: record 1: {message}.*download_data"):
        load_episodes("r2r", "train", world_files("matterport", own_world))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[{", "not valid JSON"),
        ("", "no episode"),
        ("[]", "no episode"),
        ('["a0"]', "record 0: expected an object but found str"),
        ("\xff", "not valid JSON"),
    ],
)
def test_damaged_files_are_named(own_world, text, message):
    path = own_world / "r2r" / "R2R_train.json"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(ValueError, match=rf"R2R_train\.json: {message}"):
        load_episodes("r2r", "train", world_files("matterport", own_world))


def test_damaged_graphs_are_named(own_world):
    (own_world / "matterport" / "connectivity" / "attic_connectivity.json").write_text("{}")
    with pytest.raises(ValueError, match=r"attic_connectivity\.json"):
        load_episodes("r2r", "train", world_files("matterport", own_world))


def test_r2r_has_the_published_counts(shared):
    files = world_files("matterport", shared / "data")
    counts = {"train": (4675, 14039, 61), "val_seen": (340, 1021, 56), "test": (1391, 4173, 18)}
    for split, (paths, instructions, scans) in counts.items():
        episodes = load_episodes("r2r", split, files)
        assert len(episodes) == instructions
        assert len({e.path_id for e in episodes}) == paths
        assert len({e.scan for e in episodes}) == scans


def test_eight_paths_of_val_unseen_are_not_shortest(shared):
    files = world_files("matterport", shared / "data")
    episodes = load_episodes("r2r", "val_unseen", files)
    assert len(episodes) == 2349
    longer = set()
    for episode in episodes:
        graph = NavGraph.load(episode.scan, files.connectivity_dir)
        length = graph.path_length(episode.path)
        if length > graph.geodesic(episode.path[0], episode.path[-1]) + 1e-6:
            longer.add(episode.path_id)
    assert len(longer) == 8


def test_built_in_episodes_are_like_those_of_r2r():
    files = world_files("houses")
    scans = {}
    for split in ("train", "val_seen", "val_unseen"):
        episodes = load_episodes("r2r", split, files)
        scans[split] = {e.scan for e in episodes}
        for episode in episodes:
            graph = NavGraph.load(episode.scan, files.connectivity_dir)
            assert 5 <= len(episode.path) <= 8
            length = graph.path_length(episode.path)
            assert length >= 5
            assert length == pytest.approx(graph.geodesic(episode.path[0], episode.path[-1]))
        assert load_episodes("rxr", split, files) == episodes
    assert scans["val_seen"] <= scans["train"]
    assert not scans["val_unseen"] & scans["train"]


def test_submissions_have_the_layout_of_the_servers(tmp_path):
    trajectory = [("a0", 0.0, 0.0), ("a1", 1.5, -0.5)]
    write_r2r_submission(tmp_path / "r2r.json", {"7_0": trajectory})
    assert json.loads((tmp_path / "r2r.json").read_text()) == [
        {"instr_id": "7_0", "trajectory": [["a0", 0.0, 0.0], ["a1", 1.5, -0.5]]}
    ]
    write_rxr_submission(tmp_path / "rxr.jsonl", {"12": trajectory, "13": trajectory[:1]})
    lines = (tmp_path / "rxr.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [
        {"instruction_id": 12, "path": ["a0", "a1"]},
        {"instruction_id": 13, "path": ["a0"]},
    ]
    assert len(list(tmp_path.iterdir())) == 2
