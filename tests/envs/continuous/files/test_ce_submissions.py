import dataclasses
import json

import numpy as np
import pytest

from clipnav.envs.continuous.coordinates import PoseTrace, to_habitat
from clipnav.envs.continuous.episodes import load_continuous_split
from clipnav.envs.continuous.experts import expert_walks, path_key
from clipnav.envs.continuous.files import scores
from clipnav.envs.continuous.files.scores import (
    load_continuous_ground_truth,
    score_continuous_submission,
)
from clipnav.envs.continuous.files.submissions import (
    check_continuous_submission,
    write_ce_submission,
)
from clipnav.envs.continuous.settings import R2R_CE
from clipnav.envs.submissions.ground_truth import ScoringRules

FEW = 6  # episodes, of two paths


@pytest.fixture(scope="module")
def episodes():
    return load_continuous_split("r2r", "val_unseen").episodes[:FEW]


@pytest.fixture(scope="module")
def expert(episodes):
    """Walks of the expert as traces by `episode_id`; the headings are not those of the expert."""
    walks = expert_walks(episodes, R2R_CE)
    traces = {}
    for episode in episodes:
        positions = walks[path_key(episode)].positions
        positions = np.concatenate([positions, positions[-1:]])
        traces[episode.episode_id] = PoseTrace(positions, np.full(len(positions), 0.5), True, 0)
    return traces


@pytest.fixture
def few(monkeypatch):
    """Rules of R2R-CE; the split consists of its first episodes."""
    whole = scores.load_episodes
    monkeypatch.setattr(scores, "load_episodes", lambda *arguments: whole(*arguments)[:FEW])
    return ScoringRules("r2r-ce", resamples=200)


def every_id(episodes):
    return frozenset(episode.instr_id for episode in episodes)


def test_r2r_ce_files_have_a_pose_per_action(episodes, expert, tmp_path):
    path = tmp_path / "walks.json"
    write_ce_submission(path, expert, episodes, "r2r")
    document = json.loads(path.read_text())
    assert list(document) == list(expert)
    for name, trace in expert.items():
        poses = document[name]
        assert len(poses) == len(trace.positions)
        assert [pose["stop"] for pose in poses] == [False] * (len(poses) - 1) + [True]
        assert poses[3]["position"] == pytest.approx(to_habitat(trace.positions[3]))
        assert poses[0]["heading"] == pytest.approx(-0.5)


def test_rxr_ce_files_are_sorted_and_leave_out_equal_positions(tmp_path):
    split = load_continuous_split("rxr", "val_unseen").episodes[:2]
    positions = np.tile(split[0].start, (4, 1))
    positions[2:, 0] += 0.25
    trace = PoseTrace(positions, np.zeros(4), True, 0)
    path = tmp_path / "walks.jsonl"
    write_ce_submission(path, {e.episode_id: trace for e in reversed(split)}, split, "rxr")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    ids = [line["instruction_id"] for line in lines]
    assert ids == sorted(int(episode.episode_id) for episode in split)
    assert all(set(line) == {"instruction_id", "path"} for line in lines)
    np.testing.assert_allclose(lines[0]["path"], to_habitat(positions[[0, 2]]))
    checked = check_continuous_submission(path, "rxr-ce", split, every_id(split))
    np.testing.assert_allclose(checked.walks[split[0].episode_id].positions, positions[[0, 2]])


def test_files_of_rxr_ce_have_the_ids_of_the_instructions(tmp_path):
    """In RxR_VLNCE's own files they differ from the ids of the episodes."""
    split = load_continuous_split("rxr", "val_unseen").episodes[:2]
    own = [dataclasses.replace(e, episode_id=str(n)) for n, e in enumerate(split, 1)]
    traces = {
        e.episode_id: PoseTrace(np.array([e.start]), np.array([e.heading]), True, 0) for e in own
    }
    path = tmp_path / "walks.jsonl"
    write_ce_submission(path, traces, own, "rxr")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    places = {int(e.instr_id): to_habitat(np.array([e.start])).tolist() for e in split}
    assert [line["instruction_id"] for line in lines] == sorted(places)
    assert {line["instruction_id"]: line["path"] for line in lines} == places
    checked = check_continuous_submission(path, "rxr-ce", own, every_id(own))
    assert not checked.findings
    assert sorted(checked.walks) == ["1", "2"]


def test_incomplete_and_foreign_walks_are_not_written(episodes, expert, tmp_path):
    path = tmp_path / "walks.json"
    partial = dict(list(expert.items())[:2])
    with pytest.raises(ValueError, match=r"4 are missing.*partial=True"):
        write_ce_submission(path, partial, episodes, "r2r")
    with pytest.raises(ValueError, match="outside the split, such as 999"):
        write_ce_submission(path, {**expert, "999": expert["1"]}, episodes, "r2r")
    assert not path.exists()
    write_ce_submission(path, partial, episodes, "r2r", partial=True)
    assert len(json.loads(path.read_text())) == 2


def test_walks_of_another_dataset_are_not_written(episodes, expert, tmp_path):
    path = tmp_path / "walks"
    with pytest.raises(ValueError, match=r"RxR cannot contain episode .* of another dataset"):
        write_ce_submission(path, expert, episodes, "rxr")
    with pytest.raises(ValueError, match="dataset 'r4r' has no continuous walks"):
        write_ce_submission(path, expert, episodes, "r4r")
    assert not path.exists()


def test_the_expert_scores_perfectly(few, episodes, expert, tmp_path):
    path = tmp_path / "walks.json"
    write_ce_submission(path, expert, episodes, "r2r")
    scored = score_continuous_submission(path, few, load_continuous_ground_truth(few))
    assert not scored.checked.faulty
    summary = scored.summary()
    assert (summary["SR"], summary["episodes"]) == (1.0, FEW)
    assert summary["nDTW"] == pytest.approx(1.0)
    assert summary["NE"] < 0.5
    assert scored.intervals(few)["SR"].mean == 1.0


def test_both_definitions_and_both_treatments_of_missing_walks(few, episodes, expert, tmp_path):
    path = tmp_path / "walks.json"
    endless = {name: trace._replace(stopped=False) for name, trace in list(expert.items())[:3]}
    write_ce_submission(path, endless, episodes, "r2r", partial=True)
    truth = load_continuous_ground_truth(few)
    scored = score_continuous_submission(path, few, truth)
    assert scored.summary()["SR"] == 0.0
    assert scored.checked.faulty
    kinds = [str(finding) for finding in scored.checked.findings]
    assert "without a usable walk: 3 (4; 5; 6)" in kinds[0]
    assert "without a stop" in kinds[1]
    etpnav = dataclasses.replace(few, definition="etpnav")
    assert score_continuous_submission(path, etpnav, truth).summary()["SR"] == 1.0
    still = dataclasses.replace(etpnav, missing="stand-still")
    assert score_continuous_submission(path, still, truth).summary()["SR"] == 0.5


def test_walks_of_rxr_ce_are_scored_without_the_number_of_actions(monkeypatch, tmp_path):
    whole = scores.load_episodes
    monkeypatch.setattr(scores, "load_episodes", lambda *arguments: whole(*arguments)[:2])
    rules = ScoringRules("rxr-ce", resamples=50)
    truth = load_continuous_ground_truth(rules)
    traces = {}
    for episode in truth.episodes:
        positions = truth.walks[path_key(episode)].positions
        traces[episode.episode_id] = PoseTrace(positions, np.zeros(len(positions)), True, 0)
    path = tmp_path / "walks.jsonl"
    write_ce_submission(path, traces, truth.episodes, "rxr")
    scored = score_continuous_submission(path, rules, truth)
    intervals = scored.intervals(rules)
    assert intervals["SR"].mean == 1.0
    assert intervals["nDTW"].mean == pytest.approx(1.0)
    assert "steps" not in intervals


def test_faults_are_named_and_the_other_walks_scored(episodes, expert, tmp_path):
    path = tmp_path / "walks.json"
    write_ce_submission(path, expert, episodes, "r2r")
    document = json.loads(path.read_text())
    document["2"][0]["position"][0] += 1
    document["3"] = [{"position": [1, 2], "stop": True}]
    document["4"] = [{"position": [1, 2, 3]}]
    document["5"][0]["stop"] = True
    document["900"] = document["1"]
    document["6"][5]["position"][0] += 3
    path.write_text(json.dumps(document))
    checked = check_continuous_submission(path, "r2r-ce", episodes, every_id(episodes))
    assert list(checked.walks) == ["1", "6"]
    text = " | ".join(map(str, checked.findings))
    assert "cannot be read: 3 (3: " in text
    assert "5: a pose follows the stop" in text
    assert "outside the split: 1 ('900'" in text or "outside the split: 1 (900" in text
    assert "2: 1.00 m from the start" in text
    assert "longer than 0.5 m (counted): 2" in text


@pytest.mark.parametrize("text", ["[1, 2]", '{"1": [', '{"1": [], "1": []}'])
def test_files_that_are_no_object_of_walks_are_refused(episodes, tmp_path, text):
    path = tmp_path / "walks.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"walks\.json.*docs/continuous\.md"):
        check_continuous_submission(path, "r2r-ce", episodes, every_id(episodes))


def test_the_command_compares_files_with_intervals(few, episodes, expert, tmp_path, run_command):
    paths = [tmp_path / name for name in ("a.json", "b.json")]
    write_ce_submission(paths[0], expert, episodes, "r2r")
    still = {
        name: PoseTrace(trace.positions[:1].repeat(2, axis=0), trace.headings[:2], True, 0)
        for name, trace in expert.items()
    }
    write_ce_submission(paths[1], still, episodes, "r2r")
    options = ("--dataset", "r2r-ce", "--resamples", 100, "--json", tmp_path / "s.json")
    output = run_command("evaluate-submission", *paths, *options)
    assert "6 of 6 instructions of r2r-ce val_unseen usable" in output
    assert "SR %" in output
    assert "B - A" in output
    results = json.loads((tmp_path / "s.json").read_text())
    recorded = results["world"], results["data_dir"], results["instructions_per_path"]
    assert recorded == ("houses", None, None)
    assert results["submissions"][0]["summary"]["SR"] == 1.0
    assert results["submissions"][1]["summary"]["SR"] == 0.0
    assert results["differences"][0]["metrics"]["SR"]["mean"] == -1.0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"turns": "drop"}, "--turns drop has no effect"),
        ({"dataset": "r2r", "definition": "etpnav"}, "--definition etpnav has no effect"),
        ({"dataset": "rxr", "dtw": "fastdtw"}, "--dtw fastdtw has no effect"),
        ({"threshold": 0}, "threshold 0: must be a positive number"),
        ({"dataset": "r2r", "threshold": -3}, "threshold -3: must be a positive number"),
    ],
)
def test_rules_without_effect_and_impossible_ones_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        ScoringRules(**{"dataset": "r2r-ce", **changes})


def test_several_splits_and_worlds_without_floors_are_refused(tiny_world):
    with pytest.raises(ValueError, match="one by one"):
        load_continuous_ground_truth(ScoringRules("r2r-ce", splits=("val_seen", "val_unseen")))
    with pytest.raises(ValueError, match="require the floors"):
        load_continuous_ground_truth(ScoringRules("r2r-ce", data_dir=tiny_world))
    with pytest.raises(ValueError, match="require the floors"):
        load_continuous_ground_truth(ScoringRules("r2r-ce", world="matterport"))


def test_scores_of_unreachable_goals_are_left_out_of_the_interval_of_ne(episodes):
    columns = {"NE": np.array([1.0, np.inf, 2.0]), "SR": np.array([1.0, 0.0, 1.0])}
    rules = ScoringRules("r2r-ce", resamples=50)
    intervals = scores.scene_intervals(columns, episodes[:3], rules)
    assert intervals["NE"].mean == 1.5
    assert intervals["SR"].mean == pytest.approx(2 / 3)
    assert list(intervals) == ["NE", "SR"]
