"""The network against recorded outputs of HAMT's own code at a tiny size."""

import dataclasses

import pytest
import torch

from clipnav.agents.hamt.conversion import convert_hamt
from clipnav.agents.hamt.model import History, HistoryTransformer, StepInputs, ViewInputs
from clipnav.agents.hamt.settings import HistoryTransformerConfig, history_preset
from clipnav.agents.transformer.released import load_strictly, read_released
from clipnav.agents.transformer.text import TextStates

OUTPUT = 2e-5  # tolerance of the golden data
FILES = ["duet_hamt", "duet_hamt_no_lang_ca"]


class Recorded:
    """A network of the original, its inputs and its outputs."""

    def __init__(self, name, golden):
        file = golden(f"{name}.json")
        self.tensors, self.steps = golden(f"{name}.safetensors"), file["steps"]
        config = file["config"]
        self.updates = not config["no_lang_ca"]
        self.model = HistoryTransformer(
            HistoryTransformerConfig(
                hidden_size=config["hidden_size"],
                heads=config["num_attention_heads"],
                feed_forward_size=config["intermediate_size"],
                text_layers=config["num_l_layers"],
                panorama_layers=config["num_h_pano_layers"],
                cross_layers=config["num_x_layers"],
                max_text_length=config["max_position_embeddings"],
                max_steps=config["max_action_steps"],
                language_attention=self.updates,
            ),
            config["vocab_size"],
            config["image_feat_size"],
            config["angle_feat_size"],
        ).eval()
        self.weights = {
            key.removeprefix("weight."): value
            for key, value in self.tensors.items()
            if key.startswith("weight.")
        }
        load_strictly(self.model, convert_hamt(self.weights), name)

    def __getitem__(self, name):
        return self.tensors[name]

    def text(self):
        """Return the text encoded by our network, with the recorded padding."""
        states = self.model.text(self["input.txt_ids"]).states
        return self.model.keys_and_values(TextStates(states, self["input.txt_masks"]))

    def past(self, first, last):
        """Return the steps of all episodes from a first to before a last step, in that order."""
        names = ("img_feats", "ang_feats", "pano_img_feats", "pano_ang_feats")
        parts = [
            torch.cat([self[f"input.step{step}.hist_{name}"] for step in range(first, last)])
            for name in names
        ]
        rows = len(parts[0]) // (last - first)
        return StepInputs(*parts, torch.arange(first, last).repeat_interleave(rows))

    def state(self, step):
        """Return the recorded history before a step, and what the agents see."""
        mask = self[f"input.step{step}.hist_masks"]
        start = self["output.history_cls"].expand(len(mask), -1)
        tokens = [start, *(self[f"output.step{number}.history"] for number in range(step))]
        names = ("ob_img_feats", "ob_ang_feats", "ob_nav_types", "ob_masks")
        parts = [self[f"input.step{step}.{name}"] for name in names]
        return History(torch.stack(tokens, 1), mask), ViewInputs(*parts, parts[0].shape[1])


@pytest.fixture(scope="module", params=FILES)
def recorded(request, golden):
    return Recorded(request.param, golden)


def assert_close(found, expected):
    torch.testing.assert_close(found, expected, atol=OUTPUT, rtol=0)


@torch.no_grad()
def test_the_text_equals_the_original(recorded):
    real = recorded["input.txt_masks"]
    text = recorded.text()
    assert_close(text.states.states[real], recorded["output.txt_embeds.0"][real])
    if recorded.updates:
        return
    for number, layer in enumerate(recorded.model.layers):
        found = layer.language(text.states.states, text.bias)
        assert_close(found[real], recorded[f"output.txt_embeds.{number + 1}"][real])


@torch.no_grad()
def test_history_tokens_of_all_steps_at_once_equal_the_original(recorded):
    model = recorded.model
    assert_close(model.history.start_tokens(1), recorded["output.history_cls"])
    together = model.step_tokens(recorded.past(0, recorded.steps))
    parts = together.split(len(recorded["output.step0.history"]))
    for step, found in enumerate(parts):
        assert_close(found, recorded[f"output.step{step}.history"])


@torch.no_grad()
def test_all_tokens_and_scores_equal_the_original(recorded):
    text = recorded.text()
    real_words = recorded["input.txt_masks"]
    for step in range(recorded.steps):
        history, views = recorded.state(step)
        scores = recorded.model.score(text, history, views)
        expected = recorded[f"output.step{step}.act_logits"]
        possible = expected > -torch.inf
        assert torch.equal(scores.actions > -torch.inf, possible)
        assert_close(scores.actions[possible], expected[possible])
        words, tokens = recorded.model.encode(text, history, views)
        count = views.types.shape[1]
        past = torch.cat([tokens[:, :1], tokens[:, 1 + count :]], 1)
        observed = tokens[:, 1 : 1 + count]
        hidden = past[:, 0] * words[:, 0] if recorded.updates else past[:, 0]
        assert_close(scores.hidden, hidden)
        output = f"output.step{step}"
        assert_close(past[history.mask], recorded[f"{output}.hist_embeds"][history.mask])
        assert_close(observed[views.mask], recorded[f"{output}.ob_embeds"][views.mask])
        if recorded.updates:
            assert_close(words[real_words], recorded[f"{output}.txt_embeds"][real_words])


@torch.no_grad()
def test_leading_actions_have_the_scores_that_they_have_among_all_views(recorded):
    history, views = recorded.state(recorded.steps - 1)
    order = (views.types == 0).int().argsort(dim=1, stable=True)  # actions first
    actions = int((views.types > 0).sum(1).max())
    moved = [
        x.gather(1, order.reshape(*order.shape, *[1] * (x.dim() - 2)).expand_as(x))
        for x in (views.features, views.angles, views.types, views.mask)
    ]
    text = recorded.text()
    whole = recorded.model.score(text, history, views).actions.gather(1, order)[:, :actions]
    found = recorded.model.score(text, history, ViewInputs(*moved, actions))
    assert_close(found.actions, whole)


def test_files_of_the_training_programs_are_read(recorded, tmp_path):
    agent = {f"module.vln_bert.{name}": value for name, value in recorded.weights.items()}
    torch.save({"vln_bert": {"epoch": 1, "state_dict": agent}}, tmp_path / "best_val_unseen")
    read, expected = (
        read_released(tmp_path / "best_val_unseen", convert_hamt, "HAMT"),
        convert_hamt(recorded.weights),
    )
    assert read.keys() == expected.keys()
    assert all(torch.equal(read[name], expected[name]) for name in expected)


@pytest.mark.parametrize(
    ("recipe", "words", "positions", "published"),
    [("hamt-r2r", 30_522, 512, 170_431_489), ("hamt-rxr", 250_002, 514, 338_403_841)],
)
def test_published_sizes_have_the_published_number_of_weights(recipe, words, positions, published):
    config = dataclasses.replace(
        history_preset("r2r", "matterport", recipe).network,
        text_model=None,
        text_model_layers=None,
        max_text_length=positions,
    )
    width = 768 if recipe == "hamt-r2r" else 512
    with torch.device("meta"):
        model = HistoryTransformer(config, words, width, 4)
    assert sum(weight.numel() for weight in model.parameters()) == published
