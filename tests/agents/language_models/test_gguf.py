"""GGUF files as local models: a tiny one with the weights of a folder of transformers."""

import json
import sys

import numpy as np
import pytest
import torch

from clipnav.agents.language_models.models.local import load_model
from tests.agents.language_models.tiny_models import write_llama

HEADS = 2


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "llama"
    write_llama(path, vocabulary=270, hidden_size=64)
    return path


@pytest.fixture
def file(folder, tmp_path):
    from transformers import AutoModelForCausalLM  # imports for a second

    gguf = pytest.importorskip("gguf")
    model = AutoModelForCausalLM.from_pretrained(folder)
    path = tmp_path / "llama.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    config = model.config
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_rope_dimension_count(config.hidden_size // HEADS)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(1e4)
    writer.add_vocab_size(config.vocab_size)
    add_tokenizer(writer, gguf, json.loads((folder / "tokenizer.json").read_text()))
    writer.add_chat_template((folder / "chat_template.jinja").read_text())
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config.num_hidden_layers)
    for name, weight in model.state_dict().items():
        array = weight.float().numpy()
        if "q_proj" in name or "k_proj" in name:
            array = interleaved(array)
        writer.add_tensor(names.get_name(name, (".weight",)), array)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def interleaved(weight):
    """Return a projection in llama.cpp's order, with the two halves of a rotation side by side."""
    rows, columns = weight.shape
    halves = weight.reshape(HEADS, 2, rows // HEADS // 2, columns)
    return np.ascontiguousarray(halves.swapaxes(1, 2).reshape(rows, columns))


def add_tokenizer(writer, gguf, document):
    vocabulary = sorted(document["model"]["vocab"].items(), key=lambda item: item[1])
    special = {token["id"] for token in document["added_tokens"]}
    kinds = gguf.TokenType
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("default")
    writer.add_token_list([token for token, _ in vocabulary])
    writer.add_token_types([kinds.CONTROL if i in special else kinds.NORMAL for _, i in vocabulary])
    writer.add_token_merges([" ".join(pair) for pair in document["model"]["merges"]])
    for name, add in (("<s>", writer.add_bos_token_id), ("</s>", writer.add_eos_token_id)):
        add(document["model"]["vocab"][name])


def test_a_file_gives_the_logits_and_the_prompts_of_the_folder(file, folder):
    first, second = load_model(str(folder), "cpu"), load_model(str(file), "cpu")
    assert not second.reads_pictures
    conversation = [{"role": "user", "content": "Go to the red door."}]
    inputs = [
        one.tokenizer.apply_chat_template(
            conversation, add_generation_prompt=True, return_dict=True, return_tensors="pt"
        )
        for one in (first, second)
    ]
    assert torch.equal(inputs[0]["input_ids"], inputs[1]["input_ids"])
    with torch.inference_mode():
        logits = [one.model(**inputs[0]).logits for one in (first, second)]
    torch.testing.assert_close(*logits, atol=1e-5, rtol=1e-4)
    assert first.ends == second.ends


def test_a_damaged_file_is_named(tmp_path):
    pytest.importorskip("gguf")
    path = tmp_path / "model.gguf"
    path.write_bytes(b"GGUF")
    with pytest.raises(ValueError, match=r"model\.gguf: transformers cannot read it .*again"):
        load_model(str(path), "cpu")


def test_a_missing_file_or_package_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "gguf", None)
    path = tmp_path / "model.gguf"
    with pytest.raises(FileNotFoundError, match=r"model\.gguf: no such file"):
        load_model(str(path), "cpu")
    path.touch()
    with pytest.raises(ModuleNotFoundError, match=r"requires the package gguf: .*clipnav\[gguf\]"):
        load_model(str(path), "cpu")
