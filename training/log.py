"""The log of a run, and trackers: TensorBoard, Weights & Biases and trackio."""

import json
import os
import socket
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, Literal, Protocol
from uuid import uuid4

import numpy as np

from clipnav.storage import append_bytes, write_text
from clipnav.storage.errors import UserError, truncate
from clipnav.storage.extras import check_extra, import_extra
from clipnav.storage.json_files import parse_json, read_bytes, read_json

TrackerName = Literal["tensorboard", "wandb", "trackio"]
METRICS = "metrics.jsonl"  # within the folder of a run: its log
_PROJECT = "clipnav"
_IDS = "trackers.json"  # within the folder of a run: its ids by tracker
_IDS_HINT = "remove the file, which starts a new tracked run"
_HINT = "remove the damaged line, or train the run again"


class Tracker(Protocol):
    """Receives the figures of a run."""

    def write(self, kind: str, iteration: int, figures: Mapping[str, float]) -> None:
        """Record the figures of one event, such as "train" or "val_unseen"."""
        ...

    def close(self) -> None:
        """Send what is left and end."""
        ...


def check_trackers(names: Iterable[TrackerName]) -> None:
    """Check that the packages of trackers are installed."""
    for name in names:
        check_extra(name, name, f"--track {name}")


def start_trackers(
    names: Iterable[TrackerName], run: Path, first: int, settings: Mapping[str, Any]
) -> list[Tracker]:
    """Start or continue the trackers of a run."""
    makers: dict[TrackerName, Callable[[], Tracker]] = {
        "tensorboard": lambda: EventFile(run / "tensorboard", first),
        "wandb": lambda: _wandb(run, settings),
        "trackio": lambda: _trackio(run, settings),
    }
    return [makers[name]() for name in dict.fromkeys(names)]


class _Logger:
    """Tracker of a module with wandb's functions `log` and `finish`."""

    def __init__(self, log: Any, finish: Any) -> None:
        self._log, self._finish = log, finish

    def write(self, kind: str, iteration: int, figures: Mapping[str, float]) -> None:
        # The iteration is a figure of its own: steps of the trackers may not decrease, but a run
        # that was killed resumes from an earlier iteration.
        named = {f"{kind}/{name}": value for name, value in figures.items()}
        self._log({"iteration": iteration, **named})

    def close(self) -> None:
        self._finish()


def _wandb(run: Path, settings: Mapping[str, Any]) -> Tracker:
    wandb = import_extra("wandb", "wandb", "--track wandb")
    try:
        started = wandb.init(
            project=_PROJECT,
            name=run.name,
            id=_id(run, "wandb"),
            resume="allow",
            dir=str(run),
            config=dict(settings),
        )
    except wandb.Error as error:
        raise UserError(
            f"--track wandb: {truncate(str(error).rstrip('.'), 200)}; or set WANDB_MODE=offline "
            "in the environment"
        ) from error
    started.define_metric("*", step_metric="iteration")
    return _Logger(started.log, started.finish)


def _id(run: Path, tracker: TrackerName) -> str:
    """Return the id of a run for a tracker, which the first call draws."""
    path = run / _IDS
    ids = read_json(path, _IDS_HINT, dict[str, str]) if path.exists() else {}
    if tracker not in ids:
        ids[tracker] = uuid4().hex[:8]
        write_text(run / _IDS, json.dumps(ids) + "\n")
    return ids[tracker]


def _trackio(run: Path, settings: Mapping[str, Any]) -> Tracker:
    trackio = import_extra("trackio", "trackio", "--track trackio")
    # Another run may have had this folder, hence the id.
    name = f"{run.parent.name}/{run.name}-{_id(run, 'trackio')}"
    trackio.init(project=_PROJECT, name=name, resume="allow", config=dict(settings))
    return _Logger(trackio.log, trackio.finish)


class EventFile:
    """Event file for TensorBoard.

    torch's SummaryWriter is not used: it writes from a thread, so errors such as a full disk
    cannot be caught.
    """

    def __init__(self, folder: Path, first: int) -> None:
        # Imported here, as the import takes half a second.
        from tensorboard.compat.proto import event_pb2

        self._format: Any = event_pb2  # protobuf creates its classes at import time
        folder.mkdir(parents=True, exist_ok=True)
        now = time.time_ns()
        name = f"events.out.tfevents.{now // 10**9}.{socket.gethostname()}.{os.getpid()}.{now}"
        self._path = folder / name
        start = self._format.SessionLog(status=self._format.SessionLog.START)
        self._add(self._format.Event(file_version="brain.Event:2"))
        self._add(self._format.Event(step=first, session_log=start))

    def write(self, kind: str, iteration: int, figures: Mapping[str, float]) -> None:
        """Write the figures of an event as scalars KIND/NAME."""
        event = self._format.Event(step=iteration)
        for name, value in figures.items():
            event.summary.value.add(tag=f"{kind}/{name}", simple_value=value)
        self._add(event)

    def _add(self, event: Any) -> None:
        from tensorboard.summary.writer.record_writer import RecordWriter

        event.wall_time = time.time()
        record = BytesIO()
        RecordWriter(record).write(event.SerializeToString())
        append_bytes(self._path, record.getvalue())

    def close(self) -> None:
        """Do nothing; each event is written at once."""


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
    *lines, _ = read_bytes(path, _HINT).split(b"\n")
    events = []
    for number, line in enumerate(lines, 1):
        event = parse_json(line, f"{path}, line {number}", _HINT, allow_nan=True)
        if not isinstance(event, dict) or type(event.get("iteration")) is not int:
            raise UserError(f"{path}, line {number}: not an event of a training run; {_HINT}")
        events.append(event)
    return events
