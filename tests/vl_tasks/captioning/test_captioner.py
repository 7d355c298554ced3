import itertools
import math

import pytest
import torch

from clipnav.vl_tasks.captioning.captioner import Captioner, sinusoids
from clipnav.vl_tasks.captioning.decoding import (
    beam_search,
    caption_log_probabilities,
    sample,
    write_greedily,
)
from clipnav.vl_tasks.captioning.settings import CaptionerConfig
from clipnav.vl_tasks.networks.attention import UnbiasedNorm
from tests.vl_tasks.small_networks import preset

SIZES = CaptionerConfig(hidden_size=16, feed_forward_size=24, layers=2, heads=4)
WORDS = 7


@pytest.fixture
def captioner():
    torch.manual_seed(41)
    network = Captioner(6, WORDS, SIZES).eval()
    # The scores of new weights hardly differ between steps; those of scaled weights do.
    with torch.no_grad():
        network.generator.weight.mul_(4)
    return network


def recomputed(captioner, grids, captions):
    """Scores (B, words) of the next word by reading captions (B, T) from their beginning."""
    before = torch.cat([captions.new_zeros(len(captions), 1), captions], dim=1)
    return captioner(captioner.encode(grids), grids.mask, before)[:, -1]


@pytest.fixture
def grids(padded_grids):
    return padded_grids(count=3)


@torch.no_grad()
def test_cached_steps_are_those_of_the_whole_caption(captioner, grids):
    padded = grids[1]
    captions = torch.randint(1, WORDS, (3, 6))
    memory = captioner.begin(captioner.encode(padded))
    before = torch.cat([torch.zeros(3, 1, dtype=torch.long), captions], dim=1)
    whole = captioner(captioner.encode(padded), padded.mask, before)
    for position in range(7):
        step = captioner.step(before[:, position], position, memory, padded.mask)
        torch.testing.assert_close(step, whole[:, position], atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_padding_never_changes_the_caption(captioner, grids):
    tight, padded = grids
    captions = torch.randint(1, WORDS, (3, 6))
    scores = [captioner(captioner.encode(one), one.mask, captions) for one in (tight, padded)]
    torch.testing.assert_close(*scores, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_greedy_captions_are_those_of_recomputing_the_prefix(captioner, grids):
    padded = grids[1]
    captions = torch.zeros(3, 0, dtype=torch.long)
    ended = torch.zeros(3, dtype=torch.bool)
    for _ in range(8):
        scores = recomputed(captioner, padded, captions)
        scores[:, 5] = -torch.inf
        words = scores.argmax(1).masked_fill(ended, 0)
        captions = torch.cat([captions, words[:, None]], dim=1)
        ended |= words == 0
    found = write_greedily(captioner, padded, 8, banned=(5,))
    assert torch.equal(captions[:, : found.shape[1]], found)
    assert not captions[:, found.shape[1] :].any()


def reference_beams(captioner, grids, beams, max_length, banned=()):
    """Beam search of one picture by ImageCaptioning.pytorch's rules, without a cache.

    Captions that end are copied to a list and stay in the beam with 1000 less, from where they are
    pushed out by all others.
    """
    kept, done = [((), 0.0)], []
    for position in range(max_length):
        candidates = []
        for caption, total in kept:
            before = torch.tensor([caption], dtype=torch.long).reshape(1, -1)
            scores = recomputed(captioner, grids, before)[0].log_softmax(0)
            scores[list(banned)] -= 1000
            candidates += [((*caption, k), total + score) for k, score in enumerate(scores)]
        kept = sorted(candidates, key=lambda one: -one[1])[:beams]
        ended = [one[0][-1] == 0 or position == max_length - 1 for one in kept]
        done += [one for one, end in zip(kept, ended, strict=True) if end]
        kept = [(one[0], one[1] - 1000 * end) for one, end in zip(kept, ended, strict=True)]
    return max(done, key=lambda one: one[1])


def picture(grids, row):
    return grids._replace(features=grids.features[row : row + 1], mask=grids.mask[row : row + 1])


@pytest.mark.parametrize("banned", [(), (5,)])
@torch.no_grad()
def test_batched_beams_are_those_of_the_original(captioner, grids, banned):
    padded = grids[1]
    lengths = set()
    for _ in range(8):  # the end of a caption is ever likelier
        found = beam_search(captioner, padded, beams=3, max_length=6, banned=banned)
        for row in range(3):
            expected, _ = reference_beams(captioner, picture(padded, row), 3, 6, banned)
            assert [*expected, *[0] * 6][: found.shape[1]] == found[row].tolist()
            lengths.add(int((found[row] != 0).sum()))
        captioner.generator.bias[0] += 0.5
    assert len(lengths) > 2


@torch.no_grad()
def test_beams_of_random_captioners_are_never_less_likely_than_the_original(grids):
    tight = grids[0]
    for seed in range(6):
        torch.manual_seed(seed)
        network = Captioner(6, WORDS, SIZES).eval()
        network.generator.weight.mul_(2 + seed % 4)
        network.generator.bias[0] += seed % 3
        for beams in (2, 4):
            found = beam_search(network, tight, beams, 5, banned=(WORDS - 1,))
            padded = torch.nn.functional.pad(found, (0, 5 - found.shape[1]))
            scores, counts = caption_log_probabilities(network, tight, padded)
            totals = (scores * counts).sum(1)
            for row in range(3):
                _, best = reference_beams(network, picture(tight, row), beams, 5, (WORDS - 1,))
                assert totals[row] > best - 1e-4


@torch.no_grad()
def test_wide_beams_find_the_likeliest_caption(captioner, grids):
    tight = grids[0]
    length = 3
    captions = {
        tuple(itertools.chain(itertools.takewhile(bool, words), [0] * length))[:length]
        for words in itertools.product(range(WORDS), repeat=length)
    }
    every = torch.tensor(sorted(captions))
    alone = picture(tight, 0)
    scores, counts = caption_log_probabilities(captioner, alone, every)
    likeliest = every[(scores * counts).sum(1).argmax()]
    found = beam_search(captioner, alone, beams=len(every), max_length=length)[0]
    assert found.tolist() == likeliest[: len(found)].tolist()
    assert beam_search(captioner, alone, 1, length).tolist() == (
        write_greedily(captioner, alone, length).tolist()
    )


@torch.no_grad()
def test_samples_follow_the_probabilities(captioner, grids):
    tight = grids[0]
    torch.manual_seed(0)
    words = sample(captioner, tight, times=4000, max_length=1, banned=(2,))
    assert words.shape == (12_000, 1)
    scores = recomputed(captioner, tight, torch.zeros(3, 0, dtype=torch.long))
    scores[:, 2] = -torch.inf
    for row, expected in enumerate(scores.softmax(1)):
        drawn = words[row * 4000 : (row + 1) * 4000, 0]
        shares = torch.bincount(drawn, minlength=WORDS) / 4000
        torch.testing.assert_close(shares, expected, atol=0.03, rtol=0)


@torch.no_grad()
def test_log_probabilities_count_words_and_the_end(captioner, grids):
    tight = grids[0]
    captions = torch.tensor([[3, 1, 0, 0], [2, 2, 2, 2], [0, 0, 0, 0]])
    scores, counts = caption_log_probabilities(captioner, tight, captions)
    assert counts.tolist() == [[True, True, True, False], [True] * 4, [True, False, False, False]]
    first = recomputed(captioner, tight, captions[:, :0]).log_softmax(1)
    torch.testing.assert_close(scores[:, 0], first.gather(1, captions[:, :1])[:, 0])
    third = recomputed(captioner, tight, captions[:, :2]).log_softmax(1)
    torch.testing.assert_close(scores[:, 2], third.gather(1, captions[:, 2:3])[:, 0])


def test_faithful_norm_is_that_of_the_originals():
    x = 3 * torch.randn(4, 16) + 1
    norm = UnbiasedNorm(16)
    unbiased = ((x - x.mean(1, keepdim=True)) ** 2).sum(1, keepdim=True) / 15
    expected = (x - x.mean(1, keepdim=True)) / (unbiased.sqrt() + 1e-6)
    torch.testing.assert_close(norm(x), expected)
    faithful = Captioner(6, WORDS, CaptionerConfig(16, 24, 1, 4, faithful=True))
    assert sum(isinstance(module, UnbiasedNorm) for module in faithful.modules()) == 2 + 3 + 2


def test_published_size_has_the_published_parts():
    """6 + 6 layers of 512, 9,487 words and the end (spec of ImageCaptioning.pytorch)."""
    channels, width = 2048, 512
    attention = 4 * (width * width + width)
    feed_forward = width * 2048 + 2048 + 2048 * width + width
    encoder = attention + feed_forward + 2 * 2 * width
    decoder = 2 * attention + feed_forward + 3 * 2 * width
    ends = 2 * 2 * width + channels * width + width + 9488 * width + 9488 * width + 9488
    network = Captioner(channels, 9488, preset("captions", "coco").captioner)
    assert sum(p.numel() for p in network.parameters()) == 6 * (encoder + decoder) + ends


def test_matrices_are_drawn_as_in_the_original():
    """Xavier's bound of each matrix by itself; that of embedded places is a linear layer's own."""
    torch.manual_seed(0)
    network = Captioner(64, 50, CaptionerConfig(32, 48, 1, 4))
    bounds = {
        "encoder.0.attention.query.weight": (6 / 64) ** 0.5,
        "encoder.0.attention.key_value.weight": (6 / 64) ** 0.5,
        "decoder.0.seen.key_value.weight": (6 / 64) ** 0.5,
        "decoder.0.feed_forward.0.weight": (6 / 80) ** 0.5,
        "words.weight": (6 / 82) ** 0.5,
        "generator.weight": (6 / 82) ** 0.5,
        "embed.0.weight": 1 / 8,
    }
    for name, weight in network.named_parameters():
        if name in bounds:
            assert 0.97 * bounds[name] < weight.abs().max() <= bounds[name], name


def test_sinusoids_are_added_to_scaled_words(captioner):
    words, table = torch.tensor([[3, 1]]), sinusoids(4, 16)
    assert table[0].tolist() == [0, 1] * 8
    assert table[3, 4].item() == pytest.approx(math.sin(3 / 10_000 ** (4 / 16)))
    expected = captioner.words.weight[words] * 16**0.5 + table[2:]
    torch.testing.assert_close(captioner._read(words, 2), expected)
