import gzip
import json
from typing import Any

import attr
import numpy as np
import pytest

from clipnav.envs.continuous.coordinates import heading_to_rotation, rounded_heading
from clipnav.envs.continuous.environments.single_env import ContinuousEnv
from clipnav.envs.continuous.episodes import load_continuous_split, split_of_episodes
from clipnav.envs.continuous.files.reading import read_ground_truth, read_vlnce_episodes
from clipnav.envs.continuous.house_simulator import HouseSimulator
from clipnav.envs.continuous.settings import task_settings
from clipnav.envs.tokenizers import WordTokenizer, split_words


# Stubs of habitat-lab 0.1.7 (`habitat/core/dataset.py`, `habitat/tasks/nav/nav.py`) and of VLN-CE
# 729d141 (`habitat_extensions/task.py`): any other field of an episode is a TypeError.
@attr.s(auto_attribs=True, kw_only=True)
class HabitatEpisode:
    episode_id: Any
    scene_id: str
    start_position: list[float]
    start_rotation: list[float]
    info: dict[str, Any] | None = None


@attr.s(auto_attribs=True, kw_only=True)
class NavigationGoal:
    position: list[float]
    radius: float | None = None


@attr.s(auto_attribs=True)
class InstructionData:
    instruction_text: str
    instruction_tokens: list[Any] | None = None


@attr.s(auto_attribs=True)
class ExtendedInstructionData:
    instruction_text: str
    instruction_id: Any = None
    language: str | None = None
    annotator_id: str | None = None
    edit_distance: float | None = None
    timed_instruction: list[dict[str, Any]] | None = None
    instruction_tokens: list[Any] | None = None
    split: str | None = None


@attr.s(auto_attribs=True, kw_only=True)
class VlnEpisode(HabitatEpisode):
    goals: list[Any] | None = None
    reference_path: list[list[float]] | None = None
    instruction: Any = None
    trajectory_id: Any = None
    start_room: str | None = None
    shortest_paths: list[Any] | None = None


def load_as_vlnce(document, instruction_class):
    episodes = []
    for record in document["episodes"]:
        episode = VlnEpisode(**record)
        episode.instruction = instruction_class(**episode.instruction)
        episode.goals = [NavigationGoal(**goal) for goal in episode.goals or []]
        episodes.append(episode)
    return episodes


def test_data_set_classes_of_r2r_ce_accept_the_files(exported, read_packed):
    raw, padded, _ = exported("r2r").files
    assert [path.parent.parent.name for path in (raw, padded)] == [
        "R2R_VLNCE_v1-3",
        "R2R_VLNCE_v1-3_preprocessed",
    ]
    for path in (raw, padded):
        document = read_packed(path)
        episodes = load_as_vlnce(document, InstructionData)
        words = document["instruction_vocab"]["word_list"]
        assert words[:2] == ["<pad>", "<unk>"]
        assert [e.episode_id for e in episodes] == list(range(1, 10))
        for episode in episodes:
            tokens = episode.instruction.instruction_tokens
            # Misspelt words of unseen houses can be unknown.
            text = split_words(episode.instruction.instruction_text)
            expected = [word if word in words else "<unk>" for word in text]
            assert expected.count("<unk>") < 0.1 * len(expected)
            assert [words[i] for i in tokens if i] == expected
            assert path is raw or len(tokens) == 200
            assert episode.scene_id.split("/")[-2] == "house_26"
            assert episode.reference_path[0] == episode.start_position
            assert episode.goals[0].position == episode.reference_path[-1]
            assert episode.goals[0].radius == 3.0
            assert episode.info["geodesic_distance"] > 0


def test_fields_have_the_order_of_vlnce(exported, read_packed):
    document = read_packed(exported("r2r").files[0])
    assert list(document) == ["episodes", "instruction_vocab"]
    assert list(document["episodes"][0]) == [
        *("episode_id", "trajectory_id", "scene_id", "start_position", "start_rotation", "info"),
        *("goals", "instruction", "reference_path"),
    ]
    vocabulary = document["instruction_vocab"]
    assert vocabulary["stoi"] == vocabulary["word2idx_dict"]
    assert vocabulary["itos"] == vocabulary["word_list"]
    assert (vocabulary["UNK_INDEX"], vocabulary["PAD_INDEX"]) == (1, 0)
    assert vocabulary["num_vocab"] == len(vocabulary["word_list"])


def test_data_set_classes_of_rxr_ce_accept_the_files(exported, read_packed):
    guide, follower, follower_truth, truth = exported("rxr").files
    assert guide.parts[-3:] == ("RxR_VLNCE_v0", "val_unseen", "val_unseen_guide.json.gz")
    assert truth.name == "val_unseen_guide_gt.json.gz"
    document = read_packed(guide)
    assert list(document) == ["episodes"]
    episodes = load_as_vlnce(document, ExtendedInstructionData)
    assert len({episode.episode_id for episode in episodes}) == 4
    for episode in episodes:
        assert type(episode.episode_id) is type(episode.trajectory_id) is str
        assert episode.instruction.instruction_id == episode.episode_id
        assert set(episode.instruction.timed_instruction[0]) == {"word", "start_time", "end_time"}
    assert set(read_packed(truth)) == {episode.episode_id for episode in episodes}
    # The nDTW of VLN-CE opens the ground truth of both roles.
    assert follower.name == "val_unseen_follower.json.gz"
    assert follower_truth.name == "val_unseen_follower_gt.json.gz"
    assert load_as_vlnce(read_packed(follower), ExtendedInstructionData) == []
    assert read_packed(follower_truth) == {}


@pytest.mark.parametrize("dataset", ["r2r", "rxr"])
def test_reading_returns_the_exported_episodes(exported, dataset):
    path = exported(dataset).files[0]
    read = read_vlnce_episodes(path, f"{dataset}-ce")
    split = load_continuous_split(dataset, "val_unseen")
    for episode, original in zip(read.episodes, split.episodes, strict=False):
        for name in ("episode_id", "instr_id", "path_id", "scan", "instruction", "language"):
            assert getattr(episode, name) == getattr(original, name)
        np.testing.assert_allclose(episode.reference_path, original.reference_path, atol=1e-8)
        np.testing.assert_allclose(episode.start, original.start, atol=1e-8)
        assert episode.heading == pytest.approx(original.heading, abs=1e-9)
        assert bool(episode.timed_instruction) == (dataset == "rxr")


@pytest.mark.parametrize("dataset", ["r2r", "rxr"])
def test_ground_truth_passes_every_node_and_stops_once(exported, dataset):
    *_, truth = exported(dataset).files
    walks = read_ground_truth(truth)
    for episode in read_vlnce_episodes(exported(dataset).files[0], f"{dataset}-ce").episodes:
        walk = walks[episode.episode_id]
        assert walk.actions.tolist().count(0) == 1
        assert walk.actions[-1] == 0
        assert len(walk.locations) == (walk.actions == 1).sum() + 1
        np.testing.assert_allclose(walk.locations[0], episode.start, atol=1e-8)
        for node in episode.reference_path:
            assert np.linalg.norm(walk.locations - node, axis=1).min() <= 0.5


def test_headings_can_be_rounded_as_in_v1_3(exported, read_packed):
    exact = read_packed(exported("r2r").files[0])["episodes"]
    rounded = read_packed(exported("r2r", rounded_headings=True).files[0])["episodes"]
    split = load_continuous_split("r2r", "val_unseen")
    for one, other, episode in zip(exact, rounded, split.episodes, strict=False):
        np.testing.assert_allclose(one["start_rotation"], heading_to_rotation(episode.heading))
        expected = heading_to_rotation(rounded_heading(episode.heading))
        np.testing.assert_allclose(other["start_rotation"], expected, atol=1e-12)


def test_equal_exports_are_equal_to_the_byte(exported, tmp_path):
    from clipnav.envs.continuous.files.writing import write_packed

    original = exported("r2r").files[0]
    copy = tmp_path / "a" / "copy.json.gz"
    write_packed(copy, json.loads(gzip.decompress(original.read_bytes())))
    assert copy.read_bytes() == original.read_bytes()


@pytest.mark.parametrize("action", [10**40, -1, 6])
def test_an_action_that_does_not_exist_is_refused(tmp_path, action):
    path = tmp_path / "val_gt.json"
    path.write_text(json.dumps({"1": {"locations": [[0, 0, 0]], "actions": [0, action]}}))
    with pytest.raises(ValueError, match=r"val_gt\.json: .*\.actions.*export-continuous"):
        read_ground_truth(path)


R2R_RECORD = {
    "episode_id": 1,
    "trajectory_id": 7,
    "scene_id": "mp3d/8194nk5LbLH/8194nk5LbLH.glb",
    "start_position": [1.0, 2.0, 3.0],
    "start_rotation": [-0.0, -0.5, -0.0, -0.8660254037844386],
    "info": {"geodesic_distance": 5.0},
    "goals": [{"position": [4.0, 2.0, 3.0], "radius": 3.0}],
    "instruction": {"instruction_text": "Go left. ", "instruction_tokens": [5, 6]},
    "reference_path": [[1.0, 2.0, 3.0], [4.0, 2.0, 3.0]],
}


def write_episodes(path, *records, **more):
    path.write_text(json.dumps({"episodes": records, **more}))
    return path


def test_real_r2r_ce_records_are_read_in_the_axes_of_the_graphs(tmp_path):
    second = {**R2R_RECORD, "episode_id": 2}
    words = {"word_list": ["<pad>", "<unk>", "go"], "num_vocab": 3}
    path = write_episodes(tmp_path / "val.json", R2R_RECORD, second, instruction_vocab=words)
    read = read_vlnce_episodes(path)
    first = read.episodes[0]
    assert (first.scan, first.start, first.goal) == ("8194nk5LbLH", (1, -3, 2), (4, -3, 2))
    assert first.heading == pytest.approx(-np.pi / 3 % (2 * np.pi))
    assert [episode.instr_id for episode in read.episodes] == ["7_0", "7_1"]
    assert first.instruction == "Go left. "
    assert read.words == ("<pad>", "<unk>", "go")


def test_episodes_of_test_splits_are_read_without_goals(tmp_path):
    secret = {k: v for k, v in R2R_RECORD.items() if k not in ("info", "goals", "reference_path")}
    (episode,) = read_vlnce_episodes(write_episodes(tmp_path / "test.json", secret)).episodes
    assert not episode.has_goal


def test_word_times_of_rxr_that_are_nan_are_missing(tmp_path):
    timed = [{"word": "Go", "start_time": float("nan"), "end_time": 0.5}]
    instruction = {
        **{"instruction_text": "Go", "instruction_id": "12", "language": "te-IN"},
        **{"annotator_id": "3", "edit_distance": 0.5, "timed_instruction": timed},
        "instruction_tokens": [1],
    }
    record = {**R2R_RECORD, "episode_id": "12", "trajectory_id": "9", "instruction": instruction}
    (episode,) = read_vlnce_episodes(write_episodes(tmp_path / "g.json", record), "rxr-ce").episodes
    assert (episode.instr_id, episode.language, episode.annotator_id) == ("12", "te-IN", 3)
    assert episode.timed_instruction[0].start_time is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"start_position": [1.0, 2.0]}, r"start_position"),
        ({"scene_id": "scan.glb"}, r"record 0 \(episode_id 1\): field 'scene_id'"),
        ({"trajectory_id": "a"}, r"'a' is not a whole number"),
        ({"instruction": {}}, r"instruction_text' is missing"),
        ({"reference_path": None}, r"'reference_path' is missing, although the episode has goals"),
    ],
)
def test_damaged_records_are_named_with_a_remedy(tmp_path, change, message):
    path = write_episodes(tmp_path / "val.json", {**R2R_RECORD, **change})
    with pytest.raises(ValueError, match=rf"val\.json: .*{message}.*clipnav export"):
        read_vlnce_episodes(path)


def test_repeated_ids_empty_and_missing_files_are_refused(tmp_path):
    path = write_episodes(tmp_path / "val.json", R2R_RECORD, R2R_RECORD)
    with pytest.raises(ValueError, match=r"record 1 .*occurs twice"):
        read_vlnce_episodes(path)
    with pytest.raises(ValueError, match="contains no episode"):
        read_vlnce_episodes(write_episodes(tmp_path / "none.json"))
    with pytest.raises(FileNotFoundError, match="does not exist; get R2R_VLNCE"):
        read_vlnce_episodes(tmp_path / "absent.json.gz")
    broken = tmp_path / "broken.json.gz"
    broken.write_bytes(gzip.compress(b'{"episodes": [')[:-4])
    with pytest.raises(ValueError, match=r"broken\.json\.gz"):
        read_vlnce_episodes(broken)


def test_an_environment_runs_on_the_episodes_of_a_file(exported):
    episodes, _, truth = exported("r2r").files
    content = read_vlnce_episodes(episodes)
    walks = read_ground_truth(truth)
    references = {name: walk.locations for name, walk in walks.items()}
    tokenizer = WordTokenizer.build([e.instruction for e in content.episodes], min_count=1)
    with pytest.raises(ValueError, match="max_instruction_length is 0"):
        split_of_episodes("r2r", content.episodes, tokenizer, 0)
    split = split_of_episodes("r2r", content.episodes, tokenizer, references=references)
    settings = task_settings("r2r", observe=(), teacher="none")
    env = ContinuousEnv(split, HouseSimulator(settings), settings)
    env.reset(seed=0, options={"episode_id": "26002_0"})
    for action in walks["7"].actions:
        _, _, terminated, _, info = env.step(int(action))
    assert terminated
    assert info["episode_id"] == "7"
    assert info["metrics"]["success"] == 1.0
    assert info["metrics"]["ndtw"] == pytest.approx(1.0)
    assert env.core.experts.locations(6) is references["7"]


def test_files_of_the_test_split_have_no_goals_and_no_ground_truth(monkeypatch, tmp_path):
    import dataclasses

    from clipnav.envs.continuous.files import writing

    whole = writing._episodes

    def secret(dataset, split, world):
        episodes = whole(dataset, "val_unseen", world)[:2]
        return [dataclasses.replace(e, reference_path=()) for e in episodes]

    monkeypatch.setattr(writing, "_episodes", secret)
    exported = writing.export_split("r2r", "test", tmp_path)
    assert [path.name for path in exported.files] == ["test.json.gz", "test.json.gz"]
    (record, _) = json.loads(gzip.decompress(exported.files[0].read_bytes()))["episodes"]
    assert not {"info", "goals", "reference_path"} & set(record)


def test_the_command_writes_files_and_reports_them(monkeypatch, tmp_path, run_command):
    from clipnav.envs.continuous.files import writing

    whole = writing._episodes
    monkeypatch.setattr(writing, "_episodes", lambda *arguments: whole(*arguments)[:3])
    output = run_command("export-continuous-episodes", "--output", tmp_path, "--workers", 1)
    assert "r2r val_unseen: 3 episodes\n" in output
    assert output.count(".json.gz") == 3
    assert len(read_vlnce_episodes(next(tmp_path.rglob("val_unseen.json.gz"))).episodes) == 3
