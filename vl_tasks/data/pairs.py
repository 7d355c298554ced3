"""Reader of SNLI-VE: hypotheses about images, labelled entailment, neutral or contradiction.

There are two file formats, both as one record per line or as one JSON list: as published
(github.com/necla-ml/SNLI-VE: "Flickr30K_ID", "pairID", "sentence2", "gold_label"; some editions
write "Flikr30kID") and with "image", "sentence" and "label" (LAVIS). NAME.db is a text database of
UNITER (ChenRocks/UNITER, data/data.py, `TxtLmdb`): an LMDB file or folder, whose values are records
in MessagePack, compressed as LZ4 frames, by their ids.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from clipnav.storage.errors import UserError, in_one_line
from clipnav.storage.extras import import_extra
from clipnav.storage.features.isolated_files import IsolatedFile
from clipnav.storage.records import RecordError, read_records
from clipnav.vl_tasks.data.images import find_named, image_stem

# utils/misc.py of UNITER (`VE_ENT2IDX`), which differs from the order of LAVIS.
_UNITER_LABELS = ("contradiction", "entailment", "neutral")
_DATABASE = ".db"  # suffix
_MOST_BYTES = 1 << 20  # of a record without compression; those of SNLI-VE have less than 2 KiB
# The order of LAVIS.
LABELS = ("contradiction", "neutral", "entailment")
UNLABELLED = -1
_UNDECIDED = "-"  # marks a missing label in the files
HINT = (
    "download the file again from github.com/necla-ml/SNLI-VE, or see docs/vl_tasks.md for its "
    "format"
)


class _Target(msgspec.Struct):
    labels: tuple[int, ...] = ()


class _Text(msgspec.Struct, gc=False):
    sentence2: str
    sentence1: str = ""
    gold_label: str | None = None
    target: _Target | None = None
    image_id: str | int | None = None
    id: str | int | None = msgspec.field(default=None, name="Flickr30K_ID")
    older_id: str | int | None = msgspec.field(default=None, name="Flikr30kID")


def _uniter_records(path: Path) -> Iterator["_Record"]:
    """Read the records of a text database in the order of the file."""
    lz4 = import_extra("lz4.frame", "formats", f"the text database {path}")
    decode = msgspec.msgpack.Decoder(_Text).decode
    file = IsolatedFile(path, "LMDB", HINT)
    for number, (key, value) in enumerate(zip(file.keys, file, strict=True)):
        name = key.encode("utf-8", "surrogateescape").decode(errors="replace")
        try:
            text = decode(_unpack(lz4, value.tobytes()))
            label = _gold_label(text)
        except (ValueError, RecursionError) as error:
            problem = str(error).replace("`", "")
            raise RecordError(path, number, problem, HINT, f"id {name}") from None
        yield _Record(
            id=text.id,
            older_id=text.older_id,
            image=text.image_id,
            pair_id=name,
            premise=text.sentence1,
            hypothesis=text.sentence2,
            gold_label=label,
        )


def _unpack(lz4: Any, raw: bytes) -> bytes:
    """Decompress a record."""
    frame = lz4.LZ4FrameDecompressor()
    try:
        unpacked = frame.decompress(raw, max_length=_MOST_BYTES)
    except RuntimeError as error:
        raise UserError(f"the compressed data is damaged ({in_one_line(error)})") from None
    if not frame.eof:
        raise UserError(f"it is truncated, or has more than {_MOST_BYTES} bytes")
    return unpacked


def _gold_label(text: _Text) -> str | None:
    """Return the label by name."""
    if text.target is None or not text.target.labels:
        return text.gold_label
    number = text.target.labels[0]
    if not 0 <= number < len(_UNITER_LABELS):
        raise UserError(f"field 'target.labels': {number} is not one of 0, 1, 2")
    if text.gold_label not in (None, _UNITER_LABELS[number]):
        raise UserError(
            f"field 'target.labels': {number} ({_UNITER_LABELS[number]}) contradicts the field "
            f"'gold_label' ({text.gold_label})"
        )
    return _UNITER_LABELS[number]


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """A hypothesis about an image.

    Attributes:
        pair_id: Id that is unique in the split.
        image_id: Name of the image file without suffix, which is the Flickr30K id.
        text: The sentence.
        label: Index into `LABELS`, or `UNLABELLED` if the annotators did not agree ("-") or the
            label is secret.
        premise: Flickr30K caption of the image, on which the label is based; "" if unknown.
    """

    pair_id: str
    image_id: str
    text: str
    label: int
    premise: str = ""


class _Record(msgspec.Struct, gc=False):
    id: str | int | None = msgspec.field(default=None, name="Flickr30K_ID")
    older_id: str | int | None = msgspec.field(default=None, name="Flikr30kID")
    image: str | int | None = None
    pair_id: str | int | None = msgspec.field(default=None, name="pairID")
    premise: str = msgspec.field(default="", name="sentence1")
    hypothesis: str | None = msgspec.field(default=None, name="sentence2")
    sentence: str | None = None
    gold_label: str | None = None
    label: str | int | None = None


def read_hypotheses(path: Path, secret: bool = False) -> list[Hypothesis]:
    """Read a split; the pair id of records without one is their number in the file."""
    hypotheses: dict[str, Hypothesis] = {}
    is_database = path.suffix == _DATABASE
    records = _uniter_records(path) if is_database else read_records(path, _Record, HINT)
    for number, record in enumerate(records):
        try:
            hypothesis = _hypothesis(record, number, secret)
            if hypothesis.pair_id in hypotheses:
                raise UserError("its pairID occurs twice")
        except UserError as error:
            name = None if record.pair_id is None else f"pairID {record.pair_id}"
            raise RecordError(path, number, str(error), HINT, name) from None
        hypotheses[hypothesis.pair_id] = hypothesis
    if not hypotheses:
        raise UserError(f"{path}: it contains no hypothesis; {HINT}")
    return list(hypotheses.values())


def hypothesis_images(hypotheses: Iterable[Hypothesis], folder: Path) -> dict[str, Path]:
    """Find image files by `Hypothesis.image_id`; see `clipnav.vl_tasks.data.images.find_named`."""
    return find_named(folder, {h.image_id: f"pairID {h.pair_id}" for h in hypotheses})


def accuracy_by_class(labels: Sequence[int], predictions: Sequence[int]) -> dict[str, float]:
    """Return the overall accuracy ("accuracy") and the accuracy of each label that occurs."""
    pairs = [(t, p) for t, p in zip(labels, predictions, strict=True) if t != UNLABELLED]
    if not pairs:
        raise UserError("no labelled hypothesis to score")
    total = Counter(truth for truth, _ in pairs)
    correct = Counter(truth for truth, predicted in pairs if truth == predicted)
    classes = {name: correct[k] / total[k] for k, name in enumerate(LABELS) if total[k]}
    return {"accuracy": correct.total() / len(pairs), **classes}


def _hypothesis(record: _Record, number: int, secret: bool) -> Hypothesis:
    image = next((v for v in (record.id, record.older_id, record.image) if v is not None), None)
    text = record.sentence if record.hypothesis is None else record.hypothesis
    label = record.label if record.gold_label is None else record.gold_label
    if secret:
        label = _UNDECIDED
    if image is None or not image_stem(str(image)):
        raise UserError("field 'Flickr30K_ID' (or 'image') is missing")
    if text is None or not text.strip():
        raise UserError("field 'sentence2' (or 'sentence') is missing or blank")
    if label is None:
        raise UserError("field 'gold_label' (or 'label') is missing")
    pair_id = str(number) if record.pair_id is None else str(record.pair_id)
    return Hypothesis(pair_id, image_stem(str(image)), text, _label(label), record.premise)


def _label(value: str | int) -> int:
    if value == _UNDECIDED:
        return UNLABELLED
    if isinstance(value, str) and value in LABELS:
        return LABELS.index(value)
    if isinstance(value, int) and 0 <= value < len(LABELS):
        return value
    raise UserError(f"label {value!r} is not one of {', '.join(LABELS)}")
