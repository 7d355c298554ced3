"""Event files for TensorBoard."""

import os
import socket
import time
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

from clipnav.storage.appending import append_bytes


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

    def write(self, kind: str, iteration: int, figures: Mapping[str, float]) -> None:
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
        append_bytes(self._path, record.getvalue())

    def close(self) -> None:
        """Do nothing; each event is written at once."""
