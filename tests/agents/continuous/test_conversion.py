"""Released CMA agents: the forward pass of their original layers, with the original names."""

import gzip
import json

import numpy as np
import pytest
import torch
from torch.nn import functional

from clipnav.agents.continuous.conversion import ReleasedColours, convert_cma_run, without_marks
from clipnav.agents.continuous.image_networks import ColourNetwork, DdppoDepthNetwork
from clipnav.agents.continuous.networks import DdppoCells, Steps
from clipnav.agents.continuous.tasks import load_continuous_run
from tests.habitat_checkpoints import save_checkpoint

WORDS = ["<pad>", "<unk>", "walk", "left", "stop", "zebra"]
TEXT, STATE, RGB, DEPTH, WORD = 6, 8, 10, 12, 5


def released_weights():
    """Random weights with VLN-CE's names and shapes, at small sizes."""
    generator = torch.Generator().manual_seed(0)

    def draw(*shape):
        return 0.3 * torch.randn(*shape, generator=generator)

    weights = {
        "net.instruction_encoder.embedding_layer.weight": draw(len(WORDS), WORD),
        "net.prev_action_embedding.weight": draw(5, 32),
        "net._scale": torch.tensor((STATE // 2) ** -0.5),
    }
    lstm = torch.nn.LSTM(WORD, TEXT, bidirectional=True)
    shapes = {
        f"net.instruction_encoder.encoder_rnn.{n}": w.shape for n, w in lstm.named_parameters()
    }
    inputs = {"state_encoder": RGB + DEPTH + 32, "second_state_encoder": STATE}
    for name, size in inputs.items():
        gru = torch.nn.GRU(size, STATE)
        shapes |= {f"net.{name}.rnn.{n}": w.shape for n, w in gru.named_parameters()}
    for name, shape in {
        "net.rgb_linear.2": (RGB, 2048 + 64),
        "net.depth_linear.1": (DEPTH, (128 + 64) * 16),
        "net.rgb_kv": (STATE // 2 + RGB, 2048 + 64, 1),
        "net.depth_kv": (STATE // 2 + DEPTH, 128 + 64, 1),
        "net.state_q": (STATE // 2, STATE),
        "net.text_k": (STATE // 2, 2 * TEXT, 1),
        "net.text_q": (STATE // 2, 2 * TEXT),
        "net.second_state_compress.0": (STATE, STATE + 2 * TEXT + RGB + DEPTH + 32),
        "net.progress_monitor": (1, STATE),
        "action_distribution.linear": (4, STATE),
    }.items():
        shapes |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    shapes |= {
        f"net.{kind}_encoder.spatial_embeddings.weight": (16, 64) for kind in ("rgb", "depth")
    }
    weights |= {name: draw(*shape) for name, shape in shapes.items()}
    torch.manual_seed(1)
    for prefix, network in (
        ("net.depth_encoder.visual_encoder.", DdppoDepthNetwork()),
        ("net.rgb_encoder.cnn.", ColourNetwork()),
    ):
        weights |= {prefix + name: one for name, one in network.state_dict().items()}
    return weights


def original_step(weights, ids, rgb, depth, previous):
    """Return the logits of the first step, written from the layers of VLN-CE's `CMANet`.

    Args:
        ids: (L,) words.
        rgb: (2048, 4, 4) features.
        depth: (128, 4, 4) features.
        previous: Index of the embedding of the previous action.
    """
    w = {name.removeprefix("net."): tensor for name, tensor in weights.items()}

    def linear(name, x):
        return functional.linear(x, w[f"{name}.weight"].squeeze(-1), w[f"{name}.bias"])

    def recurrent(kind, prefix, size, x, **options):
        layer = kind(x.shape[-1], size, **options)
        layer.load_state_dict({k: w[f"{prefix}.{k}"] for k, _ in layer.named_parameters()})
        return layer(x[:, None])[0][:, 0]

    def attention(query, keys, values):
        return (keys @ query * w["_scale"]).softmax(0) @ values

    words = w["instruction_encoder.embedding_layer.weight"][ids]
    text = recurrent(
        torch.nn.LSTM, "instruction_encoder.encoder_rnn", TEXT, words, bidirectional=True
    )
    cells = {}
    for kind, seen in (("rgb", rgb), ("depth", depth)):
        positions = w[f"{kind}_encoder.spatial_embeddings.weight"].view(-1, 4, 4)
        cells[kind] = torch.cat([seen, positions]).flatten(1)
    action = w["prev_action_embedding.weight"][previous]
    rgb_in = linear("rgb_linear.2", cells["rgb"].mean(1)).relu()
    depth_in = linear("depth_linear.1", cells["depth"].flatten()).relu()
    first = torch.cat([rgb_in, depth_in, action])
    state = recurrent(torch.nn.GRU, "state_encoder.rnn", STATE, first[None])[0]
    read = attention(linear("state_q", state), linear("text_k", text), text)
    query, seen = linear("text_q", read), []
    for kind in ("rgb", "depth"):
        both = linear(f"{kind}_kv", cells[kind].T)
        seen.append(attention(query, both[:, : STATE // 2], both[:, STATE // 2 :]))
    joined = torch.cat([state, read, *seen, action])
    joined = linear("second_state_compress.0", joined).relu()
    final = recurrent(torch.nn.GRU, "second_state_encoder.rnn", STATE, joined[None])[0]
    return functional.linear(
        final, w["action_distribution.linear.weight"], w["action_distribution.linear.bias"]
    )


@pytest.fixture(scope="module")
def converted(tmp_path_factory):
    """Folder of a converted run, and the released weights."""
    folder, weights = tmp_path_factory.mktemp("released"), released_weights()
    settings = {"MODEL": {"policy_name": "CMAPolicy", "PROGRESS_MONITOR": {"use": True}}}
    save_checkpoint(folder / "CMA.pth", weights, settings, epoch=3, step_id=10)
    record = {
        **{"episode_id": 1, "trajectory_id": 1, "scene_id": "mp3d/a/a.glb"},
        **{"start_position": [0, 0, 0], "start_rotation": [0, 0, 0, 1]},
        "instruction": {"instruction_text": "walk left", "instruction_tokens": [2, 3]},
    }
    document = {"episodes": [record], "instruction_vocab": {"word_list": WORDS}}
    episodes = folder / "val_unseen.json.gz"
    episodes.write_bytes(gzip.compress(json.dumps(document).encode()))
    convert_cma_run(folder / "CMA.pth", folder / "run", episodes)
    return folder / "run", weights


def test_a_converted_agent_computes_what_the_original_does(converted):
    run, weights = converted
    task, walker = load_continuous_run(run)
    network = walker._network
    assert isinstance(network.depth, DdppoCells)
    torch.manual_seed(2)
    rgb, depth = torch.rand(2048, 4, 4), torch.rand(256, 256)
    with torch.no_grad():
        cells = network.depth(depth[None, None])[0, 0].T.reshape(128, 4, 4)
        marked = np.array([task.tokenizer.encode("Walk left zebra", 10)])
        ids = torch.from_numpy(without_marks(marked, task.tokenizer)).long()
        assert [task.tokenizer.words[k] for k in ids[0, :3]] == ["walk", "left", "zebra"]
        steps = Steps(rgb.flatten(1).T[None, None], depth[None, None], torch.tensor([[2]]))
        output = network(network.text(ids), steps, network.first_state(1))
        expected = original_step(weights, [2, 3, 5], rgb, cells, 2)
    torch.testing.assert_close(output.logits[0, 0], expected, atol=1e-5, rtol=1e-5)


def test_colours_are_not_normalised_and_pooled_to_4_by_4(converted):
    run, weights = converted
    encoder = ReleasedColours.load(run / "colours.safetensors")
    image = np.random.default_rng(0).integers(0, 256, (1, 224, 224, 3), dtype=np.uint8)
    network = ColourNetwork().eval()
    prefix = "net.rgb_encoder.cnn."
    own = {n.removeprefix(prefix): w for n, w in weights.items() if n.startswith(prefix)}
    network.load_state_dict(own)
    x = torch.from_numpy(image).permute(0, 3, 1, 2) / 255.0
    with torch.no_grad():
        for part in network.children():
            x = part(x)
    expected = functional.adaptive_avg_pool2d(x, 4).permute(0, 2, 3, 1)
    np.testing.assert_allclose(encoder.grid(image), expected, atol=1e-5)
