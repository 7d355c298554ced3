"""Settings of selective prediction; this module does not import torch."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal, cast, get_args

import tyro

from clipnav.storage.errors import UserError
from clipnav.storage.outputs import folder_name
from clipnav.training.run_settings import TrainingConfig, read_presets
from clipnav.training.settings import (
    check_counts,
    check_dropout,
    check_numbers,
    check_positive,
)
from clipnav.vl_tasks.specs import PRESETS

Method = Literal["maxprob", "calibration", "selector"]
SelectorLoss = Literal["regress-bce", "regress-mse", "regress-l1", "threshold", "max-index"]
PART_SEED = 1234
RISKS = (1.0, 2.0, 5.0, 10.0, 20.0, 30.0)


@dataclass(frozen=True)
class SelectorSizes:
    """Sizes of a selector."""

    image: int = 512
    """Width of the embedded image vector."""
    question: int = 512
    """Width of the embedded question vector."""
    fused: int = 512
    """Width of the embedded vector of image and question."""
    scores: int = 1024
    """Width of the embedded logits of all answers."""
    softmax: bool = False
    """Probabilities of the answers instead of rectified logits as input (`use_softmax`)."""
    hidden: tuple[int, int] = (1024, 1024)
    """Widths of the hidden layers."""
    dropout: float = 0.5
    """Dropout rate."""

    def __post_init__(self) -> None:
        check_counts(self, ("image", "question", "fused", "scores"), "sizes.")
        if min(self.hidden) < 1:
            raise UserError(
                f"--sizes.hidden {self.hidden[0]} {self.hidden[1]}: both must be at least 1"
            )
        check_dropout(self, ("dropout",), "sizes.")


@dataclass(frozen=True)
class SelectorConfig(TrainingConfig):
    """Settings of a confidence estimator for a trained VQA model."""

    COMMAND: ClassVar[str] = "clipnav train-selector"
    # Settings that may change when a run is resumed.
    MAY_CHANGE: ClassVar[frozenset[str]] = frozenset(
        "resume iterations epochs minutes evaluate_every evaluation_batch_size threads device "
        "track".split()
    )
    COMMON: ClassVar[tuple[str, ...]] = tuple(
        "run method split parts loss iterations epochs minutes batch_size optimiser.learning_rate "
        "seed output resume device".split()
    )

    run: tyro.conf.Positional[Path | None] = None
    """Run of clipnav finetune-vqa, whose model stays frozen."""
    method: Method = "selector"
    """Confidence: maxprob (probability of the answer), calibration (the same after vector scaling)
    or selector (a network that predicts whether the answer is correct)."""
    split: str | None = None
    """Split with answers whose images are divided into dev, val and test; default: the last of the
    run's --evaluation-splits, or its --select-by without them."""
    parts: Path | None = None
    """File of clipnav split-questions with the image ids of dev, val and test; default: the
    division that clipnav split-questions makes by default."""
    loss: SelectorLoss = "regress-bce"
    """Loss of the selector: regression of the soft score of the answer (regress-bce, regress-mse,
    regress-l1), or classification (threshold: its score is at least --threshold; max-index: it is
    the best answer)."""
    threshold: float = 1.0
    """Lowest soft score of a correct answer with --loss threshold."""
    sizes: SelectorSizes = field(default_factory=SelectorSizes)
    """Sizes of the selector."""
    risks: tuple[float, ...] = RISKS
    """Tolerated risks in percent whose thresholds are chosen on val and stored."""
    iterations: int = 3500
    """Number of weight updates."""
    epochs: float | None = None
    """Number of passes over dev as the length of the training, instead of --iterations."""
    batch_size: int = 256
    """Questions per weight update."""
    evaluate_every: int = 100
    """Number of iterations between two evaluations on val."""
    evaluation_batch_size: int = 1024
    """Batch size of the evaluation."""
    variant: Literal["V0", "V1", "V2", "V3"] = "V2"
    """Variant of the official VQA evaluator; V3 is that of reliable_vqa."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_counts(self, ("evaluation_batch_size",))
        check_positive(self, ("epochs",))
        check_numbers(self, ("threshold",), most=1)
        if not self.risks or not all(0 < risk < 100 for risk in self.risks):
            given = " ".join(f"{risk:g}" for risk in self.risks)
            raise UserError(f"--risks {given}: each must be between 0 and 100 percent")

    @property
    def run_name(self) -> str:
        """Default name of the run's folder below runs/."""
        return f"{self.method}-{'vqa' if self.run is None else folder_name(self.run)}"

    def unused_options(self) -> dict[str, str]:
        """Return the names of the settings without effect, each with the reason."""
        unused, method = super().unused_options(), f"with --method {self.method}"
        if self.epochs is not None:
            reason = f"with --epochs {self.epochs:g}, which sets the length of the run"
            unused["iterations"] = reason
        if self.minutes is not None:
            reason = f"with --minutes {self.minutes:g}, which ends the run"
            unused |= dict.fromkeys(("epochs", "iterations"), reason)
        if self.loss != "threshold":
            unused["threshold"] = f"with --loss {self.loss}"
        if self.method != "selector":
            unused |= dict.fromkeys(("loss", "threshold", "sizes"), method)
        if self.method == "maxprob":
            names = ("optimiser", "iterations", "epochs", "minutes", "batch_size", "evaluate_every")
            unused |= dict.fromkeys((*names, "track", "seed"), method)
        return unused


def selector_defaults(method: str) -> SelectorConfig:
    """Return the settings of a method without flags; see presets.toml for their sources."""
    if method not in get_args(Method):
        names = ", ".join(get_args(Method))
        raise UserError(f"--method {method} does not exist; choose one of {names}")
    return read_presets(SelectorConfig(method=cast("Method", method)), PRESETS, "selector")
