import json
import logging
import re
import socket
import subprocess
import sys
import urllib.request

import msgspec
import pytest

from clipnav.commands.viewer.visualise import show_announcements
from clipnav.envs.submissions.ground_truth import ScoringRules, load_ground_truth
from clipnav.viewer.trace import traces_of_submission, write_trace


@pytest.fixture
def submission(tmp_path):
    """Two walks through the tiny world's training split, in the form of the R2R server."""
    path = tmp_path / "mine.json"
    walks = {"100_0": ["a0", "a1", "a2", "a5"], "101_1": ["a6", "a7"]}
    records = [
        {"instr_id": name, "trajectory": [[v, 0.0, 0.0] for v in walk]}
        for name, walk in walks.items()
    ]
    path.write_text(json.dumps(records))
    return path


def test_a_submission_becomes_a_page_and_a_video(command, submission, tiny_world, tmp_path):
    page, video = tmp_path / "episode.html", tmp_path / "episode.gif"
    done = command(
        *("visualise", submission),
        *("--data-dir", tiny_world, "--split", "train"),
        *("--episode", "101_1", "--export", page, "--video", video, "--size", "480x360"),
    )
    assert done.returncode == 0, done.stderr
    assert "instructions without a path: 12" in done.stdout
    assert '"instr_id":"101_1"' in page.read_text("utf-8")
    assert video.read_bytes().startswith(b"GIF8")


def test_the_page_is_served_until_it_is_ended(submission, tiny_world):
    arguments = [
        *(submission, "--world", "matterport", "--data-dir", tiny_world, "--split", "train"),
        *("--no-browser", "--port", "0"),
    ]
    served = subprocess.Popen(
        [sys.executable, "-m", "clipnav", "visualise", *map(str, arguments)],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert served.stdout is not None
        url = next(
            found.group() for line in served.stdout if (found := re.search(r"http://\S+", line))
        )
        with urllib.request.urlopen(f"{url}api/site") as answer:
            assert json.load(answer)["agents"] == ["mine"]
    finally:
        served.kill()
        served.communicate()


def test_errors_name_sources_that_cannot_be_shown(command, submission, tiny_world, tmp_path):
    world = ("--world", "matterport", "--data-dir", tiny_world, "--split", "train")
    page = tmp_path / "x.html"
    cases = {
        "name a run": (tmp_path / "nothing",),
        "--episode 7_7: there is no such": (
            submission,
            *world,
            "--episode",
            "7_7",
            "--export",
            page,
        ),
        "no walk that can be shown": (submission, "--export", page),
        "add --export, --video or --rerun": (submission, "--episode", "7_7"),
        "--agent x has no effect without --video": (
            submission,
            "--agent",
            "x",
            "--export",
            page,
        ),
        "--port 65536: must be between": (submission, "--port", "65536"),
    }
    for complaint, arguments in cases.items():
        done = command("visualise", *arguments)
        assert done.returncode in (1, 2)
        assert complaint in " ".join(done.stderr.replace("│", "").split())
        assert "Traceback" not in done.stderr


def test_a_port_in_use_is_an_error_before_anything_is_read(command, submission, tiny_world):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = command(
            *("visualise", submission, "--data-dir", tiny_world, "--split", "train"),
            *("--no-browser", "--port", port),
        )
    assert done.returncode == 1
    assert f"port {port}" in done.stderr
    assert "--port 0" in done.stderr
    assert done.stdout == ""


def test_figures_of_a_run(command, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    (run / "config.json").write_text("{}")
    events = [
        {"kind": "train", "iteration": 50, "loss": 2.0},
        {"kind": "val_seen", "iteration": 50, "SR": 0.4},
    ]
    (run / "metrics.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    done = command("plot-results", run, "--output", tmp_path / "figures", "--format", "svg")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "figures" / "training.svg").read_text().count("<path") > 3
    refused = command("plot-results", run / "metrics.jsonl", "--output", tmp_path / "figures")
    assert f"nor traces; name the folder of the run, {run}\n" in refused.stderr


def test_sources_of_one_name_stay_apart_in_figures(submission, run_command, tiny_world, tmp_path):
    ground_truth = load_ground_truth(ScoringRules(splits=("train",), data_dir=tiny_world))
    traces, _ = traces_of_submission(submission, ground_truth, "matterport", "r2r")
    for place, trace in zip("ab", traces, strict=True):
        run = tmp_path / place / "run"
        run.mkdir(parents=True)
        (run / "config.json").write_text("{}")
        event = {"kind": "train", "iteration": 50, "loss": 2.0}
        (run / "metrics.jsonl").write_text(json.dumps(event) + "\n")
        write_trace(trace, tmp_path / place / "traces")
    sources = [tmp_path / place / kind for place in "ab" for kind in ("run", "traces")]
    run_command("plot-results", *sources, "--output", tmp_path, "--format", "svg")
    for figure, name in {
        "training": "{}/run",
        "outcomes": f"{submission.stem} {{}}/traces",
    }.items():
        text = (tmp_path / f"{figure}.svg").read_text()
        assert all(f"<!-- {name.format(place)} -->" in text for place in "ab")
    assert not (tmp_path / "languages.svg").exists()
    write_trace(msgspec.structs.replace(traces[0], language="hi-IN"), tmp_path / "hindi")
    run_command("plot-results", *sources, tmp_path / "hindi", "--output", tmp_path)
    assert (tmp_path / "languages.png").exists()


def test_only_announcements_of_the_environments_are_shown(monkeypatch, capsys):
    monkeypatch.setattr(logging.root, "handlers", [])
    show_announcements()
    logging.info("Parsing tokenizer identifier")  # as open_clip does
    logging.getLogger("clipnav.envs.houses").info("building house_00 ...")
    logging.getLogger("clipnav.envs").setLevel(logging.NOTSET)
    assert capsys.readouterr().err == "building house_00 ...\n"
