"""Walks that a person steers: saved step by step, resumed after a crash, never overwritten."""

import json
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest

from clipnav.envs.pictures.panorama_files import NoPictures
from clipnav.viewer.site.library import episode_of
from clipnav.viewer.site.manual_walks import ManualWalks
from clipnav.viewer.site.routes import RequestError, SiteRoutes
from clipnav.viewer.trace import read_traces, trace_of_path
from clipnav.viewer.trace.building import Setting

KEY = "train/100_0"


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "you" / "matterport" / "r2r"


def walked(progress):
    return [step.viewpoint for step in progress.trace.steps]


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_person_walks_and_the_walk_is_saved_when_they_stop(library, traces, tmp_path, folder):
    site = SiteRoutes(library, NoPictures("none"), ManualWalks(library, tmp_path))

    def order(path, **body):
        return json.loads(site.post(path, {"episode": KEY, **body}).body)

    drive = order("/api/walk")
    for number, step in enumerate(traces[0].steps[:-1]):
        drive = order("/api/act", action=step.action, step=number)
    assert drive["trace"]["ending"] == "under way"
    assert drive["file"] is None
    last = len(traces[0].steps) - 1
    with pytest.raises(RequestError, match=r"99 is not in 0\.\."):
        order("/api/act", action=99, step=last)
    drive = order("/api/act", action=0, step=last)
    assert drive["trace"]["ending"] == "stopped"
    assert drive["trace"]["steps"][-1]["metrics"]["SR"] == 1
    assert drive["file"] == str(folder / "100_0.json")
    with pytest.raises(RequestError, match="over"):
        order("/api/act", action=1, step=last)
    (saved,) = read_traces(tmp_path)
    assert saved.agent == "you"
    assert saved.walked == traces[0].walked
    assert names(folder) == ["100_0.json"]
    rows = json.loads(site.get("/api/episodes", {}).body)
    assert rows[0]["walks"]["you"]["outcome"] == "success"
    assert not rows[0]["unfinished"]


def test_a_walk_outlives_the_server(library, tmp_path, folder):
    first = ManualWalks(library, tmp_path)
    first.start(KEY)
    assert not folder.exists()
    before = first.act(KEY, 1, 0)
    assert names(folder) == ["100_0.walking"]
    with pytest.raises(FileNotFoundError):
        read_traces(tmp_path)
    again = ManualWalks(library, tmp_path)
    assert again.unfinished() == {KEY}
    assert again.act(KEY, 2, 1).trace.steps[0] == before.trace.steps[0]
    assert ManualWalks(library, tmp_path).start(KEY) == again.start(KEY)
    assert len(walked(again.start(KEY))) == 3


def test_the_second_half_of_a_double_click_changes_nothing(library, tmp_path):
    manual_walks = ManualWalks(library, tmp_path)
    manual_walks.start(KEY)
    once = manual_walks.act(KEY, 1, 0)
    assert manual_walks.act(KEY, 1, 0) == once
    assert manual_walks.start(KEY) == once
    over = manual_walks.act(KEY, 0, 1)
    assert manual_walks.act(KEY, 0, 1) == over
    assert over.file is not None


def test_a_step_that_cannot_be_saved_has_not_happened(library, tmp_path):
    manual_walks = ManualWalks(library, tmp_path)
    site = SiteRoutes(library, NoPictures("none"), manual_walks)
    manual_walks.start(KEY)
    (tmp_path / "you").write_text("a file where the folder should be")
    with pytest.raises(RequestError, match="your walk cannot be saved") as refused:
        site.post("/api/act", {"episode": KEY, "action": 1, "step": 0})
    assert refused.value.status == 507
    (tmp_path / "you").unlink()
    assert len(walked(manual_walks.start(KEY))) == 1
    assert len(walked(manual_walks.act(KEY, 1, 0))) == 2


def test_no_walk_is_overwritten(library, tmp_path, folder):
    manual_walks = ManualWalks(library, tmp_path)
    for first in (1, 1):
        manual_walks.start(KEY)
        manual_walks.act(KEY, first, 0)
        manual_walks.act(KEY, 0, 1)
    assert names(folder) == ["100_0.earlier-1", "100_0.json"]
    manual_walks.start(KEY)
    manual_walks.act(KEY, 1, 0)
    assert len(walked(manual_walks.start(KEY, restart=True))) == 1
    assert names(folder) == ["100_0.earlier-1", "100_0.earlier-2", "100_0.json"]
    assert len(read_traces(tmp_path)) == 1


def test_a_saved_walk_of_another_graph_is_named(library, tmp_path, folder):
    manual_walks = ManualWalks(library, tmp_path)
    manual_walks.start(KEY)
    manual_walks.act(KEY, 1, 0)
    path = folder / "100_0.walking"
    path.write_bytes(path.read_bytes().replace(b'"instr_id":"100_0"', b'"instr_id":"100_1"'))
    site = SiteRoutes(library, NoPictures("none"), ManualWalks(library, tmp_path))
    with pytest.raises(RequestError, match=r"100_0\.walking: this walk is of another episode"):
        site.post("/api/walk", {"episode": KEY})


def test_splits_of_r4r_share_ids_but_no_files(library, tmp_path, traces):
    splits = ("val_seen", "val_unseen")
    library.add(msgspec.structs.replace(traces[0], dataset="r4r", split=split) for split in splits)
    keys = [f"r4r/{split}/100_0" for split in splits]
    manual_walks = ManualWalks(library, tmp_path)
    for key in keys:
        manual_walks.start(key)
        manual_walks.act(key, 1, 0)
    assert ManualWalks(library, tmp_path).unfinished() == set(keys)
    files = [manual_walks.act(key, 0, 1).file for key in keys]
    folder = tmp_path / "you" / "matterport" / "r4r"
    assert files == [folder / split / "100_0.json" for split in splits]
    assert [names(folder / split) for split in splits] == [["100_0.json"]] * 2
    assert [trace.split for trace in read_traces(tmp_path)] == list(splits)
    assert library.trace(keys[0], "you").split == "val_seen"


def test_walks_that_left_the_memory_are_read_from_disk(library, tmp_path, monkeypatch):
    monkeypatch.setattr("clipnav.viewer.site.manual_walks._IN_MEMORY", 1)
    manual_walks = ManualWalks(library, tmp_path)
    keys = (KEY, "train/101_0")
    for key in keys:
        manual_walks.start(key)
        manual_walks.act(key, 1, 0)
    assert [len(walked(manual_walks.act(key, 1, 1))) for key in keys] == [3, 3]


def test_a_person_takes_over_from_an_agent(library, tmp_path, folder, traces):
    wanderer = traces[14]
    manual_walks = ManualWalks(library, tmp_path)
    manual_walks.start(KEY)
    manual_walks.act(KEY, 1, 0)
    taken = manual_walks.start(KEY, "wanderer", 2)
    assert walked(taken) == list(wanderer.walked[:3])
    assert ManualWalks(library, tmp_path).start(KEY) == taken
    assert names(folder) == ["100_0.earlier-1", "100_0.walking"]


def test_nobody_takes_over_after_a_step_without_an_edge(library, tmp_path, folder, traces):
    graph, episode = library.graph(traces[0].scan), episode_of(traces[0])
    path = [*traces[0].walked[:2], "a8"]
    library.add(
        [trace_of_path(Setting("jumper", "matterport", "r2r", "train"), episode, graph, path)]
    )
    site = SiteRoutes(library, NoPictures("none"), ManualWalks(library, tmp_path))
    site.post("/api/walk", {"episode": KEY, "agent": "jumper", "steps": 1})
    reason = "to step 2: its step 2 is reached from step 1 without an edge; take over before it"
    with pytest.raises(RequestError, match=f"your walk cannot follow 'jumper' {reason}"):
        site.post("/api/walk", {"episode": KEY, "agent": "jumper", "steps": 2})
    # The walk that was under way remains.
    assert walked(ManualWalks(library, tmp_path).start(KEY)) == path[:2]
    assert names(folder) == ["100_0.walking"]


def test_two_servers_continue_one_walk(library, tmp_path, folder):
    """A step that was chosen before the other server's step is not taken after it."""
    first, second = ManualWalks(library, tmp_path), ManualWalks(library, tmp_path)
    for one in (first, second):
        one.start(KEY)
    moved = first.act(KEY, 1, 0)
    assert second.act(KEY, 2, 0) == moved
    further = second.act(KEY, 2, 1)
    assert first.act(KEY, 1, 1) == further
    assert first.start(KEY) == further
    assert len(walked(first.act(KEY, 1, 2))) == 4
    assert names(folder) == ["100_0.walking"]


def test_a_server_does_not_overwrite_what_another_one_starts_over(library, tmp_path, folder):
    first, second = ManualWalks(library, tmp_path), ManualWalks(library, tmp_path)
    for step in range(2):
        first.start(KEY)
        first.act(KEY, 1, step)
    second.start(KEY, restart=True)
    with pytest.raises(
        ValueError, match=r"100_0\.walking: this file is gone, because the walk was"
    ):
        first.act(KEY, 1, 2)
    for step in range(2):
        again = second.act(KEY, 2, step)
    # As many steps as the first server's walk, but other ones.
    assert first.act(KEY, 1, 2) == again
    assert names(folder) == ["100_0.earlier-1", "100_0.walking"]
    (kept,) = read_traces(folder / "100_0.walking")
    assert kept == again.trace


def test_a_walk_that_another_server_finished_is_over(library, tmp_path, folder):
    first, second = ManualWalks(library, tmp_path), ManualWalks(library, tmp_path)
    first.start(KEY)
    first.act(KEY, 1, 0)
    second.start(KEY)
    second.act(KEY, 0, 1)
    with pytest.raises(ValueError, match="finished or started over in another viewer"):
        first.act(KEY, 1, 1)
    assert len(walked(first.start(KEY))) == 1
    assert names(folder) == ["100_0.json"]


def test_a_step_waits_for_the_lock_of_the_file(
    library, tmp_path, folder, locked_elsewhere, waiting_messages
):
    walks, path = ManualWalks(library, tmp_path), folder / "100_0.walking"
    walks.start(KEY)
    with ThreadPoolExecutor(1) as pool, locked_elsewhere(path, "waiting_lock") as other:
        step = pool.submit(walks.act, KEY, 1, 0)
        assert "waiting" in waiting_messages.get(timeout=60)
        assert not step.done()
        assert not path.exists()
        other.stdin.close()
        assert len(walked(step.result())) == 2
    assert names(folder) == ["100_0.walking"]
