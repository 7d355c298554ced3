"""Follow the words of the built-in episodes with ground-truth sight, and count who arrives.

check_instructions.py --splits val_unseen
check_instructions.py --scans house_00-house_03 --splits train val_seen

Needs the houses in the cache (scripts/build_houses.py). An instruction arrives if its symbolic
follower ends within 3 m of the goal; it is clear if every way to take its words ends there.
"""

from dataclasses import dataclass, field
from pathlib import Path

import tyro

from connectivity import CONNECTIVITY_DIR
from envs.houses.house_set import DATA_DIR, SPLITS, expand_scans


@dataclass(frozen=True)
class CheckConfig:
    """Follow the words of the built-in episodes with ground-truth sight, and count who arrives."""

    scans: tuple[str, ...] = ("house_00-house_39",)
    """Houses to check; "house_00-house_03" is a range."""
    splits: tuple[str, ...] = SPLITS
    """Splits to check."""
    connectivity_dir: Path = field(default=CONNECTIVITY_DIR)
    """Folder of the navigation graphs."""
    data_dir: Path = field(default=DATA_DIR)
    """Folder of the annotations."""


def main() -> None:
    """Parse the command line, check and print a table."""
    from envs.houses.instruction_checks import check_files

    config = tyro.cli(CheckConfig)
    scans = expand_scans(config.scans)
    print(check_files(scans, config.splits, config.connectivity_dir, config.data_dir))


if __name__ == "__main__":
    main()
