"""The command clipnav evaluate-vlm in the tiny world."""

import json
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import save_file

from clipnav.agents.envdrop.settings import TrainConfig
from clipnav.training.settings import to_json
from clipnav.viewer.trace.format import read_traces
from tests.agents.language_models.servers import Sent, serving, user_text


def stop_at_the_third_place(body):
    walked = re.findall(r"^Places walked: ([\d ]+)$", user_text(body), re.M)[0].split()
    return json.dumps({"thought": "on", "action": "stop" if len(walked) > 2 else "B"})


@pytest.fixture
def arguments(tiny_world, tmp_path):
    return [
        *("--world", "matterport", "--data-dir", tiny_world, "--pictures", "none"),
        *("--model", "oracle", "--episodes", "8"),
        *("--output", tmp_path / "out", "--cache", tmp_path / "cache"),
    ]


def test_scores_traces_and_a_submission_are_written(arguments, tmp_path, run_command):
    submission = tmp_path / "submission.json"
    with serving(stop_at_the_third_place) as server:
        printed = run_command(
            "evaluate-vlm", "--url", server.url, *arguments, "--submission", submission
        )
    lines = printed.splitlines()
    table = [line.split()[1] for line in lines if line.startswith("val_unseen ")]
    assert table == ["oracle", "random", "forward", "shortest"]
    assert "episodes 8, decisions 24, answers 24" in printed
    traces = read_traces(tmp_path / "out" / "traces.jsonl")
    assert len(traces) == 8
    assert all(len(trace.steps) == 3 and trace.ending == "stopped" for trace in traces)
    assert traces[0].steps[0].model.thought == "on"
    assert "Instruction: Walk past" in traces[0].steps[0].model.prompt[1].text
    walked = {one["instr_id"]: one["trajectory"] for one in json.loads(submission.read_text())}
    assert [pose[0] for pose in walked[traces[0].instr_id]] == list(traces[0].walked)
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert set(results["results"]["val_unseen"]["oracle"]) >= {"SR", "SPL", "NE", "episodes"}
    page = tmp_path / "page.html"
    run_command(
        *("visualise", tmp_path / "out", "--export", page),
        *("--data-dir", arguments[3]),
    )
    assert "Instruction: Walk past" in page.read_text()


def test_a_model_named_as_a_baseline_has_a_row_of_its_own(arguments, tmp_path, run_command):
    name = "org/forward"
    with serving(stop_at_the_third_place) as server:
        server.models = [name]
        run_command("evaluate-vlm", "--url", server.url, *arguments, "--model", name)
    rows = json.loads((tmp_path / "out" / "results.json").read_text())["results"]["val_unseen"]
    assert list(rows) == ["forward (model)", "random", "forward", "shortest path"]
    assert {trace.agent for trace in read_traces(tmp_path / "out")} == {"forward (model)"}


def test_walks_without_a_stop_have_traces(arguments, tmp_path, run_command):
    answers = iter(['{"action": "B"}', "?", "?"] * 8)
    with serving(lambda body: next(answers)) as server:
        run_command("evaluate-vlm", "--url", server.url, *arguments, "--concurrency", "1")
    for trace in read_traces(tmp_path / "out" / "traces.jsonl"):
        assert trace.ending == "cut off"
        assert [step.action for step in trace.steps] == [1, None]
        assert [answer.kind for answer in trace.steps[1].model.answers] == ["invalid", "invalid"]
    with serving(lambda body: '{"action": "B"}') as server:
        run_command(
            *("evaluate-vlm", "--url", server.url, *arguments, "--max-episode-steps", "2"),
            *("--output", tmp_path / "limited"),
        )
    for trace in read_traces(tmp_path / "limited" / "traces.jsonl"):
        assert [step.action for step in trace.steps] == [1, 1, None]


def test_failed_walks_have_no_traces(arguments, tmp_path, run_command):
    answers = iter([Sent(500, {}, b"")] * 3)
    with serving(lambda body: next(answers, None) or stop_at_the_third_place(body)) as server:
        with pytest.raises(SystemExit) as exit_:
            run_command(
                *("evaluate-vlm", "--url", server.url, *arguments),
                *("--concurrency", "1", "--max-retries", "0"),
            )
    assert exit_.value.code == 1
    requests = [json.loads(line) for line in (tmp_path / "out" / "requests.jsonl").open()]
    failed = {one["episode"] for one in requests if "error" in one}
    walked = {trace.instr_id for trace in read_traces(tmp_path / "out")}
    assert (len(failed), len(walked)) == (3, 5)
    assert not failed & walked


def test_a_dry_run_sends_nothing(arguments, tmp_path, run_command):
    printed = run_command("evaluate-vlm", "--url", "http://127.0.0.1:9/v1", *arguments, "--dry-run")
    assert re.search(r"8 episodes: \d+ requests along the teacher's paths, with 0 pict", printed)
    lines = (tmp_path / "out" / "prompts.jsonl").read_text().splitlines()
    assert json.loads(lines[0])["prompt"].startswith("system:\nYou steer a robot")


def test_trained_agents_are_evaluated_on_the_same_episodes(
    arguments, tiny_world, tmp_path, run_command
):
    run = tmp_path / "follower"
    run_command(
        *("train-agent", "--world", "matterport", "--data-dir", tiny_world),
        *("--features", tiny_world / "features.safetensors", "--batch-size", "4"),
        *("--evaluation-splits", "val_unseen", "--select-by", "val_unseen", "--threads", "1"),
        *("--follower.hidden-size", "16", "--follower.embedding-size", "8"),
        *("--iterations", "1", "--output", run),
    )
    with serving(stop_at_the_third_place) as server:
        printed = run_command(
            "evaluate-vlm", "--url", server.url, *arguments, "--episodes", "6", "--runs", run
        )
    assert "val_unseen  follower " in printed
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert results["results"]["val_unseen"]["follower"]["episodes"] == 6
    assert "SR" in results["differences"]["val_unseen"]["follower"]

    other = shutil.copytree(run, tmp_path / "other" / "follower")
    with serving(stop_at_the_third_place) as server:
        run_command(
            *("evaluate-vlm", "--url", server.url, *arguments, "--runs", run, other),
            *("--output", tmp_path / "both"),
        )
    results = json.loads((tmp_path / "both" / "results.json").read_text())["results"]["val_unseen"]
    assert list(results)[1:3] == [f"{tmp_path.name}/follower", "other/follower"]


def test_runs_are_read_before_the_first_request(arguments, tmp_path, run_command):
    def refuse(body):
        raise AssertionError("a request was sent")

    random, settings = tmp_path / "random", TrainConfig(world="matterport")
    random.mkdir()
    with serving(refuse) as server:
        evaluate = ("evaluate-vlm", "--url", server.url, *arguments, "--runs")
        with pytest.raises(FileNotFoundError, match=r"nope/config\.json: no such file; name a run"):
            run_command(*evaluate, tmp_path / "nope")
        (random / "config.json").write_text(to_json(settings))
        with pytest.raises(FileNotFoundError, match=r"random/model\.safetensors: no such file"):
            run_command(*evaluate, random)
        save_file({}, random / "model.safetensors")
        with pytest.raises(ValueError, match="random is the name of another row; rename the"):
            run_command(*evaluate, random)
        (random / "config.json").write_text(to_json(replace(settings, dataset="rxr")))
        with pytest.raises(ValueError, match="trained on rxr in matterport, but the evaluation is"):
            run_command(*evaluate, random)


def test_evaluations_without_episodes_or_pictures_are_refused(arguments, run_command):
    evaluate = ("evaluate-vlm", "--url", "http://127.0.0.1:9/v1", *arguments)
    with pytest.raises(ValueError, match="--episodes 9999: the split has 8 episodes"):
        run_command(*evaluate, "--episodes", "9999")
    with pytest.raises(ValueError, match="no pictures"):
        run_command(*evaluate, "--pictures", "candidates")


def test_walks_in_continuous_space_are_submitted(tmp_path, run_command):
    submission = tmp_path / "walks.json"
    with serving(lambda body: '{"action": "D"}') as server:
        printed = run_command(
            *("evaluate-vlm", "--url", server.url, "--model", "oracle"),
            *("--environment", "continuous"),
            *("--pictures", "none", "--episodes", "1", "--max-episode-steps", "3"),
            *("--output", tmp_path / "out", "--cache", tmp_path / "cache"),
            *("--submission", submission),
        )
    assert "ended by the limit 1" in printed
    assert re.search(r"val_unseen +expert ", printed)
    walks = json.loads(submission.read_text())
    assert [len(poses) for poses in walks.values()] == [4]
    assert not (tmp_path / "out" / "traces.jsonl").exists()


def test_a_captioner_describes_the_views(arguments, tmp_path, run_command, monkeypatch):
    class Captioner:
        def __init__(self, run, device):
            assert (run.name, device) == ("captions", "cpu")

        def captions(self, images):
            assert all(image.stat().st_size for image in images)
            return ["a red sofa"] * len(images)

    def draw(config):
        return lambda view: np.zeros((8, 8, 3), np.uint8)

    monkeypatch.setattr("clipnav.vl_tasks.captioning.writing.LoadedCaptioner", Captioner)
    monkeypatch.setattr("clipnav.commands.agents.vlm_walks.world_drawing", draw)
    with serving(lambda body: '{"action": "stop"}') as server:
        run_command(
            *("evaluate-vlm", "--url", server.url, *arguments, "--strategy", "navgpt"),
            *("--captioner", tmp_path / "captions"),
        )
    assert user_text(server.requests[0]).count(": a red sofa") == 8
