import dataclasses
import json
import shutil

import numpy as np
import pytest
import torch

from clipnav.agents.acting.environments import make_env
from clipnav.agents.envdrop.path_recording import record_paths
from clipnav.agents.envdrop.settings import SpeakerTrainConfig
from clipnav.agents.envdrop.speaker import END, PathViews, Speaker
from clipnav.agents.envdrop.speaker_training import (
    SpeakerLearner,
    by_path,
    load_speaker,
    train_speaker,
)
from clipnav.agents.learning.agent_learner import make_agent_trainer, prepare
from clipnav.agents.settings import SpeakerConfig
from clipnav.envs.navigation.device_features import DeviceFeatures
from clipnav.storage.errors import UserError
from clipnav.training.checkpoints import RESULTS
from clipnav.training.settings import CONFIG, read_config, to_json


def test_speaker_learns_to_describe_doors(speaker_config, tmp_path, doors_env, capsys):
    config = dataclasses.replace(speaker_config, output=tmp_path / "run")
    results = train_speaker(config)
    # Each generated sentence is one of the three references of its door.
    assert results["val_unseen"]["BLEU"] > 0.6
    assert results["val_unseen"]["BLEU_shortest"] >= results["val_unseen"]["BLEU"]
    assert results["val_unseen"]["loss"] < 1.0
    printed = capsys.readouterr().out
    assert "val_unseen: BLEU" in printed
    assert "BLEU_shortest" in printed
    report = json.loads((config.output / RESULTS).read_text())
    assert report["results"] == results
    assert report["best"]["BLEU"] == results["val_unseen"]["BLEU"]
    speaker = load_speaker(config.output, doors_env, {"encoder": "colours"}, "cpu")
    assert speaker.languages == ["en"]
    assert speaker.tokenizer == doors_env.tokenizer
    assert not speaker.network.training
    with pytest.raises(ValueError, match="trained on en, not on hi te"):
        speaker.language_ids(["te", "en", "hi"])


def test_evaluated_instructions_have_the_decoded_length(speaker_config):
    prepare(speaker_config)
    learner = SpeakerLearner(dataclasses.replace(speaker_config, max_decoded_length=5))
    with torch.no_grad():  # a speaker that comes to no end
        learner.speaker.decoder.word.bias[END] = -1e9
    learner.network.eval()
    summary = learner.evaluate()["val_unseen"]
    assert summary["words"] == 3  # and the marks at both ends


def test_features_of_another_encoder_are_refused(speaker_run, other_features, doors_env):
    config = read_config(speaker_run, SpeakerTrainConfig)
    later = dataclasses.replace(config, features=other_features, resume=speaker_run)
    with pytest.raises(ValueError, match="encoder colours, but here it is shades"):
        make_agent_trainer(SpeakerLearner, later)
    with pytest.raises(ValueError, match="encoder colours, but here it is shades"):
        load_speaker(speaker_run, doors_env, {"encoder": "shades"}, "cpu")


def test_angle_features_of_another_width_are_refused(speaker_run, doors_config):
    config = dataclasses.replace(doors_config, angle_feature_size=8)
    with pytest.raises(ValueError, match="width 4, but those of this run have width 8"):
        load_speaker(speaker_run, make_env(config, "train"), {"encoder": "colours"}, "cpu")


def test_a_speaker_is_loaded_on_another_device_than_it_was_trained_on(
    speaker_run, doors_env, tmp_path
):
    run = shutil.copytree(speaker_run, tmp_path / "speaker")
    trained = dataclasses.replace(read_config(run, SpeakerTrainConfig), device="cuda")
    (run / CONFIG).write_text(to_json(trained))
    speaker = load_speaker(run, doors_env, {"encoder": "colours"}, "cpu")
    assert {weight.device.type for weight in speaker.network.parameters()} == {"cpu"}


def test_a_speaker_without_a_language_of_the_episodes_is_refused(
    speaker_run, doors_env, monkeypatch
):
    hindi = dataclasses.replace(doors_env.episodes[-1], language="hi-IN")
    monkeypatch.setattr(doors_env, "episodes", [*doors_env.episodes[:-1], hindi])
    with pytest.raises(UserError, match="was trained on en, not on hi; train one"):
        load_speaker(speaker_run, doors_env, {"encoder": "colours"}, "cpu")


def test_references_of_a_path_are_grouped(doors_env):
    groups = by_path(doors_env.episodes)
    assert len(groups) == 32
    assert all(len({episode.path for episode in group}) == 1 for group in groups)
    other = dataclasses.replace(doors_env.episodes[0], language="hi-IN")
    assert len(by_path([*doors_env.episodes, other])) == 33


SMALL = SpeakerConfig(embedding_size=6, hidden_size=8, standardise=False)
WORDS = 12
FIRST = WORDS - 1
TOKENS = torch.tensor([[FIRST, 3, 4, 5, END, 0], [FIRST, 6, END, 0, 0, 0]])
ONE = torch.zeros(2, dtype=torch.long)


def paths(steps=(3, 2)):
    """Return paths of random views, ordered by step."""
    rng = torch.Generator().manual_seed(0)
    places = sorted((step, row) for row, count in enumerate(steps) for step in range(count))
    step, row = (torch.tensor(column) for column in zip(*places, strict=True))
    stops = step == torch.tensor(steps)[row] - 1
    taken = torch.randn(len(row), 20, generator=rng).masked_fill(stops[:, None], 0.0)
    return PathViews(row, step, torch.randn(len(row), 36, 20, generator=rng), taken, stops)


@pytest.fixture
def speaker():
    torch.manual_seed(0)
    return Speaker(WORDS, visual=12, angle=8, languages=1, config=SMALL).eval()


def test_log_probs_equal_decoding_word_by_word(speaker):
    context = speaker.encode(paths())
    log_probs = speaker.log_probs(context, TOKENS, ONE)
    assert log_probs.shape == (2, 4)
    assert log_probs[1, 2:].tolist() == [0.0, 0.0]
    state = speaker.decoder.start(ONE)
    for place in range(4):
        hidden, state = speaker.decoder(TOKENS[:, place : place + 1], context, state)
        logs = speaker.decoder.word(hidden).log_softmax(1)
        wanted = logs.gather(1, TOKENS[:, place + 1 : place + 2])[:, 0]
        real = TOKENS[:, place + 1] != 0
        torch.testing.assert_close(log_probs[:, place][real], wanted[real])


def test_generates_the_most_probable_words_without_special_tokens(speaker):
    with torch.no_grad():
        speaker.decoder.word.bias[[0, 1, FIRST]] = 100.0
    context = speaker.encode(paths())
    generated = speaker.generate(context, ONE, 7)
    assert generated.dtype == np.int32
    assert (generated[:, 0] == FIRST).all()
    for row in range(2):
        tokens_of_row = generated[row][generated[row] != 0]
        assert tokens_of_row[-1] == END
        assert not {0, 1, FIRST} & set(tokens_of_row[1:].tolist())
        alone = speaker.generate(context.rows(torch.tensor([row])), ONE[:1], 7)
        assert alone[0].tolist() == tokens_of_row.tolist()
        tokens = torch.from_numpy(tokens_of_row)[None].long()
        likely = speaker.log_probs(context.rows(torch.tensor([row])), tokens, ONE[:1]).sum()
        for other in range(3, FIRST):
            if tokens_of_row[1] not in (other, END):
                changed = tokens[:, :2].clone()
                changed[0, 1] = other
                rows = context.rows(torch.tensor([row]))
                first = speaker.log_probs(rows, tokens[:, :2], ONE[:1])
                assert speaker.log_probs(rows, changed, ONE[:1]).sum() <= first.sum()
        assert torch.isfinite(likely)


def test_parameter_count_is_that_of_the_paper_without_unused_layers():
    # EnvDrop with 512-d features: speaker encoder 4,333,568 and decoder 3,192,033, including the
    # unused baseline projection 512 * 128 + 128 + 128 + 1; torch's LSTMs have two biases.
    speaker = Speaker(992, visual=512, angle=128, languages=1, config=SpeakerConfig())
    encoder = sum(p.numel() for p in speaker.encoder.parameters())
    decoder = sum(p.numel() for p in speaker.decoder.parameters())
    assert encoder == 4_333_568 - 2 * 2 * 4 * 256
    assert decoder == 3_192_033 - (512 * 128 + 128 + 128 + 1)


def test_paths_are_walked_to_their_stop(doors_env):
    episodes = doors_env.episodes[:5]
    features = DeviceFeatures(doors_env)
    described = record_paths(doors_env, features, [e.instr_id for e in episodes])
    seen = described.views
    assert seen.rows.tolist() == [*range(5), *range(5)]
    assert seen.steps.tolist() == [0] * 5 + [1] * 5
    assert seen.stops.tolist() == [False] * 5 + [True] * 5
    assert (seen.taken[5:] == 0).all()
    # What is taken from the centre is the view with the colour of the door.
    assert (seen.taken[:5, :4].sum(1) == 1).all()
    length = described.tokens.shape[1]
    for tokens, episode in zip(described.tokens, episodes, strict=True):
        expected = doors_env.tokenizer.encode(episode.instruction, length)
        assert tokens.tolist() == expected.tolist()
