"""The agreement of the languages: groups of questions, its loss, and settings without effect."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from clipnav.vl_tasks.multilingual.task import MultilingualTask, group_means
from clipnav.vl_tasks.specs import parse_task
from tests.vl_tasks.multilingual.conftest import NEW, SMALL

FLAGS = (
    "--model", "multilingual", "--preset", "houses", "--min-count", 1, *SMALL, *NEW,
    "--select-by", "val", "--evaluation-splits", "val", "--batch-size", 9,
)  # fmt: skip


def learner(languages, *flags):
    words = (*FLAGS, "--data", languages, *flags)
    return MultilingualTask(parse_task("vqa", [str(word) for word in words]))


def test_means_are_those_of_the_rows_of_a_group():
    values = torch.tensor([[1.0, 2.0], [5.0, 0.0], [3.0, 4.0], [7.0, 7.0]])
    means = group_means(values, np.array([8, 3, 8, 5]))
    assert means.tolist() == [[2.0, 3.0], [5.0, 0.0], [2.0, 3.0], [7.0, 7.0]]


def test_a_question_is_in_a_batch_in_all_languages(languages):
    task = learner(languages, "--languages", "en", "fr", "hi", "--agreement", 1)
    order = task.steps._order
    for number in range(order.batches_per_epoch):
        asked = [task.examples[row] for row in order.batch(number)]
        for start in range(0, 9, 3):
            question = asked[start : start + 3]
            assert len({one.question_id for one in question}) == 1
            assert {one.language for one in question} == {"en", "fr", "hi"}


def test_the_loss_draws_logits_to_the_mean_over_the_languages(languages):
    flags = ("--languages", "en", "fr", "hi", "--agreement")
    task, plain = learner(languages, *flags, 0.5), learner(languages, *flags, 0)
    rows = task.steps._order.batch(0)
    logits = torch.randn(9, len(task.answers), generator=torch.Generator().manual_seed(0))
    mean = logits.view(3, 3, -1).mean(1, keepdim=True).expand(3, 3, -1).flatten(0, 1)
    drawn = F.binary_cross_entropy_with_logits(logits, mean.sigmoid(), reduction="sum") / 9
    expected = plain.loss_of(logits, rows) + 0.5 * drawn
    assert task.loss_of(logits, rows).item() == pytest.approx(expected.item(), rel=1e-6)
    # Languages that agree have the gradient of the answers alone.
    gradients = []
    for one in (task, plain):
        agreed = mean.clone().requires_grad_()
        one.loss_of(agreed, rows).backward()
        gradients.append(agreed.grad)
    torch.testing.assert_close(*gradients)
