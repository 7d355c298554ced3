"""The commands on a small data set, from training to a caption of an image."""

import json
import re
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from clipnav.training.checkpoints import MODEL
from clipnav.training.settings import CONFIG
from clipnav.vl_tasks.captioning.writing import LoadedCaptioner
from tests.vl_tasks.small_networks import MCAN

QUICK = ("--evaluate-every", "40", "--threads", "1", "--optimiser.warmup", "5")


@pytest.fixture
def command(run_command):
    return run_command


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return tmp_path_factory.mktemp("runs")


def results(run):
    return json.loads((run / "results.json").read_text())["results"]


def data_flags(shapes):
    return ("--data", shapes, "--preset", "houses", "--select-by", "val")


def test_vqa_learns_shapes_answers_and_submits(command, shapes, runs):
    run = runs / "vqa"
    flags = (*data_flags(shapes), "--evaluation-splits", "val", *QUICK, *MCAN)
    flags = (*flags, "--batch-size", "32", "--optimiser.learning-rate", "0.006")
    printed = command(
        "finetune-vqa", *flags, "--iterations", "60", "--output", run, "--submit", "test"
    )
    assert "val: accuracy" in printed
    assert results(run)["val"]["overall"] > 85
    submission = json.loads((run / "submission_test.json").read_text())
    assert len(submission) == 12
    assert submission[0].keys() == {"question_id", "answer"}

    image = next((shapes / "images" / "test").iterdir())
    printed = command("answer", image, "What colour is it?", "!", "--run", run, "--count", "2")
    lines = printed.splitlines()
    assert len(lines) == 6
    assert lines[0].startswith("What colour is it?: ")
    assert lines[0].split(": ")[1] in ("red", "green", "blue", "circle", "square")

    heat = runs / "heat.png"
    printed = command("explain-image", image, lines[0].split(": ")[1], "--question",
                      "what colour is it?", "--run", run, "--output", heat)  # fmt: skip
    assert re.search(r"heat\.png: \w+ [\d.]+%, grid of", printed)
    pixels = np.asarray(Image.open(heat)).astype(int)
    seen, laid = np.split(pixels, 2, axis=1)
    assert np.abs(laid - seen).max() > 50


def test_entailment_models_learn(command, shapes, runs):
    run = runs / "entailment"
    flags = (*data_flags(shapes), "--evaluation-splits", "val", *QUICK, "--model", "two-tower")
    flags = (*flags, "--batch-size", "32", "--optimiser.learning-rate", "0.001")
    command("finetune-snli-ve", *flags, "--iterations", "250", "--output", run)
    assert results(run)["val"]["accuracy"] > 0.8
    command("finetune-snli-ve", "--resume", run, "--submit", "test")
    submission = json.loads((run / "submission_test.json").read_text())
    assert {one["prediction"] for one in submission} <= {"contradiction", "neutral", "entailment"}
    assert len(submission) == 12


def test_captioners_learn_and_continue_with_self_critical_training(command, shapes, runs):
    run, critical = runs / "captions", runs / "scst"
    sizes = (
        "--captioner.hidden-size",
        "32",
        "--captioner.feed-forward-size",
        "48",
        "--captioner.layers",
        "1",
    )
    flags = (*data_flags(shapes), *QUICK, *sizes, "--batch-size", "16", "--tokenizer", "python")
    flags = (*flags, "--optimiser.learning-rate", "0.005", "--evaluation-splits", "val")
    command("train-captioner", *flags, "--iterations", "80", "--output", run)
    scores = results(run)["val, beams 3"]
    assert scores["scores"]["CIDEr-D"] > 2
    assert scores["tokenizer"] == "PTB-like (Python)"

    flags = ("--batch-size", "4", "--iterations", "2", "--submit", "test", "--output", critical)
    command("train-captioner", "--start-from", run, *flags)
    submission = json.loads((critical / "submission_test.json").read_text())
    assert submission[0].keys() == {"image_id", "caption"}
    images = sorted((shapes / "images" / "test").iterdir())[:2]
    lines = command("caption", *images, "--run", critical).splitlines()
    settings = json.loads((critical / "config.json").read_text())
    (critical / "config.json").write_text(json.dumps({**settings, "evaluation_batch_size": 1}))
    assert command("caption", *images, "--run", critical).splitlines() == lines
    assert [line.split(": ")[0] for line in lines] == [str(image) for image in images]
    assert any(word in lines[0] for word in ("circle", "square"))
    captioner = LoadedCaptioner(critical)
    captions = [captioner.captions([image])[0] for image in images]
    assert [line.split(": ")[1] for line in lines] == captions


def test_errors_name_bad_input_and_leave_no_run(command, shapes, tmp_path):
    run = tmp_path / "run"
    with pytest.raises(FileNotFoundError, match="the data folder does not exist"):
        command("finetune-vqa", "--data", tmp_path / "nothing", "--output", run)
    (tmp_path / "data").mkdir()
    for script in ("finetune-vqa", "finetune-snli-ve", "train-captioner"):
        with pytest.raises(FileNotFoundError, match=str(tmp_path / "data")):
            command(script, "--data", tmp_path / "data", "--output", run)
    broken = tmp_path / "broken"
    broken.mkdir()
    for name in ("v2_OpenEnded_shapes_train_questions.json", "v2_shapes_train_annotations.json"):
        content = json.loads((shapes / name).read_text())
        records = next(iter(content.values()))
        del records[3 if "questions" in name else 4 :]
        (broken / name).write_text(json.dumps(content))
    with pytest.raises(ValueError, match="question_id 21: the question is missing"):
        command("finetune-vqa", "--data", broken, "--output", run)
    with pytest.raises(FileNotFoundError, match="no such file"):
        command("answer", tmp_path / "x.png", "why?", "--run", tmp_path / "nowhere")
    assert not run.exists()


@pytest.mark.parametrize(
    "name", ["finetune-vqa", "finetune-snli-ve", "train-captioner", "pretrain-vl"]
)
def test_a_used_output_is_refused_before_images_are_read(command, shapes, tmp_path, name):
    for file in (CONFIG, MODEL):
        (tmp_path / file).touch()
    flags = ("--data", shapes, "--images", tmp_path / "none", "--output", tmp_path)
    with pytest.raises(FileExistsError, match="already contains a run; resume it with --resume"):
        command(name, *flags)


@pytest.mark.parametrize("what", ["answers", "captions"])
def test_a_file_to_score_must_be_named(command, what):
    flags = ("--questions", "q.json", "--annotations", "a.json")
    with pytest.raises(SystemExit, match="file given; write clipnav evaluate-"):
        command(f"evaluate-{what}", *(("--references", "r.json") if what == "captions" else flags))


def test_captions_of_other_images_are_named_with_their_file(command, shapes, tmp_path):
    path = tmp_path / "results.json"
    path.write_text(json.dumps([{"image_id": 9999, "caption": "a dog"}]))
    with pytest.raises(ValueError, match=r"results\.json: 1 of 1 images have no .* such as 9999"):
        command("evaluate-captions", path, "--references", shapes / "dataset_shapes.json")


def test_errors_name_missing_and_damaged_images(command, shapes, tmp_path):
    images = tmp_path / "images"
    images.mkdir()
    paths = sorted((shapes / "images").glob("*/*.png"), key=lambda path: path.stem[-12:])
    for path in paths[1:]:
        (images / path.name).write_bytes(path.read_bytes())
    flags = (*data_flags(shapes), "--evaluation-splits", "val", "--images", images)
    flags = (*flags, *QUICK, "--iterations", "1", "--output", tmp_path / "run")
    number = int(paths[0].stem.split("_")[-1])
    with pytest.raises(FileNotFoundError, match=f"no file of image {number} of"):
        command("finetune-vqa", *flags)
    (images / paths[0].name).write_bytes(paths[0].read_bytes()[:50])
    with pytest.raises(ValueError, match=paths[0].name):
        command("finetune-vqa", *flags)
    assert not (tmp_path / "run").exists()


def test_help_describes_the_flags_without_loading_torch():
    program = """
import contextlib, sys
from clipnav.cli import main
for name in ("finetune-vqa", "train-captioner", "answer"):
    with contextlib.suppress(SystemExit):
        main([name, "--help"])
    assert "torch" not in sys.modules, name
"""
    words = [sys.executable, "-c", program]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Folder of the run") >= 3
