"""Reader of SNLI-VE: hypotheses about images, labelled entailment, neutral or contradiction.

There are two file formats, both as one record per line or as one JSON list: as published
(github.com/necla-ml/SNLI-VE: "Flickr30K_ID", "pairID", "sentence2", "gold_label"; some editions
write "Flikr30kID") and with "image", "sentence" and "label" (LAVIS). NAME.db is a text database of
UNITER, see `clipnav.vl_tasks.data.uniter_texts`.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from clipnav.storage.errors import UserError
from clipnav.storage.records import RecordError, read_records
from clipnav.vl_tasks.data.images import find_named, image_stem
from clipnav.vl_tasks.data.uniter_texts import DATABASE, read_uniter_texts

# The order of LAVIS.
LABELS = ("contradiction", "neutral", "entailment")
UNLABELLED = -1
_UNDECIDED = "-"  # marks a missing label in the files
REMEDY = (
    "download the file again from github.com/necla-ml/SNLI-VE, or see docs/vl_tasks.md for its "
    "format"
)


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
    for number, record in enumerate(_records(path)):
        try:
            hypothesis = _hypothesis(record, number, secret)
            if hypothesis.pair_id in hypotheses:
                raise UserError("its pairID occurs twice")
        except UserError as error:
            name = None if record.pair_id is None else f"pairID {record.pair_id}"
            raise RecordError(path, number, str(error), REMEDY, name) from None
        hypotheses[hypothesis.pair_id] = hypothesis
    if not hypotheses:
        raise UserError(f"{path}: it contains no hypothesis; {REMEDY}")
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


def _records(path: Path) -> Iterable[_Record]:
    if path.suffix != DATABASE:
        return read_records(path, _Record, REMEDY)
    return (
        _Record(
            image=text.image,
            pair_id=text.key,
            premise=text.premise,
            hypothesis=text.hypothesis,
            gold_label=text.label,
        )
        for text in read_uniter_texts(path, REMEDY)
    )


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
