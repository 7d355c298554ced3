"""Texts of dialogs, and their ends in the tokens."""

import json

import msgspec
import numpy as np
import pytest

from clipnav.envs.goals.cvdn import Turn, dialog_text
from clipnav.envs.tokenizers.tokenizers import (
    PretrainedTokenizer,
    SubwordTokenizer,
    WordTokenizer,
    cached_tokens,
    encode_end,
)


@pytest.fixture(scope="module")
def golden(golden_systems):
    return json.loads((golden_systems / "cvdn_text.json").read_text())


@pytest.fixture(scope="module")
def bert(golden, tmp_path_factory):
    from transformers import BertTokenizerFast  # type: ignore

    folder = tmp_path_factory.mktemp("bert")
    (folder / "vocab.txt").write_text("\n".join(golden["wordpiece_vocab"]))
    BertTokenizerFast(str(folder / "vocab.txt"), do_lower_case=True).save_pretrained(folder)
    return PretrainedTokenizer(str(folder))


def test_texts_and_their_last_tokens_equal_the_published(golden, bert):
    for case in golden["cases"]:
        item = case["item"]
        turns = msgspec.convert(item["dialog_history"], tuple[Turn, ...])
        if "error" in case["same"]:
            with pytest.raises(ValueError, match=r"'dialog_history': message \d+ is blank"):
                dialog_text(item["target"], turns)
            continue
        text = dialog_text(item["target"], turns)
        assert text == case["same"]["instruction"]
        ids = case["same"]["ids"]
        # Our ids are shifted by one, so that padding is 0.
        whole = [number + 1 for number in ids]
        for length, last in case["hamt"].items():
            ours = encode_end(bert, text, int(length)).tolist()
            if len(ids) <= int(length):
                assert ours == whole + [0] * (int(length) - len(ids))
            else:
                # HAMT drops [CLS], whose place its model reads; it stays here.
                assert ours == whole[:1] + [number + 1 for number in last[1:]]


@pytest.mark.parametrize("kind", ["words", "subwords"])
def test_the_start_token_and_the_last_words_are_kept(kind):
    text = "go to the red door and turn left at the end"
    build = WordTokenizer.build if kind == "words" else SubwordTokenizer.build
    tokenizer = build([text] * 9)
    whole = tokenizer.encode(text, 40)
    size = np.count_nonzero(whole)
    for length in range(2, 40):
        ids = cached_tokens(tokenizer, [text], length, "end")[0]
        if length >= size:
            np.testing.assert_array_equal(ids, whole[:length])
        else:
            kept = [whole[0], *whole[size - length + 1 : size]]
            np.testing.assert_array_equal(ids, kept)
