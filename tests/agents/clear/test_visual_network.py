import torch

from clipnav.agents.clear.losses import paired_cross_entropy
from clipnav.agents.clear.visual_network import VisualRepresentation, shared_objects
from clipnav.agents.layers.visual import PanoramaView


def test_visual_step_equals_the_released_code(golden, check_close, load_encoder):
    case = golden("clear_visual")
    given, expected = case.group("input"), case.group("output")
    network = VisualRepresentation(given["features"].shape[-1]).eval()
    weights = load_encoder(network.encoder, case.group("weight"))

    live = given["ended_before_step"] == 0
    total = torch.zeros(())
    for step in range(len(live)):
        shared = shared_objects(given["objects"][step], given["pair_objects"][step])
        first = network.panorama(given["features"][step], shared)
        second = network.panorama(given["pair_features"][step], shared)
        check_close(first, expected["encoded"][step])
        check_close(second, expected["encoded_pair"][step])
        loss = paired_cross_entropy(first, second, live[step], case.settings["temperature"])
        check_close(loss, expected["loss_of_each_step"][step])
        total = total + loss
    plain = network.panorama(given["features"][0])
    check_close(plain, expected["encoded_without_object_mask_step0"])
    loss = total * case.settings["con_weight"] / live.sum()
    check_close(loss, expected["loss"])
    loss.backward()
    for name, gradient in case.group("gradient").items():
        check_close(weights[name].grad, gradient, gradient=True)


def test_views_of_the_follower_keep_angles_and_stop():
    torch.manual_seed(0)
    network = VisualRepresentation(6, standardise=True).eval()
    candidates = torch.randn(2, 3, 10)
    candidates[:, 0] = 0
    view = PanoramaView(
        torch.randn(2, 36, 10),
        candidates,
        torch.ones(2, 3, dtype=torch.bool),
        torch.randn(2, 4),
        torch.zeros(2, 3),
    )
    encoded = network.view(view)
    assert torch.equal(encoded.panorama[..., 6:], view.panorama[..., 6:])
    torch.testing.assert_close(encoded.panorama[..., :6], network(view.panorama[..., :6]))
    assert not encoded.candidates[:, 0].any()
    as_published = network.view(view, encode_stop=True)
    assert as_published.candidates[:, 0].any()
    assert torch.equal(as_published.candidates[:, 1:], encoded.candidates[:, 1:])
