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
from pathlib import Path
from typing import NamedTuple

import msgspec

from clipnav.storage import UnwritableError, cache_dir, unwritable_reason, write_text
from clipnav.storage.errors import UserError
from clipnav.storage.locks import waiting_lock
from clipnav.storage.records import RecordError, stream_records
from clipnav.vl_tasks.clip_vil_p.data.answers import convert_answer
from clipnav.vl_tasks.clip_vil_p.data.pair_index import ARRAYS, META, PairIndex
from clipnav.vl_tasks.clip_vil_p.data.pictures import image_size
from clipnav.vl_tasks.data.captions import caption_images, read_captions
from clipnav.vl_tasks.data.images import holds_attributes, image_files, image_stem
from clipnav.vl_tasks.data_folders import IMAGES, language_folder
from clipnav.vl_tasks.house_tasks.languages.lexicons import ENGLISH
from clipnav.vl_tasks.subsets import evenly_spaced

_FLUSHED = 1 << 16  # pairs in memory while an index is built
HINT = "download the file again, or see docs/vl_pretraining.md for its format"
_SAMPLE = 200  # images to search for before an index is used
_FORMAT = 2  # of the index; a change builds all indices again


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
    for number, record in enumerate(stream_records(path, _Record, HINT)):
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
    with waiting_lock(index):
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
    if not (index / META).is_file():
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
            raise RecordError(path, number, "field 'sent' is blank", HINT, identity)
        yield record.sent, _converted(record.label)
    for source, sentences in record.sentf.items():
        labels = record.labelf.get(source)
        if labels is not None and len(labels) != len(sentences):
            problem = (
                f"field 'labelf.{source}' has {len(labels)} entries, but 'sentf.{source}' has "
                f"{len(sentences)}"
            )
            raise RecordError(path, number, problem, HINT, identity)
        for place, text in enumerate(sentences):
            if not text.strip():
                problem = f"sentence {place} of 'sentf.{source}' is blank"
                raise RecordError(path, number, problem, HINT, identity)
            yield text, _converted(labels[place]) if labels is not None else {}
    unknown = sorted(record.labelf.keys() - record.sentf.keys())
    if unknown:
        problem = f"field 'labelf.{unknown[0]}' has no sentences in 'sentf'"
        raise RecordError(path, number, problem, HINT, identity)


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
