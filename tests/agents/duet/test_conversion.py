"""Runs made from checkpoints with the names of DUET."""

import dataclasses
import re
from functools import partial

import numpy as np
import pytest
import torch

from clipnav.agents.acting.environments import make_env
from clipnav.agents.duet.building import map_features
from clipnav.agents.duet.learner import MapLearner
from clipnav.agents.duet.model import MapTransformer
from clipnav.agents.duet.network_settings import MapTransformerConfig
from clipnav.agents.duet.settings import MapTrainConfig
from clipnav.agents.experiments.runs import load_run
from clipnav.agents.settings import read_agent_config
from clipnav.storage.hugging_face import load_hugging_face_tokenizer

SIZES = MapTransformerConfig(
    hidden_size=24,
    heads=2,
    feed_forward_size=32,
    text_layers=1,
    panorama_layers=1,
    cross_layers=2,
    max_text_length=90,
    max_steps=20,
)
# Our names, and those of `map_nav_src/models/vilmodel.py`.
ORIGINAL = (
    (r"^text\.words", "embeddings.word_embeddings"),
    (r"^text\.positions", "embeddings.position_embeddings"),
    (r"^text\.norm", "embeddings.LayerNorm"),
    (r"^text\.layers\.(\d+)\.feed_forward\.inner", r"lang_encoder.layer.\1.intermediate.dense"),
    (r"^text\.layers\.(\d+)\.feed_forward\.outer", r"lang_encoder.layer.\1.output.dense"),
    (r"^text\.layers\.(\d+)\.feed_forward\.norm", r"lang_encoder.layer.\1.output.LayerNorm"),
    (r"^text\.layers", "lang_encoder.layer"),
    (r"^panorama\.features_norm", "img_embeddings.img_layer_norm"),
    (r"^panorama\.features", "img_embeddings.img_linear"),
    (r"^panorama\.directions_norm", "img_embeddings.loc_layer_norm"),
    (r"^panorama\.directions", "img_embeddings.loc_linear"),
    (r"^panorama\.types", "img_embeddings.nav_type_embedding"),
    (r"^panorama\.norm", "img_embeddings.layer_norm"),
    (r"^panorama\.final_norm", "img_embeddings.pano_encoder.norm"),
    (r"^panorama\.layers", "img_embeddings.pano_encoder.layers"),
    (r"^global_branch\.position_norm", "global_encoder.gmap_pos_embeddings.1"),
    (r"^global_branch\.position", "global_encoder.gmap_pos_embeddings.0"),
    (r"^global_branch\.steps", "global_encoder.gmap_step_embeddings"),
    (r"^global_branch\.distance", "global_encoder.sprel_linear"),
    (r"^local_branch\.position_norm", "local_encoder.vp_pos_embeddings.1"),
    (r"^local_branch\.position", "local_encoder.vp_pos_embeddings.0"),
    (r"^(global|local)_branch\.layers", r"\1_encoder.encoder.x_layers"),
    (r"\.cross\.(query|key|value)", r".visual_attention.att.\1"),
    (r"\.cross\.output", ".visual_attention.output.dense"),
    (r"\.cross\.norm", ".visual_attention.output.LayerNorm"),
    (r"\.visual\.feed_forward\.inner", ".visn_inter.dense"),
    (r"\.visual\.feed_forward\.outer", ".visn_output.dense"),
    (r"\.visual\.feed_forward\.norm", ".visn_output.LayerNorm"),
    (r"\.visual\.attention\.", ".visn_self_att."),
    (r"(\.attention|\.visn_self_att)\.(query|key|value)", r"\1.self.\2"),
    (r"(\.attention|\.visn_self_att)\.output\.", r"\1.output.dense."),
    (r"(\.attention|\.visn_self_att)\.norm", r"\1.output.LayerNorm"),
    (r"^(global|local)_head", r"\1_sap_head.net"),
    (r"^gate", "sap_fuse_linear.net"),
    (r"\.net\.inner", ".net.0"),
    (r"\.net\.norm", ".net.2"),
    (r"\.net\.outer", ".net.3"),
)


def original_name(name):
    for ours, theirs in ORIGINAL:
        name = re.sub(ours, theirs, name)
    return f"module.vln_bert.{name}"


@pytest.fixture
def network(doors_run, tiny_bert):
    """Network whose own text encoder reads the word pieces of a BERT."""
    torch.manual_seed(1)
    env = make_env(MapTrainConfig(**doors_run), "train")
    words = len(load_hugging_face_tokenizer(str(tiny_bert)))
    network = MapTransformer(SIZES, words, env.feature_store.width).eval()
    for weight in network.parameters():
        torch.nn.init.normal_(weight, std=0.3)
    return network


@pytest.fixture
def checkpoint(network, tmp_path):
    """File with the names of the original."""
    weights = {original_name(name): x.clone() for name, x in network.state_dict().items()}
    types = [weights.pop(original_name(f"{part}.type_embedding")) for part in ("text", "panorama")]
    weights["module.vln_bert.embeddings.token_type_embeddings.weight"] = torch.stack(types)
    path = tmp_path / "best_val_unseen"
    torch.save({"vln_bert": {"epoch": 3, "state_dict": weights}}, path)
    return path


@pytest.fixture
def convert(convert_agent):
    """Function that converts a checkpoint and returns the folder of the run."""
    return partial(convert_agent, "duet")


def test_a_converted_run_scores_actions_as_the_checkpoint(network, checkpoint, convert):
    run = convert(checkpoint)
    env, agent = load_run(run, "val_unseen")
    model = agent.model
    assert model.config.text_layers == SIZES.text_layers
    tokens = torch.from_numpy(env.split.tokens[:4, :30]).long()
    with torch.inference_mode():
        expected, found = network.text((tokens - 1).clamp_min(0)), model.text(tokens)
        real = found.mask
        torch.testing.assert_close(found.states[real], expected.states[real], atol=1e-5, rtol=0)
        views = map_features(env, "cpu").gather(np.arange(3), np.arange(3))
        torch.testing.assert_close(model.panorama(views)[1], network.panorama(views)[1])
    own = network.state_dict()
    for name, weight in model.state_dict().items():
        if not name.startswith("text."):
            assert torch.equal(weight, own[name]), name


def test_a_converted_run_is_evaluated_and_fine_tuned(checkpoint, convert, run_command, doors_run):
    run = convert(checkpoint)
    assert "map agent" in run_command("evaluate-agent", run, "--splits", "val_unseen")
    env, agent = load_run(run, "val_unseen")
    config = read_agent_config(run)
    assert isinstance(config, MapTrainConfig)
    learner = MapLearner(dataclasses.replace(config, output=None, start_from=run))
    for name, weight in learner.model.state_dict().items():
        assert torch.equal(weight, agent.model.state_dict()[name]), name
    assert env.tokenizer == learner.env.tokenizer


def test_an_existing_run_is_kept(checkpoint, convert):
    run = convert(checkpoint)
    before = (run / "model.safetensors").read_bytes()
    (run / "config.json").unlink()  # what is left could be the weights of another model
    with pytest.raises(FileExistsError, match="already exists; name another one"):
        convert(checkpoint)
    assert (run / "model.safetensors").read_bytes() == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w.pop("module.vln_bert.embeddings.LayerNorm.bias"), "LayerNorm.bias is missing"),
        (lambda w: w.update({"module.vln_bert.extra": torch.zeros(1)}), "extra is not a weight"),
        (
            lambda w: w.update(
                {"module.vln_bert.img_embeddings.img_linear.weight": torch.ones(24, 7)}
            ),
            "reads features of width 7",
        ),
    ],
    ids=["missing", "unknown", "other features"],
)
def test_weights_that_do_not_fit_are_named(checkpoint, convert, change, message, tmp_path):
    content = torch.load(checkpoint, weights_only=True)
    change(content["vln_bert"]["state_dict"])
    torch.save(content, tmp_path / "changed")
    with pytest.raises(ValueError, match=message):
        convert(tmp_path / "changed")
    assert not (tmp_path / "duet").exists()


def test_heads_must_divide_the_width(checkpoint, convert):
    with pytest.raises(ValueError, match="--heads 5: must divide the width 24"):
        convert(checkpoint, "--heads", "5")
