"""Suites: what is measured, in which world, under which limits; frozen by a digest.

A suite is a file `suites/NAME@VERSION.toml`. A released suite never changes: a correction is a new
version. `clipnav bench suites` prints all of them with their digests.

All digests lie in `suites/digests.json`, which `make digests` writes: under "data" those of the
graphs and episodes, by WORLD@VERSION and DATASET/SPLIT, and under "suites" those of the suites.
"""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import msgspec

from clipnav.envs.datasets import dataset_spec
from clipnav.envs.episodes import load_episodes
from clipnav.envs.goals.reverie import boxes_of
from clipnav.envs.houses.building.house import GENERATOR_VERSION
from clipnav.envs.worlds import World, WorldFiles, world_files
from clipnav.storage import write_text
from clipnav.storage.errors import UnknownNameError, UserError
from clipnav.storage.json_files import parse_toml, read_packed

FOLDER = Path(__file__).with_name("suites")
_DIGESTS = FOLDER / "digests.json"
Kind = Literal["graph", "continuous", "model", "answers"]


class Rules(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What an agent may read; everything else is refused when it is read.

    Attributes:
        observe: Observation of agents of other packages: "features", "rgb", ...
        observation: Entries of the observation that they get.
        indices: Entries that the agents of clipnav get, which gather the features of viewpoints
            themselves.
        info: Entries of the info that agents of other packages get.
        run_info: Entries of the info that the agents of clipnav get.
    """

    observe: str = "features"
    observation: tuple[str, ...] = (
        *("instruction", "panorama", "candidates", "action_mask", "heading", "elevation"),
    )
    indices: tuple[str, ...] = (
        *("instruction", "viewpoint", "view", "candidate_view"),
        *("action_mask", "heading", "elevation"),
    )
    info: tuple[str, ...] = ("instruction", "viewpoint", "candidates")
    run_info: tuple[str, ...] = ("scan",)


class SuitePart(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True
):
    """Part of a suite: one split of one dataset.

    Attributes:
        name: Name in results, such as "r2r/val_unseen".
        kind: What is judged: walks on graphs, continuous walks, walks of a model, or answers.
        dataset: Dataset or task.
        split: Split.
        metrics: Metrics of the results by short name; the first one ranks.
        max_steps: Number of actions after which a walk is cut off.
        episodes: Number of episodes, a balanced subset; None for all.
        data_sha256: Digest of graphs and annotations, see `data_digest`; suites have that of
            `digests.json`. "" if the data are generated, or are known to none but the user.
        options: Further options of the kind.
    """

    name: str
    kind: Kind
    dataset: str
    split: str
    metrics: tuple[str, ...]
    max_steps: int = 0
    episodes: int | None = None
    data_sha256: str = ""
    options: dict[str, Any] = msgspec.field(default_factory=dict)

    @property
    def walks(self) -> bool:
        """Whether agents walk the episodes of a dataset."""
        return self.kind != "answers"


class Suite(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True
):
    """A frozen set of tasks.

    Attributes:
        name: Name.
        version: Version, from 1.
        title: Description in one sentence.
        world: World of all parts.
        world_version: Version of the generator of the houses.
        seeds: Seeds of agents of other packages; runs count as one seed each.
        cluster: What the intervals over paths draw together: all paths of a building, or each path
            by itself.
        rules: What an agent may read.
        parts: Parts.
        budget: Limits of a model behind a server, as fields of `BudgetConfig`.
    """

    name: str
    version: int
    title: str
    world: World
    world_version: int
    parts: tuple[SuitePart, ...]
    seeds: tuple[int, ...] = (0,)
    cluster: Literal["building", "path"] = "building"
    rules: Rules = Rules()
    budget: dict[str, int] = msgspec.field(default_factory=dict)

    @property
    def label(self) -> str:
        """NAME@VERSION."""
        return f"{self.name}@{self.version}"

    def part(self, name: str) -> SuitePart | None:
        """Return a part by its name."""
        return next((part for part in self.parts if part.name == name), None)


class Place(msgspec.Struct, frozen=True):
    """Where the world of a suite lies: the arguments of `clipnav.world_files`, and its features."""

    world: World
    data_dir: Path | None = None
    features: Path | None = None

    @property
    def files(self) -> WorldFiles:
        """Files of the world."""
        return world_files(self.world, self.data_dir)


def suite_names() -> list[str]:
    """Return NAME@VERSION of all suites."""
    return sorted(path.stem for path in FOLDER.glob("*@*.toml"))


def load_suite(label: str) -> Suite:
    """Read a suite by NAME@VERSION."""
    path = FOLDER / f"{label}.toml"
    if label not in suite_names():
        raise UnknownNameError(f"{label}: no such suite; choose one of {', '.join(suite_names())}")
    suite = parse_suite(path.read_text("utf-8"), path)
    known = read_digests()["data"].get(_world_label(suite), {})
    parts = [
        msgspec.structs.replace(part, data_sha256=known[f"{part.dataset}/{part.split}"])
        if part.walks
        else part
        for part in suite.parts
    ]
    return msgspec.structs.replace(suite, parts=tuple(parts))


def read_digests() -> dict[str, dict[str, Any]]:
    """Return the digests of data and suites."""
    return json.loads(_DIGESTS.read_text("utf-8"))


def _write_digests() -> None:
    """Write the digests of all suites, and of the data of those of this version of the houses."""
    digests = read_digests()
    for name in suite_names():
        path = FOLDER / f"{name}.toml"
        suite = parse_suite(path.read_text("utf-8"), path)
        if suite.world_version == GENERATOR_VERSION:
            files = world_files(suite.world)
            known = digests["data"].setdefault(_world_label(suite), {})
            for part in suite.parts:
                if part.walks:
                    episodes = load_episodes(part.dataset, part.split, files)
                    scans = {episode.scan for episode in episodes}
                    found = data_digest(files, part.dataset, part.split, scans)
                    known[f"{part.dataset}/{part.split}"] = found
    _write(digests)  # from which suites are loaded
    _write({**digests, "suites": {name: suite_digest(load_suite(name)) for name in suite_names()}})


def _write(digests: dict[str, dict[str, Any]]) -> None:
    write_text(_DIGESTS, json.dumps(digests, indent=2, sort_keys=True) + "\n")


def _world_label(suite: Suite) -> str:
    return f"{suite.world}@{suite.world_version}"


def parse_suite(text: str, source: Path) -> Suite:
    """Return the suite that a TOML text describes, in a world of this version."""
    return parse_toml(text, source, Suite, "correct the suite")


def check_world_version(suite: Suite) -> None:
    """Refuse a suite of other houses than those that this version of clipnav builds."""
    if suite.world_version != GENERATOR_VERSION:
        raise UserError(
            f"{suite.label}: is for version {suite.world_version} of the houses, but this clipnav "
            f"builds version {GENERATOR_VERSION}; choose another version of the suite or of clipnav"
        )


def suite_digest(suite: Suite) -> str:
    """Return the SHA-256 of everything that a suite says, and of its rules.

    Fields with their default values are left out, so that new fields do not change it.
    """
    return digest_of({**msgspec.to_builtins(suite), "rules": msgspec.to_builtins(suite.rules)})


def digest_of(document: Any) -> str:
    """Return the SHA-256 of a JSON document, independent of the order of its keys."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def data_digest(files: WorldFiles, dataset: str, split: str, scans: Iterable[str]) -> str:
    """Return the SHA-256 of the annotations of a split and of the graphs of its buildings.

    Pictures and features are not part of it: their last digits depend on the processor. Boxes of
    objects are, as they decide which objects are visible.
    """
    digest = hashlib.sha256()
    path = files.annotations(dataset, split)
    sources = [path]
    if dataset_spec(dataset).objects:
        sources.append(boxes_of(files.annotations_dir / "reverie"))
    for source in sources:
        for file in sorted(source.iterdir()) if source.is_dir() else [source]:
            digest.update(hashlib.sha256(read_packed(file, files.hint)).digest())
    for scan in sorted(scans):
        graph = (files.connectivity_dir / f"{scan}_connectivity.json").read_bytes()
        digest.update(scan.encode() + hashlib.sha256(graph).digest())
    return digest.hexdigest()


def check_data(part: SuitePart, found: str) -> None:
    """Refuse data that is not that of the suite."""
    if part.data_sha256 and part.data_sha256 != found:
        raise UserError(
            f"{part.name}: the graphs or episodes here are not those of the suite (digest "
            f"{found[:12]}, expected {part.data_sha256[:12]}); build the houses again with "
            "clipnav build-houses"
        )


if __name__ == "__main__":
    _write_digests()
