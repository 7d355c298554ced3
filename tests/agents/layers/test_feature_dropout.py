import dataclasses

import numpy as np
import pytest
import torch

from clipnav.agents.acting.rollout import ActionSource, rollout
from clipnav.agents.envdrop.follower import Follower
from clipnav.agents.envdrop.follower_agent import FollowerAgent
from clipnav.agents.envdrop.learner import make_follower
from clipnav.agents.envdrop.path_recording import record_paths
from clipnav.agents.envdrop.speaker_training import SpeakerLoss, make_speaker
from clipnav.agents.layers.encoders import InstructionEncoder
from clipnav.agents.layers.visual import PanoramaView, VisualNoise
from clipnav.agents.settings import FollowerConfig
from clipnav.envs.navigation.device_features import DeviceFeatures

KINDS = ("environment", "batch", "episode", "step", "element")
TOKENS = torch.tensor([[9, 3, 4, 5, 2, 0], [9, 6, 2, 0, 0, 0], [9, 7, 8, 2, 0, 0]])
VISUAL, ANGLE = 12, 8


def times(views, gate):
    return views if gate is None else views * gate.unsqueeze(1)


@pytest.mark.parametrize("embeds", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_feature_dropout_equals_zero_features(kind, embeds):
    torch.manual_seed(0)
    config = FollowerConfig(6, 8, 5, candidate_mlp=embeds, distance_feature=embeds)
    follower = Follower(InstructionEncoder(10, config), VISUAL, ANGLE, config).eval()
    context, state = follower.encoder(TOKENS)
    panorama, candidates = torch.randn(3, 36, VISUAL + ANGLE), torch.randn(3, 4, VISUAL + ANGLE)
    possible, away = torch.ones(3, 4, dtype=torch.bool), 4 * torch.rand(3, 4)
    view = PanoramaView(panorama, candidates, possible, torch.randn(3, ANGLE), away)
    noise = VisualNoise(0.5, kind, VISUAL, VISUAL + ANGLE, torch.tensor([0, 1, 0]))

    torch.manual_seed(1)
    copy = view._replace(panorama=panorama.clone(), candidates=candidates.clone())
    decision = follower.decoder(copy, context, state, noise)
    torch.manual_seed(1)
    panorama, candidates = noise.drop_(panorama.clone()), noise.drop_(candidates.clone())
    gate = noise.gate(panorama)
    panorama, candidates = times(panorama, gate), times(candidates, gate)
    changed = view._replace(panorama=panorama, candidates=candidates)
    expected = follower.decoder(changed, context, state)
    for name in ("scores", "hidden", "view_weights"):
        torch.testing.assert_close(getattr(decision, name), getattr(expected, name))
    for one in ("panorama", "candidates"):
        partly = follower.decoder(changed._replace(**{one: getattr(view, one)}), context, state)
        assert not torch.allclose(partly.scores, expected.scores), one


@pytest.fixture
def config_without_dropout(doors_config):
    """Settings with feature dropout only."""

    def settings(**changes):
        follower = dataclasses.replace(
            doors_config.follower, dropout=0.0, feature_dropout=0.5, **changes
        )
        return dataclasses.replace(doors_config, follower=follower)

    return settings


def teacher_forced(env, follower, ids, noise=None):
    way = ActionSource(np.ones(len(ids), bool))
    return rollout(
        env, FollowerAgent(follower, DeviceFeatures(env), action_source=way, noise=noise), ids
    )


@pytest.mark.parametrize("kind", ["environment", "batch", "episode", "step"])
def test_masks_last_for_their_scope(kind, config_without_dropout, doors_env, monkeypatch):
    masks = []
    drawn = VisualNoise.gate

    def gate(noise, views):
        masks.append(drawn(noise, views))
        return masks[-1]

    monkeypatch.setattr(VisualNoise, "gate", gate)
    torch.manual_seed(0)
    follower = make_follower(config_without_dropout(feature_dropout_kind=kind), doors_env).train()
    # Two instructions in each of eight buildings; a walk moves once and stops.
    episodes = [doors_env.episodes[12 * number + one] for number in range(8) for one in (0, 1)]
    assert len({episode.scan for episode in episodes}) == 8
    decisions = teacher_forced(doors_env, follower, [episode.instr_id for episode in episodes])
    assert decisions.sizes == [16, 16]
    first, second = masks  # one a step, for panorama and candidates

    assert torch.equal(first[0::2], first[1::2]) is (kind in ("environment", "batch"))
    assert bool((first == first[0]).all()) is (kind == "batch")
    assert torch.equal(first, second) is (kind != "step")


@pytest.mark.parametrize("kind", KINDS)
def test_a_speaker_learns_from_paths_with_dropped_features(kind, speaker_config, doors_env):
    settings = dataclasses.replace(
        speaker_config.speaker,
        dropout=0.0,
        standardise=False,
        feature_dropout=0.5,
        feature_dropout_kind=kind,
    )
    config = dataclasses.replace(speaker_config, speaker=settings)
    torch.manual_seed(0)
    speaker = make_speaker(config, doors_env, len(doors_env.tokenizer), 1)
    loss = SpeakerLoss(speaker, config)
    ids = [episode.instr_id for episode in doors_env.episodes[::12]]
    described = record_paths(doors_env, DeviceFeatures(doors_env), ids)
    seen, languages = described.views, torch.zeros(8, dtype=torch.long)
    panorama, taken = 9 * torch.randn_like(seen.panorama), 9 * torch.randn_like(seen.taken)
    seen = seen._replace(panorama=panorama, taken=taken)
    described = described._replace(views=seen)
    torch.manual_seed(1)
    copy = seen._replace(panorama=panorama.clone(), taken=taken.clone())
    learnt = loss.train()(described._replace(views=copy), languages)

    torch.manual_seed(1)
    width, scans = speaker.visual + speaker.angle, torch.from_numpy(described.scans)
    noise = VisualNoise(0.5, kind, speaker.visual, width, scans).rows(seen.rows)
    panorama, taken = noise.drop_(panorama.clone()), noise.drop_(taken[:, None].clone())
    gate = noise.gate(panorama)
    seen = seen._replace(panorama=times(panorama, gate), taken=times(taken, gate)[:, 0])
    expected = loss.eval()(described._replace(views=seen), languages)
    torch.testing.assert_close(learnt, expected)
    assert (learnt - loss(described, languages)).abs() > 1e-3


SCANS = torch.tensor([0, 1, 0, 2] * 16)


def dropped(noise, views):
    """Return views after gate and drop."""
    gate = noise.gate(views)
    views = noise.drop_(views)
    return views if gate is None else views * gate.unsqueeze(1)


@pytest.mark.parametrize("kind", ["environment", "batch", "episode", "step", "element"])
def test_masks_drop_visual_features_at_the_rate_and_keep_angles(kind):
    torch.manual_seed(0)
    noise = VisualNoise(0.5, kind, 120, 130, SCANS)
    views = dropped(noise, torch.ones(64, 36, 130))
    assert (views[..., 120:] == 1).all()
    assert set(views[..., :120].unique().tolist()) == {0.0, 2.0}
    assert (views[..., :120] == 0).float().mean() == pytest.approx(0.5, abs=0.1)
    assert bool((views == views[:, :1]).all()) == (kind != "element")
    again = dropped(noise, torch.ones(64, 36, 130))
    assert torch.equal(views, again) == (kind in ("environment", "batch", "episode"))


def test_scope_of_masks():
    views = torch.ones(64, 1, 50)
    for kind, masks in (("environment", 3), ("batch", 1), ("episode", 64), ("step", 64)):
        rows = dropped(VisualNoise(0.5, kind, 40, 50, SCANS), views).flatten(1)
        assert len(rows.unique(dim=0)) == masks, kind
    rows = dropped(VisualNoise(0.5, "environment", 40, 50, SCANS), views).flatten(1)
    assert torch.equal(rows[0], rows[2])
    assert not torch.equal(rows[0], rows[1])


def test_masks_follow_the_live_episodes():
    noise = VisualNoise(0.5, "environment", 40, 50, SCANS)
    views = torch.ones(64, 1, 50)
    gate = noise.gate(views)
    fewer = noise.rows(torch.tensor([5, 9]))
    assert torch.equal(fewer.gate(views[:2]), gate[[5, 9]])
    assert torch.equal(noise.gate(views), gate)
