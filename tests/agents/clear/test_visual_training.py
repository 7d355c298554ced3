import dataclasses
import json

import numpy as np
import pytest
import torch

from clipnav.agents.clear.losses import paired_cross_entropy
from clipnav.agents.clear.objects import OBJECTS_FILE
from clipnav.agents.clear.pair_files import PathPair
from clipnav.agents.clear.settings import parse_visual
from clipnav.agents.clear.training import make_trainer
from clipnav.agents.clear.visual_training import (
    PairedPathBatches,
    PairedPaths,
    VisualLearner,
)
from clipnav.storage.features.store import store_of_arrays

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
