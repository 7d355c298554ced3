import dataclasses

import pytest

from clipnav.agents.envdrop.learner import FollowerLearner
from clipnav.agents.envdrop.settings import SpeakerTrainConfig
from clipnav.agents.envdrop.speaker_training import train_speaker
from clipnav.agents.experiments.training import train
from clipnav.agents.learning.agent_learner import make_agent_trainer
from clipnav.agents.settings import (
    BackTranslationConfig,
    ReinforcementConfig,
    SpeakerConfig,
    TextConfig,
)
from clipnav.envs.tokenizers import SubwordTokenizer
from clipnav.training.log import read_log
from clipnav.training.optimiser_settings import OptimiserConfig

SUBWORDS = TextConfig(tokens="subwords", vocabulary_size=200)


@pytest.fixture
def rxr(doors_config):
    """Settings with reference paths and nDTW rewards."""
    return dataclasses.replace(
        doors_config,
        dataset="rxr",
        teacher="reference",
        reward="ndtw",
        select_metric="nDTW",
        evaluation_splits=("val_unseen",),
        select_by="val_unseen",
        imitation_weight=0.4,
        reinforcement=ReinforcementConfig(weight=1.0),
    )


def test_one_follower_understands_three_languages(rxr):
    results = train(dataclasses.replace(rxr, text=SUBWORDS, iterations=100))
    languages = ["val_unseen/en", "val_unseen/hi", "val_unseen/te"]
    assert list(results) == ["val_unseen", *languages]
    for split in results:
        assert results[split]["follower"]["nDTW"] > 0.8
        assert list(results[split]) == ["follower", "random", "forward", "reference path"]
        assert results[split]["random"]["nDTW"] < 0.9
        assert results[split]["reference path"]["nDTW"] == 1.0
    assert {results[split]["follower"]["episodes"] for split in languages} == {8}
    events = [event["kind"] for event in read_log(rxr.output) if event["iteration"] == 100]
    assert set(languages) < set(events)


def test_back_translation_generates_the_languages_of_the_split(rxr, tmp_path):
    speaker = SpeakerTrainConfig(
        dataset="rxr",
        world="matterport",
        data_dir=rxr.data_dir,
        features=rxr.features,
        angle_feature_size=4,
        batch_size=16,
        iterations=100,
        evaluation_splits=("val_unseen",),
        select_by="val_unseen",
        output=tmp_path / "speaker",
        threads=1,
        text=SUBWORDS,
        speaker=SpeakerConfig(embedding_size=16, hidden_size=32, dropout=0.1, feature_dropout=0.0),
        optimiser=OptimiserConfig(name="adam", learning_rate=1e-2),
    )
    train_speaker(speaker)
    # The follower uses word tokens, and the speaker subword tokens.
    config = dataclasses.replace(
        rxr,
        batch_size=16,
        back_translation=BackTranslationConfig(speaker=tmp_path / "speaker", paths=60),
    )
    trainer, learner = make_agent_trainer(FollowerLearner, config)
    translator = learner._translator
    assert isinstance(translator.speaker.tokenizer, SubwordTokenizer)
    assert translator.speaker.languages == ["en", "hi", "te"]
    spied = []
    own = translator.batch
    translator.batch = lambda ids, rng: spied.append(own(ids, rng)) or spied[-1]
    figures = trainer.step()
    assert figures["back_loss"] > 0
    texts = [learner.env.tokenizer.decode(row) for row in spied[0].tokens]
    for language, word in (("en", "door"), ("hi", "दरवाज़े"), ("te", "తలుపు")):
        instructions = [
            text
            for instr_id, text in zip(spied[0].instr_ids, texts, strict=True)
            if translator._languages[instr_id] == language
        ]
        assert instructions
        assert sum(word in text for text in instructions) > len(instructions) / 2, instructions
