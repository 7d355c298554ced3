"""Pairs of image and sentence on disk, from LXMERT's JSON files and captions in Karpathy's format.

Nothing holds all pairs in memory: their index is built once from the data files, record by record,
and kept in the cache. It consists of flat arrays that are memory-mapped, so that a set of ten
million pairs needs no time to open and no memory.

LXMERT: a list of {"img_id", "sentf": {source: [sentence, ...]}, "labelf": {source: [{answer:
score}, ...]}}. The answers of a sentence have the same place in "labelf" as the sentence in
"sentf"; sources without answers, such as captions, are not in "labelf". A record of LXMERT's
fine-tuning files has one sentence: {"img_id", "sent", "label"}. Other fields are skipped.
"""

import hashlib
import json
import os
import shutil
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np

from clipnav.storage import UnwritableError, cache_dir, unwritable_reason, write_text
from clipnav.storage.errors import UserError
from clipnav.storage.json_files import read_json_object
from clipnav.storage.locks import sole_maker
from clipnav.storage.records import RecordError, stream_records
from clipnav.vl_tasks.clip_vil_p.data.answers import convert_answer
from clipnav.vl_tasks.clip_vil_p.data.framing import Framing
from clipnav.vl_tasks.clip_vil_p.data.pictures import image_size
from clipnav.vl_tasks.data.captions import caption_images, read_captions
from clipnav.vl_tasks.data.images import holds_attributes, image_files, image_stem
from clipnav.vl_tasks.data_folders import IMAGES, language_folder
from clipnav.vl_tasks.house_tasks.languages.lexicons import ENGLISH
from clipnav.vl_tasks.subsets import evenly_spaced

_META = "index.json"
_INDEX_REMEDY = "delete its folder; it is built again"
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
_FLUSHED = 1 << 16  # pairs in memory while an index is built
REMEDY = "download the file again, or see docs/vl_pretraining.md for its format"
_SAMPLE = 200  # images to search for before an index is used
_FORMAT = 2  # of the index; a change builds all indices again


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
            raise self._damaged(_META, "answers and their numbers do not fit together")
        lengths = {name: len(self._array(name)) for name in _ARRAYS}
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
        return UserError(f"{self.folder / name}: damaged ({problem}); {_INDEX_REMEDY}")

    @cached_property
    def _meta(self) -> dict[str, Any]:
        return read_json_object(self.folder / _META, _INDEX_REMEDY)

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


def _mapped(path: Path, kind: Any) -> np.ndarray:
    """Map a file of numbers into memory; numpy does not map empty files."""
    size = path.stat().st_size
    if size == 0:
        return np.empty(0, kind)
    if size % np.dtype(kind).itemsize:
        raise UserError(f"{path}: damaged ({size} bytes are no whole numbers); {_INDEX_REMEDY}")
    return np.memmap(path, kind, "r")


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
            raise UserError("the data files contain no pair of image and sentence")
        meta = {"pairs": self._pairs, "answers": list(self._answers), "answer_counts": self._counts}
        write_text(self._folder / _META, json.dumps(meta, ensure_ascii=False))

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
        """Append what is in memory to the files."""
        try:
            for name, values in self._arrays.items():
                with (self._folder / name).open("ab") as file:
                    values.tofile(file)
                del values[:]
            for name, content in self._blobs.items():
                with (self._folder / name).open("ab") as file:
                    file.write(content)
                content.clear()
        except OSError as error:
            reason = unwritable_reason(error, self._folder)
            if reason is None:
                raise
            raise UnwritableError(
                f"{self._folder}: the index of pairs cannot be written ({reason}); make room, or "
                "set CLIPNAV_CACHE to a folder on a larger disk"
            ) from error


class _Record(msgspec.Struct, gc=False):
    img_id: str | int
    sentf: dict[str, list[str]] = {}
    labelf: dict[str, list[dict[str, float] | None]] = {}
    sent: str | None = None
    label: dict[str, float] | None = None


def _lxmert_records(path: Path, files: Mapping[str, str]) -> Iterator[SourceRecord]:
    """Read LXMERT's records, one at a time."""
    for number, record in enumerate(stream_records(path, _Record, REMEDY)):
        name = image_stem(str(record.img_id))
        identity = f"img_id {record.img_id}"
        sentences = list(_sentences(record, path, number, identity))
        source = f"{path}: record {number} ({identity})"
        if name not in files:
            raise FileNotFoundError(
                f"{source}: there is no image {name}.jpg or .png; set --images to the folder that "
                "contains the images"
            )
        yield SourceRecord(files[name], source, sentences)


def _karpathy_records(path: Path, split: str, folders: Sequence[Path]) -> Iterator[SourceRecord]:
    """Read the captions of a split in Karpathy's format."""
    captioned = read_captions(path, split)
    files = caption_images(captioned, folders)
    for image in captioned:
        name = os.path.relpath(files[image.image_id], folders[0])
        source = f"{path}: image {image.image_id}"
        yield SourceRecord(name, source, [(text, {}) for text in image.raw])


def open_pairs(
    folder: Path, splits: Sequence[str], images: Path, languages: Sequence[str] = (ENGLISH,)
) -> PairIndex:
    """Open the pairs of splits; their index is built if it does not exist or a file has changed.

    Args:
        images: Folder of the images. If it is the folder `images` of the data, paths in Karpathy's
            format may begin with it, too, as for captions (`image_folders`).
    """
    folders = [language_folder(folder, language) for language in languages]
    sources = [_source(own, split) for own in folders for split in splits]
    splits = [*splits] * len(folders)
    digest = hashlib.sha256(f"{_FORMAT} {images.resolve()}".encode())
    for split, path in zip(splits, sources, strict=True):
        status = path.stat()
        digest.update(f"{split} {path.resolve()} {status.st_size} {status.st_mtime_ns}".encode())
    index = cache_dir() / "pairs" / digest.hexdigest()[:24]
    pairs = _current_index(index, images)
    if pairs is not None:
        return pairs
    index.mkdir(parents=True, exist_ok=True)
    with sole_maker(index):
        pairs = _current_index(index, images)
        if pairs is None:
            roots = [images, folder] if images == folder / IMAGES else [images]
            _build(index, images, _records(sources, splits, roots))
            pairs = PairIndex(index, images)
            pairs.check()
    return pairs


def _current_index(index: Path, images: Path) -> PairIndex | None:
    """Return an index; None if there is none, or images are not where they were when it was built.

    Only a sample of the images is looked for, because those of large data sets take minutes.
    """
    if not (index / _META).is_file():
        return None
    pairs = PairIndex(index, images)
    pairs.check()
    sample = evenly_spaced(pairs.image_count, _SAMPLE).tolist()
    return pairs if all(pairs.image_path(image).is_file() for image in sample) else None


def _images_by_stem(folder: Path) -> dict[str, str]:
    """Return the paths of images below a folder by name without suffix.

    Images are in the folder or in its direct subfolders.
    """
    files: dict[str, str] = {}
    for path in image_files(folder):
        name = str(path.relative_to(folder))
        if path.stem in files:
            raise UserError(
                f"{folder}: {files[path.stem]} and {name} have the same name; keep one of them"
            )
        files[path.stem] = name
    return files


def _source(folder: Path, split: str) -> Path:
    """Return the data file of a split: LXMERT's, or else Karpathy's of all splits."""
    found = sorted(
        path
        for path in folder.glob("*.json")
        if path.stem == split or path.stem.endswith((f"_{split}", f"-{split}"))
        if not holds_attributes(path)
    )
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise UserError(f"{folder}: {names} are all of split {split!r}; keep one of them there")
    captions = sorted(folder.glob("dataset_*.json"))
    if not found and len(captions) == 1:
        return captions[0]
    if not found:
        raise FileNotFoundError(
            f"{folder}: no data file of split {split!r}; expected NAME_{split}.json in LXMERT's "
            "format, or one dataset_NAME.json in Karpathy's; see docs/vl_pretraining.md"
        )
    return found[0]


def _records(
    sources: Sequence[Path], splits: Sequence[str], images: Sequence[Path]
) -> Iterator[SourceRecord]:
    files: dict[str, str] | None = None
    for path, split in zip(sources, splits, strict=True):
        if path.name.startswith("dataset_"):
            yield from _karpathy_records(path, split, images)
            continue
        files = _images_by_stem(images[0]) if files is None else files
        yield from _lxmert_records(path, files)


def _sentences(
    record: _Record, path: Path, number: int, identity: str
) -> Iterator[tuple[str, dict[str, float]]]:
    if record.sent is not None:
        if not record.sent.strip():
            raise RecordError(path, number, "field 'sent' is blank", REMEDY, identity)
        yield record.sent, _converted(record.label)
    for source, sentences in record.sentf.items():
        labels = record.labelf.get(source)
        if labels is not None and len(labels) != len(sentences):
            problem = (
                f"field 'labelf.{source}' has {len(labels)} entries, but 'sentf.{source}' has "
                f"{len(sentences)}"
            )
            raise RecordError(path, number, problem, REMEDY, identity)
        for place, text in enumerate(sentences):
            if not text.strip():
                problem = f"sentence {place} of 'sentf.{source}' is blank"
                raise RecordError(path, number, problem, REMEDY, identity)
            yield text, _converted(labels[place]) if labels is not None else {}
    unknown = sorted(record.labelf.keys() - record.sentf.keys())
    if unknown:
        problem = f"field 'labelf.{unknown[0]}' has no sentences in 'sentf'"
        raise RecordError(path, number, problem, REMEDY, identity)


def _converted(label: dict[str, float] | None) -> dict[str, float]:
    """Return the converted answers of a sentence that have a score above 0.

    An answer that is changed replaces one that has the converted form, also with a lower score, as
    in lxmert_data.py (`LXMERTDataset`).
    """
    scores = dict(label or {})
    for answer in list(scores):
        name = convert_answer(answer)
        if name != answer:
            scores[name] = scores.pop(answer)
    return {answer: score for answer, score in scores.items() if score > 0}


def _build(index: Path, images: Path, records: Iterator[SourceRecord]) -> None:
    """Build an index in its folder; after an error, none of its files are left to fill the disk."""
    unfinished = index / "unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)  # of a process that was killed
    unfinished.mkdir()
    try:
        writer = _Writer(unfinished, images)
        for record in records:
            writer.add(record)
        writer.close()
        # The file that marks the index as complete is moved last.
        for path in sorted(unfinished.iterdir(), key=lambda path: path.suffix == ".json"):
            path.replace(index / path.name)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
