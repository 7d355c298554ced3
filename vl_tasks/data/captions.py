"""COCO captions in Karpathy's split: `dataset_coco.json`, or a file of its form.

{"images": [{"filepath", "filename", "cocoid", "split", "sentences": [{"tokens", "raw"}]}]}
(cs.stanford.edu/people/karpathy/deepimagesent). Flickr's files have "imgid" and no "filepath".
Results of a model and reference annotations have COCO's own formats.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from clipnav.storage.errors import UserError
from clipnav.storage.records import RecordError, read_records
from clipnav.vl_tasks.data.documents import AnnotationError, read_document
from clipnav.vl_tasks.data.images import first_file
from clipnav.vl_tasks.text.vocabulary import Vocabulary

HINT = "download the file again from cs.stanford.edu/people/karpathy/deepimagesent"
_TRAIN = ("train", "restval")  # the images of val2014 that are in neither val nor test
_RESULTS_HINT = 'results are a JSON list of {"image_id": number, "caption": text}'
_ANNOTATIONS_HINT = "download captions_val2014.json again from cocodataset.org"
_ANY_HINT = "references are COCO's captions_val2014.json, or a file in Karpathy's format"


@dataclass(frozen=True, slots=True)
class CaptionedImage:
    """Image with its reference captions.

    Attributes:
        image_id: Id of the image.
        file: Path of the image below the image folder.
        split: "train", "restval", "val" or "test".
        captions: Lower-case words of each caption without punctuation; empty if not public.
        raw: The captions as written.
    """

    image_id: int
    file: str
    split: str
    captions: tuple[tuple[str, ...], ...]
    raw: tuple[str, ...]


class _Sentence(msgspec.Struct, gc=False):
    tokens: list[str]
    raw: str = ""


class _Image(msgspec.Struct, gc=False):
    filename: str
    split: str
    sentences: list[_Sentence] = []
    filepath: str = ""
    cocoid: int | None = None
    imgid: int | None = None


class _File(msgspec.Struct):
    images: list[_Image]


def read_captions(
    path: Path, split: str | None = None, secret: bool = False
) -> list[CaptionedImage]:
    """Read the images of a split in the order of the file."""
    wanted = _TRAIN if split == "train" else (split,)
    images: dict[int, CaptionedImage] = {}
    for number, record in enumerate(read_document(path, _File, HINT).images):
        if split is not None and record.split not in wanted:
            continue
        image_id = record.imgid if record.cocoid is None else record.cocoid
        if image_id is None or image_id in images:
            problem = "it has no cocoid" if image_id is None else f"image {image_id} occurs twice"
            raise AnnotationError(path, f"record {number} ({record.filename})", problem, HINT)
        if not secret and not any(sentence.tokens for sentence in record.sentences):
            raise AnnotationError(path, f"image {image_id}", "it has no caption", HINT)
        sentences = [sentence for sentence in record.sentences if sentence.tokens]
        images[image_id] = CaptionedImage(
            image_id,
            str(Path(record.filepath) / record.filename),
            record.split,
            tuple(tuple(sentence.tokens) for sentence in sentences),
            tuple(sentence.raw or " ".join(sentence.tokens) for sentence in sentences),
        )
    if not images:
        of_split = "" if split is None else f" of split {split!r}"
        raise AnnotationError(path, "", f"it contains no image{of_split}", HINT)
    return list(images.values())


def caption_images(images: Iterable[CaptionedImage], folders: Sequence[Path]) -> dict[int, Path]:
    """Find the image files by image id."""
    files = {}
    for image in images:
        path = first_file(folders, image.file)
        if path is None:
            searched = " or ".join(str(folder) for folder in folders)
            raise FileNotFoundError(
                f"{image.file}: the file of image {image.image_id} is not in {searched}; set "
                "--images to the folder of the images"
            )
        files[image.image_id] = path
    return files


def caption_vocabulary(images: Iterable[CaptionedImage], min_count: int) -> Vocabulary:
    """Build the vocabulary of captions.

    ImageCaptioning.pytorch counts over all splits, which gives its 9,487 words of COCO.
    """
    captions = (caption for image in images for caption in image.captions)
    vocabulary = Vocabulary.build(captions, min_count)
    if not vocabulary.words:
        raise UserError(f"no word of the captions occurs {min_count} times; lower --min-count")
    return vocabulary


def encode_captions(
    images: Sequence[CaptionedImage], vocabulary: Vocabulary, max_words: int
) -> tuple[np.ndarray, np.ndarray]:
    """Convert the C captions of N images to token ids.

    Returns:
        (C, max_words + 1) int32 token ids, truncated to `max_words` and ended by at least one 0;
        and (N + 1,) int64 offsets of the captions of each image.
    """
    counts = [len(image.captions) for image in images]
    captions = [caption[:max_words] for image in images for caption in image.captions]
    first = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return vocabulary.encode(captions, max_words + 1), first


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
    for number, record in enumerate(read_records(path, _Caption, _RESULTS_HINT)):
        if record.image_id in captions:
            problem = "the image has two captions"
            raise RecordError(path, number, problem, _RESULTS_HINT, f"image_id {record.image_id}")
        captions[record.image_id] = record.caption
    if not captions:
        raise UserError(f"{path}: it contains no caption; {_RESULTS_HINT}")
    return captions


def read_references(path: Path) -> dict[int, list[str]]:
    """Read the reference captions of each image from a COCO annotations file."""
    references: dict[int, list[str]] = {}
    for record in read_document(path, _Annotations, _ANNOTATIONS_HINT).annotations:
        references.setdefault(record.image_id, []).append(record.caption)
    if not references:
        raise AnnotationError(path, "", "it contains no caption", _ANNOTATIONS_HINT)
    return references


def read_any_references(path: Path) -> dict[int, list[str]]:
    """Read reference captions from a COCO annotations file or a file in Karpathy's format.

    Images without captions, such as those of a secret split, have no references. Errors are those
    of `read_references` and `clipnav.vl_tasks.data.captions.read_captions`.
    """
    if read_document(path, _AnyFile, _ANY_HINT).annotations is not msgspec.UNSET:
        return read_references(path)
    images = read_captions(path, secret=True)
    references = {image.image_id: list(image.raw) for image in images if image.raw}
    if not references:
        raise AnnotationError(path, "", "it contains no caption", _ANY_HINT)
    return references
