"""Runs made from checkpoints with the names of HAMT."""

import dataclasses
import pickle
import re
from functools import partial

import pytest
import torch

from clipnav.agents.acting.environments import make_env
from clipnav.agents.experiments.runs import load_run
from clipnav.agents.hamt.learner import HistoryLearner
from clipnav.agents.hamt.model import HistoryTransformer
from clipnav.agents.hamt.settings import HistoryTrainConfig, HistoryTransformerConfig
from clipnav.agents.settings import read_agent_config
from clipnav.storage.hugging_face import load_hugging_face_tokenizer

SIZES = HistoryTransformerConfig(
    hidden_size=24,
    heads=2,
    feed_forward_size=32,
    text_layers=1,
    panorama_layers=1,
    cross_layers=2,
    max_text_length=90,
    max_steps=20,
)
# Our names, and those of `finetune_src/models/vilmodel_cmt.py`.
ORIGINAL = (
    (r"^text\.words", "embeddings.word_embeddings"),
    (r"^text\.positions", "embeddings.position_embeddings"),
    (r"^text\.norm", "embeddings.LayerNorm"),
    (r"^text\.layers", "encoder.layer"),
    (r"^layers", "encoder.x_layers"),
    (r"\.language\.feed_forward\.inner", ".lang_inter.dense"),
    (r"\.language\.feed_forward\.outer", ".lang_output.dense"),
    (r"\.language\.feed_forward\.norm", ".lang_output.LayerNorm"),
    (r"\.language\.attention", ".lang_self_att"),
    (r"\.visual\.feed_forward\.inner", ".visn_inter.dense"),
    (r"\.visual\.feed_forward\.outer", ".visn_output.dense"),
    (r"\.visual\.feed_forward\.norm", ".visn_output.LayerNorm"),
    (r"\.visual\.attention", ".visn_self_att"),
    (r"\.cross\.(query|key|value)", r".visual_attention.att.\1"),
    (r"\.cross\.output", ".visual_attention.output.dense"),
    (r"\.cross\.norm", ".visual_attention.output.LayerNorm"),
    (r"^history\.layers", "hist_embeddings.pano_encoder.layer"),
    (r"\.feed_forward\.inner", ".intermediate.dense"),
    (r"\.feed_forward\.outer", ".output.dense"),
    (r"\.feed_forward\.norm", ".output.LayerNorm"),
    (r"(\.attention|_self_att)\.(query|key|value)", r"\1.self.\2"),
    (r"(\.attention|_self_att)\.output\.(?!dense|LayerNorm)", r"\1.output.dense."),
    (r"(\.attention|_self_att)\.norm", r"\1.output.LayerNorm"),
    (r"^history\.start", "hist_embeddings.cls_token"),
    (r"^history\.type_embedding", "hist_embeddings.type_embedding.weight"),
    (r"^history\.numbers", "hist_embeddings.position_embeddings"),
    (r"^history\.norm", "hist_embeddings.layer_norm"),
    (r"^history\.view\.", "hist_embeddings."),
    (r"^history\.panorama\.", "hist_embeddings.pano_"),
    (r"^observation\.types", "img_embeddings.nav_type_embedding"),
    (r"^observation\.norm", "img_embeddings.layer_norm"),
    (r"^observation\.view\.", "img_embeddings."),
    (r"(\.|_)features_norm", r"\1img_layer_norm"),
    (r"(\.|_)features", r"\1img_linear"),
    (r"(\.|_)angles_norm", r"\1ang_layer_norm"),
    (r"(\.|_)angles", r"\1ang_linear"),
    (r"^head\.inner", "next_action.net.0"),
    (r"^head\.norm", "next_action.net.2"),
    (r"^head\.outer", "next_action.net.4"),
)
PREFIX = "module.vln_bert."


def original_name(name):
    for ours, theirs in ORIGINAL:
        name = re.sub(ours, theirs, name)
    return PREFIX + name


@pytest.fixture
def network(doors_run, tiny_bert):
    """Network whose own text encoder reads the word pieces of a BERT."""
    torch.manual_seed(1)
    env = make_env(HistoryTrainConfig(**doors_run), "train")
    words = len(load_hugging_face_tokenizer(str(tiny_bert)))
    network = HistoryTransformer(SIZES, words, env.feature_store.width, 4).eval()
    for weight in network.parameters():
        torch.nn.init.normal_(weight, std=0.3)
    return network


@pytest.fixture
def checkpoint(network, tmp_path):
    """File with the names of the original."""
    weights = {original_name(name): x.clone() for name, x in network.state_dict().items()}
    parts = ("text", "observation")
    types = [weights.pop(original_name(f"{part}.type_embedding")) for part in parts]
    weights[f"{PREFIX}embeddings.token_type_embeddings.weight"] = torch.stack(types)
    for name, shape in (("cls_token", (1, 1, 24)), ("type_embedding.weight", (1, 24))):
        full = f"{PREFIX}hist_embeddings.{name}"
        weights[full] = weights[full].reshape(shape)
    critic = {"state2value.0.weight": torch.zeros(512, 24)}
    path = tmp_path / "best_val_unseen"
    torch.save({"vln_bert": {"epoch": 3, "state_dict": weights}, "critic": critic}, path)
    return path


@pytest.fixture
def convert(convert_agent):
    """Function that converts a checkpoint and returns the folder of the run."""
    return partial(convert_agent, "hamt")


def test_a_converted_run_is_the_checkpoint_and_can_be_fine_tuned(
    network, checkpoint, convert, run_command
):
    run = convert(checkpoint)
    env, agent = load_run(run, "val_unseen")
    model, own = agent.model, network.state_dict()
    tokens = torch.from_numpy(env.split.tokens[:4, :30]).long()
    with torch.inference_mode():
        expected, found = network.text((tokens - 1).clamp_min(0)), model.text(tokens)
        real = found.mask
        torch.testing.assert_close(found.states[real], expected.states[real], atol=1e-5, rtol=0)
    for name, weight in model.state_dict().items():
        if not name.startswith("text."):
            assert torch.equal(weight, own[name]), name
    assert "HAMT" in run_command("evaluate-agent", run, "--splits", "val_unseen")
    config = dataclasses.replace(read_agent_config(run), output=None, start_from=run)
    learner = HistoryLearner(config)
    assert config.freeze_encoders
    for name, weight in learner.model.named_parameters():
        assert torch.equal(weight, agent.model.state_dict()[name]), name
        assert weight.requires_grad != name.startswith(("text.", "history.")), name


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w.pop(f"{PREFIX}hist_embeddings.cls_token"), "history.start is missing"),
        (lambda w: w.update({f"{PREFIX}extra": torch.zeros(1)}), "extra is not a weight"),
        (
            lambda w: w.update({f"{PREFIX}img_embeddings.img_linear.weight": torch.ones(24, 7)}),
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
    assert not (tmp_path / "hamt").exists()


def test_code_in_a_file_is_refused_and_not_run(convert, tmp_path):
    class Evil:
        def __reduce__(self):
            return (print, ("ran",))

    with (tmp_path / "evil").open("wb") as file:
        pickle.dump({"weight": Evil()}, file)
    with pytest.raises(ValueError, match="evil"):
        convert(tmp_path / "evil")
