"""A frozen VQA model whose confidence is misleading."""

import dataclasses

import numpy as np
import pytest
import torch

from clipnav.cli import main
from clipnav.vl_tasks.classification.answers import AnswerVocabulary
from clipnav.vl_tasks.data.questions import Question
from clipnav.vl_tasks.reliability.outputs import Outputs
from clipnav.vl_tasks.reliability.parts import QuestionSplit, divide_images
from clipnav.vl_tasks.reliability.settings import SelectorSizes, selector_defaults
from clipnav.vl_tasks.reliability.training import DataPart, SelectionTask
from clipnav.vl_tasks.vqa.settings import VqaConfig

SIZES = SelectorSizes(image=8, question=8, fused=8, scores=8, hidden=(16, 16), dropout=0.0)
SMALL = {"batch_size": 32, "evaluate_every": 50, "sizes": SIZES, "threads": 1}


@pytest.fixture
def misleading_task(tmp_path):
    """Function that returns a task whose model is equally confident in wrong answers.

    The first numbers of the image vector tell the probability that the answer is correct.
    """

    def make(method, **changes):
        rng = np.random.default_rng(0)
        count, classes = 1200, 4
        chance = rng.random(count).astype(np.float32)
        correct = rng.random(count) < chance
        truth = rng.integers(classes, size=count)
        given = np.where(correct, truth, (truth + 1) % classes)
        scores = rng.normal(0, 0.1, (count, classes)).astype(np.float32)
        scores[np.arange(count), given] += 4
        noise = rng.normal(0, 1, (count, 3)).astype(np.float32)
        image = np.column_stack([4 * chance, 4 - 4 * chance, noise])
        arrays = {"image": image, "scores": scores}
        answers = AnswerVocabulary(list("abcd"))
        questions = [
            Question(k, k // 2, "?", (answers.answers[number],) * 10)
            for k, number in enumerate(truth)
        ]
        division = divide_images(questions)
        image_of = np.array([one.image_id for one in questions])
        parts = {
            name: DataPart(
                rows := np.flatnonzero(np.isin(image_of, ids)), [questions[r] for r in rows]
            )
            for name, ids in division.items()
        }
        settings = {"run": tmp_path / "vqa", "output": tmp_path / "run", **SMALL, **changes}
        if method != "selector":
            settings = {k: v for k, v in settings.items() if k not in ("sizes", "evaluate_every")}
        config = dataclasses.replace(selector_defaults(method), **settings)
        split = QuestionSplit(tmp_path / "q.json", tmp_path / "a.json", questions)
        vqa, outputs = VqaConfig(), Outputs(arrays)
        return SelectionTask(config, vqa, split, division, parts, outputs, answers, "digest")

    return make


@pytest.fixture(scope="session")
def blind_run(shapes, tmp_path_factory):
    """Folder of a short VQA run without vision on the shapes."""
    run = tmp_path_factory.mktemp("vqa") / "blind"
    arguments = (
        "--no-vision --select-by val --evaluation-splits val train --iterations 30 --batch-size 16 "
        "--pythia.hidden-size 8 --pythia.attention-size 8 --pythia.product-size 16 "
        "--pythia.text-head-size 8 --embedding-size 8 --threads 1 --min-count 1"
    )
    main(["finetune-vqa", "--data", str(shapes), *arguments.split(), "--output", str(run)])
    torch.set_float32_matmul_precision("highest")
    return run
