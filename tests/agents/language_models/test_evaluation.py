"""Whole evaluations against servers: answers of every kind, order of options, resuming, reports."""

import json
import re

import pytest

from clipnav.agents.language_models.evaluation.evaluating import prepare, write_prompts
from clipnav.agents.language_models.evaluation.reporting import score_agents, score_table, to_json
from clipnav.agents.language_models.settings import (
    BudgetConfig,
    EvaluateVlmConfig,
    PromptConfig,
    ServerConfig,
)
from clipnav.envs.metrics import metrics
from tests.agents.language_models.conftest import read_results
from tests.agents.language_models.servers import Oracle, Sent, completion, draw_colour, user_text


@pytest.mark.parametrize("strategy", ["plain", "mapgpt"])
def test_an_oracle_that_reads_the_prompt_reaches_every_goal(houses, serve, evaluate_with, strategy):
    oracle = Oracle(houses, draw_colour)
    with serve(oracle) as server:
        status, experiment, walks = evaluate_with(server.url, prompt=PromptConfig(strategy))
    results = read_results(experiment)
    scores = results["results"]["val_unseen"]["oracle"]
    assert status == 0
    assert oracle.faults == []
    assert (scores["SR"], scores["episodes"]) == (1.0, 12)
    assert scores["SPL"] == pytest.approx(1.0)
    assert results["answers"]["invalid"] == 0
    if strategy == "plain":
        assert oracle.pictures > 12 * 4
    assert {walk.ending for walk in walks.values()} == {"stopped"}


def test_an_oracle_reaches_the_goals_of_described_views(houses, serve, evaluate_with):
    oracle = Oracle(houses)
    with serve(oracle) as server:
        _, experiment, _ = evaluate_with(
            server.url,
            prompt=PromptConfig("navgpt"),
            draw=None,
            describe=lambda view: f"a view to {view.heading:.1f}",
        )
    assert oracle.faults == []
    assert read_results(experiment)["results"]["val_unseen"]["oracle"]["SR"] == 1.0
    assert "image_url" not in json.dumps(server.requests)


ADVERSARIES = {
    "no JSON": ("I would go left.", "invalid"),
    "null": (Sent(body=completion(None)), "invalid"),
    "refusal": (Sent(body=completion(None, refusal="I cannot do that.")), "refused"),
    "filter": (Sent(body=completion(None, "content_filter")), "refused"),
    "long": (Sent(body=completion("x" * 200_000, "length")), "truncated"),
    "deep": ("[" * 100_000, "invalid"),
    "lone surrogate": ("\ud800", "invalid"),
}


@pytest.mark.parametrize("name", ADVERSARIES)
def test_answers_without_an_action_are_counted_and_end_the_episode(name, serve, evaluate_with):
    answer, kind = ADVERSARIES[name]
    with serve(lambda body: answer) as server:
        status, experiment, walks = evaluate_with(server.url, episodes=3, concurrency=1)
    counts = read_results(experiment)["answers"]
    assert status == 0
    assert len(server.requests) == 6  # each is asked again once
    assert (counts[kind], counts["ended by an invalid answer"]) == (6, 3)
    assert counts["asked again"] == 3
    assert all(walk.ending == "invalid" for walk in walks.values())
    lines = (experiment.output / "requests.jsonl").read_text().splitlines()
    assert len(lines) == 6
    assert max(map(len, lines)) < 20_000


@pytest.mark.parametrize(
    ("policy", "ending"), [("end", "invalid"), ("stay", "limit"), ("first", "limit")]
)
def test_the_policy_for_invalid_answers_is_followed(serve, evaluate_with, policy, ending):
    with serve(lambda body: "?") as server:
        _, experiment, walks = evaluate_with(
            server.url, episodes=2, on_invalid=policy, max_episode_steps=3
        )
    counts = read_results(experiment)["answers"]
    for walk in walks.values():
        assert walk.ending == ending
        assert len(walk.trajectory) == {"end": 1, "stay": 1, "first": 4}[policy]
    assert counts["decisions without a valid answer"] == {"end": 2, "stay": 6, "first": 6}[policy]


def test_a_random_replacement_depends_on_the_seed_only(serve, evaluate_with, tmp_path):
    paths = []
    for number, concurrency in enumerate((1, 4)):
        with serve(lambda body: "?") as server:
            *_, walks = evaluate_with(
                server.url,
                on_invalid="random",
                concurrency=concurrency,
                output=tmp_path / str(number),
            )
        paths.append({name: walk.trajectory for name, walk in walks.items()})
    assert paths[0] == paths[1]


def test_the_model_is_told_what_was_wrong(houses, serve, evaluate_with):
    oracle = Oracle(houses)

    def better_the_second_time(body):
        return oracle(body) if body["messages"][-2]["role"] == "assistant" else "left"

    with serve(better_the_second_time) as server:
        _, experiment, _ = evaluate_with(server.url)
    results = read_results(experiment)
    assert results["results"]["val_unseen"]["oracle"]["SR"] == 1.0
    assert results["answers"]["asked again"] == results["answers"]["decisions"]
    last = server.requests[-1]["messages"]
    assert last[-2] == {"role": "assistant", "content": "left"}
    assert "cannot be used: the answer is not a JSON object" in last[-1]["content"][0]["text"]


def test_a_model_that_walks_in_circles_ends_by_the_limit(serve, evaluate_with):
    with serve(lambda body: '{"action": "B"}') as server:
        _, experiment, walks = evaluate_with(server.url, episodes=3)
    counts = read_results(experiment)["answers"]
    assert counts["ended by the limit"] == 3
    assert counts["revisits"] > 0
    assert {len(walk.decisions) for walk in walks.values()} == {20}


def test_nothing_about_the_goal_is_in_a_request(houses, serve, evaluate_with):
    oracle = Oracle(houses)
    with serve(oracle) as server:
        *_, walks = evaluate_with(server.url)
    text = "\n".join(map(user_text, server.requests)) + json.dumps(
        [body["messages"][0] for body in server.requests]
    )
    for walk in walks.values():
        assert not set(walk.episode.path) & set(re.findall(r"\w+", text))
        assert walk.episode.scan not in text
    words = "teacher|distance_to_goal|metric|nav_error|success|path_id|instr_id|geodesic|viewpoint"
    assert re.findall(words, text) == []
    assert re.findall(r"[0-9a-f]{32}", text) == []
    fields = {"model", "messages", "max_tokens", "temperature", "seed", "response_format"}
    assert {name for body in server.requests for name in body} == fields


def test_the_number_of_workers_does_not_change_the_results(houses, serve, evaluate_with, tmp_path):
    files = []
    port = 0
    for number in (1, 2):
        with serve(Oracle(houses), port) as server:
            port = server.port  # the address is part of the results
            folder = tmp_path / str(number)
            evaluate_with(
                server.url, concurrency=number, output=folder / "run", cache=folder / "cache"
            )
        requests = [json.loads(x) for x in (folder / "run" / "requests.jsonl").open()]
        files.append(
            [
                (folder / "run" / "results.json").read_text(),
                [{k: v for k, v in one.items() if k != "seconds"} for one in requests],
            ]
        )
    assert files[0] == files[1]


def test_a_second_run_sends_nothing_and_writes_the_same_files(houses, serve, evaluate_with):
    with serve(Oracle(houses)) as server:
        _, experiment, _ = evaluate_with(server.url)
        sent = len(server.requests)
        first = {path.name: path.read_bytes() for path in experiment.output.iterdir()}
        evaluate_with(server.url)
        assert len(server.requests) == sent
    # Without the server, too.
    evaluate_with(server.url)
    assert {path.name: path.read_bytes() for path in experiment.output.iterdir()} == first


def test_a_budget_ends_the_run_and_the_same_command_resumes_it(
    houses, serve, evaluate_with, capsys
):
    with serve(Oracle(houses)) as server:
        budget = BudgetConfig(max_requests=18, price_in=1000, price_out=0)
        status, experiment, _ = evaluate_with(server.url, budget=budget, concurrency=1)
        assert status == 1
        assert len(server.requests) == 17  # the picture of the probe is another one
        results = read_results(experiment)
        assert not results["complete"]
        assert results["tokens"]["prompt"] < 1700  # without the walk that has not ended
        sent = results["sent_in_this_run"]
        assert (sent["requests"], sent["tokens"]["prompt"], sent["cost"]) == (18, 1800, 1.8)
        printed = capsys.readouterr().out
        assert "Stopped: --max-requests 18 is reached" in printed
        amount = "1800 prompt tokens (0 cached), 180 answer tokens, cost 1.8000"
        assert f"Sent in this run: 18 requests, {amount}" in printed
        status, experiment, _ = evaluate_with(server.url)
        assert status == 0
        bodies = [json.dumps(body) for body in server.requests]
        assert len(bodies) == len(set(bodies))
    results = read_results(experiment)
    assert results["results"]["val_unseen"]["oracle"]["SR"] == 1.0
    assert "sent_in_this_run" not in results


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: PromptConfig("navgpt", pictures="candidates"), "describes views in words"),
        (lambda: PromptConfig("mapgpt", pictures="egocentric"), "a picture of each known place"),
        (lambda: PromptConfig(image_size=0), "--image-size 0"),
        (lambda: PromptConfig(stop_after=-1), "--stop-after -1"),
        (lambda: BudgetConfig(max_cost=1.0), "--max-cost requires --price-in and --price-out"),
        (lambda: BudgetConfig(price_in=0.0), "--price-in and --price-out belong together"),
        (lambda: ServerConfig(request_timeout=0.0), "--request-timeout 0"),
    ],
)
def test_settings_that_make_no_sense_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_evaluations_of_other_tasks_do_not_replace_each_other():
    tasks = [
        {},
        {"dataset": "rxr"},
        {"environment": "continuous"},
        {"environment": "continuous", "dataset": "rxr"},
        {"world": "houses-standard"},
        {"split": "val_seen"},
    ]
    names = [EvaluateVlmConfig(url="http://x/v1", model="a/b c", **task).run_name for task in tasks]
    assert names[:4] == [
        "vlm-b-c-val_unseen",
        "vlm-b-c-rxr-val_unseen",
        "vlm-b-c-continuous-val_unseen",
        "vlm-b-c-continuous-rxr-val_unseen",
    ]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("stop_after", [0, 8])
def test_a_dry_run_ends_where_the_teacher_stops(tmp_path, stop_after):
    prompt = PromptConfig(pictures="none", stop_after=stop_after)
    config = EvaluateVlmConfig(
        url="http://127.0.0.1:9/v1", model="m", episodes=3, prompt=prompt, output=tmp_path
    )
    experiment = prepare(config)
    lines = write_prompts(experiment).read_text().splitlines()
    lengths = [len(episode.path) for episode in experiment.maker.split.episodes]
    assert len(lines) == sum(lengths)
    assert ("stop here" in json.loads(lines[-1])["prompt"]) == (stop_after == 0)


@pytest.fixture
def scored(houses):
    """Function that scores a model and a baseline on the first episodes, with given successes."""

    def score(model, baseline):
        buildings = sorted({episode.scan for episode in houses.episodes})[:2]
        own = [[e for e in houses.episodes if e.scan == scan][:3] for scan in buildings]
        episodes = [episode for three in own for episode in three][: len(model)]

        def rows(successes):
            columns = [metric.column for metric in metrics().values()]
            return {
                episode.instr_id: dict.fromkeys(columns, float(success))
                for episode, success in zip(episodes, successes, strict=True)
            }

        return score_agents({"model": rows(model), "baseline": rows(baseline)}, episodes, metrics())

    return score


def test_one_building_has_no_interval_and_the_reason_is_printed(scored):
    scores = scored([1, 0, 1], [0, 0, 0])
    table = score_table("val_unseen", scores)
    assert "[" not in table
    assert table.endswith(
        "No interval: the value is the same in all buildings (1 scored building)."
    )
    document = to_json("val_unseen", scores)
    assert document["intervals"]["val_unseen"]["model"]["SR"] is None
    assert document["differences"]["val_unseen"]["baseline"]["SR"] == [
        pytest.approx(-2 / 3),
        None,
        None,
    ]


def test_buildings_that_differ_have_intervals(scored):
    scores = scored([1, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 1])
    table = score_table("val_unseen", scores)
    assert table.count("[") == 9
    assert "No interval" not in table
    assert to_json("val_unseen", scores)["intervals"]["val_unseen"]["model"]["SR"] == [0.0, 1.0]
