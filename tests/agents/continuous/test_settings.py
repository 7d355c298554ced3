"""Settings and presets of continuous agents."""

from dataclasses import replace

import pytest

from clipnav.agents.continuous.command_line import parse_continuous
from clipnav.agents.continuous.presets import PUBLISHED_NETWORK, continuous_defaults
from clipnav.agents.continuous.settings import ContinuousNetworkConfig, ContinuousTrainConfig


def test_published_sizes():
    config = PUBLISHED_NETWORK
    assert (config.word_size, config.text_size, config.state_size) == (50, 128, 512)
    assert (config.rgb_size, config.depth_size, config.depth_channels) == (256, 128, 128)
    assert (config.position_size, config.action_size, config.progress_weight) == (64, 32, 1.0)


@pytest.mark.parametrize(("kind", "epochs"), [("seq2seq", 15), ("cma", 45)])
def test_published_teacher_forcing(kind, epochs):
    config = continuous_defaults(recipe=kind)
    assert config.iterations == epochs * 2164  # batches of 5 of 10,819 episodes
    assert config.batch_size == 5
    assert config.optimiser.name == "adam"
    assert config.optimiser.learning_rate == 2.5e-4
    assert config.optimiser.clip == "none"
    assert config.inflection_weight == 3.2
    assert (config.rounds, config.episodes_per_round) == (1, None)
    assert (config.evaluation_episodes, config.results_episodes) == (None, None)
    assert config.network == replace(PUBLISHED_NETWORK, kind=kind)
    assert (config.teacher, config.select_by, config.select_metric) == (
        *("goal", "val_unseen", "SPL"),
    )
    assert continuous_defaults("rxr", recipe=kind).inflection_weight == 1.9


@pytest.mark.parametrize("kind", ["seq2seq-dagger", "cma-dagger"])
def test_published_dagger(kind):
    config = continuous_defaults(recipe=kind)
    assert (config.rounds, config.episodes_per_round, config.expert_probability) == (
        *(10, 5000, 0.75),
    )
    # Round r trains for 4 epochs on the 5,000 (r + 1) episodes so far, in batches of 5.
    starts = [0]
    for number in range(10):
        starts.append(starts[-1] + 4 * 1000 * (number + 1))
    assert config.iterations == starts[-1]
    for number in range(10):
        assert config.round_of(starts[number]) == number
        assert config.round_of(starts[number + 1] - 1) == number


@pytest.mark.parametrize("recipe", ["seq2seq", "cma", "cma-dagger"])
def test_presets_with_progress_monitor_differ_in_it_only(recipe):
    kind, dagger = recipe.partition("-")[::2]
    name = f"{kind}-pm-{dagger}".rstrip("-")
    plain, monitored = (parse_continuous(["--preset", preset]) for preset in (recipe, name))
    assert monitored == replace(
        plain, preset=name, network=replace(plain.network, progress_monitor=True)
    )
    assert monitored.network.progress_weight == 1.0
    assert monitored.run_name == f"r2r-ce-houses-{name}"


def test_rounds_share_the_iterations():
    config = ContinuousTrainConfig(rounds=3, iterations=60)
    assert [config.round_of(k) for k in (0, 9, 10, 29, 30, 59)] == [0, 0, 1, 1, 2, 2]
    assert ContinuousTrainConfig(rounds=1, iterations=5).round_of(4) == 0


def test_the_defaults_are_those_of_a_small_network_on_a_cpu():
    config = parse_continuous([])
    assert config == ContinuousTrainConfig() == continuous_defaults()
    assert config.network.state_size < PUBLISHED_NETWORK.state_size
    assert config.rounds > 1
    assert parse_continuous(["--dataset", "rxr"]).inflection_weight == 1.9


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--rounds", "1", "--expert-probability", "0.5"],
            "--expert-probability 0.5 has no effect",
        ),
        (["--network.progress-weight", "2"], "--network.progress-weight 2.0 has no effect"),
        (
            ["--network.kind", "seq2seq", "--network.action-size", "8"],
            "--network.action-size 8 has no effect",
        ),
    ],
)
def test_settings_without_effect_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        parse_continuous(arguments)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"depth_pixels": 50}, "--depth-pixels 50: must be a multiple of 16"),
        ({"world": "matterport"}, "--world matterport: has no floors"),
        ({"select_by": "test"}, "--select-by test: not among"),
        ({"rounds": 0}, "--rounds 0: must be at least 1"),
        ({"expert_probability": 1.5}, "--expert-probability 1.5: must be a number from 0 to 1"),
        ({"minutes": 1.0}, "rounds divide --iterations"),
    ],
)
def test_values_are_checked(changes, message):
    with pytest.raises(ValueError, match=message):
        ContinuousTrainConfig(**changes)


def test_the_state_size_must_be_even():
    with pytest.raises(ValueError, match=r"--network\.state-size 15: must be even"):
        ContinuousNetworkConfig(state_size=15)


def test_the_command_line_overrides_a_preset():
    config = parse_continuous(["--preset", "cma-dagger", "--iterations", "10", "--seed", "3"])
    assert (config.rounds, config.iterations, config.seed) == (10, 10, 3)
    assert config.network.kind == "cma"
    assert config.run_name == "r2r-ce-houses-cma-dagger"
