"""Translation of questions with a tiny Marian model."""

import json

import pytest

from clipnav.vl_tasks.multilingual.settings import TranslationConfig
from clipnav.vl_tasks.multilingual.translation import Translator, translate_questions

TEXTS = ["Is there a lamp?", "What colour is the sofa?", "How many chairs are there?"]


def train_pieces(folder, texts):
    """Learn word pieces; return the file of the sentencepiece model."""
    import sentencepiece

    (folder / "corpus.txt").write_text("\n".join(texts * 4))
    sentencepiece.SentencePieceTrainer.train(
        input=str(folder / "corpus.txt"),
        model_prefix=str(folder / "pieces"),
        vocab_size=40,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    return folder / "pieces.model"


@pytest.fixture(scope="module")
def marian(tmp_path_factory):
    """Folder with a Marian model of random weights, whose translations are arbitrary words."""
    import sentencepiece
    import torch
    from transformers import MarianConfig, MarianMTModel, MarianTokenizer

    folder = tmp_path_factory.mktemp("marian")
    model = str(train_pieces(folder, TEXTS))
    processor = sentencepiece.SentencePieceProcessor(model)
    pieces = [processor.id_to_piece(k) for k in range(processor.get_piece_size())]
    words = [piece for piece in pieces if piece not in ("<s>", "</s>", "<unk>")]
    vocabulary = {word: k for k, word in enumerate(["</s>", "<unk>", *words, "<pad>"])}
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    MarianTokenizer(model, model, str(folder / "vocab.json")).save_pretrained(folder / "model")
    torch.manual_seed(0)
    config = MarianConfig(
        vocab_size=len(vocabulary),
        d_model=16,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=16,
        decoder_ffn_dim=16,
        max_position_embeddings=64,
        init_std=0.5,
        eos_token_id=0,
        pad_token_id=len(vocabulary) - 1,
        decoder_start_token_id=len(vocabulary) - 1,
        forced_eos_token_id=0,
    )
    MarianMTModel(config).save_pretrained(folder / "model")
    return folder / "model"


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    questions = [
        {"question_id": 7 + k, "image_id": k, "question": text}
        for k, text in enumerate([*TEXTS, TEXTS[0]])
    ]
    content = {"info": {"version": "2.0"}, "questions": questions}
    (folder / "v2_OpenEnded_mscoco_val2014_questions.json").write_text(json.dumps(content))
    return folder


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CLIPNAV_CACHE", str(tmp_path / "cache"))


def settings(marian, data, **changes):
    values = {"splits": ("val",), "batch_size": 2, "beams": 2, "max_length": 12, **changes}
    return TranslationConfig(str(marian), "fr", data, **values)


def reference(marian, text):
    """Translate a text by transformers alone."""
    from transformers import MarianMTModel, MarianTokenizer

    tokenizer = MarianTokenizer.from_pretrained(marian)
    model = MarianMTModel.from_pretrained(marian).eval()
    inputs = tokenizer([text], return_tensors="pt")
    generated = model.generate(**inputs, num_beams=2, max_length=12)
    return tokenizer.batch_decode(generated, skip_special_tokens=True)[0].strip()


def test_translations_have_the_ids_of_the_english_questions(marian, data, run_command):
    printed = run_command(
        "translate-questions", "--model", marian, "--language", "fr", "--data", data,
        "--splits", "val", "--batch-size", 2, "--beams", 2, "--max-length", 12,
    )  # fmt: skip
    path = data / "languages" / "fr" / "v2_OpenEnded_mscoco_val2014_questions.json"
    assert printed.strip().splitlines()[-1] == str(path)
    content = json.loads(path.read_text())
    assert content["info"] == {"version": "2.0"}
    records = content["questions"]
    assert [record["question_id"] for record in records] == [7, 8, 9, 10]
    assert records[0]["question"] == records[3]["question"]
    for record, text in zip(records, TEXTS, strict=False):
        assert record["question"] == (reference(marian, text) or text)


def test_an_interrupted_translation_is_resumed(marian, data, monkeypatch):
    config = settings(marian, data)
    translator = Translator(config)
    generate, calls = translator._generate, []

    def interrupted(texts):
        calls.append(list(texts))
        if len(calls) == 2:
            raise KeyboardInterrupt
        return generate(texts)

    monkeypatch.setattr(translator, "_generate", interrupted)
    with pytest.raises(KeyboardInterrupt):
        translator.translate(TEXTS)
    with translator.path.open("a") as file:
        file.write('["half a li')  # as if killed while writing
    again = Translator(config)
    monkeypatch.setattr(again, "_generate", lambda texts: calls.append(list(texts)) or texts)
    again.translate(TEXTS)
    assert sorted(calls[0] + calls[2]) == sorted(TEXTS)
    assert len(again.translate(TEXTS)) == 3
    assert len(calls) == 3


@pytest.mark.parametrize("text", ["[1]\n", f"{'[' * 100_000}\n"])
def test_a_damaged_cache_is_named(text, marian, data):
    translator = Translator(settings(marian, data))
    translator.path.parent.mkdir(parents=True)
    translator.path.write_text(text)
    with pytest.raises(ValueError, match=r"jsonl: line 1 is damaged: .*; delete the file"):
        translator.translate(TEXTS)


def test_other_models_are_refused(data, tmp_path):
    from transformers import BertConfig, BertModel

    sizes = BertConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=2, vocab_size=20)
    BertModel(sizes).save_pretrained(tmp_path / "bert")
    with pytest.raises(ValueError, match="a model of type 'bert', not 'marian'"):
        translate_questions(settings(tmp_path / "bert", data))


def test_only_its_own_files_are_replaced(marian, data):
    config = settings(marian, data)
    (path,) = translate_questions(config)
    first = path.read_bytes()
    assert json.loads(first)["translation"] == {"model": str(marian)}
    assert translate_questions(config) == [path]
    content = json.loads(first)
    del content["translation"]
    path.write_text(json.dumps(content))
    with pytest.raises(FileExistsError, match="does not overwrite it; move it to another folder"):
        translate_questions(config)
    assert json.loads(path.read_text()) == content
