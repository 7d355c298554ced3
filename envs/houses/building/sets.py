"""House sets: their houses, their splits and the locations of their files.

`mini` is small; its graphs, episodes and features are shipped. `standard` is large and varied;
`clipnav build-houses --set standard` builds it in the cache. Two sets have no episodes: encoders
are pretrained on pictures of `gallery`, as CLIP was trained on pictures of other places than those
where it is used, and `annex` has further training houses of the questions about pictures.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from clipnav.connectivity import CONNECTIVITY_DIR
from clipnav.envs.houses.building.house import HouseSpec, house_cache_dir
from clipnav.envs.houses.plan.floor_plan import Outline
from clipnav.storage.errors import UnknownNameError, UserError

DATA_DIR = Path(__file__).resolve().parents[1] / "data"
SPLITS = ("train", "val_seen", "val_unseen", "test")


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
        fewest_viewpoints: Minimum number of viewpoints of a house.
    """

    name: str
    specs: Mapping[str, HouseSpec]
    scans: Mapping[str, tuple[str, ...]]
    paths: Mapping[str, int]
    rxr_paths: Mapping[str, int]
    fewest_viewpoints: int

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


_MINI_SPECS = {
    f"house_{n:02d}": HouseSpec(f"house_{n:02d}", plan_seed=1000 + n, style_seed=2000 + n)
    for n in range(40)
}
MINI = HouseSet(
    name="mini",
    specs=_MINI_SPECS,
    scans={"train": tuple(_MINI_SPECS)[:32], "val_unseen": tuple(_MINI_SPECS)[32:]},
    paths={"train": 80, "val_seen": 8, "val_unseen": 40},
    rxr_paths={"train": 25, "val_seen": 2, "val_unseen": 12},
    fewest_viewpoints=20,
)

# Numbers of the houses. Most are training houses, because agents memorise a small number of them.
STANDARD_NUMBERS = {
    "train": [*range(60), *range(80, 260)],
    "val_unseen": [*range(60, 70)],
    "test": [*range(70, 80)],
}
_OUTLINES: tuple[Outline, ...] = ("rectangle", "l", "t")
# Replacement seeds for plans of more than 120,000 triangles or with a room too small for its
# furniture.
# fmt: off
_PLAN_SEEDS = {
    11: 3111, 17: 3117, 53: 3153, 59: 3559, 70: 3170, 77: 3177, 83: 33_083, 89: 33_089,
    94: 31_094, 95: 32_095, 108: 50_108, 113: 52_113, 119: 50_119, 124: 50_124, 125: 31_125,
    135: 50_135, 142: 31_142, 152: 50_152, 161: 52_161, 167: 31_167, 179: 35_179, 182: 50_182,
    197: 31_197, 202: 50_202, 209: 35_209, 227: 34_227, 237: 50_237, 239: 35_239, 242: 50_242,
    250: 31_250,
}
# fmt: on


def _large_spec(scan: str, number: int, plan_seed: int, style_seed: int) -> HouseSpec:
    """Return a large house; the number sets its shape, so that each split has all shapes."""
    return HouseSpec(
        scan,
        plan_seed=plan_seed,
        style_seed=style_seed,
        outline=_OUTLINES[number % 3],
        storeys=1 + (number // 3 % 2),
        open_plan=number // 6 % 2 == 1,
        closed_doors=True,
        clutter=True,
        contact_shadows=True,
        dense_graph=True,
        clear_glass=True,
        compact=True,
    )


def _standard_spec(number: int) -> HouseSpec:
    first = 3_000 if number < 80 else 30_000
    plan_seed = _PLAN_SEEDS.get(number, first + number)
    return _large_spec(f"standard_{number:02d}", number, plan_seed, 5_000 + number)


def _standard() -> HouseSet:
    numbers = sorted(k for split_numbers in STANDARD_NUMBERS.values() for k in split_numbers)
    specs = {number: _standard_spec(number) for number in numbers}
    return HouseSet(
        name="standard",
        specs={spec.scan: spec for spec in specs.values()},
        scans={
            split: tuple(specs[number].scan for number in split_numbers)
            for split, split_numbers in STANDARD_NUMBERS.items()
        },
        paths={"train": 80, "val_seen": 2, "val_unseen": 60, "test": 60},
        rxr_paths={"train": 36, "val_seen": 1, "val_unseen": 20, "test": 20},
        fewest_viewpoints=30,
    )


STANDARD = _standard()

GALLERY_HOUSES = 96
# Replacement seeds for plans of too many triangles.
_GALLERY_PLAN_SEEDS = {11: 10_311, 23: 10_323, 55: 10_255, 59: 10_359, 81: 10_381}


def _gallery_spec(number: int) -> HouseSpec:
    """Return a house like those of `mini` (even number) or of `standard` (odd number)."""
    scan = f"gallery_{number:02d}"
    plan_seed, style_seed = _GALLERY_PLAN_SEEDS.get(number, 10_000 + number), 20_000 + number
    if number % 2:
        return _large_spec(scan, number // 2, plan_seed, style_seed)
    return HouseSpec(scan, plan_seed, style_seed)


def _without_episodes(name: str, specs: Iterable[HouseSpec]) -> HouseSet:
    by_scan = {spec.scan: spec for spec in specs}
    return HouseSet(
        name=name,
        specs=by_scan,
        scans={"train": tuple(by_scan)},
        paths={},
        rxr_paths={},
        fewest_viewpoints=20,
    )


GALLERY = _without_episodes("gallery", map(_gallery_spec, range(GALLERY_HOUSES)))
ANNEX = _without_episodes(
    "annex", (HouseSpec(f"annex_{n:02d}", 15_000 + n, 25_000 + n) for n in range(60))
)
HOUSE_SETS: dict[str, HouseSet] = {s.name: s for s in (MINI, STANDARD, GALLERY, ANNEX)}


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
