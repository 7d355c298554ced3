"""Index of the pairs of image and sentence of a split: flat arrays that are mapped from disk."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from clipnav.storage.errors import UserError
from clipnav.storage.json_files import read_json_object
from clipnav.vl_tasks.clip_vil_p.data.framing import Framing

META = "index.json"
# Type codes of the array module, and numpy's types, of each file.
ARRAYS = {
    "text_ends": ("Q", np.uint64),
    "images": ("I", np.uint32),
    "label_ends": ("Q", np.uint64),
    "label_answers": ("I", np.uint32),
    "label_scores": ("f", np.float32),
    "name_ends": ("Q", np.uint64),
    "heights": ("I", np.uint32),
    "widths": ("I", np.uint32),
}
_INDEX_HINT = "delete its folder; it is built again"


class Pair(NamedTuple):
    """A sentence about an image.

    Attributes:
        image: Number of the image.
        text: The sentence.
        answers: Numbers of its answers; empty for captions.
        scores: Scores of the answers.
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
        text = self._decoded("texts", self._texts[start:end])
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
    def answers(self) -> list[str]:
        """Answers by number."""
        return self._meta["answers"]

    @cached_property
    def answer_counts(self) -> list[int]:
        """Number of pairs whose best answer each answer is."""
        return self._meta["answer_counts"]

    def check(self) -> None:
        """Check that the files belong together, in one pass over the numbers."""
        meta = self._meta
        names: Any = meta.get("answers")
        counts: Any = meta.get("answer_counts")
        is_listed = isinstance(names, list) and all(isinstance(name, str) for name in names)
        is_counted = isinstance(counts, list) and all(type(count) is int for count in counts)
        if not is_listed or not is_counted or len(names) != len(counts):
            raise self._damaged(META, "answers and their numbers do not fit together")
        lengths = {name: len(self._array(name)) for name in ARRAYS}
        labels, images = lengths["label_answers"], lengths["heights"]
        pairs, of_images = meta.get("pairs"), ("name_ends", "heights", "widths")
        for name, length in lengths.items():
            expected = images if name in of_images else pairs
            expected = labels if name in ("label_answers", "label_scores") else expected
            if length != expected or not (pairs and images):
                raise self._damaged(name, f"{length} numbers instead of {expected}")
        self._check_ends("text_ends", len(self._texts))
        self._check_ends("name_ends", len(self._names))
        self._check_ends("label_ends", labels)
        for name, count in (("images", images), ("label_answers", len(names))):
            numbers = self._array(name)
            if len(numbers) and int(numbers.max()) >= count:
                raise self._damaged(name, f"the number {numbers.max()} is too large")
        for name in ("heights", "widths"):
            if not self._array(name).all():
                raise self._damaged(name, "an image has no pixels")
        scores = self._array("label_scores")
        if not bool(np.isfinite(scores).all() and (scores > 0).all()):
            raise self._damaged("label_scores", "a score is not above 0")

    def portrait(self, framing: Framing) -> np.ndarray:
        """Return which images have a frame that is higher than wide: (images,) bool."""
        sizes = zip(self._array("heights").tolist(), self._array("widths").tolist(), strict=True)
        return np.array([framing.is_portrait(*size) for size in sizes], bool)

    def image_size(self, image: int) -> tuple[int, int]:
        """Return the (height, width) that an image had when the index was built."""
        return int(self._array("heights")[image]), int(self._array("widths")[image])

    def image_name(self, image: int) -> str:
        """Return the path of an image below the folder of images."""
        start, end = self._span("name_ends", image)
        return self._decoded("names", self._names[start:end])

    def image_path(self, image: int) -> Path:
        """Return the path of an image."""
        return self.pictures / self.image_name(image)

    def _check_ends(self, name: str, total: int) -> None:
        """Check that ends are sorted, and that the last one is the end of the content."""
        ends = self._array(name)
        if int(ends[-1]) != total or bool((ends[1:] < ends[:-1]).any()):
            raise self._damaged(name, f"it does not divide {total} entries")

    def _decoded(self, name: str, content: np.ndarray) -> str:
        try:
            return content.tobytes().decode()
        except UnicodeDecodeError as error:
            raise self._damaged(name, str(error)) from error

    def _damaged(self, name: str, problem: str) -> UserError:
        return UserError(f"{self.folder / name}: damaged ({problem}); {_INDEX_HINT}")

    @cached_property
    def _meta(self) -> dict[str, Any]:
        return read_json_object(self.folder / META, _INDEX_HINT)

    @cached_property
    def _texts(self) -> np.ndarray:
        return _mapped(self.folder / "texts", np.uint8)

    @cached_property
    def _names(self) -> np.ndarray:
        return _mapped(self.folder / "names", np.uint8)

    def _array(self, name: str) -> np.ndarray:
        if name not in self.__dict__:
            self.__dict__[name] = _mapped(self.folder / name, ARRAYS[name][1])
        return self.__dict__[name]

    def _span(self, name: str, number: int) -> tuple[int, int]:
        ends = self._array(name)
        return int(ends[number - 1]) if number else 0, int(ends[number])


def _mapped(path: Path, kind: Any) -> np.ndarray:
    """Map a file of numbers into memory; numpy does not map empty files."""
    size = path.stat().st_size
    if size == 0:
        return np.empty(0, kind)
    if size % np.dtype(kind).itemsize:
        raise UserError(f"{path}: damaged ({size} bytes are no whole numbers); {_INDEX_HINT}")
    return np.memmap(path, kind, "r")
