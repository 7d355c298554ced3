"""The board: one static page from a folder of result files, which are scored again."""

import json
import re
import shutil
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from clipnav.bench.graph import viewpoints
from clipnav.bench.kinds import KINDS, BenchPart
from clipnav.bench.results import (
    FigureRecord,
    PartRecord,
    Result,
    TrainedOn,
    named_problem,
    read_checks,
    read_result,
    seeds_text,
    verify,
)
from clipnav.bench.rounds import round_suite, verify_in_round
from clipnav.bench.suites import Place, Suite, SuitePart, load_suite
from clipnav.envs.metrics import Metric, metrics
from clipnav.storage import write_text
from clipnav.storage.errors import UserError
from clipnav.storage.json_files import write_json
from clipnav.storage.progress import progress_bar

_PAGE = Path(__file__).with_name("static") / "board.html"
_RESULTS, _WALKS = "results", "walks"
Json = dict[str, Any]
# Writes the page of a walk: walks file, part, id of the episode and page.
Export = Callable[[Path, SuitePart, str, Path], None]


class Board:
    """Suites with their results, as the page shows them.

    Attributes:
        problems: Why files were left out.
    """

    def __init__(
        self,
        output: Path,
        rounds: Sequence[Path],
        export: Export | None,
        walks: int,
        walked_again: Collection[str],
    ) -> None:
        self.problems: list[str] = []
        self._output, self._export, self._walks = output, export, walks
        self._walked_again = walked_again
        self._rounds: dict[str, Path] = {}
        for folder in rounds:
            label = round_suite(folder)[0].label
            if label in self._rounds:
                raise UserError(f"{folder}: {self._rounds[label]} is a round of this name, too")
            self._rounds[label] = folder
        self._suites: dict[str, tuple[Suite, Place]] = {}
        self._loaded: dict[tuple[str, str], BenchPart] = {}
        self._rows: dict[str, list[Json]] = defaultdict(list)

    def add(self, path: Path, number: int) -> None:
        """Verify a result and add it; a wrong one becomes a problem."""
        try:
            result = read_result(path)
            label = f"{result.suite.name}@{result.suite.version}"
            suite, place = self._suite(label)
            if label in self._rounds:
                verify_in_round(path, self._rounds[label])
            else:
                verify(path, suite, place)
        except UserError as error:
            self.problems.append(named_problem(path, error))
            return
        stem = re.sub(r"[^A-Za-z0-9_-]", "_", path.stem)[:80]
        file = f"{_RESULTS}/{number:03d}-{stem}.json"
        (self._output / _RESULTS).mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, self._output / file)
        self._rows[label].append(self._row(suite, result, file, number))

    def document(self) -> Json:
        """Return everything that the page shows."""
        suites = []
        for label, rows in sorted(self._rows.items()):
            suite, _ = self._suites[label]
            parts = [
                {
                    "name": part.name,
                    "items": len(self._part(label, part).ids),
                    "metrics": [
                        _metric(name, self._part(label, part).metrics[name])
                        for name in part.metrics
                    ],
                }
                for part in suite.parts
            ]
            suites.append({"label": label, "title": suite.title, "parts": parts, "results": rows})
        made = datetime.now(UTC).strftime("%Y-%m-%d")
        return {"made": made, "suites": suites, "left_out": len(self.problems)}

    def _suite(self, label: str) -> tuple[Suite, Place]:
        if label not in self._suites:
            if label in self._rounds:
                suite, place, _ = round_suite(self._rounds[label])
            else:
                suite = load_suite(label)
                place = Place(suite.world)
            self._suites[label] = suite, place
        return self._suites[label]

    def _part(self, label: str, part: SuitePart) -> BenchPart:
        if (label, part.name) not in self._loaded:
            _, place = self._suites[label]
            self._loaded[label, part.name] = KINDS[part.kind].part("load")(part, place)
        return self._loaded[label, part.name]

    def _row(self, suite: Suite, result: Result, file: str, number: int) -> Json:
        parts = {}
        for part in suite.parts:
            record, loaded = result.parts[part.name], self._part(suite.label, part)
            costs = [one.usage["cost"] for one in record.seeds if "cost" in one.usage]
            parts[part.name] = {
                "figures": {name: _figure(one) for name, one in record.figures.items()},
                "seeds": seeds_text(record.seeds),
                "seconds": _per_item(record, [one.seconds for one in record.seeds]),
                "cost": _per_item(record, costs) if len(costs) == len(record.seeds) else None,
                "curve": _curve(record, loaded, part.metrics[0]),
                "walks": self._walk_pages(part, record, number),
            }
        return {
            "name": result.agent.name,
            "kind": result.agent.kind,
            "note": result.agent.note,
            "trained_on": (result.agent.trained_on or TrainedOn()).named(),
            "check": "walked again" if result.sha256 in self._walked_again else "scored",
            "sha256": [digest[:12] for digest in result.agent.sha256],
            "date": result.date[:10],
            "seconds": result.seconds,
            "energy": result.energy_joules,
            "versions": result.versions,
            "machine": result.machine,
            "file": file,
            "parts": parts,
        }

    def _walk_pages(self, part: SuitePart, record: PartRecord, number: int) -> list[Json]:
        """Export the first walks to viewpoints for the viewer; return their pages."""
        if self._export is None or part.kind not in ("graph", "model"):
            return []
        folder = self._output / _WALKS / f"{number:03d}"
        pairs = zip(record.items, record.seeds[0].answers, strict=True)
        records = [{"instr_id": item, "trajectory": viewpoints(walk)} for item, walk in pairs]
        step = max(1, len(record.items) // max(1, self._walks))
        pages = []
        for item in record.items[::step][: self._walks]:
            stem = f"{part.dataset}-{part.split}"
            walks, page = folder / f"{stem}.json", folder / f"{stem}-{item}.html"
            folder.mkdir(parents=True, exist_ok=True)
            if not walks.is_file():
                write_json(walks, records)
            self._export(walks, part, item, page)
            pages.append({"id": item, "href": page.relative_to(self._output).as_posix()})
        return pages


def write_board(
    folder: Path,
    output: Path,
    rounds: Sequence[Path] = (),
    export: Export | None = None,
    walks: int = 0,
    checks: Path | None = None,
) -> list[str]:
    """Write the page of all results in a folder; return why files were left out."""
    paths = [path for path in sorted(folder.rglob("*.json")) if path.name != "round.json"]
    if not paths:
        raise FileNotFoundError(
            f"{folder}: contains no result file; make one with clipnav bench run"
        )
    board = Board(output, rounds, export, walks, read_checks(checks) if checks else {})
    for number, path in enumerate(progress_bar(paths, desc="scoring", unit="results")):
        if output not in path.parents:
            board.add(path, number)
    document = board.document()
    if not document["suites"]:
        raise UserError(f"{folder}: no result is valid: {'; '.join(board.problems[:3])}")
    data = json.dumps(document, ensure_ascii=False, allow_nan=False).replace("<", "\\u003c")
    page = _PAGE.read_text("utf-8").replace("/* DATA */", data)
    write_text(output / "index.html", page)
    write_text(output / ".nojekyll", "")
    return board.problems


def _metric(name: str, metric: Metric) -> Json:
    known = metrics().get(name)
    unit = known.unit if known else ("%" if metric.factor == 100 else metric.unit)
    return {
        "name": name,
        "factor": metric.factor,
        "unit": unit,
        "lower": (known or metric).better == "lower",
    }


def _figure(figure: FigureRecord) -> Json:
    lows = [low for low, _ in (figure.paths, figure.seeds) if low is not None]
    highs = [high for _, high in (figure.paths, figure.seeds) if high is not None]
    return {
        "mean": figure.mean,
        "low": min(lows, default=None),
        "high": max(highs, default=None),
        "paths": figure.paths,
        "seeds": figure.seeds,
    }


def _per_item(record: PartRecord, amounts: Sequence[float]) -> float:
    return sum(amounts) / (len(record.items) * len(amounts))


def _curve(record: PartRecord, part: BenchPart, metric: str) -> list[tuple[int, float, int]]:
    """Return the mean of a metric by the number of moves of the reference path, and the counts."""
    lengths: Mapping[str, int] | None = getattr(part, "moves", None)
    if lengths is None:
        return []
    values = np.array([one.scores[metric] for one in record.seeds]).mean(0)
    groups: dict[int, list[float]] = defaultdict(list)
    for item, value in zip(record.items, values.tolist(), strict=True):
        groups[lengths[item]].append(value)
    return [(moves, float(np.mean(g)), len(g)) for moves, g in sorted(groups.items())]
