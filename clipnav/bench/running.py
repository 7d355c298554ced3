"""Running a suite: every part with every seed of an agent, into one result file."""

import platform
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from clipnav.bench.entrants import Entrant, entrant_of
from clipnav.bench.kinds import KINDS, RunOptions
from clipnav.bench.results import (
    FORMAT,
    AgentRecord,
    PartRecord,
    Result,
    SeedRecord,
    SuiteRecord,
    package_versions,
    part_record,
    rounded,
    write_result,
)
from clipnav.bench.suites import Part, Place, Suite, check_world_version, suite_digest
from clipnav.envs.metrics import aligned
from clipnav.experiments.records import machine
from clipnav.storage.errors import UserError

_POWERCAP = Path("/sys/class/powercap")


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
) -> Result:
    """Run agents, which are one agent with several seeds, and write their result.

    Raises:
        RuleError: An agent reads what the suite does not allow. Nothing is written.
        UserError: Data or agents do not fit the suite.
    """
    check_world_version(suite)
    by_part = {part.name: _seeds(suite, part.name, entrants) for part in suite.parts}
    date, started, meter = datetime.now(UTC), time.perf_counter(), EnergyMeter()
    parts = {
        part.name: _run_part(suite, part, place, by_part[part.name], options)
        for part in suite.parts
    }
    versions = {"python": platform.python_version(), **package_versions()}
    hardware = {key: value for key, value in machine().items() if key not in versions}
    result = Result(
        format=FORMAT,
        suite=SuiteRecord(suite.name, suite.version, suite_digest(suite)),
        world={"name": suite.world, "version": suite.world_version},
        agent=AgentRecord(
            name or entrants[0].name,
            entrants[0].kind,
            tuple(entrant.digest for entrant in entrants),
            note,
        ),
        parts=parts,
        versions=versions,
        machine={**hardware, "device": options.device},
        date=date.strftime("%Y-%m-%dT%H:%M:%SZ"),
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
        for one, other in zip(claimed.seeds, again.seeds, strict=True):
            for item, first, second in zip(claimed.items, one.answers, other.answers, strict=True):
                if first != second:
                    raise UserError(
                        f"{path}: {part.name}, seed {one.seed}, episode {item}: the agent walks "
                        "otherwise than in the file"
                    )


def _run_part(
    suite: Suite,
    part: Part,
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
    return part_record(suite, loaded, records)


def _seeds(suite: Suite, part: str, entrants: Sequence[Entrant]) -> list[tuple[int, Entrant]]:
    """Return the seeds of a part: the runs that enter it, or those of the suite."""
    own = [entrant for entrant in entrants if entrant.enters(part)]
    if not own:
        raise UserError(
            f"--agent: no agent for {part}; name one, as {part.partition('/')[0]}=AGENT"
        )
    if all(entrant.kind == "run" for entrant in own):
        return list(enumerate(own))
    if len(own) > 1:
        raise UserError(f"--agent: several agents for {part}; only runs may be several seeds")
    return [(seed, own[0]) for seed in (suite.seeds if own[0].kind == "package" else (0,))]


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
            rows.append([part.name, name, f"{figure.mean:.3f}", *bounds, str(len(record.seeds))])
    return aligned(rows, texts=2)
