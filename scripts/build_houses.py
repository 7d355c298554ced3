"""Builds the built-in houses: GLB files into the cache, graphs and episodes into two folders."""

from dataclasses import dataclass, field
from pathlib import Path

import tyro

from connectivity import CONNECTIVITY_DIR
from envs.houses.house_set import DATA_DIR, Rebuild, build_set, expand_scans


@dataclass(frozen=True)
class BuildArguments:
    """Builds houses, or what an interrupted run left over of them."""

    scans: tuple[str, ...] = ("house_00-house_39",)
    """Houses to build; "house_00-house_03" is a range."""
    workers: int = 2
    """Processes. The result does not depend on their number."""
    rebuild: Rebuild = "nothing"
    """What to make anew although it is there: nothing, paths (graphs and episodes) or houses."""
    connectivity_dir: Path = field(default=CONNECTIVITY_DIR)
    """Folder that gets the navigation graphs."""
    data_dir: Path = field(default=DATA_DIR)
    """Folder that gets R2R_train.json, R2R_val_seen.json and R2R_val_unseen.json."""


def main(arguments: BuildArguments) -> None:
    """Runs the command."""
    build_set(
        arguments.connectivity_dir,
        arguments.data_dir,
        expand_scans(arguments.scans),
        arguments.workers,
        arguments.rebuild,
    )
    print(f"graphs in {arguments.connectivity_dir}, episodes in {arguments.data_dir}")


if __name__ == "__main__":
    main(tyro.cli(BuildArguments))
