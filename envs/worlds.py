"""Worlds: where the navigation graphs, annotations and features of each world lie."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from connectivity import CONNECTIVITY_DIR

if TYPE_CHECKING:
    from storage.features.store import FeatureStore

World = Literal["houses", "houses-standard", "matterport"]
Dataset = Literal["r2r", "rxr", "r4r"]
# Decisions before an episode is cut off: R2R paths have up to 7 viewpoints, RxR's up to three times
# as many, R4R joins two paths of R2R.
MAX_EPISODE_STEPS: dict[Dataset, int] = {"r2r": 20, "rxr": 35, "r4r": 35}

_HOUSE_FEATURES = "house_clip_features.safetensors"
_HOUSES_DATA = Path(__file__).resolve().parent / "houses" / "data"


@dataclass(frozen=True)
class WorldFiles:
    """Files of one world.

    Attributes:
        world: "houses", "houses-standard" or "matterport".
        connectivity_dir: Folder of the `<scan>_connectivity.json` files.
        features: The feature store that comes with the world, or None if there is none.
        annotations_dir: Folder of the annotations; built-in worlds keep them directly in it,
            "matterport" in its subfolders `r2r`, `rxr` and `r4r`.
    """

    world: World
    connectivity_dir: Path
    features: Path | None
    annotations_dir: Path

    def annotations(self, dataset: Dataset, split: str) -> Path:
        """Annotation file of a split; for RxR its guide file, which may be compressed.

        The built-in houses have R2R- and RxR-style annotations; the former serve as R4R too.

        Raises:
            ValueError: No such data set.
            FileNotFoundError: The file is not there; the message says how to get it.
        """
        if dataset not in get_args(Dataset):
            raise ValueError(f"dataset {dataset!r} is none of {', '.join(get_args(Dataset))}")
        folder = "" if self.is_built_in else f"{dataset}/"
        if dataset == "rxr":
            # The test splits are published without their goals, and their names say so.
            stems = (f"{folder}rxr_{{}}_guide", f"{folder}rxr_{{}}_public_guide")
            names = [f"{stem}.jsonl{packed}" for stem in stems for packed in ("", ".gz")]
        else:
            kind = "R2R" if self.is_built_in else dataset.upper()
            names = [f"{folder}{kind}_{{}}.json"]
        return self._first(names, split, f"no annotations of split '{split}' of {dataset}")

    def followers(self, split: str) -> Path:
        """File of the walks of RxR's followers through a split.

        Raises:
            FileNotFoundError: The file is not there; the message says how to get it.
        """
        if self.is_built_in:
            raise FileNotFoundError("the built-in houses have guides alone, no followers of RxR")
        names = ["rxr/rxr_{}_follower.jsonl", "rxr/rxr_{}_follower.jsonl.gz"]
        return self._first(names, split, f"no follower annotations of split '{split}' of rxr")

    def pose_trace(self, split: str, number: int, person: Literal["guide", "follower"]) -> Path:
        """Where the pose trace of an RxR annotation lies, if the user has it.

        Args:
            split: "train", "val_seen" or "val_unseen".
            number: `instruction_id` of a guide's, `demonstration_id` of a follower's.
            person: Whose.
        """
        folder = self.annotations_dir / "rxr" / "pose_traces" / f"rxr_{split}"
        return folder / f"{number:06}_{person}_pose_trace.npz"

    def open_features(self, features: str | Path | None) -> "FeatureStore | None":
        """Open a feature store.

        Args:
            features: A file; None for the store that comes with the world; "none" for no store.

        Raises:
            ValueError: The world comes without features, or the file is damaged.
            FileNotFoundError: No such file.
        """
        from storage.features.opening import open_store

        if features == "none":
            return None
        path = features or self.features
        if path is None:
            raise ValueError(
                f"world '{self.world}' comes without features: name a feature store, made with "
                "scripts/extract_features.py, or 'none' for directions only"
            )
        return open_store(path)

    def _first(self, names: list[str], split: str, complaint: str) -> Path:
        paths = [self.annotations_dir / name.format(split) for name in names]
        for path in paths:
            if path.is_file():
                return path
        remedy = [self.remedy]
        if others := self._splits(names):
            # The built-in houses are made with all their splits: making them again adds none.
            known = f"name one of the splits that are there: {', '.join(others)}"
            remedy = [known] if self.is_built_in else [known, *remedy]
        raise FileNotFoundError(f"{paths[0]}: {complaint}; {', or '.join(remedy)}")

    def _splits(self, names: list[str]) -> list[str]:
        """Splits of which there is a file of one of these names."""
        found: set[str] = set()
        for name in names:
            head, tail = Path(name).name.split("{}")
            for path in self.annotations_dir.glob(name.format("*")):
                found.add(path.name.removeprefix(head).removesuffix(tail))
        # Of rxr_test_standard_public_guide, the other pattern sees more than the split.
        return sorted(split for split in found if not split.endswith("_public"))

    @property
    def is_built_in(self) -> bool:
        """Whether it is a set of the built-in houses."""
        return is_built_in(self.world)

    @property
    def remedy(self) -> str:
        """How to get the files of this world."""
        if self.is_built_in:
            house_set = " --set standard" if self.world == "houses-standard" else ""
            return f"make the built-in world again with scripts/build_houses.py{house_set}"
        return (
            f"get the data with scripts/download_data.py --data-dir {self.annotations_dir}, or "
            "name the folder that holds it (--data-dir)"
        )


def is_built_in(world: World) -> bool:
    """Whether a world is a set of the built-in houses."""
    return world != "matterport"


def named_world(world: World | None, data_dir: str | Path | None) -> World:
    """The world that is meant where none is named: "matterport" with a data folder, else "houses".

    Args:
        world: As the user names it, or None.
        data_dir: The same.
    """
    return world or ("houses" if data_dir is None else "matterport")


def world_files(world: World = "houses", data_dir: str | Path | None = None) -> WorldFiles:
    """Find the files of a world.

    Args:
        world: "houses", the built-in world; "houses-standard", its large set of houses, which
            scripts/build_houses.py makes below the cache; or "matterport", which can hold any
            graphs.
        data_dir: Folder with `matterport/connectivity/`, `r2r/R2R_<split>.json`,
            `r4r/R4R_<split>.json` and `rxr/rxr_<split>_guide.jsonl(.gz)`, see docs/real_data.md.
            The built-in worlds have none.

    Raises:
        ValueError: No such world, no data folder for "matterport", or one for a built-in world.
        FileNotFoundError: The data folder has no navigation graphs.
    """
    if world not in get_args(World):
        raise ValueError(f"world {world!r} is none of {', '.join(get_args(World))}")
    if is_built_in(world) and data_dir is not None:
        raise ValueError(
            f"data_dir {data_dir} holds data of world 'matterport', but the world is '{world}': "
            "name world 'matterport' (--world matterport), or leave data_dir out (--data-dir)"
        )
    if world == "houses":
        features = _HOUSES_DATA / _HOUSE_FEATURES
        return WorldFiles(world, CONNECTIVITY_DIR, features, _HOUSES_DATA)
    if world == "houses-standard":
        from envs.houses.building.sets import STANDARD

        home = STANDARD.data_dir
        return WorldFiles(world, STANDARD.connectivity_dir, home / _HOUSE_FEATURES, home)
    if data_dir is None:
        raise ValueError(
            "world 'matterport' needs data_dir, the folder that holds its data (--data-dir); "
            "scripts/download_data.py fetches what is public of it"
        )
    data_dir = Path(data_dir)
    files = WorldFiles(world, data_dir / "matterport" / "connectivity", None, data_dir)
    if not files.connectivity_dir.is_dir():
        raise FileNotFoundError(
            f"{files.connectivity_dir}: no folder of navigation graphs; {files.remedy}"
        )
    return files
