r"""Compare encoders: train the same VQA model on the grid features of each.

$ clipnav compare-vqa-encoders --encoders house_clip labels=runs/house_supervised/house_supervised
$ clipnav compare-vqa-encoders --encoders house_clip efficientnet-lite0 house_clip:random \
    --ablations no-vision
$ clipnav compare-vqa-encoders --encoders house_clip mine=features/regions -- --iterations 1000

Features that are not in the cache are computed, a model is trained on them with each seed, and all
models are scored on the evaluation splits. OUTPUT then contains comparison.json, comparison.md and
comparison.png, with the mean and its interval over seeds. Arguments after -- are those of clipnav
finetune-vqa and apply to all models on which they have an effect. Run the same command again to
resume an interrupted comparison.

The weights of a run are selected on the first split, so the other splits have no influence on the
selection. By default the splits are those of the preset that --data or --preset after -- choose.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from clipnav.comparisons import (
    ComparisonArguments,
    effective_rows,
    split_command_line,
    write_report,
)
from clipnav.encoders.named_encoder import NamedEncoder, named_encoders
from clipnav.parsing import parse
from clipnav.storage.errors import UserError
from clipnav.vl_tasks.settings.runs import HELD_OUT

if TYPE_CHECKING:
    from clipnav.training.comparisons import ComparisonRow

# Flags of trainings that this comparison sets, and the flags that determine them.
_OWN_FLAGS: dict[str, str] = dict.fromkeys(
    ("--grids.encoder", "--grids.pretrained", "--grids.random-weights", "--regions"), "--encoders"
)


@dataclass(frozen=True)
class CompareVqaEncodersArguments(ComparisonArguments):
    """Compare VQA models that are trained on the features of different encoders."""

    encoders: tuple[str, ...] = ("house_clip",)
    """Encoders: "house_clip", "efficientnet-lite0" (ImageNet's labels; requires the extra "bench"),
    an open_clip name with its weights (ViT-B-32:openai), a folder in open_clip's local-dir format,
    one of these with random weights (house_clip:random), or a folder of features of any model, one
    .npz file per image; each can be given a name (NAME=FOLDER). The others are compared with the
    first one."""
    ablations: tuple[Literal["no-vision"], ...] = ()
    """Additional row: a model without images, in training and evaluation."""
    output: Path = Path("runs/comparison-vqa")
    """Folder of runs and results."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.splits is not None and HELD_OUT in self.splits[1:]:
            raise UserError(
                f"--splits {' '.join(self.splits)}: {HELD_OUT} exists only as the split that "
                "selects the weights; name it first"
            )


def main(arguments: Sequence[str]) -> None:
    """Parse the command line and run the command."""
    own, training = split_command_line(arguments, _OWN_FLAGS)
    config = parse(CompareVqaEncodersArguments, __name__, __doc__, own)
    from clipnav.vl_tasks.vqa.comparison import vqa_splits

    config = replace(config, splits=config.splits or vqa_splits(training))
    rows = contestants(config, [*config.choice, *training])
    from clipnav.envs.metrics.comparison_report import make_report
    from clipnav.vl_tasks.vqa.comparison import CLUSTER, METRICS, check_split_files, train_all

    check_split_files(rows[0], "--splits")
    scores = train_all(rows, config.seeds, config.output / "runs", config.workers)
    write_report(make_report(scores, METRICS, CLUSTER), config.output)


def contestants(
    arguments: CompareVqaEncodersArguments, common: Sequence[str]
) -> "list[ComparisonRow]":
    """Return the rows to train: each encoder, then the ablations."""
    from clipnav.vl_tasks.grids.encoders import check_encoder
    from clipnav.vl_tasks.specs import parse_task

    config = parse_task("vqa", common)
    has_positions = config.model == "mcan" and config.mcan.positions
    encoders = named_encoders(arguments.encoders)
    own = [(entry.name, _encoder_arguments(entry, has_positions)) for entry in encoders]
    own += [(name, [f"--{name}"]) for name in arguments.ablations]
    return effective_rows(own, common, lambda words: check_encoder(parse_task("vqa", words)))


def _encoder_arguments(entry: NamedEncoder, has_positions: bool) -> list[str]:
    """Return the arguments of clipnav finetune-vqa that select an encoder."""
    if entry.is_store:
        raise UserError(
            f"{entry.source}: a feature store contains views of viewpoints, not images of "
            "questions; give a folder with one .npz file of features per image"
        )
    if _contains_regions(Path(entry.source)):
        return ["--regions", entry.source, *["--mcan.no-positions"] * has_positions]
    weights = ["--grids.random-weights"] if entry.random_weights else []
    if entry.pretrained is not None:
        weights = ["--grids.pretrained", entry.pretrained]
    return ["--grids.encoder", entry.source, *weights]


def _contains_regions(folder: Path) -> bool:
    """Return whether a folder, or a subfolder of it, contains .npz files."""
    return any(folder.glob("*.npz")) or any(folder.glob("*/*.npz"))
