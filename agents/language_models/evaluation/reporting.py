"""Report of an evaluation: scores beside baselines, counts, tokens, cost and the submission."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from clipnav.agents.acting.evaluation import baselines, evaluate, score_walks
from clipnav.agents.experiments.runs import load_run
from clipnav.agents.language_models.evaluation.compared_runs import ComparedRun
from clipnav.agents.language_models.evaluation.continuous import (
    continuous_evaluations,
    write_continuous_submission,
)
from clipnav.agents.language_models.evaluation.scores import (
    AgentScores,
    answer_counts,
    score_agents,
    score_table,
    to_json,
    total_usage,
)
from clipnav.agents.language_models.models.budget import Spending, price
from clipnav.agents.language_models.models.replies import Usage
from clipnav.agents.language_models.settings import BudgetConfig, EvaluateVlmConfig
from clipnav.agents.language_models.walks.continuous import ContinuousWalkMaker
from clipnav.agents.language_models.walks.running import Finished, WalkMaker
from clipnav.agents.language_models.walks.walking import EpisodeWalk
from clipnav.envs.continuous.measures import CONTINUOUS_METRICS
from clipnav.envs.episodes.splits import LoadedSplit
from clipnav.envs.submissions.files import write_submission as write_graph_submission
from clipnav.storage.errors import counted

_BASELINE_ENVS = 256


def report(
    config: EvaluateVlmConfig,
    maker: WalkMaker | ContinuousWalkMaker,
    runs: Mapping[str, ComparedRun],
    finished: Finished,
    spending: Spending,
) -> dict[str, Any]:
    """Print scores, counts, tokens and cost, and return them for the file of results.

    Args:
        config: Settings of the evaluation.
        maker: Maker of the walks, with the chosen episodes.
        runs: Runs to compare with, see `compared_runs`.
        finished: The walks.
        spending: What this run has sent. A partial result contains it; a complete one does not, so
            that a repeated run writes the same file.
    """
    walks = list(finished.walks.values())
    counts, usage = answer_counts(walks), total_usage(walks)
    answered = finished.without_failed().walks.values()
    scored = [walk.episode for walk in answered if walk.episode.has_goal]
    if scored:
        scores = _scores(config, maker, runs, finished, scored)
        print(score_table(config.split, scores))
        document = to_json(config.split, scores)
    else:
        goals = f"no finished episode of {config.split} has a known goal"
        print(f"No scores: {goals if walks else 'no episode is finished'}.")
        document = {"results": {}}
    if any(counts.values()):
        print(", ".join(f"{name} {count}" for name, count in counts.items() if count))
    print(f"Finished episodes, with cached answers: {_in_words(usage, config.budget)}")
    sent = f"{counted(spending.requests, 'request')}, {_in_words(spending.usage, config.budget)}"
    print(f"Sent in this run: {sent}")
    document |= {"answers": counts, **_amount(usage, config.budget)}
    if finished.stopped:
        amount = _amount(spending.usage, config.budget)
        document["sent_in_this_run"] = {"requests": spending.requests, **amount}
    return document | {"complete": not finished.stopped, "scored_episodes": len(scored)}


def graph_walks(finished: Finished) -> dict[str, EpisodeWalk]:
    """Return the walks on graphs by instr_id."""
    return {n: walk for n, walk in finished.walks.items() if isinstance(walk, EpisodeWalk)}


def write_submission(config: EvaluateVlmConfig, split: LoadedSplit, finished: Finished) -> None:
    """Write the walks for the dataset's test server, and print how many there are.

    Args:
        config: Settings of the evaluation, with the file.
        split: The whole split.
        finished: The walks; one that failed would be scored as a stop where the server failed.
    """
    assert config.submission is not None
    if config.environment == "continuous":
        write_continuous_submission(config.submission, config, split, finished)
    else:
        trajectories = {name: walk.trajectory for name, walk in graph_walks(finished).items()}
        write_graph_submission(
            *(config.submission, trajectories, split.episodes, split.files, split.dataset),
            partial=True,
        )
    missing = len(split.episodes) - len(finished.walks)
    note = f"; the split has {counted(missing, 'instruction')} more" if missing else ""
    print(f"{counted(len(finished.walks), 'instruction')}: {config.submission}{note}")


def _scores(
    config: EvaluateVlmConfig,
    maker: WalkMaker | ContinuousWalkMaker,
    runs: Mapping[str, ComparedRun],
    finished: Finished,
    scored: Sequence[Any],
) -> dict[str, AgentScores]:
    """Return the scores of the model, of trained agents and of baselines."""
    if isinstance(maker, ContinuousWalkMaker):
        evaluations = continuous_evaluations(maker, config, finished, scored)
        return score_agents(evaluations, scored, CONTINUOUS_METRICS)
    split = replace(maker.split, episodes=scored)
    env = replace(maker, split=split, _free=[]).make_env(min(_BASELINE_ENVS, len(scored)))
    trajectories = {name: walk.trajectory for name, walk in graph_walks(finished).items()}
    evaluations = {config.model_name: score_walks(env, trajectories).scores}
    for name, (run, settings) in runs.items():
        whole, agent = load_run(run, config.split, settings)
        evaluations[name] = evaluate(whole, agent, name).scores
    for name, agent in baselines(env, config.seed).items():
        evaluations[name] = evaluate(env, agent).scores
    return score_agents(evaluations, scored)


def _in_words(usage: Usage, prices: BudgetConfig) -> str:
    tokens = (
        f"{usage.prompt} prompt tokens ({usage.cached} cached), {usage.completion} answer tokens"
    )
    cost = price(usage, prices)
    return tokens if cost is None else f"{tokens}, cost {cost:.4f}"


def _amount(usage: Usage, prices: BudgetConfig) -> dict[str, Any]:
    tokens = {name: getattr(usage, name) for name in usage.__struct_fields__}
    return {"tokens": tokens, "cost": price(usage, prices)}
