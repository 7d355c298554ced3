"""Pre-training, fine-tuning, evaluation and answering in several languages, by the commands."""

import json
import shutil

import numpy as np
import pytest
import torch

from clipnav.vl_tasks.multilingual.task import MultilingualTask
from clipnav.vl_tasks.specs import parse_task
from tests.vl_tasks.multilingual.conftest import NEW, SIZES, SMALL

MODEL = ("--model", "multilingual", "--preset", "houses", "--min-count", 1, *SMALL)
SPLITS = ("--select-by", "val", "--evaluation-splits", "val")


@pytest.fixture(scope="module")
def monkeymodule():
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope="module")
def pretrained(languages, run_folder, monkeymodule):
    """Run of a pre-training on masked words in three languages."""
    from clipnav.cli import main

    monkeymodule.setenv("CLIPNAV_TRACEBACK", "1")
    output = run_folder / "pretrained"
    arguments = (
        "pretrain-vl", "--objective", "masked-words", "--languages", "en", "fr", "hi",
        "--preset", "houses", "--data", languages, "--select-by", "val", *SIZES, *SMALL,
        "--trunk.no-frozen", "--output", output,
    )  # fmt: skip
    assert not main([str(one) for one in arguments])
    return output


@pytest.fixture(scope="module")
def tuned(languages, run_folder, pretrained):
    """Run of a fine-tuning in three languages."""
    from clipnav.cli import main

    output = run_folder / "tuned"
    arguments = (
        "finetune-vqa", *MODEL, *SPLITS, "--data", languages, "--languages", "en", "fr", "hi",
        "--start-from", pretrained, "--output", output, "--submit", "test",
    )  # fmt: skip
    assert not main([str(one) for one in arguments])
    return output


def results(run):
    return json.loads((run / "results.json").read_text())["results"]


def test_results_have_scores_of_each_language(tuned):
    scores = results(tuned)["val"]
    assert list(scores["languages"]) == ["en", "fr", "hi"]
    assert all(one["questions"] == 24 for one in scores["languages"].values())
    mean = sum(one["overall"] for one in scores["languages"].values()) / 3
    assert scores["accuracy"] == pytest.approx(mean)
    assert scores["shared"] == 24
    assert scores["agreement"].keys() == {"fr", "hi"}
    assert 0 <= scores["consistency"] <= min(scores["agreement"].values()) <= 100
    logged = [json.loads(line) for line in (tuned / "metrics.jsonl").read_text().splitlines()]
    names = {name for record in logged for name in record}
    assert any("accuracy_fr" in name for name in names), names
    assert any("consistency" in name for name in names), names


def test_accuracy_and_consistency_are_plotted(run_command, tuned, tmp_path):
    printed = run_command("plot-results", tuned, "--output", tmp_path)
    assert str(tmp_path / "answers_by_language.png") in printed
    assert (tmp_path / "answers_by_language.png").stat().st_size > 10_000


def test_submissions_are_written_per_language(tuned):
    files = sorted(path.name for path in tuned.glob("submission_test*.json"))
    assert files == ["submission_test.json", "submission_test_fr.json", "submission_test_hi.json"]
    assert all(len(json.loads((tuned / name).read_text())) == 12 for name in files)


def test_faithful_learns_one_answer_and_scores_unknown_ones(run_command, languages, tmp_path):
    printed = run_command(
        "finetune-vqa", *MODEL, *SPLITS, *NEW, "--data", languages, "--faithful",
        "--languages", "en", "fr", "--output", tmp_path / "run",
    )  # fmt: skip
    assert "published top-1 accuracy" in printed
    assert json.loads((tmp_path / "run" / "answers.json").read_text())[0] == "<unk>"
    assert 0 <= results(tmp_path / "run")["val"]["top_1"] <= 100
    image, question = next((languages / "images" / "val").iterdir()), "what colour is it?"
    flags = ("--run", tmp_path / "run", "--count", 9)
    lines = run_command("answer", image, question, *flags).splitlines()[1:]
    # Cross-entropy: probabilities.
    assert sum(float(line.split("%")[0]) for line in lines) == pytest.approx(100, abs=1)


@pytest.mark.parametrize("as_numbers", [False, True])
def test_faithful_looks_up_answers_as_they_are(languages, tmp_path, as_numbers):
    answers = ["<unk>", "0", "t shirt", "2", "red", "none"]
    labels = ["none", "t-shirt", "two", "red", "t shirt", "0", "a 2", "<unk>"]
    numbers = {answer: number for number, answer in enumerate(answers)}
    expected = [numbers.get(label, numbers["<unk>"]) for label in labels]
    images = sorted((languages / "images" / "train").iterdir())[: len(labels)]
    for split in ("train", "val"):
        shown = expected if as_numbers else labels
        rows = [f"{image.name}\twhat?\t{one}" for image, one in zip(images, shown, strict=True)]
        lines = ["image_file\tquestion\tanswer_label", *rows]
        (tmp_path / f"{split}.tsv").write_text("\n".join(lines) + "\n")
    (tmp_path / "answers_vqa.txt").write_text("\n".join(answers) + "\n")
    flags = (
        *MODEL[:4], *SMALL, *SPLITS, *NEW, "--data", tmp_path, "--images", images[0].parent,
        "--answers", tmp_path / "answers_vqa.txt", "--faithful", "--languages", "en",
    )  # fmt: skip
    learner = MultilingualTask(parse_task("vqa", [str(flag) for flag in flags]))
    logits = 99 * torch.eye(len(answers))[expected]
    assert learner.loss_of(logits, np.arange(len(labels))) < 1e-6


def refuse(run_command, pattern, *arguments):
    with pytest.raises((ValueError, FileNotFoundError), match=pattern) as caught:
        run_command("finetune-vqa", *arguments)
    assert "\n" not in str(caught.value)


def test_runs_of_another_model_are_refused(run_command, languages, pretrained, tmp_path):
    flags = ("--data", languages, "--start-from", pretrained, "--output", tmp_path / "run", *SPLITS)
    refuse(run_command, "pre-trained with --model multilingual", "--model", "clip-vil-p", *flags)
    spoken = ("--languages", "en", "fr", "hi")
    refuse(run_command, "pre-trained without --faithful", *MODEL, "--faithful", *spoken, *flags)


def test_questions_of_the_user_have_no_language(run_command, languages, tmp_path):
    folder = tmp_path / "own"
    folder.mkdir()
    image = next((languages / "images" / "val").iterdir())
    shutil.copy(image, folder / "photo.png")
    (folder / "questions.csv").write_text("image,question,answer\nphoto.png,what?,lamp\n")
    arguments = (*MODEL, *NEW, "--data", folder, "--languages", "en", "fr", "--select-by",
                 "held-out", "--evaluation-splits", "held-out")  # fmt: skip
    refuse(run_command, "questions have no language", *arguments)
