import json
import shutil

import pytest

METRICS = ["TL", "NE", "OSR", "SR", "SPL", "nDTW", "sDTW"]


@pytest.fixture
def arguments(tiny_world):
    """Flags of a run that is over in a moment."""
    return [
        *("--world", "matterport", "--data-dir", tiny_world),
        *("--features", tiny_world / "features.safetensors", "--batch-size", "4", "--threads", "1"),
        *("--evaluation-splits", "val_unseen", "--select-by", "val_unseen"),
        *("--follower.hidden-size", "16", "--follower.embedding-size", "8"),
    ]


def test_train_resume_and_evaluate(command, arguments, tmp_path):
    run = tmp_path / "run"
    trained = command("train-agent", *arguments, "--iterations", "2", "--output", run)
    assert trained.returncode == 0, trained.stderr
    lines = trained.stdout.splitlines()
    assert lines[0].split() == ["split", "agent", *METRICS]
    names = [line.removeprefix("val_unseen").strip()[:13].strip() for line in lines[1:5]]
    assert names == ["follower", "random", "forward", "shortest path"]
    report = json.loads((run / "results.json").read_text())
    assert set(METRICS) <= report["results"]["val_unseen"]["follower"].keys()

    resumed = command("train-agent", "--resume", run, "--iterations", "3")
    assert resumed.returncode == 0, resumed.stderr
    assert json.loads((run / "results.json").read_text())["iterations"] == 3

    submission = tmp_path / "submission.json"
    evaluated = command("evaluate-agent", run, "--splits", "test", "--submission", submission)
    assert evaluated.returncode == 0, evaluated.stderr
    assert len(json.loads(submission.read_text())) == 4

    traces = ("--traces", tmp_path / "traces", "--no-baselines")
    evaluated = command("evaluate-agent", run, "--splits", "train", "val_unseen", *traces)
    assert evaluated.returncode == 0, evaluated.stderr
    recorded = {path: path.read_text() for path in (tmp_path / "traces").rglob("*.json")}
    assert {json.loads(text)["split"] for text in recorded.values()} == {"train", "val_unseen"}
    other = shutil.copytree(run, tmp_path / "other")
    refused = command("evaluate-agent", other, *traces)
    assert f"--traces {tmp_path / 'traces' / 'follower'}: already exists; name" in refused.stderr
    assert not refused.stdout
    assert {path: path.read_text() for path in recorded} == recorded


def test_speaker_back_translation_and_search(arguments, tmp_path, run_command):
    speaker, run = tmp_path / "speaker", tmp_path / "run"
    common = arguments[: arguments.index("--follower.hidden-size")]
    sizes = ["--speaker.hidden-size", "16", "--speaker.embedding-size", "8"]
    printed = run_command(
        "train-speaker", *common, *sizes, "--iterations", "2", "--output", speaker
    )
    assert "val_unseen: BLEU" in printed
    run_command(
        "train-agent",
        *(*arguments, "--back-translation.speaker", speaker, "--back-translation.paths", "10"),
        *("--iterations", "1", "--output", run),
    )
    searched = run_command(
        "evaluate-agent",
        *(run, "--no-baselines", "--search.method", "beam", "--search.speaker", speaker),
        *("--search.tune", "val_unseen"),
    )
    assert "follower, beam and speaker, whole walk" in searched
    page = tmp_path / "page.html"
    run_command("visualise", run, "--frontier", "--no-baselines", "--export", page)
    assert '"agent":"follower, frontier"' in page.read_text()


def test_rxr_is_learnt_and_scored_by_language(arguments, tmp_path, run_command):
    run, submission = tmp_path / "run", tmp_path / "paths.jsonl"
    train = ("train-agent", "--dataset", "rxr", *arguments, "--iterations", "1")
    printed = run_command(*train, "--output", run)
    followers = [line.split()[0] for line in printed.splitlines() if "  follower  " in line]
    assert followers == ["val_unseen", "val_unseen/en", "val_unseen/hi"]
    with pytest.raises(ValueError, match="requires en, hi, te, but the episodes lack te"):
        run_command("evaluate-agent", run, "--splits", "val_unseen", "--submission", submission)
    ablations = ("--instruction-language", "hi", "--no-vision", "--instruction-ablation", "empty")
    printed = run_command(*train, *ablations, "--output", tmp_path / "ablated")
    assert "follower (no vision, empty instructions)" in printed


def test_bad_input_ends_with_its_name_and_leaves_no_run(command, arguments, tmp_path):
    missing = tmp_path / "missing.safetensors"
    done = command("train-agent", *arguments, "--features", missing, "--output", tmp_path / "run")
    assert done.returncode != 0
    assert str(missing) in done.stderr
    assert not (tmp_path / "run").exists()
