"""Data, losses and initialisation of the tasks."""

import dataclasses
import json
import shutil
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch

from clipnav.vl_tasks.captioning.settings import CaptionerConfig
from clipnav.vl_tasks.captioning.task import CaptionTask
from clipnav.vl_tasks.entailment.task import EntailmentTask
from clipnav.vl_tasks.settings.networks import McanConfig
from clipnav.vl_tasks.specs import parse_task
from clipnav.vl_tasks.subsets import is_held_out
from clipnav.vl_tasks.training import make_trainer
from clipnav.vl_tasks.vqa.task import VqaTask, answer_loss
from tests.vl_tasks.small_networks import preset

MCAN = McanConfig(
    hidden_size=16, feed_forward_size=24, layers=1, heads=2, pooling_size=8, fused_size=16
)
CAPTIONER = CaptionerConfig(hidden_size=16, feed_forward_size=24, layers=1, heads=2)


@pytest.fixture
def blind(shapes):
    """Changes of a preset for a small run on the shapes without vision."""
    splits = {"select_by": "val", "evaluation_splits": ("val",)}
    return {"data": str(shapes), "vision": False, "batch_size": 8, **splits}


def vqa(changes):
    return dataclasses.replace(preset("vqa", "houses"), mcan=MCAN, embedding_size=3, **changes)


def entailment(changes):
    return dataclasses.replace(preset("snli-ve", "houses"), mcan=MCAN, embedding_size=3, **changes)


def captions(changes):
    return dataclasses.replace(preset("captions", "houses"), captioner=CAPTIONER, **changes)


@pytest.mark.parametrize(
    ("learner", "config", "picture"),
    [(VqaTask, vqa, "image_id"), (EntailmentTask, entailment, "image_id")],
)
def test_held_out_images_are_not_used_for_training(learner, config, picture, blind, monkeypatch):
    def is_held_out(image):  # a twentieth of so few may be none
        return zlib.crc32(str(image).encode()) % 5 == 0

    monkeypatch.setattr("clipnav.vl_tasks.subsets.is_held_out", is_held_out)
    whole = learner(config(blind))
    reduced = learner(config({**blind, "select_by": "held-out"}))
    held_out, examples = reduced.splits["held-out"], reduced.examples
    assert held_out
    assert examples
    assert reduced.records == len(examples)
    assert all(is_held_out(getattr(one, picture)) for one in held_out)
    assert not any(is_held_out(getattr(one, picture)) for one in examples)
    assert sorted(map(repr, [*held_out, *examples])) == sorted(map(repr, whole.examples))


@pytest.mark.parametrize("answer", ["Yes", "two", "a red lamp", "dont know", "t-shirt", "10,000"])
def test_the_answers_of_the_user_are_right_however_they_are_written(answer, blind, tmp_path):
    rows = [f'{number}.jpg,what is it?,"{answer}"' for number in range(4)]
    (tmp_path / "questions.csv").write_text("\n".join(["image,question,answer", *rows]))
    own = {"data": str(tmp_path), "select_by": "held-out", "evaluation_splits": ("held-out",)}
    (tmp_path / "answers.txt").write_text(answer)
    for answers in (None, tmp_path / "answers.txt"):
        learner = VqaTask(vqa({**blind, **own, "min_count": 1, "answers": answers}))
        assert learner.official_scores("held-out").overall == 100.0  # the only class


def test_held_out_photos_of_the_user_are_those_of_the_pre_training(blind, tmp_path):
    photos = [f"photos/shot {number}.jpg" for number in range(40)]
    rows = [f"{photo},what is it?,yes" for photo in photos]
    (tmp_path / "questions.csv").write_text("\n".join(["image,question,answer", *rows]))
    own = {"data": str(tmp_path), "select_by": "held-out", "evaluation_splits": ("held-out",)}
    learner = VqaTask(vqa({**blind, **own, "min_count": 1}))
    held = {photos[one.image_id] for one in learner.splits["held-out"]}
    assert held == {photo for photo in photos if is_held_out(Path(photo).stem)} != set()


def test_region_features_of_the_users_photos_are_found_by_name(blind, tmp_path):
    photos = ("2.jpg", "0.png", "other/1.jpeg")
    rows = ["image,question,answer", *(f"{photo},what is it?,yes" for photo in photos)]
    path, regions = tmp_path / "questions.csv", tmp_path / "regions"
    path.write_text("\n".join(rows))
    regions.mkdir()
    for name in ("0.png", "1.jpeg", "2"):
        np.savez(regions / f"{name}.npz", x=np.full((4, 2), int(name[0]), np.float32))
    own = {"data": str(tmp_path), "select_by": "held-out", "evaluation_splits": ("held-out",)}
    config = vqa({**blind, **own, "min_count": 1, "vision": True, "regions": regions})
    grids = VqaTask(config).inputs.source.batch([0, 1, 2])
    assert grids.features[:, 0, 0].tolist() == [2, 0, 1]
    path.write_text("\n".join([*rows, "1.jpg,what is it?,no"]))
    with pytest.raises(ValueError, match=r"other/1\.jpeg and 1\.jpg have the same name without"):
        VqaTask(config)


def test_unlabelled_hypotheses_are_not_used_for_training(shapes, blind, tmp_path):
    for split in ("train", "val"):
        shutil.copy(shapes / f"snli_ve_{split}.jsonl", tmp_path)
    path = tmp_path / "snli_ve_train.jsonl"
    first = json.loads(path.read_text().splitlines()[0])
    undecided = {**first, "pairID": "new", "gold_label": "-"}
    path.write_text(f"{json.dumps(undecided)}\n{path.read_text()}")
    whole = EntailmentTask(entailment(blind))
    other = EntailmentTask(entailment({**blind, "data": str(tmp_path)}))
    assert other.examples == whole.examples


def test_only_labelled_hypotheses_are_counted(shapes, blind, tmp_path):
    for split in ("train", "val"):
        shutil.copy(shapes / f"snli_ve_{split}.jsonl", tmp_path)
    path = tmp_path / "snli_ve_val.jsonl"
    text = path.read_text()
    path.write_text(text.replace("contradiction", "-"))
    learner = EntailmentTask(entailment({**blind, "data": str(tmp_path)}))
    (scores,) = learner.final_scores("val")
    assert scores.text.startswith("val (12 of 24 hypotheses, the others have no label): accuracy")
    assert scores.scores["hypotheses"] == 12
    (scores,) = EntailmentTask(entailment(blind)).final_scores("val")
    assert scores.text.startswith("val (24 hypotheses): accuracy")
    assert scores.scores.keys() == {"hypotheses", "accuracy", "contradiction", "entailment"}


@pytest.mark.parametrize("branches", [None, 3])
def test_loss_of_answers_is_summed_over_answers_and_branches(branches):
    torch.manual_seed(0)
    scores = torch.randn(4, *([branches] if branches else []), 5)
    targets = torch.rand(4, 5)
    total = 0.0
    for row in range(4):
        for branch in scores[row].view(-1, 5):
            for score, target in zip(branch.sigmoid(), targets[row], strict=True):
                total -= target * score.log() + (1 - target) * (1 - score).log()
    torch.testing.assert_close(answer_loss(scores, targets), total / 4)
    torch.testing.assert_close(answer_loss(scores, targets, "sum"), total)


def test_the_loss_of_a_batch_is_reduced_as_in_the_settings(blind):
    rows = np.arange(6)
    losses = {}
    for reduction in ("mean", "sum"):
        torch.manual_seed(0)
        learner = VqaTask(vqa({**blind, "reduction": reduction}))
        learner.network.eval()
        losses[reduction] = learner.loss(rows)[0].item()
    assert losses["sum"] == pytest.approx(6 * losses["mean"])


@pytest.mark.parametrize(("learner", "config"), [(VqaTask, vqa), (EntailmentTask, entailment)])
def test_new_networks_have_fitted_scales_and_word_vectors(learner, config, blind, tmp_path):
    glove = tmp_path / "glove.txt"
    glove.write_text("it 5 6 7\nis -1 2 0.5\n")
    with_vision = {**blind, "vision": True}
    fitted = learner(config({**with_vision, "glove": glove}))
    vectors = fitted.network.reasoner.word_vectors.weight
    rows = fitted.inputs.words.encode([["it", "is"]], 2)[0]
    assert vectors[rows].tolist() == [[5, 6, 7], [-1, 2, 0.5]]
    source = fitted.inputs.source
    cells = source.batch(list(source.images)[:48]).features.flatten(0, 1)  # 48 training images
    scale = fitted.network.scale
    torch.testing.assert_close(scale.mean, cells.mean(0), atol=1e-4, rtol=1e-4)
    spread = cells.std(0, correction=0).clamp(min=1e-4)
    torch.testing.assert_close(scale.spread, spread, atol=1e-4, rtol=1e-4)
    unfitted = learner(config({**with_vision, "standardise": False})).network.scale
    assert not unfitted.mean.any()
    assert bool((unfitted.spread == 1).all())


def test_captions_are_drawn_without_repeats_and_end(blind):
    learner = CaptionTask(captions(blind))
    rows = np.arange(learner.records)
    drawn = learner._drawn(rows, 2)
    every = {tuple(c for c in caption if c) for caption in learner._captions.tolist()}
    for pair in drawn.reshape(len(rows), 2, -1).tolist():
        assert pair[0] != pair[1]
        assert {tuple(c for c in caption if c) for caption in pair} <= every
    assert not drawn[:, -1].any()
    assert drawn[:, -2].any()
    assert learner._drawn(rows[:3], 5).shape[0] == 15  # more than there are


def test_every_caption_of_an_image_is_a_reference(blind, monkeypatch):
    learner = CaptionTask(captions(blind))
    for index in range(2):
        texts = {one.image_id: " ".join(one.captions[index]) for one in learner.splits["val"]}
        monkeypatch.setattr(learner, "write", lambda *_, texts=texts, **__: texts)
        assert learner.score("val")["Bleu_1"] == pytest.approx(1)


def self_critical_learner(config):
    trainer = make_trainer(CaptionTask(config))
    trainer.save()
    trainer.close()
    return CaptionTask(parse_task("captions", ["--start-from", str(config.output)]))


def test_rewards_count_the_end_of_a_caption(blind, tmp_path):
    learner = self_critical_learner(captions({**blind, "output": tmp_path}))
    assert learner._statistics is not None
    # "a red circle", with its end and truncated: the end counts as a fourth word.
    images = np.arange(learner.records)
    first_captions = learner._captions[learner._first[:-1]]
    assert (first_captions[:, 3] == 0).all()
    ended = learner._statistics.scores(images, first_captions)
    truncated = learner._statistics.scores(images, first_captions[:, :3])
    assert (ended > truncated + 0.1).all()


def test_references_of_the_most_words_have_no_end_in_rewards(blind, tmp_path):
    """In the original, a label of 16 words has no 0 (`get_self_critical_reward`)."""
    config = captions({**blind, "output": tmp_path, "max_words": 4})
    statistics = self_critical_learner(config)._statistics
    assert statistics is not None
    # "a red circle" has three words and an end; "one circle that is red" is cut to four words.
    assert (statistics.length == 3).all()
