import dataclasses
import shutil

import numpy as np
import pytest
import torch

from clipnav.agents.envdrop.back_translation import BackTranslator, held_out_episodes
from clipnav.agents.envdrop.follower_agent import EpisodeBatch
from clipnav.agents.envdrop.learner import _BACK_TRANSLATION, FollowerLearner, make_follower
from clipnav.agents.envdrop.settings import SpeakerTrainConfig
from clipnav.agents.envdrop.speaker import END
from clipnav.agents.learning.agent_learner import make_agent_trainer
from clipnav.agents.settings import BackTranslationConfig, ReinforcementConfig
from clipnav.envs.tokenizers import WordTokenizer, load_tokenizer
from clipnav.training.checkpoints import VOCABULARY, load_trainer
from clipnav.training.settings import CONFIG, read_config, to_json
from clipnav.training.streams import Stream


@pytest.fixture
def config(small_config, speaker_run):
    return dataclasses.replace(
        small_config,
        batch_size=4,
        iterations=20,
        optimiser=dataclasses.replace(small_config.optimiser, schedule="constant"),
        reinforcement=ReinforcementConfig(weight=1.0),
        back_translation=BackTranslationConfig(speaker=speaker_run, paths=40),
    )


@pytest.fixture
def first(config):
    """Run without back-translation after few iterations."""
    first = dataclasses.replace(config, iterations=2, back_translation=BackTranslationConfig())
    make_agent_trainer(FollowerLearner, first)[0].train()
    return first


@pytest.fixture
def translator(config, doors_env):
    torch.manual_seed(0)
    follower = make_follower(config, doors_env).train()
    return BackTranslator(config, follower, doors_env, [])


def test_sampled_paths_have_generated_instructions(translator, doors_env):
    ids = translator.names(0)
    batch = translator.batch(ids, np.random.default_rng(0))
    assert batch.instr_ids == ids
    tokenizer = doors_env.tokenizer
    first, end = tokenizer.encode("", 2)
    for tokens in batch.tokens:
        sentence = tokens[tokens != 0]
        assert (sentence[0], sentence[-1]) == (first, end)
        assert len(sentence) > 2
        assert set(tokenizer.decode(sentence).split()) <= set(tokenizer.words[3:-1])
    assert len(translator.env.episodes) == 40
    assert {episode.scan for episode in translator.env.episodes} <= set(doors_env.nav_world.graphs)


@pytest.mark.parametrize("longest", [None, 25])
def test_generated_instructions_may_exceed_the_maximum_instruction_length(
    longest, config, doors_env, tmp_path
):
    saved = read_config(config.back_translation.speaker, SpeakerTrainConfig)
    run = tmp_path / "speaker"
    shutil.copytree(config.back_translation.speaker, run)
    (run / CONFIG).write_text(to_json(dataclasses.replace(saved, max_decoded_length=longest)))
    settings = dataclasses.replace(config.back_translation, speaker=run)
    config = dataclasses.replace(config, back_translation=settings)
    follower = make_follower(config, doors_env).train()
    translator = BackTranslator(config, follower, doors_env, [])
    with torch.no_grad():  # a speaker that comes to no end
        translator.speaker.network.decoder.word.bias[END] = -1e9
    tokens = translator.batch(translator.names(0), np.random.default_rng(0)).tokens
    assert tokens.shape == (16, longest or saved.max_instruction_length)
    assert (tokens[:, -1] == END).all()
    assert (tokens != 0).all()
    assert len(translator.speaker.token_ids(["go on " * 50])[0]) == saved.max_instruction_length


def test_speaker_and_follower_share_a_dropout_mask(translator):
    seen = {}
    encode = translator.speaker.network.encode

    def spy(views, noise):
        seen["rows"], seen["gate"] = views.rows, noise.gate(views.panorama)
        return encode(views, noise)

    translator.speaker.network.encode = spy
    batch = translator.batch(translator.names(0), np.random.default_rng(0))
    gate = batch.noise.gate(torch.ones(16, 36, 8))
    assert torch.equal(seen["gate"], gate[seen["rows"]])
    assert (gate == 0).any()
    scans = [episode.scan for episode in translator.env.current_episodes()]
    for one in range(16):
        for other in range(16):
            if scans[one] == scans[other]:
                assert torch.equal(gate[one], gate[other]), "one building, one mask"


def test_shuffled_instructions_are_refused(config, doors_env):
    shuffled = dataclasses.replace(config, instruction_ablation="shuffled")
    follower = make_follower(shuffled, doors_env)
    with pytest.raises(ValueError, match="--instruction-ablation shuffled and --back-translation"):
        BackTranslator(shuffled, follower, doors_env, [])


def test_a_speaker_of_another_encoder_is_refused(config, other_features):
    config = dataclasses.replace(config, features=other_features)
    with pytest.raises(ValueError, match="encoder colours, but here it is shades"):
        make_agent_trainer(FollowerLearner, config)


def test_batch_dropout_has_one_mask(config, doors_env):
    released = dataclasses.replace(config.back_translation, dropout="batch")
    config = dataclasses.replace(config, back_translation=released)
    follower = make_follower(config, doors_env).train()
    translator = BackTranslator(config, follower, doors_env, [])
    batch = translator.batch(translator.names(0), np.random.default_rng(0))
    gate = batch.noise.gate(torch.ones(16, 36, 8))
    assert (gate == gate[:1]).all()


@pytest.mark.parametrize("paths", [2, 5])
def test_batches_of_few_paths_have_whole_pairs(config, paths):
    few = dataclasses.replace(config.back_translation, paths=paths)
    config = dataclasses.replace(config, back_translation=few)
    trainer, learner = make_agent_trainer(FollowerLearner, config)
    assert len(learner._translator.names(0)) == paths // 2 * 2
    assert "back_reinforcement" in trainer.step()


def test_too_few_paths_are_refused(config):
    one = dataclasses.replace(config.back_translation, paths=1)
    with pytest.raises(ValueError, match=r"--back-translation\.paths 1: 1 paths .* requires 2"):
        make_agent_trainer(FollowerLearner, dataclasses.replace(config, back_translation=one))


def test_held_out_splits_are_excluded_even_if_not_evaluated(config):
    many = dataclasses.replace(config.back_translation, paths=1000)
    config = dataclasses.replace(
        config, evaluation_splits=("val_unseen",), select_by="val_unseen", back_translation=many
    )
    held_out = {(episode.scan, episode.path) for episode in held_out_episodes(config)}
    assert len({scan for scan, _ in held_out}) == 4
    _, learner = make_agent_trainer(FollowerLearner, config)
    sampled = {(episode.scan, episode.path) for episode in learner._translator.env.episodes}
    assert not sampled & held_out


def test_gradient_is_the_sum_over_both_batches(config):
    _, learner = make_agent_trainer(FollowerLearner, config)
    network, translator = learner.network.train(), learner._translator
    weights = list(network.parameters())
    torch.manual_seed(5)
    figures = learner.backward(0)
    gradients = [weight.grad for weight in weights]
    network.zero_grad()

    torch.manual_seed(5)
    annotated = EpisodeBatch(learner._order.batch(0), Stream.FOLLOWER_ACTIONS.rng(config.seed, 0))
    own, _ = network(learner.env, learner.features, annotated, 1.0)
    rng = Stream.FOLLOWER_ACTIONS.rng(config.seed, 0, _BACK_TRANSLATION)
    generated = translator.batch(translator.names(0), rng)
    back, _ = network(translator.env, translator.features, generated, 0.6)
    (own + back).backward()
    assert figures["loss"] == pytest.approx((own + back).item())
    for weight, gradient in zip(weights, gradients, strict=True):
        torch.testing.assert_close(weight.grad, gradient)


def test_start_from_refuses_other_layer_sizes(config, first, tmp_path):
    follower = dataclasses.replace(config.follower, standardise=not config.follower.standardise)
    later = dataclasses.replace(
        config, follower=follower, output=tmp_path / "later", start_from=first.output
    )
    with pytest.raises(ValueError, match=r"model\.safetensors: does not fit the settings here"):
        make_agent_trainer(FollowerLearner, later)


def test_start_from_a_run_with_another_vocabulary(first, tmp_path):
    vocabulary = load_tokenizer(first.output / VOCABULARY)
    number = 3  # of the commonest word
    others = list(vocabulary.words)
    others[number] = "elsewhere"
    WordTokenizer(others).save(first.output / VOCABULARY)
    fresh = make_agent_trainer(
        FollowerLearner, dataclasses.replace(first, output=tmp_path / "fresh")
    )[1]
    later = dataclasses.replace(first, output=tmp_path / "later", start_from=first.output)
    _, learner = make_agent_trainer(FollowerLearner, later)
    before = load_trainer(first.output)["weights"]
    embedding = "follower.encoder.embedding.weight"
    for name, value in learner.network.state_dict().items():
        if name == embedding:
            new, old = fresh.network.state_dict()[name], before[name].clone()
            assert torch.equal(value[number], new[number])
            assert not torch.equal(value[number], old[number])
            old[number] = new[number]
            assert torch.equal(value, old)
        else:
            assert torch.equal(value, before[name]), name
