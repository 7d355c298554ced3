import dataclasses
import json

import numpy as np
import pytest
import torch

from clipnav.agents.clear.language_network import embed, make_language_network
from clipnav.agents.clear.loading import load_language, load_text_model
from clipnav.agents.clear.losses import nt_xent, paired_cross_entropy
from clipnav.agents.clear.objects import OBJECTS_FILE
from clipnav.agents.clear.pair_files import PathPair
from clipnav.agents.clear.retrieval import mean_summary, ranks, results_table, summary
from clipnav.agents.clear.settings import LanguageEncoderConfig, parse_visual
from clipnav.agents.clear.training import make_trainer, train
from clipnav.agents.clear.visual_network import VisualRepresentation, shared_objects
from clipnav.agents.clear.visual_training import PairedPathBatches, PairedPaths, VisualLearner
from clipnav.agents.layers.pretrained import TextModel
from clipnav.agents.layers.visual import PanoramaView
from clipnav.envs.tokenizers import PretrainedTokenizer
from clipnav.storage.features.store import store_of_arrays
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


def test_ranks_follow_cosine_similarity():
    candidates = np.array([[1.0, 0.0], [0.0, 3.0], [1.0, 1.0]])
    queries = np.array([[5.0, 1.0], [0.1, 1.0]])
    assert ranks(queries, candidates, np.array([0, 0])).tolist() == [1, 3]
    assert ranks(queries, candidates, np.array([2, 1])).tolist() == [2, 1]


def test_constant_embeddings_have_the_rank_of_chance():
    found = ranks(np.ones((5, 3)), np.ones((5, 3)), np.arange(5))
    assert found.tolist() == [3.0] * 5
    assert summary(found, 5)["R@1"] == 0


def test_figures_of_a_summary():
    figures = summary(np.array([1, 2, 10]), candidates=20)
    assert figures["MRR"] == pytest.approx((1 + 0.5 + 0.1) / 3)
    assert (figures["R@1"], figures["R@5"]) == pytest.approx((1 / 3, 2 / 3))
    assert (figures["chance"], figures["candidates"], figures["queries"]) == (0.05, 20, 3)


def test_means_are_weighted_by_queries():
    parts = [summary(np.array([1.0]), 4), summary(np.array([2.0, 2.0, 2.0]), 4)]
    mean = mean_summary(parts)
    assert mean["MRR"] == pytest.approx((1 + 3 * 0.5) / 4)
    table = results_table({"val_seen": {"trained": mean}}).splitlines()
    assert table[0].split() == ["split", "weights", "MRR", "R@1", "R@5", "chance", "N"]
    assert table[1].split()[:4] == ["val_seen", "trained", "62.5", "25.0"]


def plain_nt_xent(first, second, temperature, symmetric):
    """The loss as loops over anchors."""
    both = torch.nn.functional.normalize(torch.cat([first, second]), dim=1)
    count, losses = len(first), []
    for anchor in range(2 * count if symmetric else count):
        scores = torch.exp(both @ both[anchor] / temperature)
        others = [scores[other] for other in range(2 * count) if other != anchor]
        partner = (anchor + count) % (2 * count)
        losses.append(-torch.log(scores[partner] / sum(others)))
    return sum(losses) / len(losses)


@pytest.mark.parametrize("symmetric", [False, True])
def test_nt_xent_equals_loops(symmetric):
    torch.manual_seed(0)
    first, second = torch.randn(2, 4, 6)
    expected = plain_nt_xent(first, second, 0.5, symmetric)
    torch.testing.assert_close(nt_xent(first, second, 0.5, symmetric), expected)


def test_ended_pairs_are_no_targets_but_negatives():
    torch.manual_seed(0)
    first, second = torch.randn(2, 3, 6)
    live = torch.tensor([True, True, False])
    loss = paired_cross_entropy(first, second, live, 0.5)
    first, second = (torch.nn.functional.normalize(part, dim=1) for part in (first, second))
    logits = first @ second.T / 0.5
    rows, columns = logits.log_softmax(1).diag(), logits.log_softmax(0).diag()
    torch.testing.assert_close(loss, -(rows[:2].sum() + columns[:2].sum()) / 6)
    assert paired_cross_entropy(first, second, torch.zeros(3, dtype=torch.bool), 0.5) == 0


def test_language_step_equals_the_released_code(golden, check_close):
    from transformers import BertConfig, BertModel

    case = golden("clear_language")
    model = BertModel(BertConfig(**case.settings["config"])).eval()
    weights = case.group("weight")
    model.load_state_dict({name.removeprefix("bert."): w for name, w in weights.items()})
    given, expected = case.group("input"), case.group("output")
    text = TextModel(model, shift=0)

    # The golden mask equals that of the tokens, whose padding is 0.
    assert torch.equal((given["ids"] != 0).long(), given["mask"])
    states, pair_states = text.states(given["ids"]), text.states(given["pair_ids"])
    check_close(states * given["mask"][..., None], expected["states"] * given["mask"][..., None])
    pair_mask = given["pair_mask"][..., None]
    check_close(pair_states * pair_mask, expected["pair_states"] * pair_mask)
    loss = nt_xent(states[:, 0], pair_states[:, 0], 0.5)
    check_close(loss, expected["nt_xent"])
    check_close(loss * 0.2 / len(states), expected["loss_as_trained"])
    loss.backward()  # the golden gradients are those of the loss without its weight
    embeddings, layers = model.embeddings.word_embeddings.weight, model.encoder.layer
    gradients = case.group("gradient")
    check_close(embeddings.grad, gradients["word_embeddings"], gradient=True)
    query = layers[1].attention.self.query.weight
    check_close(query.grad, gradients["layer1.query"], gradient=True)


PATH = "unused"


def twin_pairs(count=24, width=12, hidden=4, seed=0):
    """Pairs of paths whose views share numbers that other, larger numbers hide."""
    rng = np.random.default_rng(seed)
    pairs, features = [], {}
    for number in range(count):
        steps = 1 + number % 3
        paths = []
        for side in "ab":
            ids = tuple(f"{side}{number}-{step}" for step in range(steps))
            paths.append((f"scan{side}", ids))
        for step in range(steps):
            shared = rng.standard_normal(hidden)
            for scan, ids in paths:
                own = 4 * rng.standard_normal((36, width - hidden)) + 6 * rng.standard_normal(
                    width - hidden
                )
                views = np.concatenate([np.tile(shared, (36, 1)), own], 1)
                features[f"{scan}_{ids[step]}"] = views
        pairs.append(PathPair(*paths[0], *paths[1]))
    return pairs, store_of_arrays(features, list(features))


def test_steps_have_features_objects_and_ends():
    pairs, store = twin_pairs(3)
    rng = np.random.default_rng(1)
    classes: dict = {}
    for key in store.keys:
        scan, _, viewpoint = key.partition("_")
        classes.setdefault(scan, {})[viewpoint] = rng.random((36, 5)) < 0.2
    data = PairedPaths(pairs, store, classes, PATH)
    steps = data.steps([2, 0])
    assert steps.views.shape == (2, 3, 2, 36, 12)
    assert steps.live.tolist() == [[True, True], [True, False], [True, False]]
    row = store.row("scanb", "b2-1")
    assert torch.equal(steps.views[1, 1, 0], torch.from_numpy(store.take(np.array([row]))[0]))
    ended = steps.views[:, 1:, 1]
    assert torch.equal(ended, steps.views[:, :1, 1].expand_as(ended)), "the last panorama remains"
    assert torch.equal(steps.shared[1:, 1], steps.shared[:1, 1].expand_as(steps.shared[1:, 1]))
    expected = (classes["scana"]["a2-1"] & classes["scanb"]["b2-1"]).any(1)
    assert steps.shared[1, 0].tolist() == expected.tolist()
    assert PairedPaths(pairs, store, None, PATH).steps([0]).shared is None


def test_ranks_share_a_batch_with_equally_many_steps():
    pairs, store = twin_pairs(8)
    data = PairedPaths(pairs, store, None, PATH)
    whole = PairedPathBatches(data, 8, seed=0).batch(0)
    parts = [PairedPathBatches(data, 8, 0, world_size=2).batch(0, rank, 2) for rank in range(2)]
    for rank, part in enumerate(parts):
        assert torch.equal(part.views, whole.views[:, :, rank::2])
        assert torch.equal(part.live, whole.live[:, rank::2])


def test_the_loss_of_a_batch_equals_the_loop_of_the_released_code(visual_config, tmp_path):
    config = dataclasses.replace(
        visual_config,
        output=tmp_path / "run",
        input_dropout=0.0,
        hidden_dropout=0.0,
        contrastive_weight=0.2,
    )
    learner = VisualLearner(config)
    figures = learner.backward(0)
    steps = learner._batches.batch(0)
    network, total = learner.network, torch.zeros(())
    for step, live in enumerate(steps.live):
        first, second = (
            network.panorama(steps.views[side, step], steps.shared[step]) for side in range(2)
        )
        total = total + paired_cross_entropy(first, second, live, config.temperature)
    loss = 0.2 * total / steps.live.sum()
    assert figures["loss"] == pytest.approx(loss.item(), rel=1e-5)
    gradient = network.encoder.layers[1].weight.grad.clone()
    network.zero_grad()
    loss.backward()
    torch.testing.assert_close(network.encoder.layers[1].weight.grad, gradient)


def test_bad_input_is_refused(visual_config, other_features, tmp_path, visual_run):
    missing = dataclasses.replace(visual_config, pairs=tmp_path)
    with pytest.raises(FileNotFoundError, match=r"objects_27\.json: no such file"):
        VisualLearner(missing)
    without = dataclasses.replace(missing, object_constraint=False)
    with pytest.raises(FileNotFoundError, match=r"rxr_train_guide_multi\.jsonl: no such file"):
        VisualLearner(without)
    objects = json.loads((visual_config.pairs / OBJECTS_FILE).read_text())
    del objects["room0"]["room0-c"]
    for name in visual_config.pairs.glob("*.jsonl"):
        (tmp_path / name.name).write_bytes(name.read_bytes())
    (tmp_path / OBJECTS_FILE).write_text(json.dumps(objects))
    with pytest.raises(KeyError, match=r"objects_27\.json: no viewpoint room0-c of scan room0"):
        VisualLearner(missing)
    resumed = dataclasses.replace(visual_config, features=other_features, resume=visual_run)
    with pytest.raises(ValueError, match="trained with encoder colours, but here it is shades"):
        make_trainer(resumed)


def test_paired_paths_are_required():
    with pytest.raises(ValueError, match="--pairs is missing; name a folder of paired paths"):
        parse_visual(["--preset", "clear"])


def test_the_command_trains(visual_config, run_command, tmp_path):
    run = tmp_path / "command"
    printed = run_command(
        *("train-visual-representation", "--pairs", visual_config.pairs, "--output", run),
        *("--world", "matterport", "--data-dir", visual_config.data_dir),
        *("--features", visual_config.features, "--iterations", 2, "--batch-size", 4),
        *("--no-object-constraint", "--threads", 1),
    )
    assert "val_seen" in printed
    assert printed.rstrip().endswith(f"Run: {run}")


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
