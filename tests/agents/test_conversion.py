"""Runs made from checkpoints with the names of DUET and HAMT."""

import dataclasses
import pickle

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from clipnav.agents.acting.environments import make_env
from clipnav.agents.duet.agent import map_features
from clipnav.agents.duet.learner import MapLearner
from clipnav.agents.duet.model import MapTransformer
from clipnav.agents.duet.settings import MapTrainConfig, MapTransformerConfig
from clipnav.agents.experiments.runs import load_run
from clipnav.agents.hamt.learner import HistoryLearner
from clipnav.agents.hamt.model import HistoryTransformer
from clipnav.agents.hamt.settings import HistoryTrainConfig, HistoryTransformerConfig
from clipnav.agents.settings import read_agent_config
from clipnav.storage.hugging_face import load_hugging_face_tokenizer
from tests.agents.original_names import DUET, HAMT, original_name

SIZES = {
    "hidden_size": 24,
    "heads": 2,
    "feed_forward_size": 32,
    "text_layers": 1,
    "panorama_layers": 1,
    "cross_layers": 2,
    "max_text_length": 90,
    "max_steps": 22,
}
PREFIX = "module.vln_bert."
TYPES = "embeddings.token_type_embeddings.weight"


@pytest.fixture
def words(tiny_bert):
    return len(load_hugging_face_tokenizer(str(tiny_bert)))


def random_weights(network):
    for weight in network.parameters():
        torch.nn.init.normal_(weight, std=0.3)
    return network.eval()


@pytest.fixture
def duet(doors_run, words):
    """Network whose own text encoder reads the word pieces of a BERT."""
    torch.manual_seed(1)
    width = make_env(MapTrainConfig(**doors_run), "train").feature_store.width
    return random_weights(MapTransformer(MapTransformerConfig(**SIZES), words, width))


@pytest.fixture
def hamt(doors_run, words):
    """Network of HAMT that reads these word pieces."""
    torch.manual_seed(1)
    width = make_env(HistoryTrainConfig(**doors_run), "train").feature_store.width
    return random_weights(HistoryTransformer(HistoryTransformerConfig(**SIZES), words, width, 4))


def renamed(network, table, parts):
    """Return copies of the weights of a network under the names of the original."""
    weights = {original_name(name, table): x.clone() for name, x in network.state_dict().items()}
    types = [weights.pop(original_name(f"{part}.type_embedding", table)) for part in parts]
    return {**weights, PREFIX + TYPES: torch.stack(types)}


@pytest.fixture
def duet_weights(duet):
    """Weights of the network under the names of the original."""
    return renamed(duet, DUET, ("text", "panorama"))


@pytest.fixture
def hamt_weights(hamt):
    """Weights of the network under the names, and in the shapes, of the original."""
    weights = renamed(hamt, HAMT, ("text", "observation"))
    for name, shape in (("cls_token", (1, 1, 24)), ("type_embedding.weight", (1, 24))):
        full = f"{PREFIX}hist_embeddings.{name}"
        weights[full] = weights[full].reshape(shape)
    return weights


def saved(path, weights):
    """Write weights as the training programs do, and return the file."""
    critic = {"state2value.0.weight": torch.zeros(512, 24)}
    torch.save({"vln_bert": {"epoch": 3, "state_dict": weights}, "critic": critic}, path)
    return path


@pytest.fixture
def convert(convert_agent, tmp_path):
    """Function that converts weights of a model and returns the folder of the run."""

    def convert(model, weights, *flags):
        return convert_agent(model, saved(tmp_path / "best_val_unseen", weights), *flags)

    return convert


@pytest.mark.parametrize("model", ["duet", "hamt"])
def test_a_converted_run_is_the_checkpoint(model, convert, request):
    network = request.getfixturevalue(model)
    run = convert(model, request.getfixturevalue(f"{model}_weights"))
    env, agent = load_run(run, "val_unseen")
    own, tokens = network.state_dict(), torch.from_numpy(env.split.tokens[:4, :30]).long()
    with torch.inference_mode():
        expected, found = network.text((tokens - 1).clamp_min(0)), agent.model.text(tokens)
        real = found.mask
        torch.testing.assert_close(found.states[real], expected.states[real], atol=1e-5, rtol=0)
    for name, weight in agent.model.state_dict().items():
        if not name.startswith("text."):
            assert torch.equal(weight, own[name]), name
    if model == "duet":
        views = map_features(env, "cpu").gather(np.arange(3), np.arange(3))
        torch.testing.assert_close(agent.model.panorama(views)[1], network.panorama(views)[1])


@pytest.mark.parametrize("dataset", ["reverie", "soon"])
def test_a_converted_run_reads_objects(dataset, vases, words, convert, tmp_path):
    """Objects of another width than views, as those of SOON, have weights of their own."""
    torch.manual_seed(1)
    size = {"reverie": 4, "soon": 7}[dataset]
    sizes = MapTransformerConfig(**SIZES)
    network = random_weights(MapTransformer(sizes, words, 4, object_size=size))
    weights = renamed(network, DUET, ("text", "panorama"))
    run = convert("duet", weights, "--dataset", dataset)
    config = read_agent_config(run)
    assert (config.dataset, config.drawn_paths) == (dataset, "ends")
    assert config.max_objects == {"reverie": 20, "soon": 100}[dataset]
    saved = load_file(run / "model.safetensors")
    for name, weight in network.state_dict().items():
        if not name.startswith("text."):
            assert torch.equal(saved[name], weight), name
    if dataset == "reverie":
        _, agent = load_run(run, "val_unseen")
        assert agent.model.object_size == agent.features.objects.width == size


@pytest.mark.parametrize(("model", "dataset"), [("hamt", "soon"), ("duet", "cvdn")])
def test_only_datasets_of_the_model_are_converted(model, dataset, convert, request):
    weights = request.getfixturevalue(f"{model}_weights")
    with pytest.raises(ValueError, match=f"--dataset {dataset}: not a dataset of --model {model}"):
        convert(model, weights, "--dataset", dataset)


@pytest.mark.parametrize(
    ("model", "make_learner", "label", "frozen"),
    [
        ("duet", MapLearner, "map agent", ()),
        ("hamt", HistoryLearner, "HAMT", ("text.", "history.")),
    ],
)
def test_a_converted_run_is_evaluated_and_fine_tuned(
    model, make_learner, label, frozen, convert, request, run_command
):
    run = convert(model, request.getfixturevalue(f"{model}_weights"))
    assert label in run_command("evaluate-agent", run, "--splits", "val_unseen")
    env, agent = load_run(run, "val_unseen")
    learner = make_learner(dataclasses.replace(read_agent_config(run), output=None, start_from=run))
    for name, weight in learner.model.named_parameters():
        assert torch.equal(weight, agent.model.state_dict()[name]), name
        if frozen:
            assert weight.requires_grad != name.startswith(frozen), name
    assert env.tokenizer == learner.env.tokenizer


def test_an_existing_run_is_kept(duet_weights, convert):
    run = convert("duet", duet_weights)
    before = (run / "model.safetensors").read_bytes()
    (run / "config.json").unlink()  # what is left could be the weights of another model
    with pytest.raises(FileExistsError, match="already exists; name another one"):
        convert("duet", duet_weights)
    assert (run / "model.safetensors").read_bytes() == before


@pytest.mark.parametrize(
    ("model", "name", "value", "message"),
    [
        ("duet", "embeddings.LayerNorm.bias", None, "LayerNorm.bias is missing"),
        ("duet", "extra", torch.zeros(1), "extra is not a weight"),
        ("duet", "img_embeddings.img_linear.weight", torch.ones(24, 7), "features of width 7"),
        ("hamt", "hist_embeddings.cls_token", None, "history.start is missing"),
    ],
)
def test_weights_that_do_not_fit_are_named(model, name, value, message, convert, request, tmp_path):
    weights = request.getfixturevalue(f"{model}_weights")
    weights.pop(PREFIX + name, None)
    if value is not None:
        weights[PREFIX + name] = value
    with pytest.raises(ValueError, match=message):
        convert(model, weights)
    assert not (tmp_path / model).exists()


def test_heads_must_divide_the_width(duet_weights, convert):
    with pytest.raises(ValueError, match="--heads 5: must divide the width 24"):
        convert("duet", duet_weights, "--heads", "5")


def test_code_in_a_file_is_refused_and_not_run(convert_agent, tmp_path):
    class Evil:
        def __reduce__(self):
            return (print, ("ran",))

    with (tmp_path / "evil").open("wb") as file:
        pickle.dump({"weight": Evil()}, file)
    with pytest.raises(ValueError, match="evil"):
        convert_agent("hamt", tmp_path / "evil")
