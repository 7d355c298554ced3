"""From a folder of photos with a file of questions to an answer, by the documented commands."""

import csv
import json

import numpy as np
import pytest
from PIL import Image, ImageDraw

COLOURS = {"red": (200, 30, 30), "green": (30, 160, 60), "blue": (40, 60, 210)}
QUICK = ("--threads", "1", "--evaluate-every", "40", "--optimiser.learning-rate", "0.003")


@pytest.fixture
def photos(tmp_path):
    """Folder of sixty photos of a red, green or blue object, with two questions about each."""
    folder = tmp_path / "photos"
    (folder / "images").mkdir(parents=True)
    rng = np.random.default_rng(0)
    rows = []
    for number in range(60):
        colour, kind = list(COLOURS)[number % 3], ("ball", "box")[number % 2]
        image = Image.new("RGB", (80, 60), (225, 225, 225))
        x, y = rng.integers(2, 30, 2).tolist()
        paint = ImageDraw.Draw(image)
        draw = paint.ellipse if kind == "ball" else paint.rectangle
        draw((x, y, x + 28, y + 28), fill=COLOURS[colour])
        name = f"my photo {number}.png"
        image.save(folder / "images" / name)
        rows += [(name, "What's its colour?", colour), (name, "what is it?", f"{kind}|a {kind}")]
    with (folder / "questions.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("image", "question", "answer"), *rows])
    return folder


def test_a_model_of_the_users_photos_learns_and_answers(run_command, photos, tmp_path):
    run = tmp_path / "run"
    printed = run_command(
        "finetune-vqa", "--data", photos, "--iterations", "120", *QUICK, "--output", run
    )
    assert "held-out: accuracy" in printed
    config = json.loads((run / "config.json").read_text())
    assert (config["preset"], config["grids"]["encoder"]) == ("small", "house_clip")
    results = json.loads((run / "results.json").read_text())["results"]
    assert results["held-out"]["overall"] > 60
    photo = photos / "images" / "my photo 4.png"
    printed = run_command("answer", photo, "What's its colour?", "--run", run, "--count", "1")
    assert printed.splitlines()[0] == "What's its colour?: green"
    with pytest.raises(SystemExit, match="no question given"):
        run_command("answer", photo, " ", "--run", run)
    with pytest.raises(ValueError, match=r"held-out is a part of the training images; .*--split"):
        run_command("train-selector", run)


def test_answering_uses_the_tokenizer_of_the_run(run_command, photos, tmp_path):
    run = tmp_path / "run"
    flags = ("--data", photos, "--iterations", "1", "--tokenizer", "mmf", "--output", run)
    run_command("finetune-vqa", *flags)
    words = json.loads((run / "vocabulary.json").read_text())
    assert words["tokenizer"] == "mmf"
    assert {"what", "'", "s", "colour"} <= set(words["words"])
    with pytest.raises(ValueError, match="tokenizer: mmf against openvqa"):
        run_command("finetune-vqa", "--resume", run, "--tokenizer", "openvqa")
    (run / "vocabulary.json").write_text(json.dumps({"words": words["words"]}))
    with pytest.raises(ValueError, match="are those of the tokenizer 'ours', not 'mmf'"):
        run_command("answer", photos / "images/my photo 4.png", "why?", "--run", run)


def test_errors_name_a_missing_photo_and_a_missing_split(run_command, photos, tmp_path):
    run = tmp_path / "run"
    flags = ("--data", photos, "--output", run)
    other = ("--select-by", "val", "--evaluation-splits", "val")
    with pytest.raises(ValueError, match=r"questions\.json has no split 'val'"):
        run_command("finetune-vqa", *flags, *other)
    text = (photos / "questions.csv").read_text()
    (photos / "questions.csv").write_text(text.replace("ball|a ball", "ball|A", 1))
    with pytest.raises(ValueError, match=r"questions\.csv: record 1: its answer 'A' is only an"):
        run_command("finetune-vqa", *flags)
    (photos / "questions.csv").write_text(text)
    (photos / "images" / "my photo 7.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"questions\.csv: there is no photo my photo 7"):
        run_command("finetune-vqa", *flags)
    assert not run.exists()


def test_models_of_regions_train_and_answer(run_command, shapes, tmp_path):
    run, folder = tmp_path / "run", tmp_path / "regions"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for split in ("train", "val"):
        questions = json.loads(
            (shapes / f"v2_OpenEnded_shapes_{split}_questions.json").read_text()
        )["questions"]
        for number in {one["image_id"] for one in questions}:
            regions = rng.normal(size=(5, int(rng.integers(3, 9)))).astype(np.float32)
            np.savez(folder / f"COCO_{split}_{number:012d}.jpg.npz", x=regions)
    sizes = ("--mcan.hidden-size", "16", "--mcan.feed-forward-size", "24", "--mcan.layers", "1")
    flags = ("--data", shapes, "--regions", folder, *sizes, "--iterations", "2")
    run_command("finetune-vqa", "--preset", "mcan-small", *flags, "--output", run)
    one = next(folder.iterdir())
    printed = run_command("answer", one, "what colour is it?", "--run", run, "--count", "1")
    assert printed.startswith("what colour is it?: ")
    photo = next((shapes / "images" / "val").iterdir())
    with pytest.raises(ValueError, match="this model uses region features"):
        run_command("answer", photo, "what?", "--run", run)
    with pytest.raises(ValueError, match="uses region features"):
        run_command("explain-image", photo, "red", "--question", "what?", "--run", run)
