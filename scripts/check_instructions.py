"""Follow the words of the built-in episodes with ground-truth sight, and count who arrives.

$ check_instructions.py
$ check_instructions.py --scans house_32-house_39
$ check_instructions.py --set standard

Needs the houses in the cache (scripts/build_houses.py). An instruction arrives if its symbolic
follower ends within 3 m of the goal; it is clear if every way to take its words ends there. "At
once" (RxR alone) is the share of walks that end there if each clause is followed by chance on one
of the walks that it fits, as by one who cannot know what comes of a step.
"""

from complaints import friendly_errors

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro


@dataclass(frozen=True)
class CheckConfig:
    """Follow the words of the built-in episodes with ground-truth sight, and count who arrives."""

    set: Literal["mini", "standard"] = "mini"
    """Which set: the 40 houses that come with the project, or 260 large ones below the cache."""
    scans: tuple[str, ...] = ()
    """Houses of the set to check; "house_00-house_03" is a range. All by default."""
    data_dir: Path | None = None
    """Folder of the annotations instead of the set's own."""


def main() -> None:
    """Parse the command line, check and print a table."""
    config = tyro.cli(CheckConfig, description=__doc__)

    from envs.houses.building.sets import HOUSE_SETS
    from envs.houses.house_set import expand_scans
    from envs.houses.instruction_checks import check_set

    house_set = HOUSE_SETS[config.set]
    scans = expand_scans(config.scans, house_set) or list(house_set.specs)
    print(check_set(house_set, scans, config.data_dir))


if __name__ == "__main__":
    with friendly_errors():
        main()
