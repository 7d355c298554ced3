import pytest

from vl_tasks.words import cut_words

# What openvqa's `proc_ques` and mmf's `tokenize` return, by their published rules.
CASES = [
    (
        "What's the man's T-shirt's colour, red?",
        "what 's the man 's t shirt 's colour red",
        "whats the mans t shirts colour red",
        "what ' s the man ' s t - shirt ' s colour red",
    ),
    (
        'Is it 1/2 full? (yes/no) "ok"',
        "is it 1 2 full yes no ok",
        "is it 1 2 full yes no ok",
        'is it 1 / 2 full ( yes / no )~" ok "',
    ),
    ("dogs' don't run!!", "dogs don t run", "dogs dont run", "dogs ' don ' t run !!"),
    ("At 5:30 p.m.; #1 *100% U&I", "at 5 30 p m 1 100 u i", "at 530 pm 1 100% u&i",
     "at 5 : 30 p . m .;~# 1 * 100 % u & i"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "ours", "openvqa", "mmf"), CASES)
def test_words_are_cut_as_the_originals_cut_them(text, ours, openvqa, mmf):
    assert cut_words(text, "ours") == ours.split()
    assert cut_words(text, "openvqa") == openvqa.split()
    # mmf takes marks with spaces between for one word.
    assert cut_words(text, "mmf") == [word.replace("~", " ") for word in mmf.split()]


def test_marks_alone_are_no_words_but_of_mmf():
    assert cut_words("?!", "ours") == cut_words("?!", "openvqa") == []
    assert cut_words("?,", "mmf") == []
    assert cut_words("?!", "mmf") == ["!"]
