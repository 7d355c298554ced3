"""Settings without effect: derived from the prompts of walks, and refused."""

from dataclasses import replace

import pytest

from clipnav.agents.language_models.evaluation.evaluating import prepare
from clipnav.agents.language_models.settings import (
    EvaluateVlmConfig,
    PromptConfig,
    SamplingConfig,
    ServerConfig,
)
from clipnav.agents.language_models.strategies import make_strategy
from clipnav.agents.language_models.walks.asking import WalkSettings
from clipnav.agents.language_models.walks.running import VlmWalkMaker
from tests.agents.language_models.servers import draw_colour

CHANGES = {
    "history_pictures": 1,
    "egocentric_views": 6,
    "known_map": False,
    "labels": "numbers",
    "option_order": "clockwise",
    "direction_words": "words",
    "most_repeats": 5,
    "stop_after": 3,
}


def prompts_of(maker, moves=5):
    """Return the prompts of a walk that follows the teacher."""
    walk = maker.start(maker.split.episodes[0].instr_id)
    prompts = [walk.question.prompt]
    for _ in range(moves):
        walk.take(walk.teacher_action())
        prompts.append(walk.question.prompt)
    return prompts


def without_effect(prompt, prompts):
    """Return the names of settings whose changes leave the prompts as they are."""
    before = prompts(prompt)
    return {n for n, value in CHANGES.items() if prompts(replace(prompt, **{n: value})) == before}


@pytest.mark.parametrize(
    "prompt",
    [
        PromptConfig(),
        PromptConfig(pictures="egocentric"),
        PromptConfig(pictures="none"),
        PromptConfig("mapgpt"),
        PromptConfig("navgpt"),
    ],
    ids=["candidates", "egocentric", "none", "mapgpt", "navgpt"],
)
def test_idle_settings_leave_the_prompts_on_a_graph_as_they_are(houses, prompt):
    def prompts(changed):
        strategy = make_strategy(changed, describe=str)
        return prompts_of(VlmWalkMaker(houses, strategy, WalkSettings(changed)), moves=3)

    assert without_effect(prompt, prompts) == prompt.idle("graph").keys() & CHANGES


@pytest.mark.parametrize("pictures", [None, "none"])
def test_idle_settings_leave_the_prompts_of_continuous_walks_as_they_are(make_maker, pictures):
    prompt, observe = PromptConfig(pictures=pictures), () if pictures == "none" else ("rgb",)

    def prompts(changed):
        return prompts_of(make_maker(changed, observe=observe))

    assert without_effect(prompt, prompts) == prompt.idle("continuous").keys() & CHANGES


def config_of(environment="graph", **prompt):
    return EvaluateVlmConfig(
        url="http://a/v1", model="m", environment=environment, prompt=PromptConfig(**prompt)
    )


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        (config_of(egocentric_views=8), "--egocentric-views 8 has no effect without --pictures"),
        (config_of(most_repeats=5), "--most-repeats 5 has no effect on graphs"),
        (config_of(strategy="mapgpt", known_map=False), "--no-known-map has .* --strategy mapgpt"),
        (config_of(strategy="navgpt", image_size=448), "--image-size 448 has .* --strategy navgpt"),
        (config_of(pictures="none", image_size=448), "--image-size 448 has .* --pictures none"),
        (config_of(pictures="none", picture_detail="low"), "--picture-detail low has no effect"),
        (config_of("continuous", known_map=False), "--no-known-map has .* --environment contin"),
        (
            EvaluateVlmConfig(local_model="x", prompt=PromptConfig(picture_detail="low")),
            "--picture-detail low has no effect with --local-model",
        ),
    ],
)
def test_settings_of_the_prompt_without_effect_are_refused(config, problem):
    with pytest.raises(ValueError, match=problem) as caught:
        prepare(config)
    assert "\n" not in str(caught.value)


def test_a_strategy_of_ones_own_may_read_any_setting():
    config = replace(config_of(egocentric_views=8), episodes=1)
    prepare(config, make_strategy(config.prompt), draw_colour)


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"scan_dir": "scans"}, "--scan-dir scans has no effect with --world houses"),
        (
            {"scan_dir": "scans", "world": "matterport", "prompt": PromptConfig("navgpt")},
            "--scan-dir scans has no effect without pictures",
        ),
        (
            {"url": "http://a/v1", "model": "m", "local_model": None, "device": "cuda"},
            "--device cuda has no effect without --local-model",
        ),
        ({"server": ServerConfig(probe=False)}, "--no-probe has no effect with --local-model"),
        ({"sampling": SamplingConfig(sampling_seed=1)}, "--sampling-seed 1 has no effect with"),
        (
            {"environment": "continuous", "prompt": PromptConfig(pictures="egocentric")},
            "there are no candidates and no map",
        ),
    ],
)
def test_settings_of_the_evaluation_without_effect_are_refused(settings, problem):
    with pytest.raises(ValueError, match=problem):
        EvaluateVlmConfig(**{"local_model": "x"} | settings)
