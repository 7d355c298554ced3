import numpy as np
import pytest
import torch

from clipnav.vl_tasks.captioning.cider import CiderD
from clipnav.vl_tasks.captioning.decoding import caption_log_probabilities, sample, write_greedily
from clipnav.vl_tasks.captioning.settings import CaptionConfig, CaptionerConfig
from clipnav.vl_tasks.captioning.task import cross_entropy, mean_of_others, self_critical
from clipnav.vl_tasks.captioning.writing import CaptionNetwork

WORDS = 8
SIZES = CaptionerConfig(hidden_size=16, feed_forward_size=24, layers=1, heads=2, input_dropout=0.0)
REFERENCES = np.array([[1, 2, 0, 0], [1, 2, 3, 0], [4, 5, 0, 0], [4, 5, 6, 0], [6, 1, 0, 0]])
FIRST = np.array([0, 2, 4, 5])


@pytest.fixture
def network():
    torch.manual_seed(0)
    return CaptionNetwork(CaptionConfig(captioner=SIZES, max_length=5), 6, WORDS)


@pytest.fixture
def statistics():
    return CiderD.build(REFERENCES, FIRST, WORDS, end_counts=True)


def test_cross_entropy_is_the_mean_over_words_and_ends(network, padded_grids):
    tight, _ = padded_grids()
    network.eval()
    captions = torch.tensor([[1, 2, 0, 0], [3, 3, 3, 0]])
    loss = cross_entropy(network, tight, captions)
    scores, counts = caption_log_probabilities(network.captioner, tight, captions)
    words = [scores[0, k] for k in range(3)] + [scores[1, k] for k in range(4)]
    torch.testing.assert_close(loss, -torch.stack(words).mean())
    assert counts.sum() == 7


def test_the_gradient_of_self_critical_training_equals_its_formula(
    network, statistics, padded_grids
):
    """Compare with the formula, written out for the sampled captions."""
    grids, _ = padded_grids(count=3)
    images = np.arange(3)
    torch.manual_seed(5)
    loss, figures = self_critical(network, grids, images, statistics, 4, "greedy")
    loss.backward()
    found = [p.grad.clone() for p in network.parameters() if p.grad is not None]
    network.zero_grad()
    torch.manual_seed(5)
    with torch.no_grad():
        captions = sample(network.captioner, grids, 4, 5, (WORDS - 1,))
        greedy = write_greedily(network.captioner, grids, 5, (WORDS - 1,))
    rewards = statistics.scores(np.repeat(images, 4), captions.numpy())
    compared = statistics.scores(images, greedy.numpy())
    total, words = torch.zeros(()), 0
    for row, caption in enumerate(captions):
        picture = grids._replace(
            features=grids.features[row // 4][None], mask=grids.mask[row // 4][None]
        )
        scores, counts = caption_log_probabilities(
            network.captioner, picture, caption[None], (WORDS - 1,)
        )
        total = total - (rewards[row] - compared[row // 4]) * scores[counts].sum()
        words += int(counts.sum())
    (total / words).backward()
    expected = [p.grad for p in network.parameters() if p.grad is not None]
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-3)
    assert figures["reward"] == pytest.approx(rewards.mean())
    assert figures["greedy_reward"] == pytest.approx(compared.mean())


def test_baselines_average_the_other_samples():
    rewards = np.array([[1.0, 2.0, 6.0]])
    np.testing.assert_allclose(mean_of_others(rewards), [[4.0, 3.5, 1.5]])
    with pytest.raises(ValueError, match="several"):
        mean_of_others(np.ones((2, 1)))
