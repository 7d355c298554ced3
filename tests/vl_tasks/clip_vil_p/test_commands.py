"""The commands from pre-training to answers, on tiny data."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from clipnav.vl_tasks.clip_vil_p.building import load_run
from clipnav.vl_tasks.clip_vil_p.data.answers import convert_answer
from clipnav.vl_tasks.clip_vil_p.fine_tuning import FineTuning
from clipnav.vl_tasks.clip_vil_p.networks.network import AnswerHead, initialise_from_answers
from tests.vl_tasks.small_networks import preset

SIZES = ("--text.vocabulary-size", "120", "--text.hidden-size", "32", "--text.layers", "1",
         "--text.heads", "2", "--text.feed-forward-size", "48",
         "--trunk.positions", "3")  # fmt: skip
QUICK = ("--image-size", "64", "96", "--max-words", "12", "--batch-size", "8", "--iterations", "4",
         "--evaluate-every", "2", "--workers", "0", "--threads", "1")  # fmt: skip
TUNED = ("--batch-size", "8", "--evaluate-every", "2", "--threads", "1", "--select-by", "val",
         "--evaluation-splits", "val", "--optimiser.warmup", "1")  # fmt: skip


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return tmp_path_factory.mktemp("runs")


@pytest.fixture
def pretrained(run_command, pair_folder, runs):
    """Run of `clipnav pretrain-vl`."""
    run = runs / "pretrained"
    if not run.exists():
        flags = ("--data", pair_folder, "--select-by", "val", "--output", run)
        run_command("pretrain-vl", *flags, *SIZES, *QUICK)
    return run


def test_pretraining_writes_a_complete_run(pretrained):
    results = json.loads((pretrained / "results.json").read_text())["results"]["val"]
    names = {"loss", "accuracy"}
    names |= {f"{n}_{k}" for n in ("words", "matching", "answers") for k in ("loss", "accuracy")}
    assert results.keys() == names
    assert (pretrained / "metrics.jsonl").is_file()
    config, network, _, answers = load_run(pretrained)
    assert config.preset == "small"
    assert set(answers.answers) == {"red", "green", "blue", "circle", "square"}
    assert not network.training


def test_a_second_stage_starts_from_the_first(run_command, pretrained, pair_folder, runs):
    run = runs / "second"
    flags = (
        "--data",
        pair_folder,
        "--select-by",
        "val",
        "--start-from",
        pretrained,
        "--output",
        run,
    )
    run_command("pretrain-vl", *flags, *QUICK, "--iterations", "1", "--no-answering")
    _, first, pieces, _ = load_run(pretrained)
    _, second, same, answers = load_run(run)
    assert pieces.digest == same.digest
    assert len(answers) == 0
    before = dict(first.named_parameters())
    moved = [
        (w - before[n]).abs().max().item() for n, w in second.named_parameters() if n in before
    ]
    assert max(moved) < 0.01
    with pytest.raises(ValueError, match=r"--text\.layers 7 has no effect with --start-from"):
        run_command("pretrain-vl", *flags, "--text.layers", "7")


def test_vqa_is_fine_tuned_answers_explains_and_submits(run_command, pretrained, shapes, runs):
    run = runs / "vqa"
    flags = ("--model", "clip-vil-p", "--start-from", pretrained, "--data", shapes, *TUNED)
    printed = run_command(
        "finetune-vqa", *flags, "--iterations", "3", "--output", run, "--submit", "test",
        "--clip-vil-p.accumulate", "2", "--clip-vil-p.loss-scale", "500",
    )  # fmt: skip
    assert "val: accuracy" in printed
    assert "5 of 5 answers have pre-trained weights" in printed
    assert len(json.loads((run / "submission_test.json").read_text())) == 12
    results = json.loads((run / "results.json").read_text())["results"]["val"]
    assert results["questions"] == 24  # each question exactly once, in spite of the orientations
    pretrained.rename(runs / "away")  # the run is complete by itself
    try:
        run_command("finetune-vqa", "--resume", run, "--iterations", "4")
        image = next((shapes / "images" / "test").iterdir())
        printed = run_command("answer", image, "What colour is it?", "--run", run, "--count", "2")
        assert len(printed.splitlines()) == 3
        heat = runs / "heat.png"
        found = printed.splitlines()[0].split(": ")[1]
        run_command("explain-image", image, found, "--question", "what colour is it?", "--run",
                    run, "--output", heat)  # fmt: skip
        assert np.asarray(Image.open(heat))[:64].shape == (64, 192, 3)  # the legend is below
    finally:
        (runs / "away").rename(pretrained)


def test_fine_tuning_may_have_its_own_dropout(pretrained):
    config = replace(preset("vqa", "small-clip-vil-p"), start_from=pretrained)
    assert config.clip_vil_p.dropout == 0.1
    for dropout, expected in ((None, 0.0), (0.3, 0.3)):
        changed = replace(config, clip_vil_p=replace(config.clip_vil_p, dropout=dropout))
        network = FineTuning(changed, ["red", "blue"], {}, None).network.train()
        rates = {part.p for part in network.modules() if isinstance(part, torch.nn.Dropout)}
        assert rates == {expected}
    with pytest.raises(ValueError, match=r"--clip-vil-p\.dropout 1\.5"):
        replace(config.clip_vil_p, dropout=1.5)


def test_gqa_is_fine_tuned_with_both_losses_and_submits(run_command, pretrained, gqa_shapes, runs):
    run = runs / "gqa"
    flags = ("--model", "clip-vil-p", "--start-from", pretrained, "--data", gqa_shapes, *TUNED)
    printed = run_command(
        "finetune-gqa", *flags, "--iterations", "2", "--output", run, "--submit", "test",
        "--clip-vil-p.loss-scale", "3",
    )  # fmt: skip
    assert "3 of 5 answers have pre-trained weights" in printed  # not yes and no
    assert "val (24 balanced questions): accuracy" in printed
    assert len(json.loads((run / "submission_test.json").read_text())) == 18
    run_command("finetune-gqa", "--resume", run, "--iterations", "3", "--submit", "val")
    scores = json.loads((run / "results.json").read_text())["results"]["val"]
    # The scores are over the exact set, and those of the submission.
    table = runs / "scores.json"
    questions, choices = (gqa_shapes / f"val_{n}.json" for n in ("all_questions", "choices"))
    path = run / "submission_val.json"
    run_command("evaluate-gqa", path, "--questions", questions, "--choices", choices,
                "--consistency", "--json", table)  # fmt: skip
    assert json.loads(table.read_text()) == {str(path): scores}
    image = next((gqa_shapes / "images" / "val").iterdir())
    printed = run_command("answer", image, "What colour is it?", "--run", run)
    answer, heat = printed.splitlines()[0].split(": ")[1], runs / "gqa.png"
    run_command("explain-image", image, answer, "--question", "what colour is it?", "--run", run,
                "--output", heat)  # fmt: skip
    assert np.asarray(Image.open(heat))[:64].shape == (64, 192, 3)
    other = runs / "gqa_bce"
    run_command("finetune-gqa", *flags, "--iterations", "1", "--loss", "bce", "--output",
                other)  # fmt: skip
    assert json.loads((other / "config.json").read_text())["loss"] == "bce"


def test_answer_head_is_initialised_as_in_the_golden_file(golden_system):
    golden, tensors = golden_system("clipvilp_answer_init")
    prefix = "input.pretrained.answer_head.logit_fc."
    weights = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
    classes = golden["fine_tuning_answers"]
    head = AnswerHead(weights["0.weight"].shape[1], len(classes))
    known = {answer: number for number, answer in enumerate(golden["pretrained_answers"])}
    matched = initialise_from_answers(head, classes, weights, known, convert_answer)
    assert matched == sum(golden["matched"])
    for name, weight in head.state_dict().items():
        assert torch.equal(weight, tensors[f"output.{name}"])


def test_wrong_settings_are_named(run_command, pretrained, pair_folder, shapes, tmp_path):
    vqa = ("finetune-vqa", "--data", shapes, "--model", "clip-vil-p")
    with pytest.raises(FileNotFoundError, match="name a run of clipnav"):
        run_command(*vqa, "--start-from", tmp_path / "nothing", "--output", tmp_path / "run")
    data = ("pretrain-vl", "--data", pair_folder, "--output", tmp_path / "run")
    with pytest.raises(ValueError, match="--image-size 64 90: the cells of the encoder"):
        run_command(*data, *SIZES, "--select-by", "val", "--image-size", "64", "90")
    with pytest.raises(ValueError, match="4 cells along a side, but only 3 position"):
        run_command(*data, *SIZES, "--select-by", "val", "--image-size", "64", "128")
    with pytest.raises(FileNotFoundError, match="no data file of split 'nothing'"):
        run_command(*data, *SIZES, "--train-splits", "nothing")
    with pytest.raises(FileNotFoundError, match="no data file of split 'other'"):
        run_command(*data, *SIZES, "--evaluation-splits", "other")
    assert not (tmp_path / "run").exists()
