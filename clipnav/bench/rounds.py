"""Sealed rounds: houses that are generated after the agents are registered.

`seal` draws a secret seed and publishes its hash. Agents are registered by the digests of their
files; each entry contains the digest of everything before it. `open` publishes the seed. The seeds
of the houses are the hash of the secret seed *and* of the registrations, so that neither the keeper
of the seed nor an entrant knew them before. Everybody builds the houses in a cache of his own, and
compares their digests with those of the keeper; no house that the keeper made is ever read.
"""

import hashlib
import re
import secrets
from collections.abc import Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import msgspec

from clipnav.bench.entrants import Entrant
from clipnav.bench.results import (
    Digest,
    Digests,
    Result,
    check_date,
    check_name,
    now,
    read_regular,
    verify,
)
from clipnav.bench.suites import (
    Place,
    Suite,
    SuitePart,
    data_digest,
    digest_of,
    suite_names,
)
from clipnav.envs.houses.building.house import GENERATOR_VERSION, HouseSpec
from clipnav.envs.houses.building.sets import HouseSet
from clipnav.envs.houses.instructions.annotation_files import (
    guide_path,
    json_text,
    merge_guide,
    merge_r2r,
    r2r_path,
)
from clipnav.envs.worlds import world_files
from clipnav.storage import cache_dir, write_text
from clipnav.storage.errors import UserError
from clipnav.storage.json_files import write_json
from clipnav.storage.locks import exclusive_lock, waiting_lock
from clipnav.storage.outputs import folder_name
from clipnav.storage.progress import progress_bar

_ROUND = "round.json"
SPLIT = "val_unseen"
_FEATURES = "features.safetensors"
Dataset = Literal["r2r", "rxr"]
_OUTLINES = ("rectangle", "l", "t")
_WIDTH = 1024  # columns of a panorama, as for the shipped features
_HINT = "get the round again from its keeper"
_MOST = 1000
_PARTS = {"r2r": (20, ("SPL", "SR", "NE", "nDTW")), "rxr": (35, ("nDTW", "SR", "SPL", "NE"))}


class Registration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An agent that enters.

    Attributes:
        name: Name on the board.
        sha256: Digests of its files, one per run.
        date: UTC date and time.
        previous: Digest of the round before this entry.
    """

    name: str
    sha256: Digests
    date: str
    previous: Digest

    def __post_init__(self) -> None:
        check_name(self.name)
        check_date(self.date)


class RoundOpening(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The end of a round.

    Attributes:
        seed: The secret seed.
        date: UTC date and time.
        previous: Digest of the round before it was opened, part of the seeds of the houses.
        data_sha256: Digest of the graphs and episodes of each part.
    """

    seed: Digest
    date: str
    previous: Digest
    data_sha256: dict[Dataset, Digest]

    def __post_init__(self) -> None:
        check_date(self.date)


class Round(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The published file of a round.

    Attributes:
        name: Name of the round, and of its houses.
        world_version: Version of the generator of the houses.
        houses: Number of houses.
        paths: Number of R2R-style paths per house.
        rxr_paths: Number of RxR-style paths per house.
        commitment: SHA-256 of the secret seed.
        date: UTC date and time of the commitment.
        registered: Agents, in their order.
        opened: The secret; None while the round is sealed.
    """

    name: str
    world_version: int
    houses: int
    paths: int
    rxr_paths: int
    commitment: Digest
    date: str
    registered: tuple[Registration, ...] = ()
    opened: RoundOpening | None = None

    def __post_init__(self) -> None:
        check_date(self.date)
        if not re.fullmatch("[A-Za-z0-9_-]{1,60}", self.name):
            raise UserError(f"a round cannot be named {self.name!r}; use letters, digits, - and _")
        if self.name in {label.partition("@")[0] for label in suite_names()}:
            raise UserError(f"{self.name} is the name of a suite; a round needs another one")
        for count, least in ((self.houses, 1), (self.paths, 1), (self.rxr_paths, 0)):
            if not least <= count <= _MOST:
                raise UserError(f"a round has at most {_MOST} houses, and paths of a house")

    def head(self, entries: int | None = None) -> str:
        """Return the digest of the round with its first registrations, by default all of them."""
        document = msgspec.to_builtins(self)
        document |= {"registered": document["registered"][:entries], "opened": None}
        return digest_of(document)


def seal(folder: Path, secret: Path, houses: int, paths: int, rxr_paths: int) -> Round:
    """Draw a secret seed, keep it in a file, and publish its hash in a new round."""
    if (folder / _ROUND).exists():
        raise FileExistsError(f"{folder}: is a round already; name another folder")
    if secret.exists():
        raise FileExistsError(f"{secret}: already exists; name another file for the secret")
    if folder.resolve() in secret.resolve().parents:
        raise UserError(f"{secret}: lies in the folder of the round, which is published; move it")
    seed = secrets.token_hex(32)
    sealed = Round(
        *(folder_name(folder), GENERATOR_VERSION, houses, paths, rxr_paths),
        *(_commitment(seed), now()),
    )
    secret.parent.mkdir(parents=True, exist_ok=True)
    secret.touch(mode=0o600)
    secret.write_text(f"{seed}\n", encoding="utf-8")
    _write(folder, sealed)
    return sealed


def register(folder: Path, name: str, entrants: Sequence[Entrant]) -> Round:
    """Add an agent to a sealed round."""
    digests = tuple(entrant.digest for entrant in entrants)
    with exclusive_lock(folder / _ROUND):
        current = read_round(folder)
        if current.opened is not None:
            raise UserError(
                f"{folder}: was opened on {current.opened.date}; register for the next round"
            )
        if any(name == one.name for one in current.registered):
            raise UserError(f"{folder}: {name!r} is registered already; choose another --name")
        same = [one.name for one in current.registered if one.sha256 == digests]
        if same:
            raise UserError(f"{folder}: the same files are registered already, as {same[0]!r}")
        entry = Registration(name, digests, now(), current.head())
        current = msgspec.structs.replace(current, registered=(*current.registered, entry))
        _write(folder, current)
    return current


def open_round(folder: Path, secret: Path) -> Round:
    """Reveal the seed of a round and build its houses."""
    with exclusive_lock(folder / _ROUND):
        current = read_round(folder)
        if current.opened is not None:
            raise UserError(f"{folder}: was opened on {current.opened.date} already")
        if not current.registered:
            raise UserError(
                f"{folder}: no agent is registered; the houses of a round are drawn from its "
                "registrations, too"
            )
        seed = secret.read_text("utf-8").strip()
        if _commitment(seed) != current.commitment:
            raise UserError(f"{secret}: is not the secret of {folder}, its hash is another one")
        opening = RoundOpening(seed, now(), current.head(), {})
        _, digests = _build_world(folder, current, opening)
        opening = msgspec.structs.replace(opening, data_sha256=digests)
        current = msgspec.structs.replace(current, opened=opening)
        _write(folder, current)
    return current


def read_round(folder: Path) -> Round:
    """Read a round, and check commitment and chain of registrations."""
    path = folder / _ROUND
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such round; make one with clipnav bench seal")
    current = read_regular(path, _HINT, Round)
    for number, entry in enumerate(current.registered):
        if entry.previous != current.head(number):
            raise UserError(
                f"{path}: what precedes the registration of {entry.name!r} was changed after it; "
                f"{_HINT}"
            )
    opened = current.opened
    if opened is not None and opened.previous != current.head():
        raise UserError(f"{path}: registrations were changed after the round was opened; {_HINT}")
    if opened is not None and _commitment(opened.seed) != current.commitment:
        raise UserError(f"{path}: its seed is not the one that was sealed on {current.date}")
    return current


def round_suite(folder: Path) -> tuple[Suite, Place, Round]:
    """Return the suite of an opened round, with its houses, which are built in the cache.

    Raises:
        UserError: The round is sealed, or the houses that its seed gives are not its houses.
    """
    current = read_round(folder)
    opened = current.opened
    if opened is None:
        raise UserError(f"{folder}: is sealed; its houses exist when it is opened")
    world, found = _build_world(folder, current, opened)
    if found != opened.data_sha256:
        raise UserError(
            f"{folder}: its seed gives other graphs or episodes here than {_ROUND} says; delete "
            f"{world} to build them again, or ask the keeper"
        )
    parts = tuple(
        SuitePart(
            name=f"{dataset}/{SPLIT}",
            kind="graph",
            dataset=dataset,
            split=SPLIT,
            max_steps=_PARTS[dataset][0],
            metrics=_PARTS[dataset][1],
            data_sha256=digest,
        )
        for dataset, digest in opened.data_sha256.items()
    )
    suite = Suite(
        name=current.name,
        version=1,
        title=f"Hidden houses, sealed on {current.date[:10]} and opened on {opened.date[:10]}",
        world="matterport",
        world_version=current.world_version,
        cluster="building" if current.houses > 1 else "path",
        parts=parts,
    )
    return suite, Place("matterport", world, world / _FEATURES), current


def check_registered(folder: Path, current: Round, digests: Sequence[str]) -> Registration:
    """Return the registration of an agent, which must precede the opening."""
    for entry in current.registered:
        if entry.sha256 == tuple(digests):
            return entry
    opened = current.opened.date if current.opened else "later"
    raise UserError(
        f"the agent with digest {', '.join(one[:12] for one in digests)} was not registered before "
        f"{folder} was opened ({opened}), so that it may know the houses; it can enter the next "
        "round"
    )


def verify_in_round(path: Path, folder: Path) -> Result:
    """Verify a result of a round: houses, registration, walks and everything else."""
    suite, place, current = round_suite(folder)
    result = verify(path, suite, place)
    try:
        entry = check_registered(folder, current, result.agent.sha256)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    if entry.name != result.agent.name:
        raise UserError(
            f"{path}: names {result.agent.name!r}, which is registered as {entry.name!r}"
        )
    return result


def house_set(current: Round, opening: RoundOpening) -> HouseSet:
    """Return the houses of a round, which follow from its seed and its registrations."""
    specs = {}
    for number in range(current.houses):
        text = f"{opening.seed} {opening.previous} {number}"
        drawn = hashlib.sha256(text.encode()).digest()
        scan = f"{current.name}_{number:02d}"
        specs[scan] = HouseSpec(
            scan,
            plan_seed=int.from_bytes(drawn[:4], "big") >> 1,
            style_seed=int.from_bytes(drawn[4:8], "big") >> 1,
            outline=_OUTLINES[drawn[8] % 3],
            storeys=1 + drawn[9] % 2,
            open_plan=drawn[10] % 2 == 1,
        )
    scans = {SPLIT: tuple(specs)}
    paths, rxr_paths = {SPLIT: current.paths}, {SPLIT: current.rxr_paths}
    return HouseSet(current.name, MappingProxyType(specs), scans, paths, rxr_paths)


def _build_world(
    folder: Path, current: Round, opening: RoundOpening
) -> tuple[Path, dict[Dataset, Digest]]:
    """Build the houses of a round in the cache, unless they are there; return folder and digests.

    They are never read from the folder of the round: its keeper could put other houses there, or
    features that show the way.
    """
    if current.world_version != GENERATOR_VERSION:
        raise UserError(
            f"{folder}: is a round of version {current.world_version} of the houses, but this "
            f"clipnav builds version {GENERATOR_VERSION}; use the version of clipnav of the round"
        )
    key = digest_of([opening.seed, current.head(), GENERATOR_VERSION])[:32]
    world, houses = cache_dir() / "bench" / key, house_set(current, opening)
    scans = list(houses.specs)
    with waiting_lock(world):
        if not (world / _FEATURES).is_file():
            connectivity = world / "matterport" / "connectivity"
            connectivity.mkdir(parents=True, exist_ok=True)
            for dataset in ("r2r", "rxr"):
                (world / dataset).mkdir(exist_ok=True)
            r2r: list[dict[str, Any]] = []
            rxr: list[dict[str, Any]] = []
            for scan in progress_bar(scans, desc="houses", unit="houses"):
                navigation = build_house_of_round(houses, scan, world / "houses")
                graph = json_text(navigation["connectivity"])
                write_text(connectivity / f"{scan}_connectivity.json", graph)
                r2r += navigation[SPLIT]
                rxr += navigation["rxr"].get(SPLIT, [])
            write_text(connectivity / "scans.txt", "".join(f"{scan}\n" for scan in scans))
            merge_r2r(r2r_path(world / "r2r", SPLIT), scans, r2r)
            merge_guide(guide_path(world / "rxr", SPLIT), scans, rxr)
            write_features(houses, world, connectivity, world / _FEATURES)
    files = world_files("matterport", world)
    datasets: list[Dataset] = ["r2r", "rxr"] if current.rxr_paths else ["r2r"]
    return world, {name: data_digest(files, name, SPLIT, scans) for name in datasets}


def build_house_of_round(houses: HouseSet, scan: str, folder: Path) -> dict[str, Any]:
    """Build a house in a folder; return its graph and episodes, as `navigate` does."""
    from clipnav.envs.houses.building.house import ensure_house, load_house
    from clipnav.envs.houses.house_set import navigate

    ensure_house(houses.specs[scan], folder)
    return navigate(load_house(scan, folder), houses)


def write_features(houses: HouseSet, world: Path, connectivity: Path, output: Path) -> None:
    """Write the features of the shipped encoder, made as those of the built-in houses."""
    from clipnav.connectivity import read_connectivity
    from clipnav.encoders.clip import ClipEncoder
    from clipnav.encoders.extraction.encoding import encode_viewpoints_with
    from clipnav.envs.houses.rendering.house_panoramas import HousePanoramas
    from clipnav.envs.panoramas.views import cut_views, geometry_metadata, rows_seen, views36
    from clipnav.storage.features.store_file import feature_key

    encoder = ClipEncoder.load("house_clip")
    panoramas = HousePanoramas(houses.specs, world / "houses", connectivity)
    viewpoints = {
        feature_key(scan, record["image_id"]): (scan, record["image_id"])
        for scan in houses.specs
        for record in read_connectivity(scan, connectivity)
        if record["included"]
    }

    def views(key: str) -> Any:
        def cut(size: tuple[int, int], vfov: float) -> Any:
            rows = rows_seen(_WIDTH, size, vfov)
            return views36(panoramas.panorama(*viewpoints[key], rows).rgb, size, vfov)

        return cut_views(cut, "square", encoder.image_size)

    metadata = {"world": "houses", "vfov_degrees": 60, "panorama_width": _WIDTH}
    metadata |= geometry_metadata("square")
    keys = list(viewpoints)
    encode_viewpoints_with(keys, lambda part: map(views, part), {output: encoder}, metadata)


def _write(folder: Path, current: Round) -> None:
    write_json(folder / _ROUND, msgspec.to_builtins(current))


def _commitment(seed: str) -> str:
    return hashlib.sha256(f"clipnav bench {seed}".encode()).hexdigest()
