"""The GQA commands, from training to the scores of a submission."""

import json
import re

import numpy as np
import pytest
from PIL import Image

from tests.vl_tasks.small_networks import MCAN

QUICK = ("--evaluate-every", "60", "--threads", "1", "--optimiser.warmup", "5")


def _flags(folder):
    splits = ("--select-by", "val", "--evaluation-splits", "val")
    return ("--data", folder, "--preset", "houses", *splits, *QUICK, "--batch-size", "32")


def test_training_learns_scores_and_submits(run_command, gqa_shapes, tmp_path):
    run = tmp_path / "run"
    flags = (*_flags(gqa_shapes), *MCAN, "--optimiser.learning-rate", "0.003")
    printed = run_command(
        *("finetune-gqa", *flags, "--iterations", "120", "--output", run, "--submit", "test")
    )
    assert "val (24 balanced questions): accuracy" in printed
    scores = json.loads((run / "results.json").read_text())["results"]["val"]
    assert scores["accuracy"] > 85
    assert scores["validity"] == scores["plausibility"] == 100
    assert scores["by_structural_type"].keys() == {"query", "verify"}
    assert scores["consistency"] is not None
    submission = json.loads((run / "submission_test.json").read_text())
    assert len(submission) == 18
    assert submission[0].keys() == {"questionId", "prediction"}
    # The submission of a split with answers has the scores of the training.
    run_command("finetune-gqa", "--resume", run, "--submit", "val")
    questions = gqa_shapes / "val_all_questions.json"
    table = tmp_path / "scores.json"
    flags = ("--choices", gqa_shapes / "val_choices.json", "--consistency", "--json", table)
    path = run / "submission_val.json"
    printed = run_command("evaluate-gqa", path, "--questions", questions, *flags)
    assert "structural type: query " in printed
    assert json.loads(table.read_text()) == {str(path): scores}
    check_answers(run_command, gqa_shapes, run, tmp_path)


def check_answers(run_command, folder, run, tmp_path):
    """Check that the commands for single images answer and explain as the submission does."""
    rows = json.loads((run / "submission_val.json").read_text())
    given = {row["questionId"]: row["prediction"] for row in rows}
    questions = json.loads((folder / "val_all_questions.json").read_text())
    key = "val48a"
    image = next((folder / "images" / "val").glob(f"{questions[key]['imageId']}.*"))
    text = questions[key]["question"]
    printed = run_command("answer", image, text, "--run", run, "--count", "9").splitlines()
    assert printed[0] == f"{text}: {given[key]}"
    scores = [float(line.split("%")[0]) for line in printed[1:]]
    assert len(scores) == 5
    assert sum(scores) == pytest.approx(100, abs=1)  # cross-entropy: probabilities
    heat = tmp_path / "heat.png"
    answered = ("--question", text, "--run", run, "--output", heat)
    printed = run_command("explain-image", image, given[key].upper(), *answered)
    found = re.search(rf": {given[key]} (.*)%, grid of ", printed)
    assert float(found[1]) == pytest.approx(scores[0], abs=1)  # computed in float32
    seen, laid = np.split(np.asarray(Image.open(heat)).astype(int), 2, axis=1)
    assert np.abs(laid - seen).max() > 50


def test_faulty_predictions_are_named(run_command, gqa_shapes, tmp_path):
    questions = gqa_shapes / "val_all_questions.json"
    gold = {key: one["answer"] for key, one in json.loads(questions.read_text()).items()}
    path = tmp_path / "predictions.json"

    def evaluate(keys, *flags):
        rows = [{"questionId": key, "prediction": gold.get(key, "?")} for key in keys]
        path.write_text(json.dumps(rows))
        return run_command("evaluate-gqa", path, "--questions", questions, *flags)

    balanced = [key for key in gold if not key.endswith("c")]
    line = "(24 balanced questions): accuracy 100.00, binary 100.00, open 100.00, distribution 0.00"
    assert line in evaluate(balanced)
    assert "consistency 100.00" in evaluate(gold, "--consistency")
    with pytest.raises(ValueError, match="question val48a is answered twice"):
        evaluate([*balanced, "val48a"])
    with pytest.raises(ValueError, match="question x is not in the questions file"):
        evaluate([*balanced, "x"])
    with pytest.raises(ValueError, match="question val48a and 1 others have no answer"):
        evaluate(balanced[2:])
    with pytest.raises(ValueError, match=r"predictions.json: question val48c and 11 others"):
        evaluate(balanced, "--consistency")
    path.write_text("[]")
    (tmp_path / "none.json").write_text("{}")
    with pytest.raises(ValueError, match=r"none\.json: it contains no balanced question"):
        run_command("evaluate-gqa", path, "--questions", tmp_path / "none.json")
    (tmp_path / "choices.json").write_text("{}")
    with pytest.raises(ValueError, match=r"val_all_questions\.json: question \w+ has no choices"):
        evaluate(balanced, "--choices", tmp_path / "choices.json")
    with pytest.raises(SystemExit, match="no predictions file given"):
        run_command("evaluate-gqa", "--questions", questions)
