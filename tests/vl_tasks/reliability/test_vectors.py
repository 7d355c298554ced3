import dataclasses
import os

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertModel

from clipnav.storage.locks import waiting_lock
from clipnav.training.settings import read_config
from clipnav.vl_tasks.classification.inputs import FeatureNetwork
from clipnav.vl_tasks.clip_vil_p.networks.network import AnswerHead
from clipnav.vl_tasks.clip_vil_p.networks.stream import SingleStream
from clipnav.vl_tasks.data.questions import Question
from clipnav.vl_tasks.reliability import outputs as outputs_module
from clipnav.vl_tasks.reliability.outputs import compute_outputs, join_stream, outputs_of
from clipnav.vl_tasks.settings.networks import McanConfig, PythiaConfig
from clipnav.vl_tasks.vqa.settings import VqaConfig

MCAN = McanConfig(
    hidden_size=16, feed_forward_size=24, layers=2, heads=4, pooling_size=8, fused_size=32
)
PYTHIA = PythiaConfig(hidden_size=12, attention_size=8, product_size=20, text_head_size=5)
WIDTHS = {"pythia": (6, 24, 20), "mcan": (16, 16, 32), "movie-mcan": (32, 16, 32)}
TOKENS = torch.tensor([[3, 4, 5], [6, 2, 0]])
QUESTIONS = [Question(1, 1, "what colour is it?"), Question(2, 1, "what shape is it?")]


@pytest.mark.parametrize("model", WIDTHS)
def test_vectors_are_those_that_the_logits_come_from(model, padded_grids):
    torch.manual_seed(1)
    config = VqaConfig(model=model, mcan=MCAN, pythia=PYTHIA, embedding_size=7)
    network = FeatureNetwork(config, 6, vocabulary=9, classes=5).eval()
    tight, padded = padded_grids()
    with torch.no_grad():
        vectors, logits = network.join(tight, TOKENS)
        assert tuple(x.shape[1] for x in vectors) == WIDTHS[model]
        torch.testing.assert_close(logits, network(tight, TOKENS))
        for one, other in zip(vectors, network.join(padded, TOKENS)[0], strict=True):
            torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)
        words = network.join(tight, TOKENS.flip(0))[0]
        assert torch.allclose(words.question, vectors.question.flip(0), atol=1e-5)
        assert not torch.allclose(words.fused, vectors.fused, atol=1e-3)


class Trunk(torch.nn.Module):
    """Returns its input as grid features."""

    def forward(self, pictures):
        return pictures


def test_single_streams_are_pooled_over_words_and_cells_without_padding():
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = BertConfig(vocab_size=30, intermediate_size=24, **sizes)
    bert = BertModel(config, add_pooling_layer=False)
    network = torch.nn.Module()
    network.trunk, network.stream = Trunk(), SingleStream(bert, 5, positions=4)
    network.head = AnswerHead(16, 3)
    network.eval()
    grid, mask = torch.randn(2, 2, 3, 5), torch.ones(2, 2, 3, dtype=torch.bool)
    pieces = torch.tensor([[2, 7, 8], [2, 9, 3]])
    with torch.no_grad():
        vectors, logits = join_stream(network, (grid, mask), pieces)
        states = network.stream(pieces, grid, mask, None)
        assert torch.equal(vectors.image, states.cells.amax(1))
        assert torch.equal(vectors.question, states.words.amax(1))
        assert torch.equal(logits, network.head(states.pooled))
        wide = torch.nn.functional.pad(grid, (0, 0, 0, 1), value=9.0)
        padded = torch.nn.functional.pad(mask, (0, 1))
        longer = torch.nn.functional.pad(pieces, (0, 2))
        others, _ = join_stream(network, (wide, padded), longer)
        for one, other in zip(vectors, others, strict=True):
            torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


def test_outputs_are_computed_once_per_content(blind_run, tmp_path, monkeypatch):
    monkeypatch.setenv("CLIPNAV_CACHE", str(tmp_path))
    config = read_config(blind_run, VqaConfig)
    computed = []
    compute = outputs_module._compute

    def counting(*arguments):
        computed.append(arguments)
        compute(*arguments)

    monkeypatch.setattr(outputs_module, "_compute", counting)
    first = outputs_of(blind_run, config, QUESTIONS, {})
    second = outputs_of(blind_run, dataclasses.replace(config, threads=2), QUESTIONS, {})
    assert len(computed) == 1
    assert sorted(first.arrays) == ["fused", "question", "scores"]  # no image
    direct = compute_outputs(blind_run, QUESTIONS, {})
    for name, values in direct.arrays.items():
        assert np.array_equal(first.arrays[name], second.arrays[name])
        np.testing.assert_allclose(first.arrays[name], values, atol=1e-6)
    other = [dataclasses.replace(QUESTIONS[0], text="is it red?"), QUESTIONS[1]]
    outputs_of(blind_run, config, other, {})
    assert len(computed) == 2
    assert len(list((tmp_path / "vqa_outputs").glob("*.safetensors"))) == 2


def test_changed_images_are_answered_again(blind_run, tmp_path, monkeypatch):
    monkeypatch.setenv("CLIPNAV_CACHE", str(tmp_path))
    config = read_config(blind_run, VqaConfig)
    image = tmp_path / "1.png"
    image.write_bytes(b"one")
    keys = {outputs_module._key(blind_run, config, QUESTIONS, {1: image})}
    image.write_bytes(b"two")
    os.utime(image, (1, 1))  # a clock can give two files that follow each other the same time
    keys.add(outputs_module._key(blind_run, config, QUESTIONS, {1: image}))
    assert len(keys) == 2


def test_an_interrupted_computation_leaves_nothing(blind_run, tmp_path, monkeypatch):
    monkeypatch.setenv("CLIPNAV_CACHE", str(tmp_path))
    config = read_config(blind_run, VqaConfig)

    def interrupted(inputs, questions):
        yield np.arange(1), {"scores": torch.zeros(1, 5)}
        raise KeyboardInterrupt

    monkeypatch.setattr(outputs_module, "joint_vectors", interrupted)
    with pytest.raises(KeyboardInterrupt):
        outputs_of(blind_run, config, QUESTIONS, {})
    assert list((tmp_path / "vqa_outputs").iterdir()) == []
    with waiting_lock(tmp_path / "vqa_outputs" / "free"):
        pass
