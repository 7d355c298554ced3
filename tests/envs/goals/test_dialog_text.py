"""Texts of dialogs, and their ends in the tokens."""

import json
import re

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


def words(sentence):
    """Return the words that NDH's tokenizer makes of a sentence; it reads them backwards."""
    return re.findall(r"\w+|\.+|[^\w\s]", sentence.lower())[::-1]


def test_texts_contain_what_the_baseline_of_ndh_reads(golden):
    known = {word: number for number, word in enumerate(golden["ndh_vocab"])}
    for case in golden["cases"]:
        target = case["item"]["target"]
        turns = msgspec.convert(case["item"]["dialog_history"], tuple[Turn, ...])
        if "error" in case["same"]:  # a blank message
            continue
        text = dialog_text(target, turns)
        assert len(text.split()) == case["same"]["words"]
        _, *parts = re.split(r"\n(Question|Answer): ", text)
        said = []
        for turn, speaker, message in zip(turns, parts[::2], parts[1::2], strict=True):
            assert message.startswith(turn.message)
            said.append(({"Question": "<NAV>", "Answer": "<ORA>"}[speaker], turn.message))
        tags = ("<NAV>", "<ORA>")[2 - len(turns[-2:]) :]
        last = [(tag, turn.message) for tag, turn in zip(tags, turns[-2:], strict=True)]
        heard = {"oracle_ans": last[-1:], "nav_q_oracle_ans": last, "all": said}
        for kind, length in golden["ndh_length"].items():
            recorded = case["ndh"][kind]
            if "error" in recorded:
                assert (kind, len(turns)) == ("nav_q_oracle_ans", 1)
                continue
            sentences = heard.get(kind, []) + [("<TAR>", target)] * (kind != "none")
            assert recorded["instructions"] == " ".join(map(" ".join, sentences))
            read = [word for tag, sentence in sentences for word in (tag, *words(sentence))]
            ids = [known.get(word, known["<UNK>"]) for word in [*read, "<EOS>"]][-length:]
            assert recorded["ids"] == ids + [known["<PAD>"]] * (length - len(ids))


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
