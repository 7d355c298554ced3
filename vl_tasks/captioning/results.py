"""Caption files in COCO format: results of a model, and reference annotations."""

from pathlib import Path

import msgspec

from clipnav.storage.errors import UserError
from clipnav.storage.records import RecordError, read_records
from clipnav.vl_tasks.data.captions import read_captions
from clipnav.vl_tasks.data.documents import AnnotationError, read_document

REMEDY = 'results are a JSON list of {"image_id": number, "caption": text}'
ANNOTATIONS_REMEDY = "download captions_val2014.json again from cocodataset.org"
_ANY_REMEDY = "references are COCO's captions_val2014.json, or a file in Karpathy's format"


class _Caption(msgspec.Struct, gc=False):
    image_id: int
    caption: str


class _Annotations(msgspec.Struct):
    annotations: list[_Caption]


class _AnyFile(msgspec.Struct):
    annotations: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


def read_results(path: Path) -> dict[int, str]:
    """Read a model's captions by image id."""
    captions: dict[int, str] = {}
    for number, record in enumerate(read_records(path, _Caption, REMEDY)):
        if record.image_id in captions:
            problem = "the image has two captions"
            raise RecordError(path, number, problem, REMEDY, f"image_id {record.image_id}")
        captions[record.image_id] = record.caption
    if not captions:
        raise UserError(f"{path}: it contains no caption; {REMEDY}")
    return captions


def read_references(path: Path) -> dict[int, list[str]]:
    """Read the reference captions of each image from a COCO annotations file."""
    references: dict[int, list[str]] = {}
    for record in read_document(path, _Annotations, ANNOTATIONS_REMEDY).annotations:
        references.setdefault(record.image_id, []).append(record.caption)
    if not references:
        raise AnnotationError(path, "", "it contains no caption", ANNOTATIONS_REMEDY)
    return references


def read_any_references(path: Path) -> dict[int, list[str]]:
    """Read reference captions from a COCO annotations file or a file in Karpathy's format.

    Images without captions, such as those of a secret split, have no references. Errors are those
    of `read_references` and `clipnav.vl_tasks.data.captions.read_captions`.
    """
    if read_document(path, _AnyFile, _ANY_REMEDY).annotations is not msgspec.UNSET:
        return read_references(path)
    images = read_captions(path, secret=True)
    references = {image.image_id: list(image.raw) for image in images if image.raw}
    if not references:
        raise AnnotationError(path, "", "it contains no caption", _ANY_REMEDY)
    return references
