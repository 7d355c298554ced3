"""The log of a run: a line of JSON per event, and the same figures for TensorBoard."""

import json
from pathlib import Path
from typing import Any

from storage import write_text
from storage.json_files import parse_json, read_bytes
from training.checkpoints import METRICS

_REMEDY = "remove the damaged line, or start the run anew"


class RunLog:
    """Appends to RUN/metrics.jsonl and writes TensorBoard events into RUN/tensorboard.

    Args:
        run: Folder of the run.
        iteration: Where the run goes on; later events of an earlier try are removed.
    """

    def __init__(self, run: Path, iteration: int) -> None:
        # Imported here: it costs a second that nothing else needs.
        from torch.utils.tensorboard import SummaryWriter

        self._path = run / METRICS
        kept = [event for event in read_log(run) if event["iteration"] <= iteration]
        write_text(self._path, "".join(json.dumps(event) + "\n" for event in kept))
        self._writer = SummaryWriter(str(run / "tensorboard"), purge_step=iteration + 1)

    def write(self, kind: str, iteration: int, figures: dict[str, float]) -> None:
        """Log the figures of one event, such as "train" or "val_unseen"."""
        event = {"kind": kind, "iteration": iteration, **figures}
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(event) + "\n")
        for name, value in figures.items():
            self._writer.add_scalar(f"{kind}/{name}", value, iteration)

    def close(self) -> None:
        """Hand everything to the disk."""
        self._writer.close()


def read_log(run: Path) -> list[dict[str, Any]]:
    """Events of a run in order; none if there is no log.

    A last line without its end, left by a run that was killed, is no event.

    Raises:
        ValueError: A line is damaged; names file and line.
    """
    path = run / METRICS
    if not path.is_file():
        return []
    *lines, _ = read_bytes(path, _REMEDY).split(b"\n")
    events = []
    for number, line in enumerate(lines, 1):
        event = parse_json(line, f"{path}, line {number}", _REMEDY, allow_nan=True)
        if not isinstance(event, dict) or type(event.get("iteration")) is not int:
            raise ValueError(f"{path}, line {number}: no event of a training run; {_REMEDY}")
        events.append(event)
    return events
