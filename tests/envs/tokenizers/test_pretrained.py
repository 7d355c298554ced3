import pytest

from clipnav.envs.tokenizers import PretrainedTokenizer


def test_id_zero_is_padding(tiny_bert):
    tokenizer = PretrainedTokenizer(str(tiny_bert))
    tokens = tokenizer.encode("Go to the red door.", 12)
    real = tokens[tokens != 0]
    assert tokenizer.decode(tokens) == "go to the red door ."
    assert tokenizer.words[real[0]].endswith("[CLS]")
    assert tokenizer.words[real[-1]].endswith("[SEP]")
    assert len(real) == 8
    assert len(tokenizer.encode("red " * 50, 12)) == 12
    assert tokenizer.encode("red " * 50, 12)[-1] == real[-1]


def test_unreadable_model_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"transformers cannot read it .*save_pretrained") as error:
        PretrainedTokenizer(str(tmp_path))
    assert "\n" not in str(error.value)
    assert str(tmp_path) in str(error.value)
