"""Log of a run: one line of JSON per event, and the same figures for TensorBoard."""

import json
import os
import socket
import time
from io import BytesIO
from pathlib import Path
from typing import Any

from storage import UnwritableError, unwritable_reason, write_text
from storage.json_files import parse_json, read_bytes
from training.checkpoints import METRICS

_REMEDY = "remove the damaged line, or train the run again"


class RunLog:
    """Appends to RUN/metrics.jsonl and writes TensorBoard events into RUN/tensorboard.

    Args:
        run: Folder of the run.
        iteration: Iteration from which the run resumes; later events are deleted.

    Raises:
        UnwritableError: The disk is full, or writing is not permitted.
    """

    def __init__(self, run: Path, iteration: int) -> None:
        self._path = run / METRICS
        kept = [event for event in read_log(run) if event["iteration"] <= iteration]
        write_text(self._path, "".join(json.dumps(event) + "\n" for event in kept))
        self._events = EventFile(run / "tensorboard", iteration + 1)

    def write(self, kind: str, iteration: int, figures: dict[str, float]) -> None:
        """Log the figures of one event, such as "train" or "val_unseen".

        Raises:
            UnwritableError: The disk is full; the log contains only the earlier events.
        """
        event = {"kind": kind, "iteration": iteration, **figures}
        _append(self._path, (json.dumps(event) + "\n").encode())
        self._events.write(kind, iteration, figures)


class EventFile:
    """Event file for TensorBoard.

    torch's SummaryWriter is not used: it writes from a thread, so errors such as a full disk
    cannot be caught.

    Args:
        folder: Folder of the file.
        first: First iteration; TensorBoard ignores events of earlier files from here on.
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

    def write(self, kind: str, iteration: int, figures: dict[str, float]) -> None:
        """Write the figures of an event as scalars KIND/NAME.

        Raises:
            UnwritableError: The disk is full; the file contains only the earlier events.
        """
        event = self._format.Event(step=iteration)
        for name, value in figures.items():
            event.summary.value.add(tag=f"{kind}/{name}", simple_value=value)
        self._add(event)

    def _add(self, event: Any) -> None:
        from tensorboard.summary.writer.record_writer import RecordWriter

        event.wall_time = time.time()
        record = BytesIO()
        RecordWriter(record).write(event.SerializeToString())
        _append(self._path, record.getvalue())


def _append(path: Path, data: bytes) -> None:
    """Append to a file, or restore it after an error."""
    with path.open("ab", buffering=0) as file:
        size = file.tell()
        try:
            remaining = memoryview(data)
            while remaining:
                remaining = remaining[file.write(remaining) :]
        except OSError as error:
            os.ftruncate(file.fileno(), size)
            reason = unwritable_reason(error, path)
            if reason is None:
                raise
            raise UnwritableError(f"{path}: cannot be written ({reason})") from error


def read_log(run: Path) -> list[dict[str, Any]]:
    """Read the events of a run in order; an empty list if there is no log.

    An incomplete last line, which a killed run can leave, is ignored.

    Raises:
        ValueError: A line is damaged; the message names file and line.
    """
    path = run / METRICS
    if not path.is_file():
        return []
    *lines, _ = read_bytes(path, _REMEDY).split(b"\n")
    events = []
    for number, line in enumerate(lines, 1):
        event = parse_json(line, f"{path}, line {number}", _REMEDY, allow_nan=True)
        if not isinstance(event, dict) or type(event.get("iteration")) is not int:
            raise ValueError(f"{path}, line {number}: not an event of a training run; {_REMEDY}")
        events.append(event)
    return events
