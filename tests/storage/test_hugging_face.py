"""Folders of transformers that must not be believed, whatever made them so."""

import json
import shutil
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from storage.hugging_face import check_folder, load_text_model, load_tokenizer
from storage.json_files import read_json_object


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from transformers import BertConfig, BertModel

    folder = tmp_path_factory.mktemp("models") / "tiny"
    config = BertConfig(
        vocab_size=50,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=20,
    )
    BertModel(config).save_pretrained(folder)
    return folder


@pytest.fixture
def changed(model: Path, tmp_path: Path):
    """A copy of the model with other settings."""

    def change(**settings) -> str:
        folder = tmp_path / "changed"
        shutil.copytree(model, folder, dirs_exist_ok=True)
        config = json.loads((model / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, **settings}))
        return str(folder)

    return change


def test_weights_that_would_be_random_are_refused(changed):
    folder = changed()
    path = Path(folder) / "model.safetensors"
    weights = load_file(path)
    assert not load_text_model(folder).training
    del weights["pooler.dense.weight"]  # which nobody reads
    save_file(weights, path, {"format": "pt"})
    load_text_model(folder)
    missing = "encoder.layer.0.output.dense.weight"
    del weights[missing]
    save_file(weights, path, {"format": "pt"})
    with pytest.raises(ValueError, match=rf"changed: 1 of its weights are missing.*{missing}"):
        load_text_model(folder)


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"vocab_size": 10**9}, "vocab_size is 1000000000, which no model has"),
        ({"vocab_size": 9_000_000}, "describes a model of 144"),
        ({"num_hidden_layers": 10**6}, "num_hidden_layers is 1000000"),
        ({"num_labels": 10**7}, "num_labels is 10000000"),
        ({"id2label": {"a": {"num_labels": 10**7}}}, "num_labels"),
        ({"hidden_dropout_prob": float("inf")}, "hidden_dropout_prob is inf"),
        ({"model_type": "unheard"}, "unheard"),
        ({"auto_map": {"AutoModel": "a.B"}}, r"names Python code \(auto_map\), which is not run"),
    ],
)
def test_absurd_settings_are_refused_before_anything_is_made(changed, settings, complaint):
    with pytest.raises(ValueError, match=rf"changed.*{complaint}") as caught:
        load_text_model(changed(**settings))
    assert "\n" not in str(caught.value)


def test_a_model_that_is_no_folder_is_fetched(monkeypatch):
    from transformers import AutoConfig, AutoTokenizer

    def refuse(name, trust_remote_code):
        assert trust_remote_code is False
        raise OSError("no network\nat all")

    for kind, load in ((AutoConfig, load_text_model), (AutoTokenizer, load_tokenizer)):
        monkeypatch.setattr(kind, "from_pretrained", refuse)
        with pytest.raises(
            ConnectionError, match=r"cannot fetch owner/name; .* \(OSError: no netw"
        ):
            load("owner/name")


def test_files_are_no_folders(tmp_path: Path):
    (tmp_path / "model.bin").touch()
    with pytest.raises(ValueError, match=r"model\.bin: a file, not a folder"):
        check_folder(str(tmp_path / "model.bin"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(
        FileNotFoundError, match=r"empty/config\.json: missing; get the folder anew"
    ):
        load_text_model(str(tmp_path / "empty"))


@pytest.mark.parametrize(
    ("text", "problem"),
    [("{", "not valid JSON"), ("[]", "not a JSON object"), ("[" * 100_000, "nested deeper")],
)
def test_json_that_is_no_object_is_refused(text: str, problem: str, tmp_path: Path):
    path = tmp_path / "config.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=rf"config\.json: {problem}.*; try again"):
        read_json_object(path, "try again")
