"""What clipnav visualise gathers from several sources, without a network to load."""

import json
import re

import msgspec
import pytest

from clipnav.agents.continuous.settings import ContinuousTrainConfig
from clipnav.agents.envdrop.settings import TrainConfig
from clipnav.commands.viewer.visualise import VisualiseConfig
from clipnav.commands.viewer.visualise_content import ContinuousContent, load_content
from clipnav.training.settings import to_json
from clipnav.viewer.site.continuous_walks import FreePictures
from clipnav.viewer.trace import write_trace


@pytest.fixture
def make_run(tmp_path, tiny_arguments, tiny_env, monkeypatch):
    """Makes folders of runs; somebody else walks in the place of their followers."""
    runs = {}

    def load_walkers(config, split):
        settings, agent = runs[config.run]
        return settings, tiny_env, {"follower": agent}

    def make(name, agent, **changes):
        run = tmp_path / name
        run.mkdir()
        runs[run] = TrainConfig(**{**tiny_arguments, **changes}), agent
        (run / "config.json").write_text(to_json(runs[run][0]))
        return run

    monkeypatch.setattr("clipnav.agents.experiments.runs.load_walkers", load_walkers)
    return make


class Counting:
    """Counts the walks of an agent."""

    def __init__(self, agent):
        self.act = agent.act
        self._agent, self.walks = agent, 0

    def begin(self, observation, info, live):
        self.walks += len(live)
        self._agent.begin(observation, info, live)


@pytest.fixture
def export(run_command, tmp_path):
    """Exports an episode of some sources; gives the content of the page."""

    def run(*arguments):
        page = tmp_path / "page.html"
        run_command("visualise", *arguments, "--split", "train", "--export", page)
        held = re.search(r'id="bundle">(.*?)</script>', page.read_text("utf-8"))
        return json.loads(held.group(1))

    return run


def test_runs_and_traces_of_one_name_get_distinct_names(
    make_run, export, traces, teacher, wanderer
):
    one, two = make_run("one", teacher), make_run("two", wanderer)
    write_trace(traces[0], one.parent / "recorded")
    walks = export(one, two, one.parent / "recorded")["traces"]["train/100_0"]
    assert list(walks) == ["follower one", "follower two", "teacher"]
    assert walks["follower one"]["agent"] == "follower one"


def test_only_the_episode_that_is_written_is_walked(make_run, export, wanderer):
    agent = Counting(wanderer)
    run = make_run("one", agent)
    assert export(run)["traces"].keys() == {"train/100_0"}
    assert export(run, "--episode", "101_1")["traces"].keys() == {"train/101_1"}
    assert agent.walks == 2
    with pytest.raises(ValueError, match="--episode 101_7: there is no such episode"):
        export(run, "--episode", "101_7")
    assert agent.walks == 2


def test_runs_of_two_data_folders_are_refused_before_anybody_walks(
    make_run, run_command, tiny_world, tmp_path, wanderer, monkeypatch
):
    agent = Counting(wanderer)
    other = tmp_path / "elsewhere"
    one, two = make_run("one", agent), make_run("two", agent, data_dir=str(other))
    page = ("--split", "train", "--export", tmp_path / "page.html")
    folders = f"{two}: its data folder is {other}, but that of {one} is {tiny_world}; show each"
    with pytest.raises(ValueError, match=re.escape(f"{folders} by itself, or pass --data-dir")):
        run_command("visualise", one, two, *page)
    assert agent.walks == 0
    run_command("visualise", one, two, *page, "--data-dir", tiny_world)
    # Another name of the same folder is no other folder.
    monkeypatch.chdir(tiny_world.parent)
    three = make_run("three", agent, data_dir=tiny_world.name)
    run_command("visualise", one, three, *page)
    assert agent.walks == 4


def test_an_episode_id_of_two_datasets_or_splits_is_not_written(
    make_run, run_command, traces, tiny_world, tmp_path, wanderer
):
    agent = Counting(wanderer)
    run, first = make_run("run", agent), tmp_path / "r2r"
    write_trace(traces[0], first)
    page = ("--export", tmp_path / "page.html", "--data-dir", tiny_world)
    for dataset, split in (("r4r", "train"), ("r2r", "val_seen")):
        second = tmp_path / split
        write_trace(msgspec.structs.replace(traces[0], dataset=dataset, split=split), second)
        message = f"{second}: has episodes of {dataset} {split}, beside those of r2r train in"
        with pytest.raises(ValueError, match=re.escape(f"{message} {first}, and only one")):
            run_command("visualise", first, second, *page)
        with pytest.raises(ValueError, match="run: has episodes of r2r train, beside"):
            run_command("visualise", second, run, "--split", "train", *page)
    assert agent.walks == 0
    # Another episode is not written, so its dataset does not matter.
    write_trace(msgspec.structs.replace(traces[1], dataset="r4r"), tmp_path / "other")
    run_command("visualise", first, tmp_path / "other", *page)


def test_with_nobody_there_is_nothing_to_write(export, tiny_world):
    with pytest.raises(ValueError, match="name a run, traces or a submission"):
        export("--data-dir", tiny_world)


def test_the_first_agents_of_two_runs_are_recorded_on_video_side_by_side(
    make_run, run_command, tmp_path, teacher, wanderer, monkeypatch
):
    recorded = []

    def write_video(path, traces, library, pictures, settings):
        recorded.append(([trace.agent for trace in traces], settings.size))
        path.write_bytes(b"video")

    monkeypatch.setattr("clipnav.viewer.videos.write_video", write_video)
    one, two = make_run("one", teacher), make_run("two", wanderer)
    video = ("--split", "train", "--video", tmp_path / "video.gif")
    run_command("visualise", one, two, *video)
    run_command("visualise", one, *video, "--size", "720x1280")
    run_command("visualise", one, two, *video, "--agent", "follower two")
    assert recorded == [
        (["follower one", "follower two"], None),
        (["follower"], (720, 1280)),
        (["follower two"], None),
    ]


def test_videos_that_cannot_be_made_are_refused_before_anybody_walks(
    make_run, run_command, tmp_path, wanderer
):
    agent = Counting(wanderer)
    run, other = make_run("one", agent), make_run("two", agent)
    video = ("--video", tmp_path / "video.gif")
    for complaint, arguments in {
        "write width and height": (*video, "--size", "large"),
        "even number": (*video, "--size", "101x100"),
        "need a wide frame": (*video, "--size", "720x1280", "--agent", "a", "b"),
    }.items():
        with pytest.raises(ValueError, match=complaint):
            run_command("visualise", run, "--split", "train", *arguments)
    with pytest.raises(ValueError, match="need a wide frame"):
        run_command("visualise", run, other, "--split", "train", *video, "--size", "720x1280")
    refused = (*video, "--agent", "a", "b", "c"), ("--size", "640x360"), ("--video", "video.avi")
    for arguments in refused:
        with pytest.raises(SystemExit):
            run_command("visualise", run, "--split", "train", *arguments)
    assert agent.walks == 0
    with pytest.raises(
        ValueError, match="'me' has not walked train/100_0; the agents are follower"
    ):
        run_command("visualise", run, "--split", "train", *video, "--agent", "me")


def test_continuous_traces_have_pictures_beside_walks_on_the_graph(expert_trace, tmp_path):
    write_trace(expert_trace, tmp_path)
    pictures = load_content(VisualiseConfig((tmp_path,), world="houses")).pictures
    assert isinstance(pictures, FreePictures)


def test_a_continuous_run_walks_the_episode_of_the_traces_that_is_written(
    make_recorder, tmp_path, monkeypatch
):
    def run_traces(content, run):
        return [msgspec.structs.replace(one, agent="cma") for one in content.expert_traces()]

    monkeypatch.setattr(ContinuousContent, "run_traces", run_traces)
    (trace,) = make_recorder("expert").record(["26000_1"])
    write_trace(trace, tmp_path / "traces")
    run = tmp_path / "run"
    run.mkdir()
    (run / "config.json").write_text(to_json(ContinuousTrainConfig(output=run)))
    sources, page = (tmp_path / "traces", run), tmp_path / "page.html"
    config = VisualiseConfig(sources, environment="continuous", export=page)
    library = load_content(config).library
    assert list(library.walks("val_unseen/26000_1")) == ["expert", "cma"]


@pytest.mark.parametrize(
    "flags",
    [
        ("--frontier",),
        ("--no-baselines",),
        ("--features", "views.safetensors"),
        ("--no-baselines", "--environment", "continuous"),
    ],
)
def test_settings_of_runs_are_refused_without_a_run(run_command, traces, tmp_path, flags):
    write_trace(traces[0], tmp_path / "recorded")
    for sources in ([tmp_path / "recorded"], []):
        with pytest.raises(ValueError, match=rf"{flags[0]}.* applies to runs: name a run"):
            run_command("visualise", *sources, *flags)


def test_the_first_episodes_of_traces_are_shown(traces, tiny_world, tmp_path):
    for trace in traces:
        write_trace(trace, tmp_path)
    ids = sorted({trace.instr_id for trace in traces})
    assert len(ids) > 1

    def shown(count):
        config = VisualiseConfig((tmp_path,), data_dir=tiny_world, episodes=count)
        library = load_content(config).library
        return [name for name in ids if library.walks(f"train/{name}")]

    assert shown(None) == ids
    assert len(shown(1)) == 1
