import pytest
import torch

from clipnav.vl_tasks.classification.inputs import FeatureNetwork
from clipnav.vl_tasks.grids.grids import Grids
from clipnav.vl_tasks.networks.attention import UnbiasedNorm
from clipnav.vl_tasks.networks.movie_mcan import MovieMcan, padded_square
from clipnav.vl_tasks.settings.networks import McanConfig, PythiaConfig
from clipnav.vl_tasks.vqa.settings import VqaConfig
from tests.vl_tasks.small_networks import preset

MCAN = McanConfig(
    hidden_size=16, feed_forward_size=24, layers=2, heads=4, pooling_size=8, fused_size=32
)
PYTHIA = PythiaConfig(hidden_size=12, attention_size=8, product_size=20, text_head_size=5)
MODELS = ("pythia", "mcan", "movie-mcan")
TOKENS = torch.tensor([[3, 4, 5], [6, 2, 0]])


def network(model, faithful=False, channels=6):
    torch.manual_seed(1)
    config = VqaConfig(model=model, mcan=MCAN, pythia=PYTHIA, embedding_size=7, faithful=faithful)
    return FeatureNetwork(config, channels, vocabulary=9, classes=5).eval()


@pytest.mark.parametrize("model", MODELS)
def test_padding_never_changes_the_answer(model, padded_grids):
    answering = network(model)
    tight, padded = padded_grids()
    wide = torch.nn.functional.pad(TOKENS, (0, 4))
    with torch.no_grad():
        expected = answering(tight, TOKENS)
        assert expected.shape == (2, 5)
        for grids, tokens in ((padded, TOKENS), (tight, wide), (padded, wide)):
            torch.testing.assert_close(answering(grids, tokens), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("model", MODELS)
def test_outputs_depend_on_words_cells_and_neighbours(model, padded_grids):
    answering = network(model)
    tight, _ = padded_grids()
    with torch.no_grad():
        expected = answering(tight, TOKENS)
        other_words = TOKENS.clone()
        other_words[0, 1] = 7
        changed = answering(tight, other_words)
        assert not torch.allclose(changed[0], expected[0], atol=1e-4)
        torch.testing.assert_close(changed[1], expected[1], atol=1e-6, rtol=1e-5)
        features = tight.features.clone()
        features[1, 5] += 1
        changed = answering(tight._replace(features=features), TOKENS)
        assert not torch.allclose(changed[1], expected[1], atol=1e-4)


@pytest.mark.parametrize("model", MODELS)
def test_every_weight_learns(model, padded_grids):
    learning = network(model).train()
    _, padded = padded_grids()
    scores = learning(padded, TOKENS)
    assert scores.shape == ((2, 3, 5) if model == "movie-mcan" else (2, 5))
    weights = torch.randn_like(scores)
    (scores * weights).sum().backward()
    for name, weight in learning.named_parameters():
        assert weight.grad is not None, name
        # The same score for all places or words of a softmax moves nothing.
        if "attention.parametrizations" not in name and "bias" not in name:
            assert weight.grad.abs().max() > 0, name


def test_faithful_pythia_attends_to_padding_words(padded_grids):
    tight, _ = padded_grids()
    wide = torch.nn.functional.pad(TOKENS, (0, 4))
    with torch.no_grad():
        for faithful in (False, True):
            answering = network("pythia", faithful)
            difference = (answering(tight, wide) - answering(tight, TOKENS)).abs().max()
            assert (difference > 1e-4) == faithful


def test_faithful_movie_mcan_attends_to_padding_cells(padded_grids):
    tight, padded = padded_grids()
    clean, faithful = network("movie-mcan"), network("movie-mcan", faithful=True)
    faithful.load_state_dict(clean.state_dict())
    square = padded_square(tight, 32)
    assert square.mask.shape == (2, 1024)
    with torch.no_grad():
        torch.testing.assert_close(faithful(tight, TOKENS), clean(square, TOKENS))
        assert (faithful(tight, TOKENS) - clean(tight, TOKENS)).abs().max() > 1e-3
        # What the padding of a batch holds is taken for zeros.
        torch.testing.assert_close(faithful(padded, TOKENS), faithful(tight, TOKENS))
    with pytest.raises(ValueError, match="33 x 3 cells do not fit into 32 x 32"):
        padded_square(
            Grids(torch.zeros(1, 99, 2), torch.ones(1, 99, dtype=torch.bool), (33, 3)), 32
        )


def test_movie_mcan_answers_by_its_fused_branch(padded_grids):
    tight, _ = padded_grids()
    config = McanConfig(16, 24, 1, 4, 8, 32, dropout=0.0)
    torch.manual_seed(2)
    model = MovieMcan(6, 9, 7, 5, config)
    with torch.no_grad():
        together = model.train()(tight, TOKENS)
        torch.testing.assert_close(model.eval()(tight, TOKENS), together[:, 0])


def test_faithful_mcan_has_the_layer_norms_of_openvqa(padded_grids):
    tight, _ = padded_grids()
    clean, faithful = network("mcan"), network("mcan", faithful=True)
    faithful.load_state_dict(clean.state_dict())
    # Norms: two a layer of words, three a layer of places, one before the classifier.
    assert sum(isinstance(part, UnbiasedNorm) for part in faithful.modules()) == 2 * 5 + 1
    assert not any(isinstance(part, UnbiasedNorm) for part in clean.modules())
    for part in faithful.modules():
        if isinstance(part, UnbiasedNorm):
            part.forward = lambda x, norm=part: openvqa_norm(norm, x)
    with torch.no_grad():
        expected = faithful(tight, TOKENS)
        assert (clean(tight, TOKENS) - expected).abs().max() > 1e-4
        again = network("mcan", faithful=True)
        again.load_state_dict(clean.state_dict())
        torch.testing.assert_close(again(tight, TOKENS), expected)
    assert again.architecture["unbiased layer norms"] == "yes"
    assert clean.architecture["unbiased layer norms"] == "no"


def openvqa_norm(norm, x):
    """Compute openvqa/ops/layer_norm.py's formula by hand."""
    centred = x - x.sum(-1, keepdim=True) / x.shape[-1]
    deviation = ((centred**2).sum(-1, keepdim=True) / (x.shape[-1] - 1)).sqrt()
    return norm.weight * centred / (deviation + 1e-6) + norm.bias


def linear(inputs, outputs, bias=True):
    return inputs * outputs + bias * outputs


def attention(width):
    return 4 * linear(width, width)


def test_published_sizes_have_the_published_parts():
    """Counted layer by layer from the sizes in the configurations of mmf and openvqa."""
    words, answers, channels = 20_000, 3129, 2560
    small = preset("vqa", "mcan-small")
    feed_forward = linear(512, 2048) + linear(2048, 512)
    layer = attention(512) + feed_forward + 2 * 1024
    guided = 2 * attention(512) + feed_forward + 3 * 1024
    lstm = 4 * 512 * (300 + 512 + 2)
    pooling = 2 * (linear(512, 512) + linear(512, 1) + linear(512, 1024))
    head = 2 * 1024 + linear(1024, answers)
    expected = words * 300 + lstm + linear(channels, 512) + 6 * (layer + guided) + pooling + head
    assert count(FeatureNetwork(small, channels, words, answers)) == expected

    pythia = preset("vqa", "pythia-clip-vil")
    lstm = 4 * 1024 * (300 + 1024 + 2)
    glimpses = linear(1024, 512) + linear(512, 2)
    lengths = 7  # one of each normed weight
    products = 2 * (linear(channels, 5000) + linear(2048, 5000)) + linear(5000, 1)
    heads = linear(5000, 300) + linear(5000, 5000)
    classifiers = linear(300, answers) + linear(5000, answers)
    expected = words * 300 + lstm + glimpses + products + heads + classifiers + lengths
    assert count(FeatureNetwork(pythia, channels, words, answers)) == expected


def count(module):
    return sum(weight.numel() for weight in module.parameters())
