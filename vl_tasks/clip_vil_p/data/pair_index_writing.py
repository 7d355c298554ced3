"""Building of the index of pairs; see `clipnav.vl_tasks.clip_vil_p.data.pair_index`."""

import json
from array import array
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from clipnav.storage import UnwritableError, unwritable_reason, write_text
from clipnav.storage.errors import UserError
from clipnav.vl_tasks.clip_vil_p.data.pair_index import ARRAYS, META
from clipnav.vl_tasks.clip_vil_p.data.pictures import image_size

_FLUSHED = 1 << 16  # pairs in memory while an index is built


class SourceRecord(NamedTuple):
    """Sentences about an image, as a data file contains them.

    Attributes:
        image: Name of the image.
        record: File and record, for error messages.
        sentences: Sentences with the scores of their answers; no answers for captions.
    """

    image: str
    record: str
    sentences: list[tuple[str, dict[str, float]]]


def write_index(folder: Path, pictures: Path, records: Iterable[SourceRecord]) -> None:
    """Build an index."""
    writer = _Writer(folder, pictures)
    for record in records:
        writer.add(record)
    writer.close()


class _Writer:
    """Appends pairs to the files of an index."""

    def __init__(self, folder: Path, pictures: Path) -> None:
        self._folder, self._pictures = folder, pictures
        self._arrays = {name: array(code) for name, (code, _) in ARRAYS.items()}
        self._blobs = {"texts": bytearray(), "names": bytearray()}
        self._lengths = {"texts": 0, "names": 0, "labels": 0}
        self._images: dict[str, int] = {}
        self._answers: dict[str, int] = {}
        self._counts: list[int] = []
        self._pairs = 0
        for name in (*self._arrays, *self._blobs):
            (folder / name).write_bytes(b"")

    def add(self, record: SourceRecord) -> None:
        """Add the pairs of a record."""
        image = self._image(record)
        for text, scores in record.sentences:
            self._append("texts", text.encode(), "text_ends")
            self._arrays["images"].append(image)
            self._add_labels(scores)
            self._pairs += 1
            if self._pairs % _FLUSHED == 0:
                self._flush()

    def close(self) -> None:
        """Write what is left, and at last the file that marks the index as complete."""
        self._flush()
        if not self._pairs:
            raise UserError("the data files contain no pair of image and sentence")
        meta = {"pairs": self._pairs, "answers": list(self._answers), "answer_counts": self._counts}
        write_text(self._folder / META, json.dumps(meta, ensure_ascii=False))

    def _image(self, record: SourceRecord) -> int:
        if record.image not in self._images:
            try:
                height, width = image_size(self._pictures / record.image)
            except (OSError, UserError) as error:
                raise type(error)(f"{error} ({record.record} requires it)") from error
            self._images[record.image] = len(self._images)
            self._append("names", record.image.encode(), "name_ends")
            self._arrays["heights"].append(height)
            self._arrays["widths"].append(width)
        return self._images[record.image]

    def _append(self, blob: str, content: bytes, ends: str) -> None:
        self._blobs[blob] += content
        self._lengths[blob] += len(content)
        self._arrays[ends].append(self._lengths[blob])

    def _add_labels(self, scores: dict[str, float]) -> None:
        best = max(scores, key=lambda answer: scores[answer], default=None)
        for answer, score in scores.items():
            number = self._answers.setdefault(answer, len(self._answers))
            if number == len(self._counts):
                self._counts.append(0)
            self._counts[number] += answer == best
            self._arrays["label_answers"].append(number)
            self._arrays["label_scores"].append(score)
        self._lengths["labels"] += len(scores)
        self._arrays["label_ends"].append(self._lengths["labels"])

    def _flush(self) -> None:
        try:
            self._write()
        except OSError as error:
            reason = unwritable_reason(error, self._folder)
            if reason is None:
                raise
            raise UnwritableError(
                f"{self._folder}: the index of pairs cannot be written ({reason}); make room, or "
                "set CLIPNAV_CACHE to a folder on a larger disk"
            ) from error

    def _write(self) -> None:
        """Append what is in memory to the files."""
        for name, values in self._arrays.items():
            with (self._folder / name).open("ab") as file:
                values.tofile(file)
            del values[:]
        for name, content in self._blobs.items():
            with (self._folder / name).open("ab") as file:
                file.write(content)
            content.clear()
