"""House sets: their houses, their splits and the locations of their files.

All sets have the same kinds of houses. The graphs, episodes and features of `mini` are shipped;
`clipnav build-houses --set standard` builds the larger `standard` in the cache. Two sets have no
episodes: encoders are pretrained on pictures of `gallery`, as CLIP was trained on pictures of other
places than those where it is used, and `annex` has further training houses of the questions about
pictures.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from clipnav.connectivity import CONNECTIVITY_DIR
from clipnav.envs.houses.building.house import HouseSpec, house_cache_dir
from clipnav.envs.houses.plan.floor_plan import Outline
from clipnav.storage.errors import UnknownNameError, UserError

DATA_DIR = Path(__file__).resolve().parents[1] / "data"
SPLITS = ("train", "val_seen", "val_unseen", "test")
_OUTLINES: tuple[Outline, ...] = ("rectangle", "l", "t")


@dataclass(frozen=True)
class HouseSet:
    """A set of houses; no plan seed and no style seed occurs twice in it.

    Attributes:
        name: Name of the set.
        specs: Specification of each house by name, in the order of their numbers.
        scans: Names of the houses by split: "train", "val_unseen" and, in some sets, "test".
        paths: Number of R2R-style paths of a house by split of its episodes; training houses have
            episodes of "train" and of "val_seen". Empty in a set without episodes.
        rxr_paths: The same for RxR-style paths, which have instructions in three languages each.
    """

    name: str
    specs: Mapping[str, HouseSpec]
    scans: Mapping[str, tuple[str, ...]]
    paths: Mapping[str, int]
    rxr_paths: Mapping[str, int]

    @property
    def splits(self) -> tuple[str, ...]:
        """Splits that have episodes."""
        return tuple(split for split in SPLITS if split in self.paths)

    def splits_of(self, scan: str) -> tuple[str, ...]:
        """Return the splits for which a house has episodes."""
        scan_split = next(split for split, names in self.scans.items() if scan in names)
        splits = ("train", "val_seen") if scan_split == "train" else (scan_split,)
        return tuple(split for split in splits if split in self.paths)

    def number(self, scan: str) -> int:
        """Return the index of a house in the set, from 0."""
        return list(self.specs).index(scan)

    @property
    def connectivity_dir(self) -> Path:
        """Folder of the navigation graphs."""
        return CONNECTIVITY_DIR if self is MINI else self.data_dir / "connectivity"

    @property
    def data_dir(self) -> Path:
        """Folder of the episodes and of the feature store."""
        return DATA_DIR if self is MINI else house_cache_dir() / self.name


def _spec(name: str, number: int, plan_seed: int, style_seed: int) -> HouseSpec:
    """Return a house of a set; the number sets its shape, so that each split has most shapes."""
    return HouseSpec(
        f"{name}_{number:02d}",
        plan_seed=plan_seed + number,
        style_seed=style_seed + number,
        outline=_OUTLINES[number % 3],
        storeys=2 if number % 4 else 1,
        open_plan=number // 4 % 2 == 1,
    )


def _house_set(
    name: str,
    specs: Iterable[HouseSpec],
    scans: Mapping[str, Sequence[int]],
    paths: Mapping[str, int] = MappingProxyType({}),
    rxr_paths: Mapping[str, int] = MappingProxyType({}),
) -> HouseSet:
    """Return a set; `scans` contains the numbers of the houses of each split."""
    by_scan = {spec.scan: spec for spec in specs}
    names = list(by_scan)
    by_split = {split: tuple(names[k] for k in numbers) for split, numbers in scans.items()}
    return HouseSet(name, by_scan, by_split, paths, rxr_paths)


MINI = _house_set(
    "mini",
    (_spec("house", n, 1000, 2000) for n in range(32)),
    scans={"train": range(26), "val_unseen": range(26, 32)},
    paths={"train": 45, "val_seen": 8, "val_unseen": 40},
    rxr_paths={"train": 20, "val_seen": 2, "val_unseen": 12},
)
# About as many houses as R2R has: 61, 11 and 18.
STANDARD = _house_set(
    "standard",
    (_spec("standard", n, 30_000, 5_000) for n in range(80)),
    scans={"train": range(60), "val_unseen": range(60, 70), "test": range(70, 80)},
    paths={"train": 45, "val_seen": 4, "val_unseen": 60, "test": 60},
    rxr_paths={"train": 36, "val_seen": 2, "val_unseen": 20, "test": 20},
)
GALLERY = _house_set(
    "gallery",
    (_spec("gallery", n, 10_000, 20_000) for n in range(96)),
    scans={"train": range(96)},
)
_ANNEX = _house_set(
    "annex", (_spec("annex", n, 15_000, 25_000) for n in range(60)), scans={"train": range(60)}
)
HOUSE_SETS: dict[str, HouseSet] = {s.name: s for s in (MINI, STANDARD, GALLERY, _ANNEX)}


def set_of(scan: str) -> HouseSet:
    """Return the set that contains a house."""
    for house_set in HOUSE_SETS.values():
        if scan in house_set.specs:
            return house_set
    names = ", ".join(f"{s.name}: {next(iter(s.specs))}, ..." for s in HOUSE_SETS.values())
    raise UnknownNameError(f"no built-in house is named {scan!r}; use one of {names}")


def expand_scans(names: Iterable[str], house_set: HouseSet = MINI) -> list[str]:
    """Expand names and ranges such as "house_00-house_03" into names of houses of a set."""
    known = list(house_set.specs)
    scans: list[str] = []
    for name in names:
        first, dash, last = name.partition("-")
        last = last if dash else first
        for end in (first, last):
            if end not in known:
                raise UserError(unknown_house(end, house_set))
        expanded = known[known.index(first) : known.index(last) + 1]
        if not expanded:
            raise UserError(f"'{name}' ends before it begins; write {last}-{first}")
        scans += expanded
    return list(dict.fromkeys(scans))


def unknown_house(scan: str, house_set: HouseSet) -> str:
    """Return the message that a set has no house of a name."""
    known = list(house_set.specs)
    sets = ", ".join(HOUSE_SETS)
    return (
        f"no built-in house '{scan}' in the set '{house_set.name}'; use {known[0]} to {known[-1]}, "
        f"or another set of {sets}"
    )
