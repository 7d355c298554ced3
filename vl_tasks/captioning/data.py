"""COCO captions in Karpathy's split: `dataset_coco.json`, or a file of its form.

{"images": [{"filepath", "filename", "cocoid", "split", "sentences": [{"tokens", "raw"}]}]}
(cs.stanford.edu/people/karpathy/deepimagesent). Flickr's files have "imgid" and no "filepath".
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from vl_tasks.documents import AnnotationError, read_document
from vl_tasks.vocabulary import Vocabulary

REMEDY = "take the file anew from cs.stanford.edu/people/karpathy/deepimagesent"
MIN_COUNT = 6  # ImageCaptioning.pytorch: words that occur five times or less are unknown
MAX_WORDS = 16
_TRAIN = ("train", "restval")  # the images of val2014 that are in neither val nor test


@dataclass(frozen=True, slots=True)
class CaptionedImage:
    """A picture with what people wrote of it.

    Attributes:
        image_id: Number of the picture.
        file: Its place below the folder of pictures.
        split: "train", "restval", "val" or "test".
        captions: Words of each caption: lower-case, without punctuation; none where secret.
        raw: The captions as they were written.
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
    """Read the pictures of a split, in the order of the file.

    Args:
        path: The file.
        split: "train" includes "restval", as everywhere; None for all.
        secret: Pictures need have no captions.

    Raises:
        OSError: The file cannot be opened.
        ValueError: It is damaged, the split is empty, a picture has no id or no caption, or an id
            occurs twice. The message names file and record.
    """
    wanted = _TRAIN if split == "train" else (split,)
    images: dict[int, CaptionedImage] = {}
    for number, record in enumerate(read_document(path, _File, REMEDY).images):
        if split is not None and record.split not in wanted:
            continue
        image_id = record.imgid if record.cocoid is None else record.cocoid
        if image_id is None or image_id in images:
            problem = "it has no cocoid" if image_id is None else f"image {image_id} occurs twice"
            raise AnnotationError(path, f"record {number} ({record.filename})", problem, REMEDY)
        if not secret and not any(sentence.tokens for sentence in record.sentences):
            raise AnnotationError(path, f"image {image_id}", "it has no caption", REMEDY)
        images[image_id] = _captioned(image_id, record)
    if not images:
        raise AnnotationError(path, "", f"there is no picture of split {split!r} in it", REMEDY)
    return list(images.values())


def caption_images(images: Iterable[CaptionedImage], folders: Sequence[Path]) -> dict[int, Path]:
    """Find the files of pictures by image id.

    Args:
        images: The pictures.
        folders: Where their paths may begin; the first that has a picture counts.

    Raises:
        FileNotFoundError: One is in none of them.
    """
    files = {}
    for image in images:
        found = [folder / image.file for folder in folders if (folder / image.file).is_file()]
        if not found:
            looked = " or ".join(str(folder) for folder in folders)
            raise FileNotFoundError(
                f"{image.file}: no such picture in {looked}, which image {image.image_id} needs"
            )
        files[image.image_id] = found[0]
    return files


def caption_vocabulary(images: Iterable[CaptionedImage], min_count: int = MIN_COUNT) -> Vocabulary:
    """Words of captions.

    ImageCaptioning.pytorch counts over all splits, which gives its 9,487 words of COCO.
    """
    return Vocabulary.build((caption for image in images for caption in image.captions), min_count)


def encode_captions(
    images: Sequence[CaptionedImage], vocabulary: Vocabulary, max_words: int = MAX_WORDS
) -> tuple[np.ndarray, np.ndarray]:
    """Captions of N pictures as integers, C of them in all.

    Returns:
        (C, max_words + 1) int32, longer captions cut to `max_words`, each closed by at least one
        0; and (N + 1,) int64, from which row on the captions of each picture lie.
    """
    counts = [len(image.captions) for image in images]
    captions = [caption[:max_words] for image in images for caption in image.captions]
    first = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return vocabulary.encode(captions, max_words + 1), first


def _captioned(image_id: int, record: _Image) -> CaptionedImage:
    spoken = [sentence for sentence in record.sentences if sentence.tokens]
    return CaptionedImage(
        image_id,
        str(Path(record.filepath) / record.filename),
        record.split,
        tuple(tuple(sentence.tokens) for sentence in spoken),
        tuple(sentence.raw or " ".join(sentence.tokens) for sentence in spoken),
    )
