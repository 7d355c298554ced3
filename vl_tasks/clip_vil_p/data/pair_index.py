"""Pairs of image and sentence on disk, read by index: nothing holds all of them in memory.

The index is built once from the data files, record by record, and kept in the cache: flat arrays
that are memory-mapped, so that a set of ten million pairs needs no time to open and no memory.
"""

import json
from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from storage import write_text
from storage.json_files import read_json
from vl_tasks.clip_vil_p.data.pictures import image_size

_META = "index.json"
_REMEDY = "delete the folder; it is built again"
_FLUSHED = 1 << 16  # pairs in memory while an index is built
# Type codes of the array module, and numpy's types, of each file.
_ARRAYS = {
    "text_ends": ("Q", np.uint64),
    "images": ("I", np.uint32),
    "label_ends": ("Q", np.uint64),
    "label_answers": ("I", np.uint32),
    "label_scores": ("f", np.float32),
    "name_ends": ("Q", np.uint64),
    "heights": ("I", np.uint32),
    "widths": ("I", np.uint32),
}


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


class Pair(NamedTuple):
    """A sentence about an image.

    Attributes:
        image: Number of the image.
        text: The sentence.
        answers: Numbers of its answers, and their scores; empty for captions.
    """

    image: int
    text: str
    answers: np.ndarray
    scores: np.ndarray


@dataclass(frozen=True)
class PairIndex:
    """Read access to an index; workers open the files again.

    Attributes:
        folder: Folder of the index.
        pictures: Folder of the images.
    """

    folder: Path
    pictures: Path

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, number: int) -> Pair:
        """Return a pair by its number."""
        start, end = self._span("text_ends", number)
        text = self._texts[start:end].tobytes().decode()
        labels = slice(*self._span("label_ends", number))
        scores = self._array("label_scores")[labels]
        return Pair(int(self.images[number]), text, self._array("label_answers")[labels], scores)

    def __getstate__(self) -> dict[str, Any]:
        return {"folder": self.folder, "pictures": self.pictures}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)

    @property
    def images(self) -> np.ndarray:
        """Number of the image of each pair."""
        return self._array("images")

    @property
    def image_count(self) -> int:
        """Number of images."""
        return len(self._array("heights"))

    @cached_property
    def portrait(self) -> np.ndarray:
        """Which images are higher than wide: (images,) bool."""
        return np.asarray(self._array("heights") > self._array("widths"))

    @cached_property
    def answers(self) -> list[str]:
        """Answers by number."""
        return self._meta["answers"]

    @cached_property
    def answer_counts(self) -> list[int]:
        """Number of pairs whose best answer each answer is."""
        return self._meta["answer_counts"]

    def image_name(self, image: int) -> str:
        """Return the path of an image below the folder of images."""
        start, end = self._span("name_ends", image)
        return self._names[start:end].tobytes().decode()

    def image_path(self, image: int) -> Path:
        """Return the path of an image."""
        return self.pictures / self.image_name(image)

    @cached_property
    def _meta(self) -> dict[str, Any]:
        return read_json(self.folder / _META, _REMEDY)

    @cached_property
    def _texts(self) -> np.ndarray:
        return _mapped(self.folder / "texts", np.uint8)

    @cached_property
    def _names(self) -> np.ndarray:
        return _mapped(self.folder / "names", np.uint8)

    def _array(self, name: str) -> np.ndarray:
        if name not in self.__dict__:
            self.__dict__[name] = _mapped(self.folder / name, _ARRAYS[name][1])
        return self.__dict__[name]

    def _span(self, name: str, number: int) -> tuple[int, int]:
        ends = self._array(name)
        return int(ends[number - 1]) if number else 0, int(ends[number])


def is_index(folder: Path) -> bool:
    """Return whether a folder contains a complete index."""
    return (folder / _META).is_file()


def write_index(folder: Path, pictures: Path, records: Iterable[SourceRecord]) -> None:
    """Build an index.

    Args:
        folder: Folder to write, which must be empty; complete when `is_index` is true.
        pictures: Folder of the images, which `image` of the records is relative to.
        records: Records of the data files.

    Raises:
        FileNotFoundError: An image is missing; names the record.
        ValueError: There is no pair, or an image is damaged.
    """
    writer = _Writer(folder, pictures)
    for record in records:
        writer.add(record)
    writer.close()


class _Writer:
    """Appends pairs to the files of an index."""

    def __init__(self, folder: Path, pictures: Path) -> None:
        self._folder, self._pictures = folder, pictures
        self._arrays = {name: array(code) for name, (code, _) in _ARRAYS.items()}
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
            raise ValueError("the data files contain no pair of image and sentence")
        meta = {"pairs": self._pairs, "answers": list(self._answers), "answer_counts": self._counts}
        write_text(self._folder / _META, json.dumps(meta, ensure_ascii=False))

    def _image(self, record: SourceRecord) -> int:
        if record.image not in self._images:
            try:
                height, width = image_size(self._pictures / record.image)
            except (OSError, ValueError) as error:
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
        for name, values in self._arrays.items():
            with (self._folder / name).open("ab") as file:
                values.tofile(file)
            del values[:]
        for name, content in self._blobs.items():
            with (self._folder / name).open("ab") as file:
                file.write(content)
            content.clear()


def _mapped(path: Path, kind: Any) -> np.ndarray:
    """Map a file of numbers into memory; numpy does not map empty files."""
    if path.stat().st_size == 0:
        return np.empty(0, kind)
    return np.memmap(path, kind, "r")
