"""Damaged and malicious folders of transformers are refused."""

import json
import shutil
import socket
import threading
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from clipnav.storage.errors import UserError
from clipnav.storage.hugging_face import (
    check_folder,
    is_reachable,
    load_hugging_face_tokenizer,
    load_text_model,
    reading,
)


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
    """Return a function that copies the model with other settings."""

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
    del weights["pooler.dense.weight"]  # not used
    save_file(weights, path, {"format": "pt"})
    load_text_model(folder)
    missing = "encoder.layer.0.output.dense.weight"
    del weights[missing]
    save_file(weights, path, {"format": "pt"})
    with pytest.raises(ValueError, match=rf"changed: 1 weights are missing.*{missing}"):
        load_text_model(folder)


@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
def test_weights_in_half_precision_are_loaded_in_single_precision(model, tmp_path, precision):
    import torch
    from transformers import BertModel

    half = BertModel.from_pretrained(model, dtype=getattr(torch, precision))
    half.save_pretrained(tmp_path / "half")
    loaded = load_text_model(str(tmp_path / "half"))
    assert {weight.dtype for weight in loaded.parameters()} == {torch.float32}
    name = "embeddings.word_embeddings.weight"
    assert torch.equal(loaded.state_dict()[name], half.state_dict()[name].float())


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"vocab_size": 10**9}, "vocab_size is 1000000000, an implausible size"),
        ({"vocab_size": 9_000_000}, "describes a model of 144"),
        ({"num_hidden_layers": 10**6}, "num_hidden_layers is 1000000"),
        ({"num_labels": 10**7}, "num_labels is 10000000"),
        ({"id2label": {"a": {"num_labels": 10**7}}}, "num_labels"),
        ({"hidden_dropout_prob": float("inf")}, "hidden_dropout_prob is inf"),
        ({"model_type": "unheard"}, "unheard"),
    ],
)
def test_implausible_sizes_are_refused_before_memory_is_allocated(changed, settings, complaint):
    with pytest.raises(ValueError, match=rf"changed.*{complaint}") as caught:
        load_text_model(changed(**settings))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"auto_map": {"AutoModel": "a.B"}}, "auto_map"),
        ({"attn_implementation": "owner/kernel"}, "attn_implementation"),
        ({"attn_implementation": {"": "owner/kernel"}}, "attn_implementation"),
        ({"attn_implementation": {"": {"text": ["owner/kernel"]}}}, "attn_implementation"),
        ({"text_config": {"_attn_implementation": {"": "a/b"}}}, "_attn_implementation"),
        ({"_attn_implementation_internal": "a/b"}, "_attn_implementation_internal"),
        ({"experts_implementation": {"": "a/b"}}, "experts_implementation"),
    ],
)
def test_a_configuration_that_names_code_is_refused(changed, settings, name):
    with pytest.raises(UserError, match=rf"changed/config\.json: .*\b{name}\b.*which is not run"):
        load_text_model(changed(**settings))


def test_sizes_of_published_language_models_are_plausible(tmp_path: Path):
    sizes = {
        "max_position_embeddings": 10_485_760,  # Llama 4 Scout
        "rope_theta": 1e8,  # Mistral Small 3
        "vocab_size_per_layer_input": 262_144,  # Gemma 3n
        "shared_expert_intermediate_size": 20_480,  # Qwen2-57B-A14B
        "num_hidden_layers": 126,
        "n_routed_experts": 384,
    }
    (tmp_path / "config.json").write_text(json.dumps({"text_config": sizes}))
    pixels = {"size": {"longest_edge": 25_165_824}}  # Qwen3-VL
    (tmp_path / "video_preprocessor_config.json").write_text(json.dumps(pixels))
    check_folder(str(tmp_path))


def test_transformers_asks_no_question_on_standard_input(monkeypatch):
    from transformers.dynamic_module_utils import resolve_trust_remote_code

    def ask(prompt):
        raise AssertionError(prompt)

    monkeypatch.setattr("builtins.input", ask)
    with pytest.raises(UserError, match=r"transformers cannot read it .*custom code"), reading("."):
        resolve_trust_remote_code(None, "owner/name", False, True)


def test_a_model_that_is_not_a_folder_is_downloaded(monkeypatch):
    from transformers import AutoConfig, AutoTokenizer

    def refuse(name, trust_remote_code):
        assert trust_remote_code is False
        raise OSError("no network\nat all")

    monkeypatch.setattr("clipnav.storage.hugging_face.is_reachable", lambda address: True)
    for kind, load in ((AutoConfig, load_text_model), (AutoTokenizer, load_hugging_face_tokenizer)):
        monkeypatch.setattr(kind, "from_pretrained", refuse)
        with pytest.raises(ConnectionError, match=r"owner/name: cannot be downloaded \(no netw"):
            load("owner/name")


def test_a_file_or_an_empty_folder_is_refused(tmp_path: Path):
    (tmp_path / "model.bin").touch()
    with pytest.raises(ValueError, match=r"model\.bin: a file, not a folder"):
        check_folder(str(tmp_path / "model.bin"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(
        FileNotFoundError, match=r"empty/config\.json: missing; write the folder again"
    ):
        load_text_model(str(tmp_path / "empty"))


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


def test_only_a_listening_host_is_reachable():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert is_reachable(f"http://127.0.0.1:{port}", 5)
    assert not is_reachable(f"http://127.0.0.1:{port}", 5)


def test_a_hanging_name_lookup_times_out(monkeypatch):
    release = threading.Event()

    def hang(*_):
        release.wait()
        raise OSError("given up")

    monkeypatch.setattr(socket, "create_connection", hang)
    assert not is_reachable("https://huggingface.co", 0.05)
    release.set()


def test_the_proxy_is_checked_instead_of_the_host(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{server.getsockname()[1]}")
        assert is_reachable("https://nowhere.invalid", 5)
