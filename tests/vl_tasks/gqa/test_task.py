import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from clipnav.vl_tasks.classification.answers import AnswerVocabulary
from clipnav.vl_tasks.classification.task import class_loss
from clipnav.vl_tasks.gqa.task import GqaTask
from clipnav.vl_tasks.settings.networks import McanConfig
from tests.vl_tasks.small_networks import preset

MCAN = McanConfig(
    hidden_size=16, feed_forward_size=24, layers=1, heads=2, pooling_size=8, fused_size=16
)


@pytest.fixture
def config(gqa_shapes):
    return dataclasses.replace(
        preset("gqa", "houses"),
        data=str(gqa_shapes),
        mcan=MCAN,
        embedding_size=8,
        select_by="val",
        evaluation_splits=("val",),
        vision=False,
    )


def test_cross_entropy_is_summed_over_branches():
    torch.manual_seed(0)
    logits, classes = torch.randn(4, 3, 5), torch.tensor([0, 4, 2, 2])
    wanted = sum(F.cross_entropy(logits[:, k], classes, reduction="sum") for k in range(3))
    assert class_loss(logits, classes, "sum").item() == pytest.approx(float(wanted), rel=1e-5)
    assert class_loss(logits, classes).item() == pytest.approx(float(wanted) / 4, rel=1e-5)
    single = class_loss(logits[:, 0], classes)
    assert single.item() == pytest.approx(F.cross_entropy(logits[:, 0], classes).item(), rel=1e-5)


@pytest.mark.parametrize(("scale", "factor"), [(None, 5.0), (500.0, 500.0)])
def test_faithful_cross_entropy_is_scaled_twice_as_published(config, scale, factor):
    learner = GqaTask(config)
    tuned = dataclasses.replace(config.clip_vil_p, loss_scale=scale)
    changes = {"model": "clip-vil-p", "start_from": Path("run"), "vision": True}
    learner.config = dataclasses.replace(config, **changes, clip_vil_p=tuned)
    learner.answers = AnswerVocabulary(list("abcde"))
    learner._classes = np.array([0, 4, 2, 2])
    logits, rows = torch.randn(4, 5), np.array([1, 3])
    # nn.CrossEntropyLoss() * logit.size(1), then * loss_scale or * logit.size(1) of gqa.py.
    chosen = logits[:2].log_softmax(1)[[0, 1], [4, 2]]
    clean = -chosen.mean().item()
    found = learner.loss_of(logits[:2], rows).item()
    assert found == pytest.approx(clean * (1.0 if scale is None else scale), rel=1e-5)
    learner.config = dataclasses.replace(learner.config, faithful=True)
    assert learner.loss_of(logits[:2], rows).item() == pytest.approx(clean * 5 * factor, rel=1e-5)


def test_answers_outside_the_vocabulary_are_not_learnt(config, tmp_path):
    path = tmp_path / "answers.json"
    path.write_text(json.dumps(["yes", "no", "red"]))
    learner = GqaTask(dataclasses.replace(config, answers=path))
    assert {one.answer for one in learner.examples} == {"yes", "no", "red"}
    assert len(learner.examples) == 48 + 16
    path.write_text(json.dumps(["purple"]))
    with pytest.raises(ValueError, match="no training question has an answer of the answer vocab"):
        GqaTask(dataclasses.replace(config, answers=path))


def test_held_out_images_are_not_used_for_training(config, monkeypatch):
    monkeypatch.setattr("clipnav.vl_tasks.subsets.is_held_out", lambda image: image.endswith("7"))
    splits = {"select_by": "held-out", "evaluation_splits": ("held-out",)}
    learner = GqaTask(dataclasses.replace(config, **splits))
    held_out = learner.splits["held-out"]
    assert {one.image_id[-1] for one in held_out} == {"7"}
    assert not any(one.image_id.endswith("7") for one in learner.examples)
    assert len(held_out) + len(learner.examples) == 96


def test_held_out_questions_of_two_files_have_different_ids(config, monkeypatch, tmp_path):
    monkeypatch.setattr("clipnav.vl_tasks.subsets.is_held_out", lambda image: image.endswith("7"))
    for path in Path(config.data).glob("*.json"):
        shutil.copy(path, tmp_path)
    shutil.copy(
        tmp_path / "train_balanced_questions.json", tmp_path / "more_balanced_questions.json"
    )
    splits = {"select_by": "held-out", "evaluation_splits": ("held-out",)}
    changes = {"data": str(tmp_path), "train_splits": ("train", "more"), **splits}
    with pytest.raises(ValueError, match=r"question \w+ occurs in two of the training splits"):
        GqaTask(dataclasses.replace(config, **changes))


def test_regions_are_found_by_name(config, tmp_path):
    for split, count in (("train", 48), ("val", 12)):
        for k in range(count):
            number = k + 1 + {"train": 0, "val": 48}[split]
            path = tmp_path / f"COCO_{split}_{number:012d}.npz"
            np.savez(path, x=np.full((3 + k % 2, 6), number))  # regions in rows
    changes = {"vision": True, "regions": tmp_path, "standardise": False}
    mcan = dataclasses.replace(config.mcan, positions=False)
    learner = GqaTask(dataclasses.replace(config, **changes, mcan=mcan))
    grids = learner.inputs.source.batch(["COCO_train_000000000002", "COCO_val_000000000049"])
    assert grids.features.shape == (2, 4, 6)
    assert grids.mask.sum(1).tolist() == [4, 3]
    assert grids.features[:, 0, 0].tolist() == [2, 49]
