import pytest
import torch

from clipnav.agents.clear.losses import nt_xent, paired_cross_entropy
from clipnav.agents.layers.pretrained import TextModel


def plain_nt_xent(first, second, temperature, symmetric):
    """The loss as loops over anchors."""
    both = torch.nn.functional.normalize(torch.cat([first, second]), dim=1)
    count, losses = len(first), []
    for anchor in range(2 * count if symmetric else count):
        scores = torch.exp(both @ both[anchor] / temperature)
        others = [scores[other] for other in range(2 * count) if other != anchor]
        partner = (anchor + count) % (2 * count)
        losses.append(-torch.log(scores[partner] / sum(others)))
    return sum(losses) / len(losses)


@pytest.mark.parametrize("symmetric", [False, True])
def test_nt_xent_equals_loops(symmetric):
    torch.manual_seed(0)
    first, second = torch.randn(2, 4, 6)
    expected = plain_nt_xent(first, second, 0.5, symmetric)
    torch.testing.assert_close(nt_xent(first, second, 0.5, symmetric), expected)


def test_ended_pairs_are_no_targets_but_negatives():
    torch.manual_seed(0)
    first, second = torch.randn(2, 3, 6)
    live = torch.tensor([True, True, False])
    loss = paired_cross_entropy(first, second, live, 0.5)
    first, second = (torch.nn.functional.normalize(part, dim=1) for part in (first, second))
    logits = first @ second.T / 0.5
    rows, columns = logits.log_softmax(1).diag(), logits.log_softmax(0).diag()
    torch.testing.assert_close(loss, -(rows[:2].sum() + columns[:2].sum()) / 6)
    assert paired_cross_entropy(first, second, torch.zeros(3, dtype=torch.bool), 0.5) == 0


def test_language_step_equals_the_released_code(golden, check_close):
    from transformers import BertConfig, BertModel

    case = golden("clear_language")
    model = BertModel(BertConfig(**case.settings["config"])).eval()
    weights = case.group("weight")
    model.load_state_dict({name.removeprefix("bert."): w for name, w in weights.items()})
    given, expected = case.group("input"), case.group("output")
    text = TextModel(model, shift=0)

    # The golden mask equals that of the tokens, whose padding is 0.
    assert torch.equal((given["ids"] != 0).long(), given["mask"])
    states, pair_states = text.states(given["ids"]), text.states(given["pair_ids"])
    check_close(states * given["mask"][..., None], expected["states"] * given["mask"][..., None])
    pair_mask = given["pair_mask"][..., None]
    check_close(pair_states * pair_mask, expected["pair_states"] * pair_mask)
    loss = nt_xent(states[:, 0], pair_states[:, 0], 0.5)
    check_close(loss, expected["nt_xent"])
    check_close(loss * 0.2 / len(states), expected["loss_as_trained"])
    loss.backward()  # the golden gradients are those of the loss without its weight
    embeddings, layers = model.embeddings.word_embeddings.weight, model.encoder.layer
    gradients = case.group("gradient")
    check_close(embeddings.grad, gradients["word_embeddings"], gradient=True)
    query = layers[1].attention.self.query.weight
    check_close(query.grad, gradients["layer1.query"], gradient=True)
