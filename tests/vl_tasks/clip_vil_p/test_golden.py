"""The networks against outputs of the original modules, with the original weights."""

import pytest
import torch
from torch.nn import functional as F
from transformers import BertConfig, BertModel

from clipnav.vl_tasks.clip_vil_p.conversion import our_names
from clipnav.vl_tasks.clip_vil_p.data.pair_batches import Batch
from clipnav.vl_tasks.clip_vil_p.data.pictures import Pictures
from clipnav.vl_tasks.clip_vil_p.networks.network import (
    AnswerHead,
    MaskedWordHead,
    MatchingHead,
    PretrainingNetwork,
    total_loss,
)
from clipnav.vl_tasks.clip_vil_p.networks.stream import SingleStream

TOLERANCE = {"atol": 1e-5, "rtol": 0.0}


@pytest.fixture(scope="module")
def original(golden_system):
    """The pre-training network with the original weights, and the golden tensors."""
    description, tensors = golden_system("clipvilp_pretraining")
    config = description["config"]
    names = BertConfig().to_dict().keys() & config.keys()
    bert = BertModel(BertConfig(**{name: config[name] for name in names}), add_pooling_layer=False)
    channels, hidden = config["visual_feat_dim"], config["hidden_size"]
    network = PretrainingNetwork.__new__(PretrainingNetwork)
    torch.nn.Module.__init__(network)
    network.stream = SingleStream(bert, channels, config["pos_num"], faithful=True)
    network.words = MaskedWordHead(hidden, config["vocab_size"])
    network.matching = MatchingHead(hidden)
    answers = tensors["output.qa_logits"].shape[1]
    network.answers = AnswerHead(hidden, answers)
    weights = {
        name.removeprefix("weight."): tensor
        for name, tensor in tensors.items()
        if name.startswith("weight.")
    }
    network.load_state_dict(our_names(weights, "golden file"))
    return network.eval(), tensors, description


def inputs(tensors):
    batch = Batch(
        Pictures(torch.empty(0), torch.empty(0)),
        tensors["input.input_ids"],
        tensors["input.masked_lm_labels"],
        tensors["input.matched_label"],
        tensors["input.answer"],
    )
    return batch, tensors["input.grid_b_c_h_w"].permute(0, 2, 3, 1)


def encoded(network, tensors):
    batch, grid = inputs(tensors)
    placed = network.stream.visual.place(grid).flatten(1, 2)
    mask = torch.ones(placed.shape[:2], dtype=torch.bool)
    return network.stream.encode(batch.pieces, tensors["input.attention_mask"].bool(), placed, mask)


def test_states_and_logits_equal_the_original(original):
    network, tensors, _ = original
    _, grid = inputs(tensors)
    placed = network.stream.visual.place(grid).flatten(1, 2)
    close = torch.testing.assert_close
    close(placed, tensors["output.after_position_embedding"], **TOLERANCE)
    close(network.stream.visual(placed), tensors["output.after_visn_fc"], **TOLERANCE)
    states = encoded(network, tensors)
    close(states.words, tensors["output.lang_states"], **TOLERANCE)
    close(states.cells, tensors["output.visn_states"], **TOLERANCE)
    close(states.pooled, tensors["output.pooled"], **TOLERANCE)
    embeddings = network.stream.bert.embeddings.word_embeddings.weight
    close(network.words(states.words, embeddings), tensors["output.mlm_logits"], **TOLERANCE)
    close(network.matching(states.pooled), tensors["output.itm_logits"], **TOLERANCE)
    close(network.answers(states.pooled), tensors["output.qa_logits"], **TOLERANCE)


def test_losses_and_gradients_equal_the_original(original):
    network, tensors, description = original
    batch, _ = inputs(tensors)
    network.zero_grad()
    scores = network.score(encoded(network, tensors), batch)
    counts = batch.counts()
    means = scores.losses / torch.tensor(list(counts.values()))
    expected = [description["losses"][name] for name in ("mlm", "itm", "qa")]
    torch.testing.assert_close(means, torch.tensor(expected), **TOLERANCE)
    total = total_loss(scores, counts)
    torch.testing.assert_close(total, torch.tensor(description["total"]), **TOLERANCE)
    total.backward()
    stream = network.stream
    found = {
        "word_embeddings": stream.bert.embeddings.word_embeddings,
        "x_position": stream.visual.rows,
        "y_position": stream.visual.columns,
        "visn_fc": stream.visual.project,
        "layer0.query": stream.bert.encoder.layer[0].attention.self.query,
        "answer_out": network.answers[3],
    }
    names = {name.removeprefix("gradient.") for name in tensors if name.startswith("gradient.")}
    assert names == found.keys()
    for name, module in found.items():
        expected = tensors[f"gradient.{name}"]
        largest = max(float(expected.abs().max()), 1e-4)  # float32 rounds smaller gradients
        torch.testing.assert_close(module.weight.grad, expected, atol=1e-4 * largest, rtol=1e-4)
    # Tables of positions and segments have padding_idx 0 in the original.
    for table in (stream.bert.embeddings.position_embeddings,
                  stream.bert.embeddings.token_type_embeddings):  # fmt: skip
        assert not table.weight.grad[0].any()
        assert table.weight.grad.any() or table is stream.bert.embeddings.token_type_embeddings


def test_fine_tuning_head_equals_the_original(golden_system):
    description, tensors = golden_system("clipvilp_finetune_head")
    head = AnswerHead(description["hidden"], description["num_answers"])
    head.load_state_dict(
        {name.removeprefix("weight."): t for name, t in tensors.items() if name[:7] == "weight."}
    )
    logits = head(tensors["input.pooled"])
    torch.testing.assert_close(logits, tensors["output.logits"], **TOLERANCE)
    loss = F.binary_cross_entropy_with_logits(logits, tensors["input.target"]) * logits.shape[1]
    torch.testing.assert_close(loss[None], tensors["output.loss_vqa_bce"], **TOLERANCE)
    labels = F.cross_entropy(logits[:, :3], tensors["input.snli_label"], ignore_index=-1)
    expected = tensors["output.loss_snli_ce_on_first_three_logits"]
    torch.testing.assert_close(labels[None], expected, **TOLERANCE)
    loss.backward()
    for name in ("0.weight", "3.weight"):
        gradient = head.get_parameter(name).grad
        torch.testing.assert_close(gradient, tensors[f"gradient.{name}"], atol=1e-6, rtol=1e-4)
