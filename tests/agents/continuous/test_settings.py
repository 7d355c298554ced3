"""Settings and presets of continuous agents."""

from clipnav.agents.continuous.settings import (
    ContinuousTrainConfig,
    continuous_defaults,
    parse_continuous,
)


def test_published_rounds_have_the_published_number_of_updates():
    config = continuous_defaults(recipe="cma-dagger")
    # Round r trains for 4 epochs on the 5,000 (r + 1) episodes so far, in batches of 5.
    starts = [0]
    for number in range(10):
        starts.append(starts[-1] + 4 * 1000 * (number + 1))
    assert config.iterations == starts[-1]
    for number in range(10):
        assert config.round_of(starts[number]) == number
        assert config.round_of(starts[number + 1] - 1) == number


def test_rounds_share_the_iterations():
    config = ContinuousTrainConfig(rounds=3, iterations=60)
    assert [config.round_of(k) for k in (0, 9, 10, 29, 30, 59)] == [0, 0, 1, 1, 2, 2]
    assert ContinuousTrainConfig(rounds=1, iterations=5).round_of(4) == 0


def test_the_defaults_are_those_of_a_small_network_on_a_cpu():
    config = parse_continuous([])
    assert config == ContinuousTrainConfig() == continuous_defaults()
    assert parse_continuous(["--dataset", "rxr"]).inflection_weight == 1.9


def test_the_command_line_overrides_a_preset():
    config = parse_continuous(["--preset", "cma-dagger", "--iterations", "10", "--seed", "3"])
    assert (config.rounds, config.iterations, config.seed) == (10, 10, 3)
    assert config.network.kind == "cma"
    assert config.run_name == "r2r-ce-houses-cma-dagger"


def test_rxr_ce_has_the_values_of_its_files():
    cma, seq2seq = (continuous_defaults("rxr", recipe=recipe) for recipe in ("cma", "seq2seq"))
    for config in (cma, seq2seq):
        assert (config.batch_size, config.max_walk_length) == (3, 250)
        assert config.inflection_weight == 1.9
        assert config.iterations * config.batch_size == 15 * 1_560
    assert (cma.evaluation_actions, seq2seq.evaluation_actions) == ("sample", "argmax")
    assert continuous_defaults(recipe="cma").evaluation_actions == "argmax"
