r"""Score how well VQA models know when not to answer.

$ clipnav evaluate-reliability runs/selector-vqa-mcan-house runs/maxprob-vqa-mcan-house
$ clipnav evaluate-reliability runs/selector-vqa-mcan-house --plot curves.png --json scores.json
$ clipnav evaluate-reliability test.json --val val.json --parts parts.json \
    --questions v2_OpenEnded_mscoco_val2014_questions.json \
    --annotations v2_mscoco_val2014_annotations.json

A model is a folder of clipnav train-selector, or a file of predictions with the answers to test:
a list of objects with the fields "question_id", "answer" and "confidence"; --val names its answers
to val. The command prints, with intervals from a bootstrap over images, the area under the
risk-coverage curve (AUC, lower is better), the coverage at tolerated risks (C@R) and the effective
reliability by cost of a wrong answer (Phi), whose thresholds are chosen on val.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from clipnav.parsing import parse
from clipnav.storage.errors import UserError
from clipnav.storage.outputs import check_outputs
from clipnav.training.settings import check_counts, check_unused_options
from clipnav.vl_tasks.text.normalising import Variant

if TYPE_CHECKING:
    from clipnav.vl_tasks.reliability.scores.report import ModelAnswers


@dataclass(frozen=True)
class ShiftConfig:
    """Questions of another distribution that are mixed into test."""

    data: str | None = None
    """Data of shifted questions, which the models of the folders answer: "house", "easy-vqa", or a
    folder with question and annotation files of VQA v2 and its images (or regions)."""
    split: str = "val_unseen"
    """Split of the shifted questions."""
    share: float = 0.5
    """Share of the shifted questions in the mixture."""

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise UserError(f"--shift.share {self.share:g}: must be above 0 and at most 1")
        if self.data is None:
            reason = "without --shift.data"
            check_unused_options(self, {"split": reason, "share": reason}, part="shift.")


@dataclass(frozen=True)
class EvaluateReliabilityConfig:
    """Models and questions."""

    models: tyro.conf.Positional[tuple[Path, ...]]
    """Folders of clipnav train-selector, or predictions files of test."""
    names: tuple[str, ...] = ()
    """Names of the models in tables and plot; default: their paths."""
    val: tuple[Path, ...] = ()
    """Predictions files of val, one per predictions file of test in the same order."""
    questions: Path | None = None
    """VQA v2 questions file, for predictions files."""
    annotations: Path | None = None
    """VQA v2 annotations file, for predictions files."""
    parts: Path | None = None
    """File of clipnav split-questions, or folder of the published files, for predictions files."""
    variant: Variant | None = None
    """Variant of the VQA evaluator; V3 is that of reliable_vqa. Default: that of the selectors, and
    V2 for predictions files alone."""
    shift: ShiftConfig = field(default_factory=ShiftConfig)
    """Questions of another distribution."""
    resamples: int = 1000
    """Number of bootstrap resamples; 0 for no intervals."""
    seed: int = 0
    """Random seed of the bootstrap and of the mixture."""
    device: str = "cpu"
    """Device of the models that answer shifted questions."""
    json: Path | None = None
    """Output file of all scores."""
    plot: Path | None = None
    """Output file of the risk-coverage curves, PNG, PDF or SVG."""

    def __post_init__(self) -> None:
        check_counts(self, ("resamples", "seed"), least=0)
        check_outputs(self, {"json": (".json",), "plot": (".png", ".pdf", ".svg")})
        if self.names and len(self.names) != len(self.models):
            raise UserError(
                f"--names: {len(self.names)} names for {len(self.models)} models; give one name "
                "for each model"
            )
        names = [*(self.names or map(str, self.models))]
        if repeated := [name for name in names if names.count(name) > 1]:
            raise UserError(
                f"--names: two models are named {repeated[0]}; give each a name of its own"
            )


def main(arguments: Sequence[str]) -> None:
    """Parse the command line, score, print and plot."""
    config = parse(EvaluateReliabilityConfig, __name__, __doc__, arguments)
    if not config.models:
        raise SystemExit("no model given; write clipnav evaluate-reliability runs/selector-...")
    # Imported here so that --help returns at once.
    import json

    from clipnav.envs.metrics import aligned
    from clipnav.storage import write_text
    from clipnav.vl_tasks.reliability.scores.report import (
        curve_points,
        effective_rows,
        model_report,
        table_rows,
    )

    models = _read_models(config)
    reports = {one.name: model_report(one, config.resamples, config.seed) for one in models}
    print(f"{len(models[0].test.images)} questions, thresholds of Phi chosen on ", end="")
    intervals = ", with 95 % intervals over images" if config.resamples else ""
    print(f"{len(models[0].val.images)} questions; percent{intervals}")
    print(aligned(table_rows(reports)))
    print(aligned(effective_rows(reports)))
    if config.json:
        write_text(config.json, json.dumps(reports, indent=1) + "\n")
    if config.plot:
        from clipnav.viewer.outputs.plots import risk_coverage, save

        save(risk_coverage({one.name: curve_points(one.test) for one in models}), config.plot)
        print(f"the curves are in {config.plot}")


def _read_models(config: EvaluateReliabilityConfig) -> "list[ModelAnswers]":
    """Read the answers of all models."""
    from clipnav.vl_tasks.reliability.folder import is_selector
    from clipnav.vl_tasks.reliability.model_answers import (
        Shift,
        answers_of_file,
        answers_of_selector,
        check_same_questions,
        divided_of_selector,
        read_divided,
    )

    names = config.names or tuple(map(str, config.models))
    for path in (*config.models, *config.val):
        path.stat()  # a missing path is neither a folder nor a file of predictions
    folders = [path for path in config.models if path.is_dir()]
    for path in folders:
        if not is_selector(path):
            raise FileNotFoundError(f"{path}: not a folder of clipnav train-selector; train one")
    files = [path for path in config.models if path not in folders]
    flags = (config.questions, config.annotations, config.parts)
    if files and (None in flags or len(config.val) != len(files)):
        raise UserError(
            f"{files[0]}: a predictions file requires --questions, --annotations, --parts, and one "
            "--val file per predictions file"
        )
    if not files and (config.val or any(flags)):
        raise UserError(
            "--val, --questions, --annotations and --parts have no effect without predictions files"
        )
    shift = None
    if config.shift.data is not None:
        if files:
            raise UserError(f"--shift.data: {files[0]} is a predictions file; name folders only")
        shift = Shift(config.shift.data, config.shift.split, config.shift.share, config.seed)
    of_files = read_divided(*flags) if files else {}  # pyright: ignore[reportArgumentType]
    divided = {one: of_files if one in files else divided_of_selector(one) for one in config.models}
    check_same_questions(list(divided.items()))
    variant = config.variant or _variant_of(folders)
    val = iter(config.val)  # a file of test can be given twice, with other answers to val
    return [
        answers_of_file(name, path, next(val), of_files, variant)
        if path in files
        else answers_of_selector(name, path, divided[path], variant, shift, config.device)
        for name, path in zip(names, config.models, strict=True)
    ]


def _variant_of(folders: Sequence[Path]) -> Variant:
    """Return the variant with which confidence was learnt."""
    from clipnav.vl_tasks.reliability.folder import read_description

    variants: list[Variant] = sorted({read_description(one).variant for one in folders} or {"V2"})
    if len(variants) > 1:
        raise UserError(
            f"the selectors have the variants {' and '.join(variants)}; name the one to score with "
            "as --variant"
        )
    return variants[0]
