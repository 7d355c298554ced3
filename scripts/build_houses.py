"""Build a set of houses: GLB files into the cache, graphs and episodes into two folders.

$ build_houses.py                                  # the 40 that come with the project
$ build_houses.py --set standard --workers 8       # 260 large ones
$ build_houses.py --set standard --contact-sheet houses.jpg
$ build_houses.py --scans house_00-house_03 --rebuild houses
$ build_houses.py --statistics data/matterport/connectivity    # beside those of real graphs

What an interrupted run left over is built when the command is given again without --rebuild.
"""

from complaints import friendly_errors

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from training.settings import check_counts


@dataclass(frozen=True)
class BuildArguments:
    """What to build of which set, and where it goes."""

    set: Literal["mini", "standard", "gallery"] = "mini"
    """Which set: the 40 houses that come with the project, 260 large ones below the cache, or 96
    without episodes, of whose pictures encoders learn."""
    scans: tuple[str, ...] = ()
    """Houses of the set to build; "house_00-house_03" is a range. All by default."""
    workers: int = 2
    """Processes. The result does not depend on their number."""
    rebuild: Literal["nothing", "paths", "houses"] = "nothing"
    """What to make anew although it is there: nothing, paths (graphs and episodes) or houses."""
    connectivity_dir: Path | None = None
    """Folder that gets the navigation graphs instead of the set's own."""
    data_dir: Path | None = None
    """Folder that gets R2R_<split>.json and the RxR guides instead of the set's own."""
    contact_sheet: Path | None = None
    """Picture to write of the houses' plans, graphs and rooms."""
    sheet_houses: int = 20
    """Most houses on it, spread over the set."""
    statistics: Annotated[tuple[Path, ...], tyro.conf.arg(metavar="DIR ...")] = ()
    """Build nothing; print figures of the set's graphs and of those in other folders."""

    def __post_init__(self) -> None:
        check_counts(self, ("workers", "sheet_houses"))
        sheet = self.contact_sheet
        if sheet and (sheet.suffix not in (".png", ".jpg") or not sheet.parent.is_dir()):
            raise ValueError(
                f"--contact-sheet {sheet}: must be a .png or .jpg in a folder that is there"
            )


def main(arguments: BuildArguments) -> None:
    """Runs the command."""
    from envs.houses.building.sets import HOUSE_SETS
    from envs.houses.house_set import build_set, expand_scans

    house_set = HOUSE_SETS[arguments.set]
    graphs = arguments.connectivity_dir or house_set.connectivity_dir
    if arguments.statistics:
        from envs.houses.graph.statistics import statistics_table

        print(statistics_table([graphs, *arguments.statistics]))
        return
    scans = expand_scans(arguments.scans, house_set) or list(house_set.specs)
    data_dir = arguments.data_dir or house_set.data_dir
    build_set(house_set, scans, arguments.workers, arguments.rebuild, graphs, data_dir)
    print(f"graphs in {graphs}" + (f", episodes in {data_dir}" if house_set.splits else ""))
    if arguments.contact_sheet:
        from envs.houses.rendering.contact_sheet import set_sheet

        step = -(-len(scans) // arguments.sheet_houses)
        set_sheet(scans[::step], arguments.contact_sheet, graphs)
        print(f"pictures in {arguments.contact_sheet}")


if __name__ == "__main__":
    with friendly_errors():
        main(tyro.cli(BuildArguments, description=__doc__))
