"""Worlds: paths of the navigation graphs, annotations and features of each world."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from clipnav.connectivity import CONNECTIVITY_DIR
from clipnav.envs.arguments import check_choice
from clipnav.envs.datasets import dataset_spec
from clipnav.storage.errors import UserError

if TYPE_CHECKING:
    from clipnav.storage.features.store import Arrays, FeatureStore

World = Literal["houses", "houses-standard", "matterport"]

_HOUSE_FEATURES = "house_clip_features.safetensors"
_HOUSE_OBJECTS = "house_objects.safetensors"
_HOUSES_DATA = Path(__file__).resolve().parent / "houses" / "data"


@dataclass(frozen=True)
class WorldFiles:
    """Files of one world.

    Attributes:
        world: "houses", "houses-standard" or "matterport".
        connectivity_dir: Folder of the `<scan>_connectivity.json` files.
        features: Feature store that comes with the world, or None.
        annotations_dir: Folder of the annotation files; the world "matterport" keeps them in the
            subfolders of their datasets, such as `r2r`, the built-in houses those of R2R and RxR
            side by side.
    """

    world: World
    connectivity_dir: Path
    features: Path | None
    annotations_dir: Path

    def annotations(self, dataset: str, split: str) -> Path:
        """Return the annotation file of a split; for RxR the guide file, possibly compressed.

        The built-in houses have annotations in the style of R2R and RxR; their R4R is generated
        from R2R, whose file is returned.

        Raises:
            UserError: There is no such dataset, or none of it in this world.
            FileNotFoundError: The file does not exist; the message names the command that makes it.
        """
        spec = dataset_spec(dataset)
        names = spec.house_annotations if self.is_built_in else spec.annotations
        if not names:
            lacking, other = "Matterport3D", "houses"
            if self.is_built_in:
                lacking, other = "the built-in houses", "matterport"
            raise UserError(
                f"dataset {dataset!r} has no annotations of {lacking}; use world {other!r} "
                f"(--world {other})"
            )
        return self._first(names, split, f"no annotations of split '{split}' of {dataset}")

    def followers(self, split: str) -> Path:
        """Return the file of RxR's follower demonstrations of a split.

        Raises:
            FileNotFoundError: The file does not exist; the message names the command that gets it.
        """
        if self.is_built_in:
            raise FileNotFoundError(
                f"world '{self.world}': the built-in houses have no follower demonstrations; use "
                "world 'matterport' (--world matterport)"
            )
        names = ("rxr/rxr_{}_follower.jsonl", "rxr/rxr_{}_follower.jsonl.gz")
        return self._first(names, split, f"no follower annotations of split '{split}' of rxr")

    def pose_trace(self, split: str, number: int, person: Literal["guide", "follower"]) -> Path:
        """Return the path of the pose trace of an RxR annotation; the file may not exist.

        Args:
            split: "train", "val_seen" or "val_unseen".
            number: `instruction_id` of a guide or `demonstration_id` of a follower.
            person: Annotator whose trace it is.
        """
        folder = self.annotations_dir / "rxr" / "pose_traces" / f"rxr_{split}"
        return folder / f"{number:06}_{person}_pose_trace.npz"

    def open_features(
        self, features: "str | Path | FeatureStore | Arrays | None", keys: Sequence[str] = ()
    ) -> "FeatureStore | None":
        """Open a feature store.

        Args:
            features: File of the store; None for the store that comes with the world; "none" for
                no store; an open store; or arrays in memory: a mapping from `scan_viewpoint` to
                arrays (36, D), or one array (V, 36, D).
            keys: `scan_viewpoint` of the V viewpoints that must have features; required for arrays
                in memory.

        Raises:
            UserError: The world comes without features, the file is damaged, or arrays do not fit.
            FileNotFoundError: The file does not exist.
        """
        from clipnav.storage.features.opening import open_store
        from clipnav.storage.features.store import FeatureStore, store_of_arrays

        if isinstance(features, FeatureStore):
            return features
        if features is not None and not isinstance(features, str | Path):
            return store_of_arrays(features, keys)
        path = self.features_path(features)
        return None if path is None else open_store(path)

    def features_path(self, features: str | Path | None) -> Path | None:
        """Return the file of a feature store, or None for "none".

        Raises:
            UserError: No file is given and the world comes without features.
            FileNotFoundError: No file is given and that of the built-in houses is missing.
        """
        from clipnav.storage.features.shards import shard_paths

        if features == "none":
            return None
        if features is not None:
            return Path(features)
        path = self.features
        if path is None:
            raise UserError(
                f"world '{self.world}' comes without features; extract a feature store with "
                "clipnav extract-features and pass it (--features), or use direction features only "
                "(--no-vision of trainings, features='none' of environments)"
            )
        if not path.is_file() and not shard_paths(path):
            is_large = self.world == "houses-standard"
            build = "clipnav build-houses --set standard, then " if is_large else ""
            raise FileNotFoundError(
                f"{path}: the features of world '{self.world}' are missing; make them with {build}"
                f"clipnav extract-features --world {self.world} --output {path}"
            )
        return path

    def objects_path(self, dataset: str, objects: str | Path | None = None) -> Path | None:
        """Return the file of the objects of a dataset, or None if it is used without objects.

        Args:
            objects: File; "none" for no objects; None for that of `own_objects` if it exists. The
                built-in houses make one from their views otherwise; in real buildings agents that
                only walk need none.
        """
        spec = dataset_spec(dataset)
        if objects is not None or not spec.objects:
            return None if objects in (None, "none") else Path(objects)
        path = self.own_objects(dataset)
        if path.is_file():
            return path
        return spec.call("house_objects", self) if self.is_built_in else None

    def own_objects(self, dataset: str) -> Path:
        """Return the file of objects that environments read by default; it may not exist."""
        name = dataset_spec(dataset).objects
        return self.annotations_dir / (_HOUSE_OBJECTS if self.is_built_in else name)

    def _first(self, names: Sequence[str], split: str, complaint: str) -> Path:
        paths = [self.annotations_dir / name.format(split) for name in names]
        for path in paths:
            if path.exists():
                return path
        from clipnav.envs.real_data import group_of

        # The files of added datasets are the user's own.
        group, folder = group_of(names, split), self.annotations_dir
        own = group is None if not self.is_built_in else folder not in paths[0].parents
        hint = ["put the file there" if own else self._hint(group)]
        if self.is_built_in and not own and paths[0].parent != folder:
            hint = [f"{hint[0]} --episodes goals"]
        if others := self._splits(names):
            # The built-in houses are made with all their splits; making them again adds none.
            known = f"name one of the splits that exist: {', '.join(others)}"
            hint = [known] if self.is_built_in else [known, *hint]
        raise FileNotFoundError(f"{paths[0]}: {complaint}; {', or '.join(hint)}")

    def _splits(self, names: Sequence[str]) -> list[str]:
        """Return the splits that have a file with one of these name patterns."""
        splits: set[str] = set()
        for name in names:
            head, tail = Path(name).name.split("{}")
            pattern = self.annotations_dir / name.format("*")
            for path in pattern.parent.glob(pattern.name):
                splits.add(path.name.removeprefix(head).removesuffix(tail))
        # The pattern without "public" also matches rxr_test_standard_public_guide.
        return sorted(split for split in splits if not split.endswith("_public"))

    @property
    def is_built_in(self) -> bool:
        """Whether the world is a set of the built-in houses."""
        return is_built_in(self.world)

    @property
    def hint(self) -> str:
        """Command that gets the files of this world."""
        return self._hint()

    def _hint(self, group: str | None = None) -> str:
        """Return the command that gets the files of this world, or those of a group of them."""
        if self.is_built_in:
            options = " --set standard" if self.world == "houses-standard" else ""
            if self.annotations_dir != _house_files(self.world).annotations_dir:
                options += f" --data-dir {self.annotations_dir}"
            return f"make the built-in world again with clipnav build-houses{options}"
        only = "" if group is None else f"--only {group} "
        return (
            f"get the data with clipnav download-data {only}--data-dir {self.annotations_dir}, or "
            "pass the folder that contains it (--data-dir)"
        )

    def record_hint(self, path: Path) -> str:
        """Return the remedy for a wrong record of a file, which may be the user's own."""
        if not self.is_built_in:
            return f"correct the record, or {self.hint}"
        return self.hint if self.annotations_dir in path.parents else "correct the record"


def is_built_in(world: World) -> bool:
    """Return whether a world is a set of the built-in houses."""
    return world != "matterport"


def named_world(world: World | None, data_dir: str | Path | None) -> World:
    """Return a world, by default "matterport" if there is a data folder and "houses" otherwise."""
    return world or ("houses" if data_dir is None else "matterport")


def _house_files(world: World) -> WorldFiles:
    """Return the files of a set of the built-in houses."""
    if world == "houses":
        features = _HOUSES_DATA / _HOUSE_FEATURES
        return WorldFiles(world, CONNECTIVITY_DIR, features, _HOUSES_DATA)
    from clipnav.envs.houses.building.sets import STANDARD

    home = STANDARD.data_dir
    return WorldFiles(world, STANDARD.connectivity_dir, home / _HOUSE_FEATURES, home)


def world_files(world: World = "houses", data_dir: str | Path | None = None) -> WorldFiles:
    """Return the files of a world.

    Args:
        world: "houses", the built-in houses of the set mini; "houses-standard", those of the set
            standard, which clipnav build-houses builds below the cache; or "matterport", any graphs
            in Matterport's format.
        data_dir: Folder with `matterport/connectivity/`, `r2r/R2R_<split>.json`,
            `r4r/R4R_<split>.json` and `rxr/rxr_<split>_guide.jsonl(.gz)`, see docs/real_data.md;
            required for "matterport". In a built-in world it is the folder of other episodes in
            the same houses, such as those of some houses that clipnav build-houses --scans
            --data-dir has written.

    Raises:
        UserError: There is no such world, or "matterport" has no data folder.
        FileNotFoundError: The data folder does not exist, or contains no navigation graphs.
    """
    check_choice("world", world, World)
    if is_built_in(world):
        files = _house_files(world)
        if data_dir is None:
            return files
        files = replace(files, annotations_dir=Path(data_dir))
        if not files.annotations_dir.is_dir():
            raise FileNotFoundError(
                f"{data_dir}: this folder of episodes does not exist; {files.hint}, or use world "
                "'matterport' (--world matterport) if the data is Matterport3D's"
            )
        return files
    if data_dir is None:
        raise UserError(
            "world 'matterport' requires data_dir, the folder that contains its data (--data-dir); "
            "get the public part of the data with clipnav download-data"
        )
    data_dir = Path(data_dir)
    files = WorldFiles(world, data_dir / "matterport" / "connectivity", None, data_dir)
    if not files.connectivity_dir.is_dir():
        raise FileNotFoundError(
            f"{files.connectivity_dir}: this folder of navigation graphs does not exist; "
            f"{files.hint}"
        )
    return files
