"""Result files: one JSON document per agent and suite, and its verification from the walks."""

import math
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from clipnav.bench.kinds import KINDS, BenchPart
from clipnav.bench.suites import Part, Place, Suite, digest_of, suite_digest
from clipnav.envs.metrics.bootstrap import Interval, bootstrap_intervals, seed_interval
from clipnav.storage.errors import UserError
from clipnav.storage.json_files import read_json, write_json

FORMAT = 1
DECIMALS = 6
_TOLERANCE = 2e-6  # of a rounded score
_REMEDY = "get the file again from its author"
Bounds = tuple[float | None, float | None]


class SuiteRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Suite of a result."""

    name: str
    version: int
    sha256: str


class AgentRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Agent of a result.

    Attributes:
        name: Name on the board.
        kind: "run", "package" or "vlm".
        sha256: Digest of each entered run, or of the package.
        note: Text of the author, such as the address of a paper.
    """

    name: str
    kind: str
    sha256: tuple[str, ...]
    note: str = ""


class SeedRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Walks of one seed on one part.

    Attributes:
        seed: Seed, or the number of the run.
        answers: Walks (lists of viewpoints or positions) or texts, in the order of the items.
        scores: Scores of the items by metric, rounded to 6 decimals.
        seconds: Time of the walks alone.
        usage: Requests, tokens and cost of a model.
    """

    seed: int
    answers: list[Any]
    scores: dict[str, list[float]]
    seconds: float
    usage: dict[str, float] = {}


class FigureRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Mean of a metric, with 95 % intervals over paths (the bootstrap's) and seeds (Student's)."""

    mean: float
    paths: Bounds
    seeds: Bounds


class PartRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Results of a part."""

    data_sha256: str
    items: list[str]
    seeds: list[SeedRecord]
    figures: dict[str, FigureRecord]


class Result(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A result file.

    Attributes:
        format: Version of the format.
        suite: The suite.
        world: World and version of the houses.
        agent: The agent.
        parts: Results by name of the part.
        versions: Versions of clipnav, Python and packages.
        machine: Processor, cores, load and device.
        date: UTC date and time of the start.
        seconds: Time of everything, loading included.
        energy_joules: Energy of the processors (RAPL); None if it cannot be read.
        sha256: Digest of everything else in the file.
    """

    format: int
    suite: SuiteRecord
    world: dict[str, str | int]
    agent: AgentRecord
    parts: dict[str, PartRecord]
    versions: dict[str, str]
    machine: dict[str, str | int | float]
    date: str
    seconds: float
    energy_joules: float | None
    sha256: str = ""


def part_record(suite: Suite, part: BenchPart, seeds: Sequence[SeedRecord]) -> PartRecord:
    """Return the results of a part with its figures."""
    return PartRecord(part.data_sha256, part.ids, list(seeds), figures(suite, part, seeds))


def figures(suite: Suite, part: BenchPart, seeds: Sequence[SeedRecord]) -> dict[str, FigureRecord]:
    """Return mean and intervals of each metric over the rounded scores."""
    values = {
        name: np.array([one.scores[name] for one in seeds], dtype=np.float64)
        for name in part.metrics
    }
    clusters = part.clusters(suite.cluster)
    finite = {name: np.isfinite(array).all() for name, array in values.items()}
    columns = {name: array.mean(0) for name, array in values.items() if finite[name]}
    over_paths = bootstrap_intervals(columns, clusters=clusters) if columns else {}
    return {
        name: FigureRecord(
            _rounded(over_paths[name].mean),
            _bounds(over_paths[name]),
            _bounds(seed_interval(array.mean(1))),
        )
        for name, array in values.items()
        if finite[name]
    }


def rounded(scores: Mapping[str, np.ndarray]) -> dict[str, list[float]]:
    """Return scores as they are written."""
    return {name: [_rounded(value) for value in column.tolist()] for name, column in scores.items()}


def _rounded(value: float) -> float:
    return round(value, DECIMALS) + 0.0


def _bounds(interval: Interval) -> Bounds:
    if math.isnan(interval.low):
        return None, None
    return _rounded(interval.low), _rounded(interval.high)


def result_digest(result: Result) -> str:
    """Return the SHA-256 of everything in a result but this digest."""
    document = msgspec.to_builtins(result)
    del document["sha256"]
    return digest_of(document)


def write_result(path: Path, result: Result) -> Result:
    """Write a result with its digest; return it."""
    result = msgspec.structs.replace(result, sha256=result_digest(result))
    write_json(path, msgspec.to_builtins(result))
    return result


def read_result(path: Path) -> Result:
    """Read a result file without verifying it."""
    result = read_json(path, _REMEDY, Result)
    if result.format != FORMAT:
        raise UserError(
            f"{path}: has format {result.format}, but this clipnav reads {FORMAT}; {_REMEDY}"
        )
    return result


def verify(path: Path, suite: Suite, place: Place) -> Result:
    """Recompute everything in a result file that its walks determine.

    Raises:
        UserError: Names the first thing that differs: suite, version, world, walk, score, interval
            or the digest.
    """
    result = read_result(path)
    problem = (
        _origin_problem(result, suite)
        or next(filter(None, (_part_problem(result, suite, place, p) for p in suite.parts)), None)
        or _rest_problem(result, suite)
    )
    if problem:
        raise UserError(f"{path}: {problem}")
    return result


def _origin_problem(result: Result, suite: Suite) -> str | None:
    claimed, label = result.suite, f"{result.suite.name}@{result.suite.version}"
    if label != suite.label:
        return f"is a result of {label}, not of {suite.label}"
    if claimed.sha256 != suite_digest(suite):
        return f"was made with another {label}; its digest is not that of the released suite"
    world = {"name": suite.world, "version": suite.world_version}
    if result.world != world:
        return (
            f"was made in version {result.world.get('version')} of the world "
            f"{result.world.get('name')!r}; {label} is for version {suite.world_version} of "
            f"{suite.world!r}"
        )
    return None


def _part_problem(result: Result, suite: Suite, place: Place, part: Part) -> str | None:
    record = result.parts.get(part.name)
    if record is None:
        return f"has no results of {part.name}; run the whole suite"
    loaded = KINDS[part.kind].part("load")(part, place)
    if record.data_sha256 != loaded.data_sha256:
        return (
            f"{part.name}: was made in another world: the digest of its graphs and episodes is "
            f"{record.data_sha256[:12]}, here {loaded.data_sha256[:12]}"
        )
    if record.items != loaded.ids:
        return f"{part.name}: its episodes are not those of the suite"
    if not record.seeds:
        return f"{part.name}: has no walks"
    for seed in record.seeds:
        if problem := _seed_problem(part, loaded, seed):
            return problem
    expected = figures(suite, loaded, record.seeds)
    for name in sorted({*expected, *record.figures}):
        known, claimed = expected.get(name), record.figures.get(name)
        if known is None or claimed is None or not _same(known, claimed):
            found = "missing" if claimed is None else _shown(claimed)
            return (
                f"{part.name}: {name} is {found} in the file, but the scores give "
                f"{'nothing' if known is None else _shown(known)}"
            )
    return None


def _seed_problem(part: Part, loaded: BenchPart, seed: SeedRecord) -> str | None:
    place = f"{part.name}, seed {seed.seed}"
    if len(seed.answers) != len(loaded.ids):
        return f"{place}: has {len(seed.answers)} walks for {len(loaded.ids)} episodes"
    for number, problem in sorted(loaded.problems(seed.answers).items()):
        return f"{place}, episode {loaded.ids[number]}: the walk {problem}"
    if set(seed.scores) != set(loaded.metrics):
        return f"{place}: has not the metrics of the suite"
    for name, column in loaded.scores(seed.answers).items():
        claimed = np.array(seed.scores[name], dtype=np.float64)
        if claimed.shape != column.shape:
            return f"{place}: has {len(claimed)} scores {name} for {len(column)} episodes"
        wrong = np.flatnonzero(~np.isclose(claimed, column, rtol=0, atol=_TOLERANCE))
        if wrong.size:
            first = int(wrong[0])
            return (
                f"{place}, episode {loaded.ids[first]}: {name} is {claimed[first]:g} in the file, "
                f"but its walk gives {column[first]:g}"
            )
    return None


def _rest_problem(result: Result, suite: Suite) -> str | None:
    extra = set(result.parts) - {part.name for part in suite.parts}
    if extra:
        return f"has results of {min(extra)}, which is not part of {suite.label}"
    if result.sha256 != result_digest(result):
        return "was changed after it was written: its digest does not match its content"
    return None


def _same(first: FigureRecord, second: FigureRecord) -> bool:
    pairs = zip(_numbers(first), _numbers(second), strict=True)
    return all(a == b if a is None or b is None else abs(a - b) <= _TOLERANCE for a, b in pairs)


def _numbers(figure: FigureRecord) -> tuple[float | None, ...]:
    return figure.mean, *figure.paths, *figure.seeds


def _shown(figure: FigureRecord) -> str:
    low, high = figure.paths
    return f"{figure.mean:g}" + ("" if low is None or high is None else f" [{low:g}, {high:g}]")


def package_versions() -> dict[str, str]:
    """Return the versions that a result depends on."""
    return {name: version(name) for name in ("clipnav", "numpy", "torch", "gymnasium", "scipy")}
