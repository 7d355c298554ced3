import numpy as np
import pytest

from clipnav.vl_tasks.house_tasks.gqa_files import entailed_keys, equivalent_keys
from clipnav.vl_tasks.house_tasks.gqa_questions import KINDS, QuestionScene, generate_gqa_questions


@pytest.fixture(scope="module")
def scenes(images):
    return {image.image_id: QuestionScene(image) for image in images}


@pytest.fixture(scope="module")
def questions(scenes):
    return generate_gqa_questions([*scenes.values()], 2400, np.random.default_rng(0))[0]


def test_an_answer_fixes_the_answers_to_the_entailed_questions(scenes, questions):
    """Two images with the same answer have the same answers to all entailed questions."""
    answers = {}
    kinds = set()
    for one in questions:
        for key in entailed_keys(one):
            answer = scenes[one.image.image_id].question(*key).answer
            assert answers.setdefault((one.kind, one.subject, one.answer, key), answer) == answer
            kinds.add(one.kind)
    assert kinds == KINDS.keys() - {"existence"}


def test_equivalent_questions_have_equal_answers_and_entail_each_other(scenes, questions):
    pairs = [(one, key) for one in questions for key in equivalent_keys(one)]
    assert pairs
    for one, key in pairs:
        other = scenes[one.image.image_id].question(*key)
        assert other.answer == one.answer
        assert (one.kind, one.subject) in entailed_keys(other)


@pytest.mark.parametrize(
    ("kind", "subject", "answer", "keys"),
    [
        ("both", "a b", "no", []),
        ("either", "a b", "yes", []),
        ("either", "a b", "no", ["existence a", "existence b", "both a b"]),
        ("verify-room", "office", "no", []),
        ("verify-room", "office", "yes", ["room"]),
        ("room", "", "office", ["verify-room office"]),
        ("verify-colour", "a red", "no", ["existence a"]),
    ],
)
def test_entailment_by_hand(images, kind, subject, answer, keys):
    question = QuestionScene(images[0]).question("existence", ("no such thing",))
    changed = type(question)(kind, tuple(subject.split()), answer, question.image)
    assert [" ".join((one, *parts)) for one, parts in entailed_keys(changed)] == keys
