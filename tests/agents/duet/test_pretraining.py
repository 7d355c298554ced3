"""Pre-training losses and gradients against DUET's own code at a tiny size."""

import dataclasses

import numpy as np
import pytest
import torch
from torch.nn import functional

from clipnav.agents.duet.conversion import _PRETRAINING_ONLY, convert_duet
from clipnav.agents.duet.memory import PanoramaMemory
from clipnav.agents.duet.model import MapTransformer, NodeInputs, PanoramaInputs, ViewInputs
from clipnav.agents.duet.pretraining_model import PretrainingModel, action_losses
from clipnav.agents.duet.settings import MapTransformerConfig
from clipnav.agents.duet.states import NodeSources, fusion_matrix
from clipnav.agents.transformer.released import load_strictly

OUTPUT, NORM = 2e-5, 1e-3
LEAST = 5e-3  # norm; float32 rounds smaller ones, such as those of biases that a softmax cancels


def pretraining_weights(converted):
    """Return converted weights under the names of `PretrainingModel`."""
    return {
        name if name.startswith(_PRETRAINING_ONLY) else f"network.{name}": tensor
        for name, tensor in converted.items()
    }


def make_model(golden, name="duet_pretrain"):
    config = golden(f"{name}.json")["config"]
    sizes = MapTransformerConfig(
        hidden_size=config["hidden_size"],
        heads=config["num_attention_heads"],
        feed_forward_size=config["intermediate_size"],
        text_layers=config["num_l_layers"],
        panorama_layers=config["num_pano_layers"],
        cross_layers=config["num_x_layers"],
        max_text_length=config["max_position_embeddings"],
        max_steps=config["max_action_steps"],
    )
    network = MapTransformer(
        dataclasses.replace(sizes, feature_dropout=0.0),
        config["vocab_size"],
        config["image_feat_size"],
        object_size=config.get("obj_feat_size") or None,
    )
    model = PretrainingModel(network, config["image_prob_size"])
    weights = pretraining_weights(convert_duet(golden(f"{name}_weights.safetensors")))
    if not any(key.startswith("word_head.") for key in weights):  # a model without masked words
        own = model.state_dict()
        parts = ("global_text.", "local_text.", "word_head.")
        weights |= {key: own[key] for key in own if key.startswith(parts)}
    load_strictly(model, weights, name)
    return model.eval()


@pytest.fixture
def model(golden):
    return make_model(golden)


class Batch:
    """Inputs of a task, made from the golden tensors and ids."""

    def __init__(self, task, golden, name="duet_pretrain"):
        self.json = golden(f"{name}.json")["tasks"][task]
        prefix = f"{task}."
        tensors = golden(f"{name}.safetensors")
        self.tensors = {
            n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)
        }

    def encoded(self, model):
        """Return text, nodes and views."""
        read = self.tensors
        panoramas = self.panoramas()
        mask = panoramas.mask
        memory = PanoramaMemory()
        memory.add(*model.network.panorama(panoramas), mask, self.objects_of())
        sizes = read["in.gmap_lens"]
        real = torch.arange(int(sizes.max())) < sizes[:, None]
        forbidden = read["in.gmap_visited_masks"]
        nodes = NodeInputs(
            memory.node_features(self.sources(), *real.shape),
            read["in.gmap_step_ids"],
            read["in.gmap_pos_fts"],
            read["in.gmap_pair_dists"],
            real,
            forbidden,
        )
        last = torch.tensor(np.cumsum(self.json["traj_step_lens"]) - 1)
        size = read["in.vp_pos_fts"].shape[1] - 1
        candidates = [ids[-1] for ids in self.json["traj_cand_vpids"]]
        slots = self.slots(candidates, max(map(len, candidates)))
        order = self.slots(self.json["gmap_vpids"], real.shape[1])
        views = ViewInputs(
            memory.tokens[last, :size],
            self.reordered(read["in.vp_pos_fts"]),
            mask[last, :size],
            torch.from_numpy(slots >= 0),
            torch.from_numpy(fusion_matrix(order, slots, forbidden.numpy())),
            memory.object_tokens(slots, last.numpy()),
        )
        text = model.network.read(read["in.txt_ids"])
        return text, nodes, views

    def panoramas(self):
        """Return the inputs of the panorama encoder."""
        read = self.tensors
        lengths = read["in.traj_vp_view_lens"]
        mask = torch.arange(int(lengths.max())) < lengths[:, None]
        names = ("view_img_fts", "loc_fts", "nav_types")
        return PanoramaInputs(
            *(read[f"in.traj_{name}"][:, : mask.shape[1]] for name in names), mask
        )

    def objects_of(self):
        """Return the number of objects of each panorama; None for a network without objects."""
        return None

    def reordered(self, positions):
        """Return position features of the original's tokens in the order of ours."""
        return positions

    def slots(self, ids, width):
        table = np.full((len(ids), width), -1)
        for row, names in enumerate(ids):
            order = self.json["gmap_vpids"][row]
            table[row, : len(names)] = [-1 if n is None else order.index(n) for n in names]
        return table

    def sources(self):
        visited, visited_panoramas, seen, panoramas, ranks = [], [], [], [], []
        panorama = 0
        for row, steps in enumerate(self.json["traj_cand_vpids"]):
            order, path = self.json["gmap_vpids"][row], self.json["traj_vpids"][row]
            for viewpoint, candidates in zip(path, steps, strict=True):
                visited.append((row, order.index(viewpoint)))
                visited_panoramas.append(panorama)
                for rank, candidate in enumerate(candidates):
                    if candidate not in path:
                        seen.append((row, order.index(candidate)))
                        panoramas.append(panorama)
                        ranks.append(rank)
                panorama += 1
        weights = np.array([1 / seen.count(entry) for entry in seen], np.float32)
        return NodeSources(
            np.array(visited).T,
            np.array(visited_panoramas),
            np.array(seen).T,
            np.array(panoramas),
            np.array(ranks),
            weights,
        )


def check_gradient_norms(model, batch):
    """Compare the norm of the gradient of every weight."""
    norms = {}
    for name, parameter in model.named_parameters():
        norms[name] = 0.0 if parameter.grad is None else float(parameter.grad.norm())
    expected = {}
    for old, norm in batch.json["grad_norm"].items():
        if "token_type" in old:
            continue
        expected |= pretraining_weights(convert_duet({old: torch.tensor(norm)}))
    worst = 0.0
    for name, norm in norms.items():
        if name.endswith(".type_embedding"):
            continue
        theirs = float(expected.pop(name, 0.0))
        worst = max(worst, abs(norm - theirs) / max(theirs, LEAST))
    assert not expected
    types = [norms[f"network.{part}.type_embedding"] for part in ("text", "panorama")]
    both = batch.json["grad_norm"]["bert.embeddings.token_type_embeddings.weight"]
    assert np.hypot(*types) == pytest.approx(both, rel=NORM)
    assert worst < NORM
    return worst


def check(name, ours, golden, tolerance=OUTPUT):
    assert torch.equal(torch.isfinite(ours), torch.isfinite(golden))
    finite = torch.isfinite(golden)
    worst = float((ours[finite] - golden[finite]).abs().max())
    print(f"{name}: {worst:.1e}")
    assert worst <= tolerance


def test_masked_word_losses_equal_the_original(model, golden):
    batch = Batch("mlm", golden)
    inputs = batch.encoded(model)
    targets = batch.tensors["in.txt_labels"]
    with torch.no_grad():
        logits = model.word_logits(*inputs, targets != -1)
    check("word logits", logits, batch.tensors["out.prediction_scores"])
    logits = model.word_logits(*inputs, targets != -1)
    losses = functional.cross_entropy(logits, targets[targets != -1], reduction="none")
    check("word losses", losses.detach(), batch.tensors["out.loss"])
    losses.mean().backward()
    print(f"gradient norms: {check_gradient_norms(model, batch):.1e}")


def test_masked_view_losses_equal_the_original(model, golden):
    batch = Batch("mrc", golden)
    text, _, views = batch.encoded(model)
    masked = batch.tensors["in.vp_view_mrc_masks"]
    with torch.no_grad():
        check("classes", model.class_logits(text, views, masked), batch.tensors["out.view_scores"])
    losses = model.masked_view_losses(text, views, masked, batch.tensors["in.vp_view_probs"])
    check("view losses", losses.detach(), batch.tensors["out.loss"])
    losses.mean().backward()
    print(f"gradient norms: {check_gradient_norms(model, batch):.1e}")


def test_action_losses_equal_the_original(model, golden):
    batch = Batch("sap", golden)
    scores = model.network.score(*batch.encoded(model))
    read = batch.tensors
    for name, ours in (
        ("fused_logits", scores.decision),
        ("global_logits", scores.global_scores),
        ("local_logits", scores.local_scores),
    ):
        check(name, ours.detach(), read[f"out.{name}"][:, : ours.shape[1]])
    losses = action_losses(scores, read["in.global_act_labels"], read["in.local_act_labels"])
    check("action losses", losses.total.detach(), read["out.loss"])
    losses.total.mean().backward()
    print(f"gradient norms: {check_gradient_norms(model, batch):.1e}")
