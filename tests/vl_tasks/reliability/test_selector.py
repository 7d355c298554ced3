import pytest
import torch

from clipnav.vl_tasks.reliability.methods import Selector, known_probabilities, selector_loss
from clipnav.vl_tasks.reliability.settings import SelectorSizes

# Names of the original modules.
NAMES = {"image": "image_embed", "question": "text_embed", "fused": "qi_embed", "scores": "s_embed"}
INPUTS = {
    "image": "input.image_features",
    "question": "input.text_features",
    "fused": "input.fused_features",
    "scores": "input.answer_logits",
}


@pytest.fixture
def original(golden_system):
    """Description, tensors and a selector with the original weights."""
    about, tensors = golden_system("reliable_selector")
    arguments = about["arguments"]
    sizes = SelectorSizes(
        image=arguments["image_hidden_size"],
        question=arguments["text_hidden_size"],
        fused=arguments["qi_hidden_size"],
        scores=arguments["answer_hidden_size"],
        hidden=(arguments["hidden_1"], arguments["hidden_2"]),
        dropout=arguments["dropout"],
    )
    inputs = {name: tensors[key] for name, key in INPUTS.items()}
    selector = Selector({name: x.shape[1] for name, x in inputs.items()}, sizes).eval()
    selector.load_state_dict(
        {name: tensors[f"weight.{original_name(name)}"] for name in selector.state_dict()}
    )
    return about, tensors, selector, inputs


def original_name(name):
    head, *rest = name.split(".")
    if head == "classifier":
        return ".".join(["selective_predictor", *rest])
    return ".".join([NAMES[rest[0]], *rest[1:]])


def test_confidences_and_gradients_are_those_of_the_original(original):
    _, tensors, selector, inputs = original
    found = selector(inputs)
    torch.testing.assert_close(found, tensors["output.confidences"], atol=1e-5, rtol=0)
    logits, targets = inputs["scores"], tensors["input.targets"]
    assert torch.equal(
        known_probabilities(logits, 0).argmax(1), tensors["output.prediction_without_unknown"]
    )
    selector_loss(found, logits, targets, 0).backward()
    weights = {original_name(name): weight for name, weight in selector.named_parameters()}
    gradients = {k.removeprefix("gradient."): v for k, v in tensors.items() if "gradient." in k}
    assert gradients
    for name, expected in gradients.items():
        gradient = weights[name].grad
        assert gradient is not None
        scale = max(expected.abs().max().item(), 1e-4)  # float32 rounds smaller gradients
        torch.testing.assert_close(gradient, expected, atol=1e-4 * scale, rtol=0)


@pytest.mark.parametrize(
    ("name", "loss", "threshold"),
    [
        ("regress_bce", "regress-bce", 1.0),
        ("regress_mse", "regress-mse", 1.0),
        ("regress_l1", "regress-l1", 1.0),
        ("threshold", "threshold", 1.0),
        ("threshold_0.5", "threshold", 0.5),
        ("max_ind", "max-index", 1.0),
        # MoVie+MCAN has three scores in training; those of the first branch decide.
        ("regress_bce of (B,3,A) scores (first branch counts)", "regress-bce", 1.0),
    ],
)
def test_losses_are_those_of_the_original(original, name, loss, threshold):
    about, tensors, selector, inputs = original
    found = selector_loss(
        selector(inputs), inputs["scores"], tensors["input.targets"], 0, loss, threshold
    )
    assert found.item() == pytest.approx(about["losses"][name], abs=1e-5)


@pytest.mark.parametrize("loss", ["max-index", "threshold", "regress-bce"])
def test_an_answer_to_a_question_without_known_answers_is_wrong(loss):
    logits, targets = torch.tensor([[5.0, 0.0], [0.0, 5.0]]), torch.zeros(2, 2)
    is_sure, is_unsure = torch.tensor([[0.1, 0.9]] * 2), torch.tensor([[0.9, 0.1]] * 2)
    for rows in ([0], [1]):  # the predicted class is the first, then the second
        assert selector_loss(is_unsure[rows], logits[rows], targets[rows], None, loss) < (
            selector_loss(is_sure[rows], logits[rows], targets[rows], None, loss)
        )
