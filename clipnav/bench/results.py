"""Results: run a suite with every seed of an agent into one file; score a file from its walks."""

import math
import platform
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import numpy as np

from clipnav.bench.entrants import Entrant, entrant_of
from clipnav.bench.kinds import KINDS, BenchPart, RunOptions
from clipnav.bench.suites import (
    Place,
    Suite,
    SuitePart,
    check_world_version,
    digest_of,
    suite_digest,
)
from clipnav.envs.metrics import aligned
from clipnav.envs.metrics.bootstrap import Interval, bootstrap_intervals, seed_interval
from clipnav.experiments.records import machine
from clipnav.storage import open_regular
from clipnav.storage.errors import UserError, truncate
from clipnav.storage.json_files import convert_json, write_json

FORMAT = 1
DECIMALS = 6
_MOST_CHARACTERS = 300  # of a problem, which quotes the file
_TOLERANCE = 2e-6  # of a rounded score
_HINT = "get the file again from its author"
_MOST_BYTES = 1 << 26  # 288 continuous walks of three seeds have 14 MB
_POWERCAP = Path("/sys/class/powercap")
Bounds = tuple[float | None, float | None]
# Sums of such seconds, tokens, joules and prices stay finite.
Amount = Annotated[float, msgspec.Meta(ge=0, le=1e12)]
Digest = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]
Digests = Annotated[tuple[Digest, ...], msgspec.Meta(min_length=1, max_length=1000)]
_DATE = "%Y-%m-%dT%H:%M:%SZ"
_MOST_ENTRIES = 64  # of versions, machine and usage


def check_line(what: str, text: Any, most: int = 200) -> None:
    """Refuse a text that is not one printable line, as it could forge lines of a report."""
    if isinstance(text, str) and not (len(text) <= most and text.isprintable()):
        raise UserError(f"{what} is not one printable line of at most {most} characters")


def check_name(name: str) -> None:
    """Refuse a name of an agent that a report cannot show."""
    check_line("the name of the agent", name)
    if not name.strip():
        raise UserError("the name of the agent is empty; give one with --name")


def check_date(date: str) -> None:
    """Refuse a date that is not UTC as clipnav writes it, before 2020, or after tomorrow."""
    try:
        parsed = datetime.strptime(date, _DATE).replace(tzinfo=UTC)
        valid = date == parsed.strftime(_DATE) and parsed.year >= 2020
        valid = valid and parsed <= datetime.now(UTC) + timedelta(days=1)
    except ValueError:
        valid = False
    if not valid:
        raise UserError("the date is not one as 2026-01-31T12:00:00Z, from 2020 until tomorrow")


def now() -> str:
    """Return the date and time as results and rounds write it."""
    return datetime.now(UTC).strftime(_DATE)


def _check_entries(what: str, entries: Mapping[str, Any]) -> None:
    if len(entries) > _MOST_ENTRIES:
        raise UserError(f"{what} has more than {_MOST_ENTRIES} entries")
    for name, value in entries.items():
        check_line(f"a name in {what}", name)
        check_line(f"{what}[{name!r}]", value)


class SuiteRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Suite of a result."""

    name: str
    version: int
    sha256: str


class TrainedOn(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What an agent was trained on, as its author tells; None is not known, () is nothing.

    Attributes:
        worlds: Worlds, such as "houses".
        datasets: Datasets, such as "r2r".
        splits: Splits, such as "train".
        weights: Pre-trained weights that the training started from, or that encode pictures.
    """

    worlds: tuple[str, ...] | None = None
    datasets: tuple[str, ...] | None = None
    splits: tuple[str, ...] | None = None
    weights: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        for what, names in self.named().items():
            if len(names or ()) > _MOST_ENTRIES:
                raise UserError(f"trained_on.{what} has more than {_MOST_ENTRIES} entries")
            for name in names or ():
                check_line(f"a name in trained_on.{what}", name)

    def named(self) -> dict[str, tuple[str, ...] | None]:
        """Return the fields by name."""
        return msgspec.structs.asdict(self)

    @property
    def is_known(self) -> bool:
        """Whether something is known."""
        return any(names is not None for names in self.named().values())


class AgentRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Agent of a result.

    Attributes:
        name: Name on the board.
        kind: "run", "package" or "vlm".
        sha256: Digest of each entered run, or of the package.
        note: Text of the author, such as the address of a paper.
        trained_on: What the agent was trained on; it may be absent, which is not known.
    """

    name: str
    kind: Literal["run", "package", "vlm"]
    sha256: Digests
    note: str = ""
    # Absent and not a default, as the digests of results contain their notes of "".
    trained_on: TrainedOn | msgspec.UnsetType = msgspec.UNSET

    def __post_init__(self) -> None:
        check_name(self.name)
        check_line("the note", self.note, most=500)


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
    seconds: Amount
    usage: dict[str, Amount] = {}

    def __post_init__(self) -> None:
        _check_entries("usage", self.usage)


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
    seconds: Amount
    energy_joules: Amount | None
    sha256: str = ""

    def __post_init__(self) -> None:
        for what in ("world", "versions", "machine"):
            _check_entries(what, getattr(self, what))
        check_date(self.date)


class EnergyMeter:
    """Energy that the processors have used since it was made, as RAPL counts it in microjoules."""

    def __init__(self, folder: Path = _POWERCAP) -> None:
        zones = sorted(folder.glob("intel-rapl:[0-9]*"))
        self._zones = [zone for zone in zones if zone.name.count(":") == 1]  # not their parts
        self._start = [self._read(zone / "energy_uj") for zone in self._zones]

    def joules(self) -> float | None:
        """Return the joules, None if a counter cannot be read (most systems ask for root)."""
        total = 0
        for zone, start in zip(self._zones, self._start, strict=True):
            end, most = (self._read(zone / name) for name in ("energy_uj", "max_energy_range_uj"))
            if start is None or end is None:
                return None
            total += end - start if end >= start else end - start + (most or 0)
        return total / 1e6 if self._zones else None

    @staticmethod
    def _read(path: Path) -> int | None:
        try:
            return int(path.read_text())
        except (OSError, ValueError):
            return None


def run_suite(
    suite: Suite,
    place: Place,
    entrants: Sequence[Entrant],
    options: RunOptions,
    output: Path,
    name: str | None = None,
    note: str = "",
    trained_on: Mapping[str, tuple[str, ...]] | None = None,
) -> Result:
    """Run agents, which are one agent with several seeds, and write their result.

    Raises:
        RuleError: An agent reads what the suite does not allow. Nothing is written.
        UserError: Data or agents do not fit the suite.
    """
    check_world_version(suite)
    agent = AgentRecord(
        name or entrants[0].name,
        _kind(entrants),
        tuple(entrant.digest for entrant in entrants),
        note,
        _trained_on(entrants, trained_on or {}),
    )
    by_part = {part.name: _seeds(suite, part.name, entrants) for part in suite.parts}
    date, started, meter = now(), time.perf_counter(), EnergyMeter()
    parts = {
        part.name: _run_part(suite, part, place, by_part[part.name], options)
        for part in suite.parts
    }
    packages = ("clipnav", "numpy", "torch", "gymnasium", "scipy")
    versions = {"python": platform.python_version(), **{name: version(name) for name in packages}}
    hardware = {key: value for key, value in machine().items() if key not in versions}
    result = Result(
        format=FORMAT,
        suite=SuiteRecord(suite.name, suite.version, suite_digest(suite)),
        world={"name": suite.world, "version": suite.world_version},
        agent=agent,
        parts=parts,
        versions=versions,
        machine={**hardware, "device": options.device},
        date=date,
        seconds=round(time.perf_counter() - started, 3),
        energy_joules=meter.joules(),
    )
    return write_result(output, result)


def check_walks(
    path: Path,
    result: Result,
    suite: Suite,
    place: Place,
    agents: Sequence[str],
    batch_size: int,
) -> None:
    """Let the agent of a result walk again, and compare the walks.

    Raises:
        UserError: The agent is another one, or walks otherwise.
    """
    entrants = [entrant_of(text) for text in agents]
    if tuple(entrant.digest for entrant in entrants) != result.agent.sha256:
        raise UserError(f"{path}: is a result of another agent, its files have another digest")
    for part in suite.parts:
        own = _seeds(suite, part.name, entrants)
        again = _run_part(suite, part, place, own, RunOptions(batch_size))
        claimed = result.parts[part.name]
        if len(claimed.seeds) != len(again.seeds):
            raise UserError(
                f"{path}: {part.name}: has {len(claimed.seeds)} seeds, but --agent gives "
                f"{len(again.seeds)}; name the agents as for clipnav bench run, with PART="
            )
        for one, other in zip(claimed.seeds, again.seeds, strict=True):
            for item, first, second in zip(claimed.items, one.answers, other.answers, strict=True):
                if first != second:
                    raise UserError(
                        f"{path}: {part.name}, seed {one.seed}, episode {item}: the agent walks "
                        "otherwise than in the file"
                    )


class _Checks(msgspec.Struct, forbid_unknown_fields=True):
    """Dates at which the agents of results, named by their digests, walked again."""

    walked_again: dict[Digest, str]


def read_checks(path: Path) -> dict[str, str]:
    """Return the dates at which agents walked again as in their results, by digest of these."""
    return read_regular(path, "make it with clipnav bench verify --checks", _Checks).walked_again


def add_check(path: Path, result: Result) -> None:
    """Add a result whose agent walked again as in the file."""
    known = read_checks(path) if path.exists() else {}
    write_json(path, msgspec.to_builtins(_Checks({**known, result.sha256: now()})))


def _run_part(
    suite: Suite,
    part: SuitePart,
    place: Place,
    seeds: Sequence[tuple[int, Entrant]],
    options: RunOptions,
) -> PartRecord:
    kind = KINDS[part.kind]
    loaded = kind.part("load")(part, place)
    records = []
    for seed, entrant in seeds:
        walked = kind.part("walk")(suite, loaded, entrant, seed, options)
        usage = {name: float(value) for name, value in walked.usage.items()}
        scores = rounded(walked.scores)
        records.append(SeedRecord(seed, walked.answers, scores, walked.seconds, usage))
    return PartRecord(loaded.data_sha256, loaded.ids, records, figures(suite, loaded, records))


def _trained_on(
    entrants: Sequence[Entrant], told: Mapping[str, tuple[str, ...]]
) -> TrainedOn | msgspec.UnsetType:
    """Return what the author tells, and of the rest what the settings of all runs tell."""
    found = [entrant.trained_on for entrant in entrants]
    common = set.intersection(*(set(one) for one in found))
    known = {what: tuple(sorted({name for one in found for name in one[what]})) for what in common}
    result = TrainedOn(**{**known, **told})
    return result if result.is_known else msgspec.UNSET


def _seeds(suite: Suite, part: str, entrants: Sequence[Entrant]) -> list[tuple[int, Entrant]]:
    """Return the seeds of a part: the runs that enter it, or those of the suite."""
    own = [entrant for entrant in entrants if entrant.enters(part)]
    if not own:
        raise UserError(
            f"--agent: no agent for {part}; name one, as {part.partition('/')[0]}=AGENT"
        )
    kind = _kind(own)
    if kind != "run" and len(own) > 1:
        raise UserError(f"--agent: several agents for {part}; only runs may be several seeds")
    if len({entrant.digest for entrant in own}) < len(own):
        raise UserError(f"--agent: the same run twice for {part}; name each training seed once")
    seeds = _seed_numbers(suite, kind, len(own))
    return list(zip(seeds, own if kind == "run" else own * len(seeds), strict=True))


def _kind(entrants: Sequence[Entrant]) -> Literal["run", "package", "vlm"]:
    kinds = {entrant.kind for entrant in entrants}
    if len(kinds) > 1:
        raise UserError(f"--agent: agents of one result are of one kind, not {sorted(kinds)}")
    return entrants[0].kind


def _seed_numbers(suite: Suite, kind: str, runs: int) -> tuple[int, ...]:
    """Return the seeds of an agent, which is some runs, a package or a model."""
    return {"run": tuple(range(runs)), "package": suite.seeds, "vlm": (0,)}[kind]


def result_table(result: Result, suite: Suite) -> str:
    """Return the figures of a result as an aligned table."""
    rows = [["part", "metric", "mean", "over paths", "over seeds", "seeds"]]
    for part in suite.parts:
        record = result.parts[part.name]
        for name, figure in record.figures.items():
            bounds = [
                "-" if low is None else f"[{low:.3f}, {high:.3f}]"
                for low, high in (figure.paths, figure.seeds)
            ]
            rows.append([part.name, name, f"{figure.mean:.3f}", *bounds, seeds_text(record.seeds)])
    return aligned(rows, texts=2)


def seeds_text(seeds: Sequence[SeedRecord]) -> str:
    """Return the number of seeds, and how many of them answer differently if not all do."""
    different = _different(seeds)
    return f"{len(seeds)}" if different == len(seeds) else f"{len(seeds)}, {different} different"


def _different(seeds: Sequence[SeedRecord]) -> int:
    answers = [one.answers for one in seeds]
    return sum(own not in answers[:k] for k, own in enumerate(answers))


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
    # An interval over equal answers would be a point, and tell any two agents apart.
    differ = _different(seeds) == len(seeds)
    return {
        name: FigureRecord(
            _rounded(over_paths[name].mean),
            _bounds(over_paths[name]),
            _bounds(seed_interval(array.mean(1))) if differ else (None, None),
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
    """Read a result file without verifying it.

    Raises:
        UserError: It is no result, larger than any result, or not a regular file.
    """
    result = read_regular(path, _HINT, Result)
    if result.format != FORMAT:
        raise UserError(
            f"{path}: has format {result.format}, but this clipnav reads {FORMAT}; {_HINT}"
        )
    return result


def read_regular(path: Path, hint: str, kind: Any) -> Any:
    """Read a regular file of bounded size that is one JSON document of a type."""
    try:
        with open_regular(path) as file:
            raw = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); {hint}") from error
    if len(raw) > _MOST_BYTES:
        raise UserError(
            f"{path}: larger than {_MOST_BYTES:,} bytes, the limit of the bench; {hint}"
        )
    return convert_json(raw, path, hint, kind)


def named_problem(path: Path, error: UserError) -> str:
    """Return the problem of a file as one line that begins with its path.

    Control characters are escaped: those of the file, or of its name, could forge other lines.
    """
    text = str(error)
    return truncate(
        text if text.startswith(str(path)) else f"{path}: {text}",
        len(str(path)) + _MOST_CHARACTERS,
    )


def verify(path: Path, suite: Suite, place: Place) -> Result:
    """Recompute everything in a result file that its walks determine.

    Raises:
        UserError: Names the first thing that differs: suite, version, world, walk, score, interval
            or the digest.
    """
    result = read_result(path)
    problem = _origin_problem(result, suite)
    for part in suite.parts:
        problem = problem or _part_problem(result, suite, place, part)
    extra = set(result.parts) - {part.name for part in suite.parts}
    if not problem and extra:
        problem = f"has results of {min(extra)}, which is not part of {suite.label}"
    if not problem and result.sha256 != result_digest(result):
        problem = "was changed after it was written: its digest does not match its content"
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


def _part_problem(result: Result, suite: Suite, place: Place, part: SuitePart) -> str | None:
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
    numbers, agent = [one.seed for one in record.seeds], result.agent
    # Runs that enter some parts only (PART=AGENT) are fewer in a part than in the result.
    runs = min(len(numbers), len(set(agent.sha256)))
    seeds = _seed_numbers(suite, agent.kind, max(1, runs))
    if numbers != list(seeds):
        return f"{part.name}: has the seeds {numbers}, but this {agent.kind} has {list(seeds)}"
    for seed in record.seeds:
        if problem := _seed_problem(part, loaded, seed):
            return problem
    expected = figures(suite, loaded, record.seeds)
    for name in sorted({*expected, *record.figures}):
        known, claimed = expected.get(name), record.figures.get(name)
        pairs = zip(_numbers(known), _numbers(claimed), strict=False)
        same = all(a == b if None in (a, b) else abs(a - b) <= _TOLERANCE for a, b in pairs)
        if known is None or claimed is None or not same:
            found = "missing" if claimed is None else _shown(claimed)
            return (
                f"{part.name}: {name} is {found} in the file, but the scores give "
                f"{'nothing' if known is None else _shown(known)}"
            )
    return None


def _seed_problem(part: SuitePart, loaded: BenchPart, seed: SeedRecord) -> str | None:
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


def _numbers(figure: FigureRecord | None) -> tuple[Any, ...]:
    return () if figure is None else (figure.mean, *figure.paths, *figure.seeds)


def _shown(figure: FigureRecord) -> str:
    bounds = [
        f"[{low:g}, {high:g}]" for low, high in (figure.paths, figure.seeds) if low is not None
    ]
    return " ".join([f"{figure.mean:g}", *bounds])
