"""Train a confidence estimator for a frozen VQA model."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from clipnav.storage import write_text
from clipnav.storage.errors import UserError
from clipnav.storage.locks import exclusive_lock
from clipnav.training.batches import ShuffledBatchOrder
from clipnav.training.checkpoints import RESULTS, load_model
from clipnav.training.learners import SavedNetwork, Selection, Summary
from clipnav.training.optimisers import make_optimiser
from clipnav.training.run_folder import check_run, run_folder
from clipnav.training.settings import CONFIG, read_config, to_json
from clipnav.training.streams import Stream, iteration_seed
from clipnav.training.trainer import Trainer
from clipnav.vl_tasks.classification.answers import UNKNOWN, AnswerVocabulary
from clipnav.vl_tasks.classification.task import ANSWERS
from clipnav.vl_tasks.data.questions import Question
from clipnav.vl_tasks.data_folders import data_folder
from clipnav.vl_tasks.house_tasks.languages.lexicons import ENGLISH
from clipnav.vl_tasks.reliability.folder import (
    PARTS_FILE,
    FolderDescription,
    RiskThreshold,
    predictions_path,
    write_description,
)
from clipnav.vl_tasks.reliability.methods import (
    Confidences,
    Estimator,
    build_estimator,
    estimator_loss,
    expected_calibration_error,
    predict_rows,
)
from clipnav.vl_tasks.reliability.outputs import INPUTS, Outputs, model_digest, outputs_of
from clipnav.vl_tasks.reliability.parts import (
    QuestionSplit,
    divide_images,
    input_files,
    questions_of_parts,
    read_parts,
    read_split,
    write_parts,
)
from clipnav.vl_tasks.reliability.scores.metrics import Answers, coverage_at, ties_averaged_auc
from clipnav.vl_tasks.reliability.scores.report import score_answers
from clipnav.vl_tasks.reliability.settings import SelectorConfig
from clipnav.vl_tasks.settings.runs import HELD_OUT
from clipnav.vl_tasks.training import prepare, warn_of_training_data
from clipnav.vl_tasks.vqa.settings import VqaConfig
from clipnav.vl_tasks.vqa.submissions import write_sure_submission
from clipnav.vl_tasks.vqa.task import SoftTargets

_METRIC = "selective accuracy"
_VAL = "val"


class DataPart(NamedTuple):
    """A part of the divided split.

    Attributes:
        rows: (N,) numbers of its questions within the split.
        questions: The questions.
    """

    rows: np.ndarray
    questions: list[Question]


@dataclass(frozen=True)
class SelectionTask:
    """A frozen VQA model with its outputs on a divided split.

    Attributes:
        config: Settings of the estimator.
        vqa: Settings of the VQA run.
        split: The divided split.
        division: Image ids by part.
        parts: The parts by name.
        outputs: Outputs of the model on all questions of the split.
        answers: Answer vocabulary of the model.
        digest: SHA-256 of the model's weights.
    """

    config: SelectorConfig
    vqa: VqaConfig
    split: QuestionSplit
    division: Mapping[str, Sequence[int]]
    parts: Mapping[str, DataPart]
    outputs: Outputs
    answers: AnswerVocabulary
    digest: str

    @property
    def unknown(self) -> int | None:
        """Class that is never an answer; None if there is none."""
        return self.answers.classes.get(UNKNOWN)

    def predict(self, estimator: Estimator | None, part: str) -> Confidences:
        """Return answers and confidence of a part."""
        config, rows = self.config, self.parts[part].rows
        size, device = config.evaluation_batch_size, config.device
        return predict_rows(estimator, self.outputs, rows, self.unknown, size, device)

    def score(self, part: str, predicted: Confidences) -> Answers:
        """Return the official accuracy and the confidence of answers to a part."""
        questions = self.parts[part].questions
        predictions = predicted.by_question(questions, self.answers)
        return score_answers(predictions, questions, self.config.variant).answers


def _split_name(config: SelectorConfig, vqa: VqaConfig) -> str:
    """Return the name of the split to divide."""
    # Without --evaluation-splits, a run evaluates the split that selects its weights.
    name = config.split or (vqa.evaluation_splits or vqa.evaluated_splits)[-1]
    if name == HELD_OUT:
        raise UserError(
            f"{config.run}: its evaluation split {HELD_OUT} is a part of the training images; name "
            "another split with answers with --split"
        )
    return name


def _open_task(config: SelectorConfig) -> SelectionTask:
    """Read the divided split, and compute the outputs of the VQA model if they are not cached."""
    if config.run is None:
        raise UserError("no run given; write clipnav train-selector RUN --method selector")
    vqa = read_config(config.run, VqaConfig)
    if ENGLISH not in vqa.languages:
        raise UserError(
            f"{config.run}: fine-tuned in {', '.join(vqa.languages)}, but selectors learn from "
            "English questions; name a run that was fine-tuned in English, too"
        )
    name = _split_name(config, vqa)
    split = read_split(data_folder(vqa), name)
    warn_of_training_data(
        vqa,
        [name],
        f"{config.run} was trained on it, so its answers are too often correct there, and the "
        "thresholds do not keep their risk on other images; name another split with --split, or "
        "train the model without this one",
    )
    path = config.parts if config.resume is None else config.resume / PARTS_FILE
    division = divide_images(split.questions) if path is None else read_parts(path)
    divided = questions_of_parts(split.questions, division, str(path or split.questions_file))
    number = {one.question_id: row for row, one in enumerate(split.questions)}
    parts = {
        name: DataPart(np.array([number[one.question_id] for one in rows]), rows)
        for name, rows in divided.items()
    }
    images = input_files(vqa, split.questions)
    outputs = outputs_of(config.run, vqa, split.questions, images, config.device)
    answers = AnswerVocabulary.load(config.run / ANSWERS)
    return SelectionTask(
        config, vqa, split, division, parts, outputs, answers, model_digest(config.run)
    )


class SelectionLearner(SavedNetwork):
    """Adapter from a confidence estimator to the `Trainer`.

    The weights of a selector are chosen by the area under the risk-coverage curve of val; a
    calibration keeps its last weights, as published.
    """

    network: Estimator

    def __init__(self, task: SelectionTask, estimator: Estimator) -> None:
        self._task, self.network = task, estimator.to(task.config.device)
        config = task.config
        self.metadata = {"vqa model": task.digest}
        self.selection = Selection(_VAL, _METRIC) if config.method == "selector" else None
        self.clipped = [self.network]
        self.optimiser = make_optimiser(self.network, config.optimiser)
        dev = task.parts["dev"]
        self._order = ShuffledBatchOrder(len(dev.rows), config.batch_size, config.seed)
        self._targets = SoftTargets(dev.questions, task.answers)

    def backward(self, iteration: int) -> Summary:
        """Add the gradients of a batch and return its loss."""
        task, device = self._task, self._task.config.device
        batch = self._order.batch(iteration)
        outputs = task.outputs.batch(task.parts["dev"].rows[batch])
        outputs = {name: values.to(device) for name, values in outputs.items()}
        targets = self._targets.batch(batch).to(device)
        loss = estimator_loss(self.network, outputs, targets, task.unknown, task.config)
        loss.backward()
        return {"loss": loss.item()}

    def evaluate(self) -> dict[str, Summary]:
        """Return the scores of val; the mean accuracy over all coverages is 1 - AUC."""
        scored = self._task.score(_VAL, self._task.predict(self.network, _VAL))
        error = _calibration_error(scored)
        return {_VAL: {_METRIC: 1 - ties_averaged_auc(scored), "ECE": error}}

    def start(self, run: Path) -> None:
        """Write the division of the split for a new run."""
        write_parts(run / PARTS_FILE, self._task.division)


def train_selector(config: SelectorConfig) -> Path:
    """Train a confidence estimator, choose its thresholds on val and write its predictions."""
    prepare(config)
    check_run(config)
    task = _open_task(config)
    if config.epochs is not None:
        steps = round(config.epochs * len(task.parts["dev"].rows) / config.batch_size)
        config = replace(config, iterations=max(1, steps))
        task = replace(task, config=config)
    widths = task.outputs.widths
    used = INPUTS if config.method == "selector" else ("scores",)
    present = ", ".join(f"{name} ({widths[name]})" for name in used if name in widths)
    line = f"{config.method} for {config.run}, over {present}"
    missing = [name for name in used if name not in widths]
    if missing:
        line += f"; the model has no {' and no '.join(missing)} vector, so it is left out"
    print(line)
    # Unless its outputs are cached, the VQA model was built here, which draws random numbers.
    torch.manual_seed(config.seed)
    estimator = build_estimator(config, widths)
    if estimator is None:
        run = run_folder(config)
        run.mkdir(parents=True, exist_ok=True)
        with exclusive_lock(run):
            settings = replace(config, output=run, resume=None)
            write_text(run / CONFIG, to_json(settings))
            write_parts(run / PARTS_FILE, task.division)
            results = _finish(task, None, run)
            write_text(run / RESULTS, json.dumps({"results": results}, indent=2) + "\n")
    else:
        noise = partial(iteration_seed, config.seed, Stream.SELECTOR_NOISE)
        trainer = Trainer(config, SelectionLearner(task, estimator), noise)
        trainer.train()
        run = trainer.run
        load_model(run, estimator, {"vqa model": task.digest})
        trainer.report(_finish(task, estimator, run))
    print(f"the selector is in {run}")
    return run


def _finish(task: SelectionTask, estimator: Estimator | None, run: Path) -> dict[str, Any]:
    """Write thresholds and predictions; print and return the scores of val and test."""
    results: dict[str, Any] = {}
    scored: dict[str, Answers] = {}
    for part in ("val", "test"):
        found = task.predict(estimator, part)
        scored[part] = task.score(part, found)
        before = task.score(part, task.predict(None, part))
        answers = found.by_question(task.parts[part].questions, task.answers)
        write_sure_submission(predictions_path(run, part), answers)
        results[part] = {
            "questions": len(scored[part].accuracy),
            "accuracy": 100 * float(scored[part].accuracy.mean()),
            "AUC": 100 * ties_averaged_auc(scored[part]),
            "ECE": 100 * _calibration_error(scored[part]),
            "ECE of MaxProb": 100 * _calibration_error(before),
        }
        one = results[part]
        print(
            f"{part}: accuracy {one['accuracy']:.2f} %, AUC {one['AUC']:.2f} %, "
            f"ECE {one['ECE']:.2f} % (MaxProb {one['ECE of MaxProb']:.2f} %)"
        )
    config, split = task.config, task.split
    assert config.run is not None  # _open_task
    description = FolderDescription(
        run=str(config.run.resolve()),
        model=task.digest,
        split=_split_name(config, task.vqa),
        questions=str(split.questions_file.resolve()),
        annotations=str(split.annotations_file.resolve()),
        variant=config.variant,
        widths=task.outputs.widths,
        unknown=task.unknown,
        thresholds=_thresholds(scored["val"], config.risks),
        estimator="" if estimator is None else model_digest(run),
    )
    write_description(run, description)
    return results


def _calibration_error(answers: Answers) -> float:
    return expected_calibration_error(answers.accuracy, answers.confidence)


def _thresholds(val: Answers, risks: tuple[float, ...]) -> tuple[RiskThreshold, ...]:
    """Choose the threshold of each tolerated risk in percent."""
    ordered = val.by_confidence()
    thresholds = []
    for risk in sorted(set(risks)):
        best = coverage_at(ordered, risk / 100)
        thresholds.append(RiskThreshold(risk, best.threshold, best.coverage))
        text = "no answer is reliable enough"
        if best.threshold is not None:
            text = f"threshold {best.threshold:.4f}, coverage {best.coverage:.1f} % of val"
        print(f"risk {risk:g} %: {text}")
    return tuple(thresholds)
