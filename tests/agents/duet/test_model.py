"""The network against rollouts, gradients and losses of DUET's own code at a tiny size."""

import copy
import dataclasses
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from torch.nn import functional

from clipnav.agents.duet.conversion import convert_duet
from clipnav.agents.duet.learner import known_paths
from clipnav.agents.duet.memory import PanoramaMemory, WorldFeatures, encode_panoramas
from clipnav.agents.duet.model import MapTransformer
from clipnav.agents.duet.pretraining_model import PretrainingModel
from clipnav.agents.duet.settings import MapTransformerConfig
from clipnav.agents.duet.states import map_state
from clipnav.agents.maps.topological_maps import TopologicalMaps
from clipnav.agents.transformer.released import load_strictly
from clipnav.envs.graphs.candidates import start_views
from clipnav.envs.navigation.references import path_views
from clipnav.envs.tokenizers import PretrainedTokenizer
from clipnav.storage.features.view_grid import NUM_HEADINGS, STEP

OUTPUT, GRADIENT = 2e-5, 1e-3  # tolerances of the golden data
LEAST_GRADIENT = 5e-3  # of a tensor; float32 rounds golden gradients that a softmax cancels
ROLLOUTS = ["duet_teacher", "duet_argmax", "duet_sample"]


def config_of(golden):
    return MapTransformerConfig(
        hidden_size=golden["hidden_size"],
        heads=golden["num_attention_heads"],
        feed_forward_size=golden["intermediate_size"],
        text_layers=golden["num_l_layers"],
        panorama_layers=golden["num_pano_layers"],
        cross_layers=golden["num_x_layers"],
        max_text_length=golden["max_position_embeddings"],
        max_steps=golden["max_action_steps"],
    )


@pytest.fixture(scope="module")
def model(golden):
    config = golden("duet_teacher.json")["config"]
    network = MapTransformer(config_of(config), config["vocab_size"], config["image_feat_size"])
    load_strictly(network, convert_duet(golden("duet_weights.safetensors")), "duet_weights")
    return network.eval()


def view_of(obs):
    band = round(obs["elevation"] / STEP) + 1
    return NUM_HEADINGS * band + round(obs["heading"] / STEP) % NUM_HEADINGS


class Rollout:
    """A golden rollout, walked again with our maps."""

    def __init__(self, name, golden, geometry_of):
        self.json, self.tensors = golden(f"{name}.json"), golden(f"{name}.safetensors")
        self.scans = [item["scan"] for item in self.json["items"]]
        self.geometry = geometry_of(*sorted(set(self.scans)))
        world = self.geometry.world
        names = [n for n in self.tensors if n.startswith("features.")]
        size = self.tensors[names[0]].shape[1]
        features = torch.zeros(len(world), 36, size)
        for node, viewpoint in enumerate(world.viewpoint_ids):
            if f"features.{viewpoint}" in self.tensors:
                features[node] = self.tensors[f"features.{viewpoint}"]
        self.features = WorldFeatures(self.geometry, features)
        self.maps = TopologicalMaps(self.geometry, len(self.scans))
        self.panoramas = np.full((len(self.scans), len(world)), -1)
        self.memory = PanoramaMemory()

    def live(self, number):
        """Return the rows that have not ended before a step."""
        return np.flatnonzero(~np.array(self.json["steps"][number]["ended"]))

    def places(self, number):
        rows = self.live(number)
        obs = [self.json["steps"][number]["obs"][row] for row in rows]
        world = self.geometry.world
        nodes = [
            world.node(self.scans[row], o["viewpoint"]) for row, o in zip(rows, obs, strict=True)
        ]
        return rows, np.array(nodes), np.array([view_of(o) for o in obs])

    def state(self, number, model):
        """Encode the panoramas of a step and return its rows and state."""
        rows, nodes, views = self.places(number)
        self.maps.visit(rows, nodes)
        index = encode_panoramas(model, self.features, self.memory, nodes, views)
        self.panoramas[rows, self.maps.current[rows]] = index
        return rows, map_state(self.maps, self.panoramas, rows, views)

    def steps(self):
        return [number for number in range(len(self.json["steps"])) if len(self.live(number))]

    def tensor(self, step, name, rows):
        return self.tensors[f"step{step}.{name}"][rows]

    def targets(self, step, rows):
        return torch.tensor([self.json["steps"][step]["imitation"][row] for row in rows])


@pytest.fixture(params=ROLLOUTS)
def rollout(request, golden, geometry_of):
    return Rollout(request.param, golden, geometry_of)


def close(ours, golden, mask=None, tolerance=OUTPUT):
    """Check that finite numbers agree and the same ones are infinite; return the difference."""
    ours, golden = ours.detach(), golden[..., : ours.shape[-1]] if mask is None else golden
    if mask is not None:
        ours, golden = ours[mask], golden[mask]
    assert torch.equal(torch.isfinite(ours), torch.isfinite(golden))
    finite = torch.isfinite(golden)
    worst = float((ours[finite] - golden[finite]).abs().max()) if finite.any() else 0.0
    assert worst <= tolerance
    return worst


def test_texts_equal_the_original(rollout, model):
    tokens = rollout.tensors["language.txt_ids"]
    mask = rollout.tensors["language.txt_masks"]
    text = model.text(tokens)
    assert torch.equal(text.mask, mask)
    print(f"text: {close(text.states, rollout.tensors['language.out.txt_embeds'], mask):.1e}")


def test_inputs_of_every_step_equal_the_original(rollout, model):
    with torch.no_grad():
        for step in rollout.steps():
            rows, state = rollout.state(step, model)
            json = rollout.json["steps"][step]
            inputs = rollout.features.gather(state.viewpoints, state.views)
            width = inputs.mask.shape[1]
            assert torch.equal(inputs.mask.sum(1), rollout.tensor(step, "panorama.view_lens", rows))
            for ours, name in (
                (inputs.features, "view_img_fts"),
                (inputs.directions, "loc_fts"),
                (inputs.types, "nav_types"),
            ):
                close(ours, rollout.tensor(step, f"panorama.{name}", rows)[:, :width], inputs.mask)
            real = rollout.tensor(step, "panorama.out.pano_masks", rows)
            assert torch.equal(inputs.mask, real[:, :width])
            assert not real[:, width:].any()
            tokens, _ = model.panorama(inputs)
            encoded = rollout.tensor(step, "panorama.out.pano_embeds", rows)[:, :width]
            close(tokens, encoded, inputs.mask)

            nodes, views = rollout.memory.inputs(
                state, rollout.panoramas[rows, rollout.maps.current[rows]]
            )
            world, size = rollout.geometry.world, state.tokens.slots.shape[1]
            for number, row in enumerate(rows):
                slots = state.tokens.slots[number, state.tokens.mask[number]]
                ids = [
                    None if s < 0 else world.viewpoint_ids[rollout.maps.nodes[row, s]]
                    for s in slots
                ]
                assert ids == json["gmap_vpids"][row]

            def golden(name, rows=rows, step=step):
                return rollout.tensor(step, f"navigation.{name}", rows)

            real = nodes.mask
            assert torch.equal(real, golden("gmap_masks")[:, :size])
            assert torch.equal(nodes.forbidden, golden("gmap_visited_masks")[:, :size])
            assert torch.equal(nodes.steps[real], golden("gmap_step_ids")[:, :size][real])
            close(nodes.features, golden("gmap_img_embeds")[:, :size], real)
            close(nodes.positions, golden("gmap_pos_fts")[:, :size], real)
            pairs = real[:, :, None] & real[:, None]
            close(nodes.distances, golden("gmap_pair_dists")[:, :size, :size], pairs)
            view_mask = functional.pad(views.mask, (1, 0), value=True)
            wide = view_mask[:, : golden("vp_masks").shape[1]]
            assert torch.equal(wide, golden("vp_masks")[:, : wide.shape[1]])
            close(
                views.positions[:, : wide.shape[1]], golden("vp_pos_fts")[:, : wide.shape[1]], wide
            )


def test_scores_of_every_step_equal_the_original(rollout, model):
    worst = {}
    with torch.no_grad():
        text = model.read(rollout.tensors["language.txt_ids"])
        for step in rollout.steps():
            rows, state = rollout.state(step, model)
            nodes, views = rollout.memory.inputs(
                state, rollout.panoramas[rows, rollout.maps.current[rows]]
            )
            scores = model.score(text.rows(torch.from_numpy(rows)), nodes, views)
            for name, ours in (
                ("fused_logits", scores.decision),
                ("global_logits", scores.global_scores),
                ("local_logits", scores.local_scores),
            ):
                theirs = rollout.tensor(step, f"navigation.out.{name}", rows)
                worst[name] = max(worst.get(name, 0.0), close(ours, theirs))
    print({name: f"{value:.1e}" for name, value in worst.items()})


def step_by_step_loss(rollout, model):
    text = model.read(rollout.tensors["language.txt_ids"])
    loss = torch.zeros(())
    for step in rollout.steps():
        rows, state = rollout.state(step, model)
        inputs = rollout.memory.inputs(state, rollout.panoramas[rows, rollout.maps.current[rows]])
        scores = model.score(text.rows(torch.from_numpy(rows)), *inputs)
        targets = rollout.targets(step, rows)
        loss = loss + functional.cross_entropy(scores.decision, targets, reduction="sum")
    return loss / len(rollout.scans)


def scores_of_whole_paths(rollout, model):
    """Return the paths of a rollout, and the scores of all decisions in one forward pass."""
    world, items = rollout.geometry.world, rollout.json["items"]
    longest = max(len(item["path"]) for item in items)
    nodes = np.full((len(items), longest), -1)
    for row, item in enumerate(items):
        path = [world.node(item["scan"], viewpoint) for viewpoint in item["path"]]
        nodes[row, : len(path)] = path
    views = path_views(world, nodes, start_views(np.array([item["heading"] for item in items])))
    paths = known_paths(rollout.geometry, nodes, views)
    inputs = paths.encode(model, rollout.features)
    text = model.read(rollout.tensors["language.txt_ids"]).rows(torch.from_numpy(paths.state.rows))
    scores = model.score(text, *inputs)
    return paths, scores


def whole_path_loss(rollout, model):
    """Return the loss of all decisions in one forward pass, from the paths alone."""
    paths, scores = scores_of_whole_paths(rollout, model)
    # The recorded rollout has a limit of decisions, which a longer path exceeds.
    targets = np.where(paths.steps < rollout.json["max_action_len"], paths.targets, -100)
    total = functional.cross_entropy(scores.decision, torch.from_numpy(targets), reduction="sum")
    return total / len(rollout.scans)


@contextmanager
def precise(model, monkeypatch):
    """Give a network in float64; rounding in float32 makes errors up to the tolerance."""

    def as_double(part, inputs):
        return tuple(x.double() if is_float(x) else x for x in inputs)

    def is_float(x):
        return torch.is_tensor(x) and x.is_floating_point()

    monkeypatch.setattr(torch.Tensor, "float", torch.Tensor.double)
    network = copy.deepcopy(model).double()
    for part in network.modules():
        part.register_forward_pre_hook(as_double)
    torch.set_default_dtype(torch.float64)
    try:
        yield network
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.fixture
def precise_model(model, monkeypatch):
    with precise(model, monkeypatch) as network:
        yield network


@pytest.mark.parametrize("loss_of", [step_by_step_loss, whole_path_loss])
def test_teacher_loss_and_gradients_equal_the_original(loss_of, precise_model, golden, geometry_of):
    rollout = Rollout("duet_teacher", golden, geometry_of)
    loss = loss_of(rollout, precise_model)
    loss.backward()
    assert loss.item() == pytest.approx(rollout.json["loss"], abs=OUTPUT)
    expected = convert_duet(golden("duet_teacher_gradients.safetensors"))
    worst = 0.0
    for name, parameter in precise_model.named_parameters():
        gradient = parameter.grad if parameter.grad is not None else torch.zeros_like(parameter)
        theirs = expected.pop(name, torch.zeros_like(parameter))
        largest = max(float(theirs.abs().max()), LEAST_GRADIENT)
        worst = max(worst, float((gradient - theirs).abs().max()) / largest)
    assert not expected
    print(f"loss: {abs(loss.item() - rollout.json['loss']):.1e}, gradients: {worst:.1e}")
    assert worst < GRADIENT


SMALL = {
    "hidden_size": 16,
    "heads": 2,
    "feed_forward_size": 32,
    "panorama_layers": 1,
    "cross_layers": 1,
    "max_steps": 8,
    "dropout": 0.0,
}


@pytest.fixture
def tokens(tiny_bert):
    tokenizer = PretrainedTokenizer(str(tiny_bert))
    sentences = ["Go to the red door.", "The blue one."]
    return torch.stack([torch.from_numpy(tokenizer.encode(text, 12)) for text in sentences]).long()


def test_the_first_layers_of_a_text_model_are_kept(tiny_bert, tmp_path, tokens):
    from transformers import AutoConfig, BertModel

    sizes = AutoConfig.from_pretrained(tiny_bert)
    sizes.num_hidden_layers = 3
    whole = BertModel(sizes).eval()
    whole.save_pretrained(tmp_path)
    # The text encoder without a text model, such as that of a preset, has no effect.
    config = MapTransformerConfig(
        **SMALL, text_model=str(tmp_path), text_model_layers=2, text_encoder="lstm"
    )
    model = MapTransformer(config, 0, 4).eval()
    ids, mask = (tokens - 1).clamp_min(0), (tokens != 0).long()
    states = whole(ids, attention_mask=mask, output_hidden_states=True).hidden_states[2]
    read = model.read(tokens).states
    expected = model.text.projection(states)
    torch.testing.assert_close(read.states[read.mask], expected[read.mask])
    assert "2 layers" in model.architecture["text"]
    with pytest.raises(ValueError, match="3 layers, so 4"):
        MapTransformer(dataclasses.replace(config, text_model_layers=4), 0, 4)


def test_masked_words_require_the_width_of_the_text_model(tiny_bert):
    config = MapTransformerConfig(**SMALL, text_model=str(tiny_bert))
    with pytest.raises(ValueError, match=r"--network.hidden-size"):
        PretrainingModel(MapTransformer(config, 0, 4))


def test_instructions_beyond_the_table_of_positions_are_refused(tokens):
    config = MapTransformerConfig(**SMALL, text_layers=1, max_text_length=4)
    with pytest.raises(ValueError, match=r"--network.max-text-length"):
        MapTransformer(config, int(tokens.max()) + 1, 4).read(tokens)


@pytest.mark.parametrize(
    ("positions", "vocabulary", "features", "weights"),
    [(512, 30_522, 768, 180_489_221), (514, 250_002, 512, 348_854_789)],
    ids=["R2R with BERT's vocabulary", "RxR with XLM-R's vocabulary"],
)
def test_published_sizes_have_the_published_number_of_weights(
    positions, vocabulary, features, weights
):
    config = MapTransformerConfig(max_text_length=positions)
    with torch.device("meta"):
        model = MapTransformer(config, vocabulary, features)
    assert sum(parameter.numel() for parameter in model.parameters()) == weights
