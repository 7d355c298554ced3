import json

import pytest

from clipnav.vl_tasks.data.pairs import (
    LABELS,
    UNLABELLED,
    Hypothesis,
    accuracy_by_class,
    read_hypotheses,
)

PUBLISHED = {
    "Flickr30K_ID": "4705552913",
    "pairID": "4705552913.jpg#2r1n",
    "captionID": "4705552913.jpg#2",
    "sentence1": "Two women embracing.",
    "sentence2": "The sisters are hugging.",
    "gold_label": "neutral",
    "annotator_labels": ["neutral", "entailment"],
}


@pytest.fixture
def read(tmp_path):
    def read(*records, secret=False):
        path = tmp_path / "snli_ve_dev.jsonl"
        path.write_text("".join(json.dumps(record) + "\n" for record in records))
        return read_hypotheses(path, secret)

    return read


def test_the_published_format_is_read(read):
    text, premise = PUBLISHED["sentence2"], PUBLISHED["sentence1"]
    expected = Hypothesis("4705552913.jpg#2r1n", "4705552913", text, 1, premise)
    assert read(PUBLISHED) == [expected]
    older = {k: v for k, v in PUBLISHED.items() if k != "Flickr30K_ID"}
    assert read({**older, "Flikr30kID": "4705552913.jpg"}) == [expected]


def test_the_format_of_lavis_is_read(tmp_path):
    path = tmp_path / "ve_dev.json"
    rows = [{"image": 47, "sentence": f"It is {label}.", "label": label} for label in LABELS]
    path.write_text(json.dumps(rows))
    read = read_hypotheses(path)
    assert [(h.pair_id, h.image_id, h.label) for h in read] == [
        ("0", "47", 0),
        ("1", "47", 1),
        ("2", "47", 2),
    ]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"gold_label": "perhaps"}, "label 'perhaps' is not one of contradiction"),
        ({"gold_label": None}, "field 'gold_label' .or 'label'. is missing"),
        ({"sentence2": " "}, "record 0 .pairID 4705552913.jpg#2r1n.: field 'sentence2'"),
        ({"Flickr30K_ID": None}, "field 'Flickr30K_ID'"),
    ],
)
def test_errors_name_bad_records(read, change, complaint):
    with pytest.raises(ValueError, match=complaint):
        read({**PUBLISHED, **change})


def test_accuracy_by_class_ignores_unlabelled_hypotheses():
    scores = accuracy_by_class([0, 0, 1, 1, UNLABELLED], [0, 1, 1, 1, 2])
    assert scores == {"accuracy": 0.75, "contradiction": 0.5, "neutral": 1.0}
    with pytest.raises(ValueError, match="no labelled"):
        accuracy_by_class([UNLABELLED], [0])
