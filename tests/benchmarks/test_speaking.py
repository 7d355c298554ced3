import numpy as np
import pytest
import torch
from torch import nn

from clipnav.agents.envdrop.path_recording import record_paths
from clipnav.agents.envdrop.speaker import END, Speaker
from clipnav.agents.settings import SpeakerConfig
from clipnav.envs.navigation.device_features import DeviceFeatures
from clipnav.envs.navigation.making import make_vln_vector_env
from tests.benchmarks.loading import load

LONGEST = 12


@pytest.fixture(scope="module")
def env():
    return make_vln_vector_env(3, autoreset_mode="Disabled", observe="indices")


@pytest.fixture
def episodes(env):
    """Three paths of the same length: the baseline's encoding of shorter ones reads padding."""
    length = len(env.episodes[0].path)
    chosen = [e for e in env.episodes if len(e.path) == length and e.instr_id.endswith("_0")]
    return [episode.instr_id for episode in chosen[:3]]


@pytest.fixture
def pair(env):
    """Speaker without dropout, and the baseline with the same weights."""
    torch.manual_seed(0)
    visual, angle = env.feature_store.width, env.angle_feature_size
    config = SpeakerConfig(hidden_size=32, dropout=0.0, feature_dropout=0.0, standardise=False)
    ours = Speaker(len(env.tokenizer), visual, angle, 1, config).eval()
    follower = load("plain_envdrop")["PlainAgent"](env, 32)
    plain = load("plain_speaker")["PlainSpeaker"](follower, 32)
    copy(ours, plain)
    for part in (*plain.encoder.modules(), *plain.decoder.modules()):
        if isinstance(part, nn.Dropout):
            part.p = 0.0
    return ours, plain


@torch.no_grad()
def copy(ours, plain):
    """Copy weights; the biases of the baseline's LSTMs over paths are weights of an input."""
    encoder, decoder = plain.encoder, plain.decoder
    for name in ("moves", "sights"):
        target, source = getattr(encoder, name), getattr(ours.encoder, name)
        for suffix, direction in (("", source.forwards), ("_reverse", source.backwards)):
            inputs = direction.weight_ih_l0
            getattr(target, f"weight_ih_l0{suffix}").copy_(inputs[:, :-1])
            getattr(target, f"bias_ih_l0{suffix}").copy_(inputs[:, -1])
            getattr(target, f"bias_hh_l0{suffix}").zero_()
            getattr(target, f"weight_hh_l0{suffix}").copy_(direction.weight_hh_l0)
    for target, source in (
        (encoder.views, ours.encoder.views),
        (decoder.path, ours.decoder.path),
    ):
        target.query.weight.copy_(source.attention.query.weight)
        target.mix.weight.copy_(source.mix.weight)
    for name in ("embedding", "read", "word"):
        getattr(decoder, name).load_state_dict(getattr(ours.decoder, name).state_dict())


def test_both_speakers_generate_the_same_instructions(pair, env, episodes):
    ours, plain = pair
    load("speaking")["never_end"](ours.decoder.word)
    ours.decoder.word.bias.data[END] = 0.5  # some instructions end early
    copy(ours, plain)
    with torch.no_grad():
        paths = record_paths(env, DeviceFeatures(env, "cpu"), episodes)
        context = ours.encode(paths.views)
        expected = ours.generate(context, torch.zeros(3, dtype=torch.long), LONGEST)
    generated = plain.generate(episodes, torch.ones(env.feature_store.width), LONGEST)
    np.testing.assert_array_equal(generated, expected)


def test_both_speakers_have_the_same_loss(pair, env, episodes):
    ours, plain = pair
    with torch.no_grad():
        paths = record_paths(env, DeviceFeatures(env, "cpu"), episodes)
        tokens, languages = torch.from_numpy(paths.tokens), torch.zeros(3, dtype=torch.long)
        log_probs = ours.log_probs(ours.encode(paths.views), tokens, languages)
    expected = -float(log_probs.sum() / (tokens[:, 1:] != 0).sum())
    assert plain.iterate(episodes) == pytest.approx(expected, rel=1e-4)


def test_an_untrained_speaker_decodes_all_tokens(pair, env, episodes):
    _, plain = pair
    speaking = load("speaking")
    speaking["never_end"](plain.decoder.word)
    mask = torch.ones(env.feature_store.width)
    generated = plain.generate(episodes, mask, speaking["LONGEST"])
    assert generated.shape == (3, speaking["LONGEST"])
    assert (generated[:, -1] == END).all()
    first = len(env.tokenizer) - 1
    assert not np.isin(generated[:, 1:-1], [0, 1, END, first]).any()


def test_speaker_and_back_translation_are_compared_with_the_baseline(figures_of):
    figures = figures_of("speaking")
    bars = {"speaker step, batch 4": 0.45, "iteration with back-translation, batch 4": 0.40}
    for work, bar in bars.items():
        share = figures[f"{work}: share of the baseline"]
        spent, baseline = figures[work]["value"], figures[f"{work}, baseline"]["value"]
        assert share["value"] == pytest.approx(spent / baseline)
        assert (share["bar"], share["at_most"]) == (bar, True)
