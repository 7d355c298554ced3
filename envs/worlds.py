"""The table of worlds: one row each, to which installed packages add their own, and their files.

A package adds a row by an entry point of the group `clipnav.worlds`, whose name is that of the row;
`register_world` takes one directly.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from clipnav.connectivity import CONNECTIVITY_DIR
from clipnav.envs.datasets import dataset_spec
from clipnav.storage.errors import UserError
from clipnav.storage.spec_table import Spec, SpecTable

if TYPE_CHECKING:
    from clipnav.storage.features.store import Arrays, FeatureStore

World = str  # name of a row

_HOUSE_FEATURES = "house_clip_features.safetensors"
_HOUSE_OBJECTS = "house_objects.safetensors"
_HOUSES_DATA = Path(__file__).resolve().parent / "houses" / "data"


@dataclass(frozen=True)
class WorldSpec(Spec):
    """A row of the table of worlds.

    Attributes:
        name: Name for --world, which runs and traces contain.
        files: Function of the data folder, or None without one, that returns the `WorldFiles`; it
            raises UserError or FileNotFoundError if they are not there.
        label: Name in messages.
        remedy: Command that gets or makes the files, for messages about missing or wrong ones; ""
            if they are the user's own.
        is_built_in: Whether its buildings are built-in houses, which are drawn, measured and
            annotated by clipnav itself.
        like: World of clipnav whose default settings of trainings it has.
    """

    files: str
    label: str
    remedy: str = ""
    is_built_in: bool = False
    like: str = "matterport"


_TABLE = SpecTable(
    "world",
    "clipnav.worlds",
    (
        WorldSpec(
            "houses",
            "clipnav.envs.worlds:mini_files",
            "the built-in houses",
            remedy="clipnav build-houses",
            is_built_in=True,
            like="houses",
        ),
        WorldSpec(
            "houses-standard",
            "clipnav.envs.worlds:standard_files",
            "the built-in houses",
            remedy="clipnav build-houses --set standard",
            is_built_in=True,
            like="houses-standard",
        ),
        WorldSpec(
            "matterport",
            "clipnav.envs.worlds:matterport_files",
            "Matterport3D",
            remedy="clipnav download-data",
        ),
    ),
)


def world_spec(name: str) -> WorldSpec:
    """Return the row of a world.

    Raises:
        UnknownNameError: There is no such world.
        BrokenRowError: The package that adds it cannot be imported.
    """
    return _TABLE.row(name)


def world_names() -> list[str]:
    """Return the names of all worlds; no package is imported."""
    return _TABLE.names()


def register_world(spec: WorldSpec) -> None:
    """Add a row to the table in this process; one of the same name that was added is replaced.

    Raises:
        UserError: A world of clipnav has the name.
    """
    _TABLE.add(spec)


@dataclass(frozen=True)
class WorldFiles:
    """Files of one world.

    Attributes:
        world: Name of the row.
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
            other = "matterport" if self.is_built_in else "houses"
            raise UserError(
                f"dataset {dataset!r} has no annotations of {self.spec.label}; use world {other!r} "
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
                f"world '{self.world}': {self.spec.label} have no follower demonstrations; use "
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
            build = "" if self.connectivity_dir.is_dir() else f"{self.spec.remedy}, then "
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
    def spec(self) -> WorldSpec:
        """Row of the world."""
        return world_spec(self.world)

    @property
    def is_built_in(self) -> bool:
        """Whether the world is a set of the built-in houses."""
        return self.spec.is_built_in

    @property
    def hint(self) -> str:
        """Command that gets the files of this world."""
        return self._hint()

    def _hint(self, group: str | None = None) -> str:
        """Return the command that gets the files of this world, or those of a group of them."""
        remedy = self.spec.remedy
        if self.is_built_in:
            if self.annotations_dir != self.spec.part("files")(None).annotations_dir:
                remedy += f" --data-dir {self.annotations_dir}"
            return f"make the built-in world again with {remedy}"
        if self.world == "matterport":
            remedy += "" if group is None else f" --only {group}"
            remedy += f" --data-dir {self.annotations_dir}"
        get = f"get the data with {remedy}, or " if remedy else ""
        return f"{get}pass the folder that contains it (--data-dir)"

    def record_hint(self, path: Path) -> str:
        """Return the remedy for a wrong record of a file, which may be the user's own."""
        if not self.is_built_in:
            return f"correct the record, or {self.hint}"
        return self.hint if self.annotations_dir in path.parents else "correct the record"


def is_built_in(world: World) -> bool:
    """Return whether a world is a set of the built-in houses."""
    return world_spec(world).is_built_in


def named_world(world: World | None, data_dir: str | Path | None) -> World:
    """Return a world, by default "matterport" if there is a data folder and "houses" otherwise."""
    return world or ("houses" if data_dir is None else "matterport")


def world_files(world: World = "houses", data_dir: str | Path | None = None) -> WorldFiles:
    """Return the files of a world.

    Args:
        world: "houses", the built-in houses of the set mini; "houses-standard", those of the set
            standard, which clipnav build-houses builds below the cache; "matterport", any graphs in
            Matterport's format; or a world that a package has added.
        data_dir: Folder with `matterport/connectivity/`, `r2r/R2R_<split>.json`,
            `r4r/R4R_<split>.json` and `rxr/rxr_<split>_guide.jsonl(.gz)`, see docs/real_data.md;
            required for "matterport". In a built-in world it is the folder of other episodes in
            the same houses, such as those of some houses that clipnav build-houses --scans
            --data-dir has written.

    Raises:
        UnknownNameError: There is no such world.
        UserError: "matterport" has no data folder.
        FileNotFoundError: The data folder does not exist, or contains no navigation graphs.
    """
    folder = None if data_dir is None else Path(data_dir)
    return world_spec(world).call("files", folder, kind=WorldFiles)


def mini_files(data_dir: Path | None) -> WorldFiles:
    """Return the files of the set mini."""
    files = WorldFiles("houses", CONNECTIVITY_DIR, _HOUSES_DATA / _HOUSE_FEATURES, _HOUSES_DATA)
    return _with_episodes(files, data_dir)


def standard_files(data_dir: Path | None) -> WorldFiles:
    """Return the files of the set standard."""
    from clipnav.envs.houses.building.sets import STANDARD

    home, graphs = STANDARD.data_dir, STANDARD.connectivity_dir
    files = WorldFiles("houses-standard", graphs, home / _HOUSE_FEATURES, home)
    return _with_episodes(files, data_dir)


def _with_episodes(files: WorldFiles, data_dir: Path | None) -> WorldFiles:
    """Return files of the same houses with the episodes of another folder, if there is one."""
    if data_dir is None:
        return files
    files = replace(files, annotations_dir=data_dir)
    if not data_dir.is_dir():
        raise FileNotFoundError(
            f"{data_dir}: this folder of episodes does not exist; {files.hint}, or use world "
            "'matterport' (--world matterport) if the data is Matterport3D's"
        )
    return files


def matterport_files(data_dir: Path | None) -> WorldFiles:
    """Return the files of graphs in Matterport's format."""
    if data_dir is None:
        raise UserError(
            "world 'matterport' requires data_dir, the folder that contains its data (--data-dir); "
            "get the public part of the data with clipnav download-data"
        )
    files = WorldFiles("matterport", data_dir / "matterport" / "connectivity", None, data_dir)
    if not files.connectivity_dir.is_dir():
        raise FileNotFoundError(
            f"{files.connectivity_dir}: this folder of navigation graphs does not exist; "
            f"{files.hint}"
        )
    return files
