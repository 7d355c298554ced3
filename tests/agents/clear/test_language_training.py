import dataclasses
import json

import pytest
import torch

from clipnav.agents.clear.language_network import embed, make_language_network
from clipnav.agents.clear.loading import load_language, load_text_model
from clipnav.agents.clear.settings import LanguageEncoderConfig
from clipnav.agents.clear.training import make_trainer, train
from clipnav.envs.tokenizers import PretrainedTokenizer
from clipnav.training.checkpoints import RESULTS


@pytest.fixture
def config(language_config, tmp_path):
    return dataclasses.replace(
        language_config, iterations=6, evaluate_every=3, output=tmp_path / "run"
    )


def test_an_instruction_learns_to_find_its_path_in_another_language(config):
    config = dataclasses.replace(config, iterations=150, evaluate_every=50)
    results = train(config)
    # Two of the eight paths of a split have the same colour and therefore equal instructions.
    best = 1 / 1.5
    for split in ("val_seen", "val_unseen"):
        assert results[split]["trained"]["MRR"] > 0.9 * best > results[split]["initial"]["MRR"]
        assert results[split]["trained"]["candidates"] == 8
    assert set(results) >= {"val_seen/en-hi", "val_seen/te-en", "val_unseen/hi-te"}
    report = json.loads((config.output / RESULTS).read_text())
    assert report["results"]["val_seen"]["trained"]["MRR"] == results["val_seen"]["trained"]["MRR"]
    assert report["best"]["MRR"] == pytest.approx(results["val_seen"]["trained"]["MRR"])


def test_a_hugging_face_model_is_fine_tuned(config, tiny_bert):
    encoder = LanguageEncoderConfig("pretrained", model=str(tiny_bert))
    config = dataclasses.replace(config, encoder=encoder, select_metric="log_prob")
    trainer, learner = make_trainer(config)
    before = {name: value.clone() for name, value in learner.network.state_dict().items()}
    trainer.train()
    trainer.close()
    assert isinstance(learner.tokenizer, PretrainedTokenizer)
    after = learner.network.state_dict()
    changed = {name for name, value in before.items() if not torch.equal(value, after[name])}
    assert any("attention" in name for name in changed)
    assert not any("pooler" in name for name in changed)
    network, tokenizer, _ = load_language(trainer.run)
    assert tokenizer == learner.tokenizer
    assert network.architecture == {"text model": str(tiny_bert)}


def test_languages_and_pairs_restrict_the_training(config):
    _, learner = make_trainer(dataclasses.replace(config, languages=("en", "te")))
    assert set(learner.evaluate()) == {
        *("val_seen", "val_seen/en-te", "val_seen/te-en"),
        *("val_unseen", "val_unseen/en-te", "val_unseen/te-en"),
    }
    single = dataclasses.replace(config, partner="same-language", output=config.output / "single")
    with pytest.raises(ValueError, match="--partner same-language: 0 paths have two"):
        make_trainer(single)
    missing = dataclasses.replace(config, languages=("fr",), output=config.output / "fr")
    with pytest.raises(ValueError, match="no instruction in language 'fr'"):
        make_trainer(missing)


@pytest.mark.parametrize("pooling", ["first", "mean"])
def test_padding_has_no_effect_on_an_embedding(config, pooling):
    encoder = dataclasses.replace(config.encoder, pooling=pooling)
    _, learner = make_trainer(dataclasses.replace(config, encoder=encoder))
    network = learner.network.eval()
    tokens = learner.evaluation["val_seen"].tokens
    row = tokens[0, tokens[0] != 0]
    states = network._text.states(row[None].long())[0]
    expected = states[0] if pooling == "first" else states.mean(0)
    with torch.no_grad():
        torch.testing.assert_close(network(tokens)[0], expected)


def test_embeddings_do_not_depend_on_the_batch(config):
    _, learner = make_trainer(config)
    tokens = learner.evaluation["val_seen"].tokens
    network = learner.network.train()
    whole = embed(network, tokens, centre=False, batch_size=64)
    assert network.training
    torch.testing.assert_close(embed(network, tokens, centre=False, batch_size=5), whole)
    torch.testing.assert_close(embed(network, tokens[3:4], centre=False), whole[3:4])
    centred = embed(network, tokens, centre=True)
    torch.testing.assert_close(centred, whole - whole.mean(0))


def test_a_follower_may_not_read_more_tokens_than_the_representation(config):
    trainer, _ = make_trainer(config)
    trainer.train()
    trainer.close()
    text = load_text_model(trainer.run, 24)
    assert text.width == 32
    assert len(text.identity["language representation"]) == 16
    with pytest.raises(ValueError, match=r"--max-instruction-length 25: .* at most 24 tokens"):
        load_text_model(trainer.run, 25)


def test_weights_of_another_size_are_refused(config):
    trainer, learner = make_trainer(config)
    trainer.train()
    trainer.close()
    saved = json.loads((trainer.run / "config.json").read_text())
    saved["encoder"]["feed_forward_size"] = 32
    (trainer.run / "config.json").write_text(json.dumps(saved))
    with pytest.raises(ValueError, match=r"trained with encoder sizes 32 1 2 64, but here it is"):
        load_language(trainer.run)
    assert make_language_network(config, learner.tokenizer).architecture["encoder sizes"]


def test_the_command_trains_and_resumes(config, doors, run_command, tmp_path):
    run = tmp_path / "command"
    flags = ["--world", "matterport", "--data-dir", doors, "--output", run, "--threads", 1]
    sizes = ["--encoder.vocabulary-size", 300, "--encoder.hidden-size", 16, "--encoder.layers", 1]
    counts = ["--iterations", 2, "--batch-size", 4, "--max-instruction-length", 24]
    printed = run_command("train-language-representation", *flags, *sizes, *counts)
    assert "val_unseen/te-hi" in printed
    assert printed.rstrip().endswith(f"Run: {run}")
    printed = run_command("train-language-representation", "--resume", run, "--iterations", 3)
    assert json.loads((run / RESULTS).read_text())["iterations"] == 3
    with pytest.raises(ValueError, match="batch_size: 4 against 5"):
        run_command("train-language-representation", "--resume", run, "--batch-size", 5)
