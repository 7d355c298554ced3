import json
import math

import pytest

from clipnav.envs.episodes import load_episodes
from clipnav.envs.graphs.nav_graph import NavGraph
from clipnav.envs.submissions.files import write_submission
from clipnav.storage.errors import UserError


@pytest.fixture
def episodes(files):
    return load_episodes("r2r", "train", files)


@pytest.fixture
def stroll(files):
    """Return the shortest path to the goal of an episode, with a turn in place at its start."""

    def stroll(episode):
        graph = NavGraph.load(episode.scan, files.connectivity_dir)
        path = graph.shortest_path(episode.path[0], episode.path[-1])
        return [(path[0], episode.heading, 0.0), *((v, 1.5, -0.5) for v in path)]

    return stroll


@pytest.fixture
def walked(episodes, stroll):
    return {episode.instr_id: stroll(episode) for episode in episodes}


@pytest.fixture
def episodes_of_rxr(own_files, guide):
    """Episodes of RxR in all three languages."""
    telugu = {**guide.lines[0], "language": "te-IN", "instruction_id": 9}
    guide.write([*guide.lines, telugu])
    return load_episodes("rxr", "train", own_files)


def test_r2r_files_have_the_format_of_the_server(episodes, walked, files, tmp_path):
    write_submission(tmp_path / "r2r.json", walked, episodes, files, "r2r")
    items = json.loads((tmp_path / "r2r.json").read_text())
    assert items[1] == {
        "instr_id": "100_1",
        "trajectory": [
            ["a0", 0.0, 0.0],
            *([viewpoint, 1.5, -0.5] for viewpoint in ("a0", "a4", "a5")),
        ],
    }
    assert [item["instr_id"] for item in items] == [e.instr_id for e in episodes]
    assert [path.name for path in tmp_path.iterdir()] == ["r2r.json"]


def test_rxr_files_have_the_format_of_the_server(episodes_of_rxr, stroll, own_files, tmp_path):
    walked = {e.instr_id: stroll(e) for e in episodes_of_rxr}
    write_submission(tmp_path / "rxr.jsonl", walked, episodes_of_rxr, own_files, "rxr")
    lines = (tmp_path / "rxr.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [
        {"instruction_id": int(instr_id), "path": [pose[0] for pose in trajectory[1:]]}
        for instr_id, trajectory in walked.items()
    ]


@pytest.mark.parametrize(
    ("walk", "message"),
    [
        ([("a1", 0.0, 0.0)], "it starts at 'a1', the episode at 'a0'"),
        ([("a0", 0.0, 0.0), ("a2", 0.0, 0.0)], "'a0' and 'a2' are not neighbours in scan 'attic'"),
        ([("a0", 0.0, 0.0), ("z1", 0.0, 0.0)], "scan 'attic' has no viewpoint 'z1'"),
        ([("a0", math.nan, 0.0)], "a heading or elevation is not finite"),
        ([], "it is empty"),
    ],
)
def test_invalid_trajectories_are_refused(episodes, walked, files, tmp_path, walk, message):
    walked["100_1"] = walk
    match = rf"r2r\.json: trajectory of instruction 100_1 is not valid .*{message}"
    for partial in (False, True):
        with pytest.raises(ValueError, match=match):
            write_submission(tmp_path / "r2r.json", walked, episodes, files, "r2r", partial)
    assert not list(tmp_path.iterdir())


def test_incomplete_files_require_partial(episodes, walked, files, tmp_path):
    path = tmp_path / "r2r.json"
    gone = [episodes[3].instr_id, episodes[5].instr_id]
    kept = {instr_id: walk for instr_id, walk in walked.items() if instr_id not in gone}
    with pytest.raises(ValueError, match=rf"of 14 .* but 2 \({gone[0]}, {gone[1]}\) are missing"):
        write_submission(path, kept, episodes, files, "r2r")
    assert not path.exists()
    write_submission(path, kept, episodes, files, "r2r", partial=True)
    assert [item["instr_id"] for item in json.loads(path.read_text())] == list(kept)


def test_unknown_and_repeated_instructions_are_refused(episodes, walked, files, tmp_path):
    path = tmp_path / "r2r.json"
    pairs = [*walked.items(), ("100_0", walked["100_0"])]
    for partial in (False, True):
        with pytest.raises(ValueError, match=r"1 \(7_0\) is not in the split"):
            write_submission(path, {**walked, "7_0": []}, episodes, files, "r2r", partial)
        with pytest.raises(ValueError, match="instruction 100_0 has two trajectories"):
            write_submission(path, pairs, episodes, files, "r2r", partial)


def test_episodes_of_another_dataset_are_refused(episodes, walked, files, tmp_path):
    path = tmp_path / "mine"
    with pytest.raises(UserError, match=r"RxR cannot contain episode '100_0' of another dataset"):
        write_submission(path, walked, episodes, files, "rxr", partial=True)
    assert not path.exists()


def test_rxr_requires_all_three_languages(own_files, episodes_of_rxr, stroll, tmp_path):
    path = tmp_path / "rxr.jsonl"
    hindi = [e for e in episodes_of_rxr if e.language == "hi-IN"]
    walked = {e.instr_id: stroll(e) for e in hindi}
    with pytest.raises(ValueError, match=r"rxr\.jsonl: .* the episodes lack en, te"):
        write_submission(path, walked, hindi, own_files, "rxr")
    with pytest.raises(ValueError, match=r"8 \(.* are missing"):
        write_submission(path, walked, episodes_of_rxr, own_files, "rxr")
    write_submission(path, walked, hindi, own_files, "rxr", partial=True)
    assert len(path.read_text().splitlines()) == 7


def test_paths_without_angles_are_refused(episodes, walked, files, tmp_path):
    paths = {name: [pose[0] for pose in trajectory] for name, trajectory in walked.items()}
    with pytest.raises(ValueError, match=r"\(viewpoint, heading, elevation\); .*trajectories\(\)"):
        write_submission(tmp_path / "r2r.json", paths, episodes, files, "r2r")
