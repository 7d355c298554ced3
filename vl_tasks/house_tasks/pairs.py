"""Pairs of image and sentence for pre-training, in the format of LXMERT.

A list of {"img_id", "sentf": {source: [sentence, ...]}, "labelf": {source: [{answer: score},
...]}}. Questions have answers, captions have none.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from clipnav.storage.json_files import write_json
from clipnav.vl_tasks.house_tasks.files import HouseTaskFiles
from clipnav.vl_tasks.house_tasks.images import HouseImage

# Questions with soft scores of their answers, by source and image id.
Questions = Mapping[str, Mapping[int, Sequence[tuple[str, Mapping[str, float]]]]]


def write_pairs(
    files: HouseTaskFiles,
    split: str,
    images: Sequence[HouseImage],
    captions: Mapping[int, Sequence[str]],
    questions: Questions,
) -> int:
    """Write the pairs of a split."""
    records = [_record(image, captions[image.image_id], questions) for image in images]
    write_json(files.pairs(split), records)
    return sum(len(texts) for record in records for texts in record["sentf"].values())


def _record(image: HouseImage, captions: Sequence[str], questions: Questions) -> dict[str, Any]:
    sentences = {"captions": list(captions)}
    labels = {}
    for source, by_image in questions.items():
        labelled = by_image.get(image.image_id, ())
        if labelled:
            sentences[source] = [text for text, _ in labelled]
            labels[source] = [dict(scores) for _, scores in labelled]
    return {"img_id": Path(image.file).stem, "sentf": sentences, "labelf": labels}
