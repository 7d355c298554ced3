"""LeRobotDataset v3.0: our reader, and the package lerobot itself where a Python has it.

CLIPNAV_LEROBOT_PYTHON names a Python with lerobot 0.4 or later, see docs/demonstrations.md.
"""

import json
import os
import subprocess

import numpy as np
import pytest

from clipnav.agents.demonstrations.export import check_export
from clipnav.agents.demonstrations.formats import lerobot
from clipnav.agents.demonstrations.formats.lerobot import ACTION, STATE, LeRobotReader
from clipnav.agents.demonstrations.manifest import count_walks
from clipnav.agents.demonstrations.recording.decisions import write_jpeg
from clipnav.agents.demonstrations.recording.records import RecordedStep, RecordedWalk
from clipnav.agents.demonstrations.recording.settings import DemonstrationConfig
from clipnav.agents.language_models.settings import PromptConfig
from clipnav.envs.continuous.settings import FORWARD, STOP
from clipnav.envs.episodes import load_episodes
from clipnav.envs.worlds import world_files

pytest.importorskip("pyarrow")
pytest.importorskip("av")

_LOADING = """
import json, sys
from pathlib import Path
from lerobot.datasets.lerobot_dataset import LeRobotDataset
data = LeRobotDataset("local/clipnav", root=Path(sys.argv[1]))
rows = [data[index] for index in range(len(data))]
key = "observation.images.rgb"
print(json.dumps({
    "episodes": data.num_episodes,
    "fps": data.fps,
    "tasks": [row["task"] for row in rows],
    "actions": [int(row["action"]) for row in rows],
    "states": [row["observation.state"].tolist() for row in rows],
    "shapes": sorted({tuple(row[key].shape) for row in rows}),
    "pictures": [(255 * row[key].mean((1, 2))).tolist() for row in rows],
    "mean": data.meta.stats[key]["mean"].ravel().tolist(),
}))
"""


@pytest.mark.parametrize("media", ["image", "video"])
def test_an_export_is_read_back(exported, pictured_world, media):
    folder = exported(format="lerobot", media=media)
    reader = LeRobotReader(folder)
    episodes = load_episodes("r2r", "train", world_files("matterport", pictured_world))
    assert [row["tasks"] for row in reader.episodes] == [[e.instruction] for e in episodes]
    frames = reader.frames()
    assert len(frames) == len(reader.columns[ACTION]) == reader.info["total_frames"]
    ends = np.flatnonzero(reader.columns["next.done"])
    assert len(ends) == len(episodes)
    assert not reader.columns[ACTION][ends].any()
    assert reader.columns["next.success"].sum() == len(episodes)
    # The colour of a level view is 127.5 + 127 times its direction.
    for frame, state in zip(frames, reader.columns[STATE], strict=True):
        expected = 127.5 + 127 * np.array([np.sin(state[3]), np.cos(state[3]), 0])
        np.testing.assert_allclose(frame[15:17, 15:17].mean((0, 1)), expected, atol=9)
    assert "14 episodes" in check_export(folder)


def walk_of(actions):
    """Return a continuous walk whose policy takes some actions; all have the same picture."""
    steps = [
        RecordedStep((0.0, 0.0, 0.0), 0.0, FORWARD, taken, "policy", "one.jpg") for taken in actions
    ]
    return RecordedWalk("1_0", 1, "house", "en", "Walk on.", tuple(steps), actions[-1] == STOP)


def test_walks_without_a_stop_are_left_out(tmp_path):
    """The last frame of a walk that was cut is no end of the task."""
    write_jpeg(tmp_path / "one.jpg", np.zeros((32, 32, 3), np.uint8), 90)
    prompt = PromptConfig(image_size=32)
    config = DemonstrationConfig(format="lerobot", environment="continuous", prompt=prompt)
    cut = walk_of([FORWARD] * 4)
    walks = [cut, walk_of([FORWARD, STOP]), cut]
    lerobot.write(walks, tmp_path, tmp_path / "export", config)
    reader = LeRobotReader(tmp_path / "export")
    assert reader.columns["taken_action"].ravel().tolist() == [FORWARD, STOP]
    assert reader.columns["next.done"].ravel().tolist() == [False, True]
    counts = count_walks(walks)
    assert (counts["steps"], counts["truncated"], counts["truncated_steps"]) == (10, 2, 8)
    assert "1 episode, 2 frames" in lerobot.check(tmp_path / "export", {"counts": counts})


def test_large_exports_have_several_files(exported, monkeypatch):
    monkeypatch.setattr(lerobot, "DATA_FILE_MB", 0.01)
    monkeypatch.setattr(lerobot, "FILES_PER_CHUNK", 2)
    folder = exported(format="lerobot")
    names = sorted(str(path.relative_to(folder)) for path in (folder / "data").rglob("*.parquet"))
    assert names[:3] == [
        "data/chunk-000/file-000.parquet",
        "data/chunk-000/file-001.parquet",
        "data/chunk-001/file-000.parquet",
    ]
    assert len(LeRobotReader(folder).frames()) > 40


def test_large_videos_are_divided(exported, monkeypatch):
    monkeypatch.setattr("clipnav.agents.demonstrations.formats.lerobot.VIDEO_FILE_MB", 0)
    folder = exported(format="lerobot", media="video")
    assert len(list((folder / "videos").rglob("*.mp4"))) > 2
    check_export(folder)


def test_statistics_of_pictures_equal_those_of_their_pixels():
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (4, 9, 8, 3), dtype=np.uint8)
    levels = np.sum([lerobot.histogram(each) for each in pictures], axis=0)
    found = lerobot.picture_statistics(levels, 4)
    pixels = pictures.reshape(-1, 3) / 255
    for name, expected in lerobot.value_statistics(pixels).items():
        if name == "count":
            assert found[name] == [4]
        else:
            assert np.shape(found[name]) == (3, 1, 1)
            np.testing.assert_allclose(np.ravel(found[name]), expected, atol=2 / 255)


def _shorten(folder):
    path = folder / "meta" / "info.json"
    info = json.loads(path.read_text())
    path.write_text(json.dumps(info | {"total_frames": 3}))


def _old_version(folder):
    path = folder / "meta" / "info.json"
    info = json.loads(path.read_text())
    path.write_text(json.dumps(info | {"codebase_version": "v2.1"}))


def _cut_data(folder):
    path = folder / "data" / "chunk-000" / "file-000.parquet"
    path.write_bytes(path.read_bytes()[:500])


def _no_tasks(folder):
    (folder / "meta" / "tasks.parquet").unlink()


def _other_mean(folder):
    path = folder / "meta" / "stats.json"
    found = json.loads(path.read_text())
    found["action"]["mean"] = [99.0]
    path.write_text(json.dumps(found))


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (_shorten, "info.json: the totals differ"),
        (_old_version, "its version is not v3.0"),
        (_cut_data, "file-000.parquet: damaged"),
        (_no_tasks, "tasks.parquet: missing"),
        (_other_mean, "stats.json: the mean of action differs"),
    ],
)
def test_damage_is_named(exported, damage, problem):
    folder = exported(format="lerobot")
    damage(folder)
    with pytest.raises((ValueError, FileNotFoundError), match=problem):
        check_export(folder)


@pytest.fixture(scope="session")
def lerobot_python():
    """Python with the package lerobot."""
    path = os.environ.get("CLIPNAV_LEROBOT_PYTHON")
    if not path:
        pytest.skip("CLIPNAV_LEROBOT_PYTHON does not name a Python with the package lerobot")
    return path


@pytest.mark.parametrize("media", ["image", "video"])
def test_the_package_lerobot_loads_an_export(exported, lerobot_python, tmp_path, media):
    folder = exported(format="lerobot", media=media)
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    environment |= {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "hf")}
    ran = subprocess.run(
        [lerobot_python, "-c", _LOADING, str(folder)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert ran.returncode == 0, ran.stderr
    loaded = json.loads(ran.stdout.splitlines()[-1])
    reader = LeRobotReader(folder)
    assert loaded["episodes"] == len(reader.episodes)
    assert loaded["fps"] == 1
    assert loaded["tasks"] == [reader.tasks[task] for (task,) in reader.columns["task_index"]]
    assert loaded["actions"] == reader.columns[ACTION][:, 0].tolist()
    np.testing.assert_allclose(loaded["states"], reader.columns[STATE], atol=1e-6)
    assert loaded["shapes"] == [[3, 32, 32]]
    means = [frame.mean((0, 1)) for frame in reader.frames()]
    np.testing.assert_allclose(loaded["pictures"], means, atol=3)
    np.testing.assert_allclose(loaded["mean"], np.mean(means, axis=0) / 255, atol=0.01)
