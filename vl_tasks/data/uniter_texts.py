"""Reader of the text databases of UNITER: an LMDB file NAME.db, or a folder with this name.

Each value is a record in MessagePack, compressed as an LZ4 frame; its key is the id of the record
(ChenRocks/UNITER, data/data.py, `TxtLmdb`).
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from clipnav.storage.errors import UserError, in_one_line
from clipnav.storage.extras import import_extra
from clipnav.storage.features.isolated_files import IsolatedFile
from clipnav.storage.records import RecordError

# utils/misc.py of UNITER (`VE_ENT2IDX`), which differs from the order of LAVIS.
UNITER_LABELS = ("contradiction", "entailment", "neutral")
DATABASE = ".db"  # suffix
_MOST_BYTES = 1 << 20  # of a record without compression; those of SNLI-VE have less than 2 KiB


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


class UniterText(msgspec.Struct):
    """A hypothesis of SNLI-VE.

    Attributes:
        key: Id of the record.
        image: Flickr30K id of the image; None if it is missing.
        premise: Caption of the image.
        hypothesis: The sentence.
        label: "contradiction", "entailment", "neutral", or "-"; None if it is missing.
    """

    key: str
    image: str | int | None
    premise: str
    hypothesis: str
    label: str | None


def read_uniter_texts(path: Path, remedy: str) -> Iterator[UniterText]:
    """Read the records in the order of the file."""
    lz4 = import_extra("lz4.frame", "formats", f"the text database {path}")
    decode = msgspec.msgpack.Decoder(_Text).decode
    file = IsolatedFile(path, "LMDB", remedy)
    for number, (key, value) in enumerate(zip(file.keys, file, strict=True)):
        name = key.encode("utf-8", "surrogateescape").decode(errors="replace")
        try:
            text = decode(_unpack(lz4, value.tobytes()))
            label = _label(text)
        except (ValueError, RecursionError) as error:
            problem = str(error).replace("`", "")
            raise RecordError(path, number, problem, remedy, f"id {name}") from None
        image = next((x for x in (text.id, text.older_id, text.image_id) if x is not None), None)
        yield UniterText(name, image, text.sentence1, text.sentence2, label)


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


def _label(text: _Text) -> str | None:
    """Return the label by name."""
    if text.target is None or not text.target.labels:
        return text.gold_label
    number = text.target.labels[0]
    if not 0 <= number < len(UNITER_LABELS):
        raise UserError(f"field 'target.labels': {number} is not one of 0, 1, 2")
    if text.gold_label not in (None, UNITER_LABELS[number]):
        raise UserError(
            f"field 'target.labels': {number} ({UNITER_LABELS[number]}) contradicts the field "
            f"'gold_label' ({text.gold_label})"
        )
    return UNITER_LABELS[number]
