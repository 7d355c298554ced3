import dataclasses

import pytest

from clipnav.agents.acting.tokenizers import make_tokenizer
from clipnav.agents.envdrop.presets import RECIPES, preset, speaker_preset
from clipnav.agents.frontier.presets import frontier_preset
from clipnav.agents.settings import ClearConfig
from clipnav.envs.episodes import load_episodes
from clipnav.envs.worlds import MAX_EPISODE_STEPS, world_files

AGENTS = {
    # recipe: data set, weight of imitation, updates, tokens, updates between evaluations
    "envdrop": ("r2r", 0.2, 80_000, 80, 100),
    "clip-vil-r2r": ("r2r", 0.2, 80_000, 80, 100),
    "clip-vil-rxr": ("rxr", 0.4, 200_000, 160, 1_000),
}


@pytest.mark.parametrize("recipe", AGENTS)
def test_recipes_have_the_hyperparameters_of_the_released_scripts(recipe):
    dataset, imitation, iterations, length, every = AGENTS[recipe]
    config = preset("r2r", "matterport", recipe)
    assert (config.dataset, config.world, config.preset) == (dataset, "matterport", recipe)
    assert config.imitation_weight == imitation
    assert config.iterations == iterations
    assert config.max_instruction_length == length
    assert config.evaluate_every == every
    assert (config.teacher, config.reward, config.feedback) == ("shortest", "distance", "teacher")
    assert (config.batch_size, config.max_episode_steps, config.seed) == (64, 35, 1)
    assert (config.optimiser.name, config.optimiser.learning_rate) == ("rmsprop", 1e-4)
    assert (config.optimiser.schedule, config.optimiser.warmup) == ("constant", 0)
    assert config.optimiser.weight_decay == 0.0
    assert (config.optimiser.clip, config.optimiser.clip_at) == ("norm", 40.0)
    follower = config.follower
    assert (follower.embedding_size, follower.action_size, follower.hidden_size) == (256, 64, 512)
    assert (follower.dropout, follower.feature_dropout) == (0.5, 0.3)
    assert follower.feature_dropout_kind == "element"
    assert not follower.standardise
    assert not follower.visit_features
    assert not follower.read_states
    assert not follower.candidate_mlp
    assert not follower.distance_feature
    assert not follower.location_aware_attention
    learning = config.reinforcement
    assert (learning.discount, learning.value, learning.entropy) == (0.9, 0.5, 0.01)
    assert config.text.tokens == "words"
    assert config.instruction_language == (None if dataset == "r2r" else "en")


@pytest.mark.parametrize("world", ["houses", "houses-standard", "matterport"])
@pytest.mark.parametrize("make", [preset, frontier_preset])
def test_without_a_recipe_an_lstm_reads_the_states_of_transformers(make, world):
    assert make("rxr", world).follower.read_states
    assert not make("rxr", world, "clear").follower.read_states


@pytest.mark.parametrize("recipe", AGENTS)
def test_back_translation_recipes_have_the_published_hyperparameters(recipe):
    config = preset("r2r", "matterport", recipe, translated=True)
    assert config.follower.feature_dropout == 0.4
    assert config.back_translation.imitation_weight == 0.6
    assert config.back_translation.dropout == "batch"
    assert (config.iterations, config.evaluate_every) == (100_000, 50)
    assert config.imitation_weight == AGENTS[recipe][1]


@pytest.mark.parametrize("recipe", AGENTS)
def test_speaker_recipes_have_the_published_hyperparameters(recipe):
    config = speaker_preset("r2r", "matterport", recipe)
    assert config.dataset == AGENTS[recipe][0]
    assert (config.iterations, config.evaluate_every, config.batch_size) == (80_000, 500, 64)
    assert (config.optimiser.name, config.optimiser.learning_rate) == ("adam", 1e-4)
    assert (config.speaker.dropout, config.speaker.feature_dropout) == (0.6, 0.3)
    assert (config.speaker.embedding_size, config.speaker.hidden_size) == (256, 512)
    assert config.teacher == "shortest"
    assert config.select_metric == "BLEU"
    # 120 words and the mark before them; RxR's instructions are longer, and it has no script.
    length = AGENTS[recipe][3]
    assert config.max_instruction_length == length
    assert config.longest_decoded == (121 if length == 80 else length)


def test_the_recipe_of_clear_has_the_published_hyperparameters():
    assert RECIPES.keys() == {*AGENTS, "clear"}
    config = preset("r2r", "matterport", "clear")
    assert (config.dataset, config.instruction_language) == ("rxr", None)
    assert (config.teacher, config.reward, config.select_metric) == ("reference", "ndtw", "nDTW")
    assert (config.max_episode_steps, config.max_instruction_length) == (70, 160)
    assert (config.batch_size, config.iterations, config.evaluate_every) == (12, 1_600_000, 500)
    assert (config.imitation_weight, config.reinforcement.weight) == (0.4, 1.0)
    assert (config.select_by, config.follower.hidden_size) == ("val_unseen", 768)
    assert (config.optimiser.name, config.optimiser.learning_rate) == ("rmsprop", 1e-4)
    assert config.clear == ClearConfig(True, 4e-5, True, True, 0.2, 0.5)


def test_the_recipe_of_clear_has_neither_speaker_nor_back_translation():
    with pytest.raises(ValueError, match="--preset clear has no back-translation"):
        preset("rxr", "houses", "clear", translated=True)
    with pytest.raises(ValueError, match="--preset clear has no speaker"):
        speaker_preset("rxr", "houses", "clear")


def test_defaults_follow_reference_paths_in_rxr_and_r4r():
    for world in ("matterport", "houses"):
        assert preset("r2r", world).teacher == "shortest"
        for dataset in ("rxr", "r4r"):
            config = preset(dataset, world)
            assert (config.teacher, config.reward) == ("reference", "ndtw")
            assert config.select_metric == "nDTW"
            assert speaker_preset(dataset, world).dataset == dataset
            assert speaker_preset(dataset, world).teacher == "reference"
        assert preset("rxr", world).text.tokens == "subwords"
        assert speaker_preset("rxr", world).text == preset("rxr", world).text


def test_defaults_in_houses_are_small_networks():
    config = preset("r2r", "houses")
    assert config.follower.hidden_size < preset("r2r", "matterport").follower.hidden_size
    assert (config.imitation_weight, config.reinforcement.weight) == (1.0, 0.0)
    long = preset("rxr", "houses")
    assert (long.feedback, long.sampled_steps) == ("teacher", 0.25)
    assert config.sampled_steps == 0
    translated = preset("r2r", "houses", translated=True)
    assert (translated.imitation_weight, translated.reinforcement.weight) == (0.2, 1.0)
    continued = preset("r2r", "houses", continued=True)
    assert (continued.imitation_weight, continued.reinforcement.weight) == (0.2, 1.0)
    assert continued.optimiser.learning_rate < config.optimiser.learning_rate
    assert continued.follower == config.follower
    large = preset("r2r", "houses-standard", continued=True)
    assert large.iterations > continued.iterations
    assert large.optimiser == continued.optimiser
    assert config.feedback == "mixed"
    assert continued.feedback == "teacher"  # rewards let the follower walk
    recipe = preset("r2r", "houses", "clip-vil-r2r")
    assert recipe == dataclasses.replace(
        preset("r2r", "matterport", "clip-vil-r2r"), world="houses"
    )


@pytest.mark.parametrize("dataset", ["r2r", "rxr", "r4r"])
@pytest.mark.parametrize("choose", [preset, speaker_preset])
def test_defaults_of_house_sets_differ_in_length_dropout_and_feedback(choose, dataset):
    small, large = choose(dataset, "houses"), choose(dataset, "houses-standard")
    own = {"iterations": large.iterations, "evaluate_every": large.evaluate_every}
    if choose is preset:
        own["follower"] = dataclasses.replace(small.follower, dropout=0.2, feature_dropout=0.3)
        if dataset == "r2r":
            own |= {"feedback": "teacher", "sampled_steps": 0.3}
    assert large == dataclasses.replace(small, world="houses-standard", **own)
    assert large.iterations >= small.iterations


def test_default_limits_suffice_for_rxr_in_the_houses():
    config = preset("rxr", "houses")
    assert config.max_episode_steps is None
    tokenizer = make_tokenizer(config)
    for split in ("train", "val_seen", "val_unseen"):
        episodes = load_episodes("rxr", split, world_files("houses"))
        longest = max(len(episode.path) - 1 for episode in episodes)
        # As R2R, with 20 steps for 7 edges, and EnvDrop: room to get lost and come back.
        assert MAX_EPISODE_STEPS["rxr"] >= 2.5 * longest
        words = max((episode.instruction for episode in episodes), key=len)
        assert tokenizer.encode(words, 1_000).astype(bool).sum() <= config.max_instruction_length


@pytest.mark.parametrize(
    ("dataset", "world", "expected"),
    [
        ("r2r", "houses", ("spl", 1.0, 12, 100)),
        ("r2r", "houses-standard", ("spl", 1.0, 12, 400)),
        ("rxr", "houses-standard", ("ndtw", 0.1, 20, 400)),
        ("r2r", "matterport", ("spl", 0.0, 12, 5333)),
        ("r4r", "matterport", ("ndtw", 0.0, 20, 5333)),
    ],
)
def test_targets_of_frontier_agents_depend_on_dataset_and_world(dataset, world, expected):
    config = frontier_preset(dataset, world)
    settings = config.expert, config.target_temperature, config.max_decisions
    assert (*settings, config.cloning_iterations) == expected
