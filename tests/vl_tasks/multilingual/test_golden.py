"""The network against outputs of the original, run in Flax with the original weights."""

import re

import pytest
import torch
from torch.nn import functional as F
from transformers import BertConfig, BertModel

from clipnav.encoders.weights.model_building import _build
from clipnav.vl_tasks.clip_vil_p.data.pair_batches import NONE, Batch
from clipnav.vl_tasks.clip_vil_p.data.pictures import Pictures
from clipnav.vl_tasks.clip_vil_p.fine_tuning import FineTunedNetwork
from clipnav.vl_tasks.clip_vil_p.networks.network import PretrainingNetwork
from clipnav.vl_tasks.clip_vil_p.networks.stream import JointStream
from clipnav.vl_tasks.clip_vil_p.networks.trunk import Trunk

TOLERANCE = {"atol": 1e-5, "rtol": 0.0}
CLIP = "embeddings/clip_vision_module/vision_model/"
# Names of the Flax modules, and ours below "trunk.visual." and "stream.".
RENAMED = (
    (r"^(model/)?" + CLIP + r"embeddings/class_embedding$", "trunk.visual.class_embedding"),
    (r"^(model/)?" + CLIP + r"embeddings/patch_embedding", "trunk.visual.conv1"),
    (r"^(model/)?" + CLIP + r"embeddings/position_embedding/embedding",
     "trunk.visual.positional_embedding"),
    (r"^(model/)?" + CLIP + r"pre_layrnorm", "trunk.visual.ln_pre"),
    (r"^(model/)?" + CLIP + r"post_layernorm", "trunk.visual.ln_post"),
    (r"^(model/)?" + CLIP + r"encoder/layers/(\d+)/", r"trunk.visual.transformer.resblocks.\2/"),
    (r"/layer_norm(\d)", r".ln_\1"),
    (r"/self_attn/", ".attn."),
    (r"/mlp/fc1", ".mlp.c_fc"),
    (r"/mlp/fc2", ".mlp.c_proj"),
    (r"^(model/)?embeddings/visual_projection", "stream.visual.project"),
    (r"^(model/)?embeddings/visual_position_embeddings", "stream.visual.rows"),
    (r"^(model/)?embeddings/visual_token_type_embeddings", "stream.visual.kind"),
    (r"^(model/)?embeddings/", "stream.bert.embeddings."),
    (r"^(model/)?encoder/", "stream.bert.encoder."),
    (r"^(model/)?pooler/dense", "stream.pooler"),
    (r"^classifier", "head.1"),
    (r"^cls/predictions/transform/dense", "words.transform"),
    (r"^cls/predictions/transform/LayerNorm", "words.norm"),
    (r"^cls/predictions/", "words."),
)  # fmt: skip


def our_weights(tensors, visual_tokens):
    """Return the original weights with our names and layouts."""
    weights = {}
    for name, tensor in tensors.items():
        if not name.startswith("weight."):
            continue
        name = name.removeprefix("weight.")
        for old, new in RENAMED:
            name = re.sub(old, new, name)
        if name.endswith("kernel"):
            tensor = tensor.permute(3, 2, 0, 1) if tensor.ndim == 4 else tensor.T
        name = re.sub(r"/(kernel|scale|embedding)$", ".weight", name).replace("/", ".")
        weights[name] = tensor
    # Rows of the tables that the original reads: type 1, and the number of visual tokens.
    weights["stream.visual.kind.weight"] = weights["stream.visual.kind.weight"][1:2]
    rows = weights["stream.visual.rows.weight"]
    weights["stream.visual.rows.weight"] = rows[visual_tokens : visual_tokens + 1]
    for name in [name for name in weights if ".attn.q_proj." in name]:
        parts = [weights.pop(name.replace("q_proj", f"{part}_proj")) for part in "qkv"]
        weights[name.replace("q_proj.", "in_proj_")] = torch.cat(parts)
    return weights


def network_of(description):
    """Return a network of the golden sizes with all heads."""
    vision = description["clip_vision_config"]
    config = {
        "embed_dim": 8,
        "quick_gelu": vision["hidden_act"] == "quick_gelu",
        "vision_cfg": {
            "image_size": vision["image_size"],
            "layers": vision["num_hidden_layers"],
            "width": vision["hidden_size"],
            "head_width": vision["hidden_size"] // vision["num_attention_heads"],
            "mlp_ratio": vision["intermediate_size"] / vision["hidden_size"],
            "patch_size": vision["patch_size"],
        },
        "text_cfg": {"context_length": 8, "vocab_size": 20, "width": 16, "heads": 2, "layers": 1},
    }
    visual = _build(config, "golden").visual
    visual.image_mean, visual.image_std = (0.0, 0.0, 0.0), (1 / 255, 1 / 255, 1 / 255)
    trunk = Trunk(visual, faithful=True, tokens=True)
    bert = BertModel(BertConfig(**description["bert_config"]), add_pooling_layer=False)
    return PretrainingNetwork(trunk, JointStream(bert, trunk.channels, 0), 0, None)


def load(network, tensors):
    """Load the original weights into the parts of the network that the golden model has."""
    vision = network.trunk.visual
    weights = our_weights(tensors, vision.positional_embedding.shape[0])
    missing, unexpected = network.load_state_dict(weights, strict=False)
    assert not unexpected
    return network.eval(), set(missing)


def pictures_of(tensors):
    pixels = tensors["input.pixel_values_b_h_w_c"].permute(0, 3, 1, 2)
    return Pictures(pixels, torch.zeros(len(pixels), 4, dtype=torch.int64))


def joined(network, tensors):
    grid, mask = network.trunk(pictures_of(tensors))
    placed = network.stream.visual.place(grid).flatten(1, 2)
    ids, words = tensors["input.input_ids"].long(), tensors["input.attention_mask"].bool()
    embedded = network.stream.embed(ids, placed)
    return embedded, network.stream.encode(ids, words, placed, mask.flatten(1))


@torch.no_grad()
def test_answers_of_the_original_classifier(golden_system):
    description, tensors = golden_system("multilingual_vqa_vqa")
    network = FineTunedNetwork(network_of(description), tensors["output.logits"].shape[1])
    network, missing = load(network, tensors)
    assert not missing
    embedded, states = joined(network, tensors)
    close = torch.testing.assert_close
    close(embedded, tensors["output.embedded_sequence"], **TOLERANCE)
    both = torch.cat([states.words, states.cells], dim=1)
    close(both, tensors["output.last_hidden"], **TOLERANCE)
    logits = network.head(states.pooled)
    close(logits, tensors["output.logits"], **TOLERANCE)
    loss = F.cross_entropy(logits, tensors["input.labels"].long())
    (expected,) = description["loss"].values()
    assert loss.item() == pytest.approx(expected, abs=1e-5)


@torch.no_grad()
def test_masked_words_of_the_original(golden_system):
    description, tensors = golden_system("multilingual_vqa_mlm")
    network, missing = load(network_of(description), tensors)
    assert {name.partition(".")[0] for name in missing} <= {"matching", "stream"}
    assert {name for name in missing if name.startswith("stream")} <= {
        "stream.pooler.weight",
        "stream.pooler.bias",
    }
    embedded, states = joined(network, tensors)
    torch.testing.assert_close(embedded, tensors["output.embedded_sequence"], **TOLERANCE)
    both = torch.cat([states.words, states.cells], dim=1)
    torch.testing.assert_close(both, tensors["output.last_hidden"], **TOLERANCE)
    table = network.stream.bert.embeddings.word_embeddings.weight
    logits = network.words(both, table)
    torch.testing.assert_close(logits, tensors["output.logits"], **TOLERANCE)
    labels = tensors["input.labels"].long()
    targets = torch.where(labels < 0, NONE, labels)
    none = torch.full((len(labels),), NONE)
    ids = tensors["input.input_ids"].long()
    scores = network.score(states, Batch(pictures_of(tensors), ids, targets, none, none))
    (expected,) = description["loss"].values()
    count = int((targets != NONE).sum())
    assert scores.losses[0].item() / count == pytest.approx(expected, abs=1e-5)
    assert scores.losses[1:].tolist() == [0.0, 0.0]
