"""Build a set of houses: GLB files in the cache, navigation graphs and episodes in two folders.

$ clipnav build-houses                                  # the 32 shipped houses
$ clipnav build-houses --set standard --workers 8       # 80 houses
$ clipnav build-houses --set standard --contact-sheet houses.jpg
$ clipnav build-houses --scans house_00-house_03 --rebuild houses
$ clipnav build-houses --episodes goals                 # REVERIE, SOON, CVDN and object goals alone
$ clipnav build-houses --statistics data/matterport/connectivity    # compare with real graphs

To resume an interrupted run, give the same command again without --rebuild.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from clipnav.parsing import parse
from clipnav.storage.errors import UserError
from clipnav.training.settings import check_counts, check_unused_options


@dataclass(frozen=True)
class BuildArguments:
    """Houses to build and folders to write to."""

    set: Literal["mini", "standard", "gallery", "annex"] = "mini"
    """House set: the 32 shipped houses (mini), 80 houses in the cache (standard), 96 houses
    without episodes whose pictures train encoders (gallery), or 60 houses without episodes about
    whose pictures questions are asked (annex)."""
    scans: tuple[str, ...] = ()
    """Houses of the set to build; "house_00-house_03" is a range. Default: all houses."""
    workers: int = 2
    """Number of worker processes. The result does not depend on it."""
    rebuild: Literal["nothing", "paths", "houses"] = "nothing"
    """What to build again although it exists: nothing, paths (graphs and episodes) or houses."""
    connectivity_dir: Path | None = None
    """Output folder of the navigation graphs. Default: the folder of the set."""
    data_dir: Path | None = None
    """Output folder of R2R_<split>.json and the RxR guides. Default: the folder of the set."""
    episodes: Literal["all", "routes", "goals"] = "all"
    """Episodes to write: routes (R2R and RxR, with the graphs), goals (REVERIE, SOON, CVDN and
    object goals with the boxes of objects, for graphs that exist) or all."""
    contact_sheet: Path | None = None
    """Output picture (.png or .jpg) of the houses' plans, graphs and rooms."""
    sheet_houses: int = 20
    """Maximum number of houses on the contact sheet, spread evenly over the set."""
    statistics: Annotated[tuple[Path, ...] | None, tyro.conf.arg(metavar="[DIR ...]")] = None
    """Build nothing; print statistics of the graphs, paths and texts of the set, and of folders of
    other navigation graphs, whose R2R files lie in the parent folder or in ../../r2r."""

    def __post_init__(self) -> None:
        check_counts(self, ("workers", "sheet_houses"))
        if self.statistics is not None:
            names = ("scans", "workers", "rebuild", "episodes", "contact_sheet", "sheet_houses")
            check_unused_options(
                self, dict.fromkeys(names, "with --statistics, which builds nothing")
            )
        if self.episodes == "goals" and self.rebuild == "houses":
            raise UserError("--rebuild houses has no effect with --episodes goals; use paths")
        if self.contact_sheet is None:
            check_unused_options(self, {"sheet_houses": "without --contact-sheet"})
        sheet = self.contact_sheet
        if sheet and (sheet.suffix not in (".png", ".jpg") or not sheet.parent.is_dir()):
            raise UserError(
                f"--contact-sheet {sheet}: must be a .png or .jpg file in an existing folder"
            )


def main(arguments: Sequence[str]) -> None:
    """Parse the command line and run the command."""
    config = parse(BuildArguments, __name__, __doc__, arguments)
    from clipnav.connectivity import read_scans
    from clipnav.envs.houses.building.sets import HOUSE_SETS
    from clipnav.envs.houses.goals.files import build_goals
    from clipnav.envs.houses.house_set import build_set, expand_scans

    house_set = HOUSE_SETS[config.set]
    graphs = config.connectivity_dir or house_set.connectivity_dir
    if config.statistics is not None:
        from clipnav.envs.houses.statistics import annotations_beside, statistics_table

        own = {graphs: config.data_dir or house_set.data_dir} if house_set.splits else {}
        others = {folder: annotations_beside(folder) for folder in config.statistics}
        print(statistics_table({**own, **others}))
        return
    scans = expand_scans(config.scans, house_set) or list(house_set.specs)
    data_dir = config.data_dir or house_set.data_dir
    shown = scans[:: -(-len(scans) // config.sheet_houses)]
    # Building takes minutes, so outputs that cannot be written are reported first.
    if config.contact_sheet:
        from clipnav.envs.houses.rendering.contact_sheet import check_height

        check_height(config.contact_sheet, len(shown))
    for folder in filter(None, (config.connectivity_dir, config.data_dir)):
        folder.mkdir(parents=True, exist_ok=True)
    if config.episodes != "goals":
        build_set(house_set, scans, config.workers, config.rebuild, graphs, data_dir)
    if config.episodes != "routes" and house_set.splits:
        anew = config.rebuild != "nothing"
        build_goals(house_set, scans, config.workers, graphs, data_dir, anew)
    print(f"graphs in {graphs}" + (f", episodes in {data_dir}" if house_set.splits else ""))
    if house_set.splits and config.scans and graphs == house_set.connectivity_dir:
        # Agents would train and be scored on a part of the splits without a word.
        missing = set(house_set.specs) - set(read_scans(graphs))
        if missing:
            print(
                f"{len(missing)} of {len(house_set.specs)} houses of {config.set} are missing, "
                "so that its splits are incomplete; without --scans, the command builds them"
            )
    if config.contact_sheet:
        from clipnav.envs.houses.rendering.contact_sheet import set_sheet

        set_sheet(shown, config.contact_sheet, graphs)
        print(f"pictures in {config.contact_sheet}")
