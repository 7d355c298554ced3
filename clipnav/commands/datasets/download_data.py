"""Download the public real data: navigation graphs, annotations, features.

$ clipnav download-data                                  # all groups: sizes, terms, addresses
$ clipnav download-data --only connectivity r2r rxr      # graphs, R2R and RxR, 131 MB
$ clipnav download-data --only r4r                       # generate R4R from R2R

Interrupted downloads resume where they stopped. The images of Matterport3D are not public, see
docs/real_data.md.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from clipnav.parsing import parse
from clipnav.storage.errors import UserError


@dataclass(frozen=True)
class DownloadArguments:
    """Arguments of the command: what to download, and into which folder."""

    only: tuple[str, ...] = ()
    """Groups of files to download, such as connectivity r2r rxr."""
    data_dir: Path = Path("data")
    """Data folder, the --data-dir of the other commands."""
    list: bool = False
    """Print all groups of files and exit, as without --only."""


def main(arguments: Sequence[str]) -> int:
    """Parse the command line and run the command."""
    config = parse(DownloadArguments, __name__, __doc__, arguments)
    from clipnav.envs.real_data import R4R, catalogue, download, explain

    if config.list or not config.only:
        _show_catalogue()
        return 0
    names = config.only
    known = (*catalogue(), R4R)
    for name in names:
        if name not in known:
            raise UserError(f"--only {name} is not one of {', '.join(known)}")
    fetched = [name for name in names if name != R4R]
    try:
        failures = download(fetched, config.data_dir)
    except KeyboardInterrupt:
        print("Stopped; run the same command again to resume.", file=sys.stderr)
        return 130
    if failures:
        print(explain(failures, fetched), file=sys.stderr)
        return 1
    if R4R in names:
        _make_r4r(config.data_dir)
    print(f"{', '.join(names)}: complete in {config.data_dir}")
    return 0


def _show_catalogue() -> None:
    """Print all groups of files."""
    from clipnav.envs.real_data import R4R, catalogue

    for name, group in catalogue().items():
        print(f"{name}: {group.contents} ({group.size}; {group.licence})")
        for file in group.files[:5]:
            print(f"    {file.path}  {file.url}")
        if len(group.files) > 5:
            print(f"    and {len(group.files) - 5} more beside them")
    print(f"{R4R}: R4R, generated from R2R and the graphs (104 MB; published as a recipe)")
    print("Download groups by name: clipnav download-data --only connectivity r2r rxr")


def _make_r4r(data_dir: Path) -> None:
    """Generate R4R from the R2R files of a data folder; files that exist are kept."""
    from clipnav.envs.episodes.r4r import r4r_path, write_r4r
    from clipnav.envs.worlds import world_files

    files = world_files("matterport", data_dir)
    for split in ("train", "val_seen", "val_unseen"):
        path = r4r_path(split, files)
        if path.exists():  # perhaps the published file
            print(f"{path}: exists and is kept; move it away to generate it again")
        else:
            print(write_r4r(split, files))
