"""Commands of reliable VQA, on a run without vision."""

import json
import re
import shutil

import pytest

from clipnav.commands.tasks.evaluate_reliability import _variant_of
from clipnav.training.checkpoints import MODEL, RESULTS
from clipnav.vl_tasks.data.questions import read_questions
from clipnav.vl_tasks.reliability.folder import DESCRIPTION, PARTS_FILE, read_description
from clipnav.vl_tasks.reliability.parts import questions_of_parts, read_parts

SMALL = (
    "--split train --batch-size 8 --iterations 20 --evaluate-every 10 --threads 1 "
    "--sizes.question 4 --sizes.fused 4 --sizes.scores 4 --sizes.hidden 8 8"
)


@pytest.fixture(scope="module")
def selectors(blind_run, tmp_path_factory):
    """Folders of the three methods by name."""
    from clipnav.cli import main

    root = tmp_path_factory.mktemp("selectors")
    flags = {
        "maxprob": "--split train --threads 1",
        "calibration": "--split train --threads 1 --epochs 2 --batch-size 8",
        "selector": SMALL,
    }
    for method, arguments in flags.items():
        folder = root / method
        words = ["--method", method, *arguments.split(), "--output", str(folder)]
        main(["train-selector", str(blind_run), *words])
    return {method: root / method for method in flags}


def test_splits_are_written_and_published_ones_copied(run_command, shapes, tmp_path):
    path = tmp_path / "parts.json"
    shown = run_command("split-questions", "--data", shapes, "--split", "train", "--output", path)
    assert "dev: 19 images, 38 questions" in shown
    parts = read_parts(path)
    copy = tmp_path / "copy.json"
    arguments = ("--data", shapes, "--split", "train", "--published", path, "--output", copy)
    run_command("split-questions", *arguments)
    assert read_parts(copy) == parts
    with pytest.raises(ValueError, match="no effect with --published"):
        run_command("split-questions", *arguments, "--seed", "3")
    with pytest.raises(ValueError, match="is in no part"):
        run_command("split-questions", "--data", shapes, "--split", "val", "--published", path)


def test_each_method_leaves_thresholds_and_predictions(selectors, shapes):
    for folder in selectors.values():
        description = read_description(folder)
        assert [one.risk for one in description.thresholds] == [1, 2, 5, 10, 20, 30]
        assert description.split == "train"
        results = json.loads((folder / RESULTS).read_text())["results"]
        assert results["val"]["ECE of MaxProb"] >= 0
        names = (f"v2_OpenEnded_shapes_train_{k}.json" for k in ("questions",))
        questions = read_questions(
            shapes / next(names), shapes / "v2_shapes_train_annotations.json"
        )
        divided = questions_of_parts(questions, read_parts(folder / PARTS_FILE), "it")
        for part in ("val", "test"):
            rows = json.loads((folder / f"predictions_{part}.json").read_text())
            assert {row["question_id"] for row in rows} == {q.question_id for q in divided[part]}
            assert all(0 <= row["confidence"] <= 1 for row in rows)


def test_settings_without_effect_are_refused(run_command, blind_run):
    with pytest.raises(ValueError, match="--loss threshold has no effect with --method maxprob"):
        run_command("train-selector", blind_run, "--method", "maxprob", "--loss", "threshold")
    with pytest.raises(ValueError, match="--iterations 7 has no effect with --epochs 100"):
        run_command("train-selector", blind_run, "--method", "calibration", "--iterations", 7)
    with pytest.raises(ValueError, match="no run given"):
        run_command("train-selector")
    with pytest.raises(ValueError, match="--method best does not exist"):
        run_command("train-selector", blind_run, "--method", "best")


def test_models_are_compared_in_one_table_and_plot(run_command, selectors, tmp_path):
    scores, plot = tmp_path / "scores.json", tmp_path / "curves.pdf"
    arguments = ("--resamples", 20, "--json", scores, "--plot", plot, "--names", *"abc")
    shown = run_command("evaluate-reliability", *selectors.values(), *arguments)
    assert re.search(r"^b +\d", shown, re.MULTILINE)
    assert "percent, with 95 % intervals" in shown
    reports = json.loads(scores.read_text())
    assert list(reports) == ["a", "b", "c"]
    assert reports["c"]["mmf"]["best_auc"] >= 0
    best = reports["c"]["mmf"]["best_phi_c@10"]
    assert best == pytest.approx(reports["c"]["accuracy"]["value"] / 100, abs=1e-4)
    assert plot.read_bytes().startswith(b"%PDF")


def test_foreign_predictions_give_the_same_scores(run_command, selectors, shapes, tmp_path):
    folder = selectors["selector"]
    files = (
        folder / "predictions_test.json",
        *("--val", folder / "predictions_val.json", "--parts", folder / PARTS_FILE),
        *("--questions", shapes / "v2_OpenEnded_shapes_train_questions.json"),
        *("--annotations", shapes / "v2_shapes_train_annotations.json"),
    )
    for name, models in (("one", files), ("other", (folder,))):
        arguments = ("--resamples", 0, "--names", "m", "--json", tmp_path / f"{name}.json")
        shown = run_command("evaluate-reliability", *models, *arguments)
        assert "percent\n" in shown  # without intervals
    assert (tmp_path / "one.json").read_text() == (tmp_path / "other.json").read_text()
    with pytest.raises(ValueError, match="requires --questions"):
        run_command("evaluate-reliability", folder / "predictions_test.json")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (
            lambda rows: [{k: v for k, v in r.items() if k != "confidence"} for r in rows],
            '"confidence": n',
        ),
        (lambda rows: [*rows, rows[0]], "answered twice"),
        (lambda rows: [*rows, {**rows[0], "question_id": 424242}], "424242"),
        (lambda rows: rows[1:], "not answered"),
    ],
)
def test_bad_predictions_are_refused_with_one_line(
    run_command, selectors, shapes, tmp_path, change, problem
):
    folder = selectors["selector"]
    rows = json.loads((folder / "predictions_test.json").read_text())
    path = tmp_path / "test.json"
    path.write_text(json.dumps(change(rows)))
    arguments = (
        *("--val", folder / "predictions_val.json", "--parts", folder / PARTS_FILE),
        *("--questions", shapes / "v2_OpenEnded_shapes_train_questions.json"),
        *("--annotations", shapes / "v2_shapes_train_annotations.json"),
    )
    with pytest.raises(ValueError, match=problem) as refused:
        run_command("evaluate-reliability", path, *arguments)
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_the_variant_of_the_selectors_is_used(selectors, run_command, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(selectors["maxprob"], other)
    text = (other / DESCRIPTION).read_text()
    (other / DESCRIPTION).write_text(text.replace('"variant": "V2"', '"variant": "V3"'))
    assert _variant_of([other]) == "V3"
    assert _variant_of([]) == _variant_of([selectors["maxprob"]]) == "V2"
    with pytest.raises(ValueError, match=r"variants V2 and V3; .* as --variant"):
        run_command("evaluate-reliability", selectors["maxprob"], other)
    run_command("evaluate-reliability", selectors["maxprob"], other, "--variant", "V3")
    (other / DESCRIPTION).write_text(text.replace('"variant": "V2"', '"variant": "V9"'))
    with pytest.raises(ValueError, match=r"selector\.json.*V9"):
        run_command("evaluate-reliability", other)


def test_models_of_other_questions_are_not_compared(run_command, blind_run, selectors, tmp_path):
    other, parts = tmp_path / "other", tmp_path / "parts.json"
    division = read_parts(selectors["maxprob"] / PARTS_FILE)
    moved = division["test"].pop()
    division["dev"].append(moved)
    parts.write_text(json.dumps(division))
    flags = ("--method", "maxprob", "--split", "train", "--threads", 1, "--parts", parts)
    run_command("train-selector", blind_run, *flags, "--output", other)
    models = (selectors["calibration"], selectors["maxprob"], other)
    with pytest.raises(ValueError, match="of test differ, such as question_id") as refused:
        run_command("evaluate-reliability", *models)
    assert str(refused.value).startswith(f"{models[0]} and {other}: ")
    assert "\n" not in str(refused.value)
    run_command("evaluate-reliability", other, "--resamples", 0)


def test_shifted_questions_are_mixed_in(run_command, selectors, shapes, tmp_path):
    shown = {}
    for share in (0.25, 1.0):
        path = tmp_path / f"{share}.json"
        arguments = ("--shift.data", shapes, "--shift.split", "val", "--shift.share", share)
        run_command(
            "evaluate-reliability",
            *selectors.values(),
            *arguments,
            "--resamples",
            0,
            "--json",
            path,
        )
        shown[share] = json.loads(path.read_text())
    counts = {share: {one["questions"] for one in found.values()} for share, found in shown.items()}
    assert counts == {0.25: {64}, 1.0: {24}}  # 48 of test, and 24 shifted ones


def test_answers_below_the_threshold_are_withheld(run_command, blind_run, selectors, tmp_path):
    import shutil

    folder = tmp_path / "selector"
    shutil.copytree(selectors["selector"], folder)
    path = folder / "selector.json"
    document = json.loads(path.read_text())
    arguments = (tmp_path / "no.jpg", "what shape is it?", "--run", blind_run, "--selector", folder)
    texts = {}
    for threshold in (0.0, 1.0, None):
        document["thresholds"] = [{"risk": 5, "threshold": threshold, "coverage": 50}]
        path.write_text(json.dumps(document))
        texts[threshold] = run_command("answer", *arguments, "--max-risk", 5)
    assert re.search(r"it\?: \w+ \(confidence 0\.\d\d, threshold 0\.00\)", texts[0.0])
    assert re.search(r"it\?: not sure: confidence 0\.\d\d, threshold 1\.00", texts[1.0])
    assert "no threshold keeps the tolerated risk" in texts[None]
    with pytest.raises(ValueError, match=r"no threshold for a risk of 7 %; choose one of 5"):
        run_command("answer", *arguments, "--max-risk", 7)
    with pytest.raises(SystemExit):  # one answer only
        run_command("answer", *arguments, "--max-risk", 5, "--count", 2)
    with pytest.raises(SystemExit):  # no effect without --max-risk
        run_command("answer", *arguments)


def test_a_selector_of_another_model_is_refused(run_command, blind_run, selectors, tmp_path):
    import shutil

    other = tmp_path / "other"
    shutil.copytree(blind_run, other)
    raw = bytearray((other / MODEL).read_bytes())
    raw[-1] ^= 1
    (other / MODEL).write_bytes(raw)
    folder = selectors["selector"]
    arguments = ("no.jpg", "what shape is it?", "--run", other, "--selector", folder)
    with pytest.raises(ValueError, match=f"made for another model than {other}") as refused:
        run_command("answer", *arguments, "--max-risk", 5)
    assert "\n" not in str(refused.value)
    with pytest.raises(FileNotFoundError, match="train a selector with clipnav train-selector"):
        run_command("answer", *arguments[:-1], blind_run, "--max-risk", 5)


def test_a_resumed_run_is_finished(run_command, blind_run, selectors, tmp_path):
    folder = tmp_path / "s"
    words = [*SMALL.replace("--iterations 20", "--iterations 10").split(), "--output", folder]
    run_command("train-selector", blind_run, *words)
    shown = run_command("train-selector", "--resume", folder, "--iterations", 20)
    assert f"the selector is in {folder}" in shown
    assert json.loads((folder / RESULTS).read_text())["iterations"] == 20
    other = json.loads((selectors["selector"] / "predictions_test.json").read_text())
    assert json.loads((folder / "predictions_test.json").read_text()) == other
    with pytest.raises(ValueError, match="seed: 0 against 1"):
        run_command("train-selector", "--resume", folder, "--seed", 1)
