"""Write the episodes of the built-in houses as VLN-CE's files, with ground truth of the expert.

$ clipnav export-continuous-episodes --dataset r2r --splits val_unseen
$ clipnav export-continuous-episodes --dataset rxr --splits train val_unseen --workers 8

The command writes the folders R2R_VLNCE_v1-3 and R2R_VLNCE_v1-3_preprocessed, or RxR_VLNCE_v0, into
the output folder. The dataset classes of VLN-CE read them. docs/continuous.md describes the files.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from clipnav.parsing import parse
from clipnav.storage.errors import pluralise
from clipnav.training.settings import check_counts, check_splits


@dataclass(frozen=True)
class ExportArguments:
    """Episodes to write and the output folder."""

    dataset: str = "r2r"
    """Dataset of the instructions."""
    splits: tuple[str, ...] = ("val_unseen",)
    """Splits to write."""
    world: Literal["houses", "houses-standard"] = "houses"
    """World of the built-in houses."""
    output: Path = Path("data/datasets")
    """Output folder, DATA_PATH of VLN-CE's configuration files."""
    rounded_headings: bool = False
    """Round initial headings to 30 degrees, as R2R_VLNCE v1-3 does."""
    workers: int = 2
    """Number of worker processes. The result does not depend on it."""

    def __post_init__(self) -> None:
        check_counts(self, ("workers",))
        check_splits(self, ("splits",))


def main(arguments: Sequence[str]) -> None:
    """Parse the command line and write the files."""
    from clipnav.envs.continuous.files.writing import export_split

    config = parse(ExportArguments, __name__, __doc__, arguments)
    for split in config.splits:
        exported = export_split(
            config.dataset,
            split,
            config.output,
            config.world,
            rounded_headings=config.rounded_headings,
            workers=config.workers,
        )
        print(f"{config.dataset} {split}: {pluralise(exported.episodes, 'episode')}", end="")
        if exported.dropped:
            print(
                f", {len(exported.dropped)} left out, whose path the expert cannot follow", end=""
            )
        print()
        for path in exported.files:
            print(f"  {path}")
