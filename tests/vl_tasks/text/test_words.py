import pytest

from clipnav.vl_tasks.text.words import tokenize_sentence

# Results of openvqa's `proc_ques` and mmf's `tokenize` by their published rules.
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
def test_tokenizers_match_the_originals(text, ours, openvqa, mmf):
    assert tokenize_sentence(text, "ours") == ours.split()
    assert tokenize_sentence(text, "openvqa") == openvqa.split()
    # mmf treats punctuation marks with spaces between them as one word.
    assert tokenize_sentence(text, "mmf") == [word.replace("~", " ") for word in mmf.split()]


def test_only_mmf_keeps_punctuation_without_words():
    assert tokenize_sentence("?!", "ours") == tokenize_sentence("?!", "openvqa") == []
    assert tokenize_sentence("?,", "mmf") == []
    assert tokenize_sentence("?!", "mmf") == ["!"]
