"""Files of captions in the forms of COCO: results of a model, and what people wrote."""

import json
from collections.abc import Mapping
from pathlib import Path

import msgspec

from storage import write_text
from storage.records import RecordError, read_records
from vl_tasks.data.captions import read_captions
from vl_tasks.data.documents import AnnotationError, read_document

REMEDY = 'results are a JSON list of {"image_id": number, "caption": text}'
ANNOTATIONS_REMEDY = "take captions_val2014.json anew from cocodataset.org"


class _Caption(msgspec.Struct, gc=False):
    image_id: int
    caption: str


class _Annotations(msgspec.Struct):
    annotations: list[_Caption]


def read_results(path: Path) -> dict[int, str]:
    """Captions by image id.

    Raises:
        OSError: The file cannot be opened.
        ValueError: It is damaged or empty, or a picture has two captions; names file and record.
    """
    found: dict[int, str] = {}
    for number, record in enumerate(read_records(path, _Caption, REMEDY)):
        if record.image_id in found:
            problem = "the picture has a caption already"
            raise RecordError(path, number, problem, REMEDY, f"image_id {record.image_id}")
        found[record.image_id] = record.caption
    if not found:
        raise ValueError(f"{path}: there is no caption in it; {REMEDY}")
    return found


def write_results(path: Path, captions: Mapping[int, str]) -> None:
    """Write captions by image id, whole or not at all."""
    rows = [{"image_id": key, "caption": text} for key, text in captions.items()]
    write_text(path, json.dumps(rows, ensure_ascii=False))


def read_references(path: Path) -> dict[int, list[str]]:
    """What people wrote of each picture, from an annotations file of COCO.

    Raises:
        OSError: The file cannot be opened.
        ValueError: It is damaged or empty; names file and record.
    """
    found: dict[int, list[str]] = {}
    for record in read_document(path, _Annotations, ANNOTATIONS_REMEDY).annotations:
        found.setdefault(record.image_id, []).append(record.caption)
    if not found:
        raise AnnotationError(path, "", "there is no caption in it", ANNOTATIONS_REMEDY)
    return found


def read_any_references(path: Path) -> dict[int, list[str]]:
    """What people wrote, from an annotations file of COCO or captions in Karpathy's form.

    Errors are those of `read_references` and `captioning.data.read_captions`.
    """
    if b'"annotations"' in path.read_bytes():
        return read_references(path)
    return {image.image_id: list(image.raw) for image in read_captions(path)}
