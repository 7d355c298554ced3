"""Folder of a confidence estimator: what it was made for, its thresholds and its predictions.

* config.json, model.safetensors, trainer.pt, metrics.jsonl, results.json: as in any run
* parts.json: image ids of dev, val and test
* selector.json: VQA model, data and thresholds
* predictions_val.json, predictions_test.json: answers with confidence
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from clipnav.storage import write_text
from clipnav.storage.errors import UserError
from clipnav.storage.json_files import read_json
from clipnav.training.checkpoints import load_model
from clipnav.training.settings import read_config
from clipnav.vl_tasks.reliability.methods import Estimator, build_estimator
from clipnav.vl_tasks.reliability.outputs import model_digest
from clipnav.vl_tasks.reliability.settings import SelectorConfig
from clipnav.vl_tasks.text.normalising import Variant
from clipnav.vl_tasks.vqa.settings import VqaConfig

DESCRIPTION, PARTS_FILE = "selector.json", "parts.json"
_HINT = "train the selector again with clipnav train-selector"


class RiskThreshold(msgspec.Struct, frozen=True):
    """Threshold of a tolerated risk, chosen on val.

    Attributes:
        risk: Tolerated risk in percent.
        threshold: Lowest confidence that is answered; None if no answer is reliable enough.
        coverage: Share of the questions of val that are answered, in percent.
    """

    risk: float
    threshold: float | None
    coverage: float


class FolderDescription(msgspec.Struct, frozen=True):
    """What an estimator was made for.

    Attributes:
        run: Folder of the VQA run.
        model: SHA-256 of its weights.
        split: Split that was divided.
        questions: Questions file of the split.
        annotations: Annotations file of the split.
        variant: Variant of the VQA evaluator.
        widths: Width of each output of the VQA model by name.
        unknown: Class that is never an answer; None if there is none.
        thresholds: Thresholds by tolerated risk.
        estimator: SHA-256 of the weights of the estimator that the thresholds were chosen for; ""
            for MaxProb, which has none.
    """

    run: str
    model: str
    split: str
    questions: str
    annotations: str
    variant: Variant
    widths: dict[str, int]
    unknown: int | None
    thresholds: tuple[RiskThreshold, ...]
    estimator: str = ""


@dataclass(frozen=True)
class OpenedSelector:
    """A confidence estimator with its VQA run.

    Attributes:
        folder: Folder of the estimator.
        config: Settings of the estimator.
        description: What it was made for.
        estimator: Network in evaluation mode; None for MaxProb.
        run: Folder of the VQA run.
        vqa: Settings of the VQA run.
    """

    folder: Path
    config: SelectorConfig
    description: FolderDescription
    estimator: Estimator | None
    run: Path
    vqa: VqaConfig


def is_selector(folder: Path) -> bool:
    """Return whether a folder contains a confidence estimator."""
    return (folder / DESCRIPTION).is_file()


def predictions_path(folder: Path, part: str) -> Path:
    """Return the predictions file of a part."""
    return folder / f"predictions_{part}.json"


def write_description(folder: Path, description: FolderDescription) -> None:
    """Write the description of an estimator."""
    document: Any = msgspec.to_builtins(description)
    write_text(folder / DESCRIPTION, json.dumps(document, indent=1) + "\n")


def read_description(folder: Path) -> FolderDescription:
    """Read the description of an estimator."""
    path = folder / DESCRIPTION
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: no such file; train a selector with clipnav train-selector, or name another "
            "folder"
        )
    return read_json(path, _HINT, FolderDescription)


def open_selector(folder: Path, run: Path | None = None, device: str = "cpu") -> OpenedSelector:
    """Load a confidence estimator and check that it belongs to a VQA run."""
    # A given run first: the absence of the folder may be due to a run of another task.
    vqa = None if run is None else read_config(run, VqaConfig)
    description = read_description(folder)
    run = run or Path(description.run)
    config = read_config(folder, SelectorConfig)
    vqa = vqa or read_config(run, VqaConfig)
    if model_digest(run) != description.model:
        raise UserError(
            f"{folder / DESCRIPTION}: made for another model than {run}, that of "
            f"{description.run}; train a selector for this run with clipnav train-selector"
        )
    estimator = build_estimator(config, description.widths)
    if estimator is not None:
        load_model(folder, estimator, {"vqa model": description.model})
        if description.estimator not in ("", model_digest(folder)):
            raise UserError(
                f"{folder / DESCRIPTION}: its thresholds are those of earlier weights, because the "
                f"training was resumed and not finished; finish it with clipnav train-selector "
                f"--resume {folder}"
            )
        estimator.to(device).eval()
    return OpenedSelector(folder, config, description, estimator, run, vqa)
