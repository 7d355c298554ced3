"""Log of a run: one line of JSON per event."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from clipnav.storage import append_bytes, write_text
from clipnav.storage.errors import UserError
from clipnav.storage.json_files import parse_json, read_bytes
from clipnav.training.checkpoints import METRICS
from clipnav.training.tracking import Tracker

_REMEDY = "remove the damaged line, or train the run again"


class RunLog:
    """Appends to RUN/metrics.jsonl and forwards the figures to trackers."""

    def __init__(self, run: Path, iteration: int, trackers: Sequence[Tracker] = ()) -> None:
        self._path = run / METRICS
        kept = [event for event in read_log(run) if event["iteration"] <= iteration]
        write_text(self._path, "".join(json.dumps(event) + "\n" for event in kept))
        self._trackers = trackers

    def write(self, kind: str, iteration: int, figures: dict[str, float]) -> None:
        """Log the figures of one event, such as "train" or "val_unseen"."""
        event = {"kind": kind, "iteration": iteration, **figures}
        append_bytes(self._path, (json.dumps(event) + "\n").encode())
        for tracker in self._trackers:
            tracker.write(kind, iteration, figures)

    def close(self) -> None:
        """Close the trackers."""
        for tracker in self._trackers:
            tracker.close()


def mean_figures(iterations: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the mean of each figure of some iterations, over those that have it.

    An iteration may lack a figure, such as the loss of an objective without targets.
    """
    names = dict.fromkeys(name for figures in iterations for name in figures)
    return {
        name: float(np.mean([figures[name] for figures in iterations if name in figures]))
        for name in names
    }


def read_log(run: Path) -> list[dict[str, Any]]:
    """Read the events of a run in order; an empty list if there is no log.

    An incomplete last line, which a killed run can leave, is ignored.
    """
    path = run / METRICS
    if not path.is_file():
        return []
    *lines, _ = read_bytes(path, _REMEDY).split(b"\n")
    events = []
    for number, line in enumerate(lines, 1):
        event = parse_json(line, f"{path}, line {number}", _REMEDY, allow_nan=True)
        if not isinstance(event, dict) or type(event.get("iteration")) is not int:
            raise UserError(f"{path}, line {number}: not an event of a training run; {_REMEDY}")
        events.append(event)
    return events
