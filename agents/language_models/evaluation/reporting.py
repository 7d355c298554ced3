"""Report of an evaluation: scores beside baselines, counts, tokens, cost and the submission."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from clipnav.agents.acting.evaluation import as_results, baselines, evaluate, score_walks
from clipnav.agents.continuous.walking import ExpertWalker, ForwardWalker, RandomWalker, walk_all
from clipnav.agents.experiments.runs import load_run
from clipnav.agents.language_models.models.replies import Spending, Usage, price
from clipnav.agents.language_models.settings import BudgetConfig, EvaluateVlmConfig
from clipnav.agents.language_models.strategies import steps_prompt
from clipnav.agents.language_models.walks.asking import (
    AskingWalk,
    EpisodeWalk,
    Strategy,
    Trajectory,
    WalkSettings,
)
from clipnav.agents.language_models.walks.continuous import ContinuousVlmWalkMaker, ContinuousWalk
from clipnav.agents.language_models.walks.running import Finished, VlmWalkMaker
from clipnav.agents.settings import AgentConfig, read_agent_config
from clipnav.agents.settings.evaluation import BASELINES
from clipnav.envs.continuous.episodes import (
    ContinuousEpisode,
    continuous_episodes,
    split_of_episodes,
)
from clipnav.envs.continuous.files.submissions import write_ce_submission
from clipnav.envs.continuous.house_simulator import HouseSimulator
from clipnav.envs.continuous.measures import continuous_metrics
from clipnav.envs.continuous.settings import task_settings
from clipnav.envs.continuous.walkers import Walker
from clipnav.envs.episodes import Episode
from clipnav.envs.episodes.splits import LoadedSplit
from clipnav.envs.goals.scores import dataset_scores
from clipnav.envs.graphs.goal import ObjectAnswer
from clipnav.envs.metrics import Metric, aligned, mean_metrics
from clipnav.envs.metrics.bootstrap import Interval, bootstrap_intervals, paired_difference
from clipnav.envs.submissions.files import write_submission as write_graph_submission
from clipnav.envs.worlds import is_built_in
from clipnav.storage.errors import UserError, pluralise, short_names
from clipnav.training.checkpoints import model_metadata

_BASELINE_ENVS = 256
# Scores of each episode, by instr_id and name of the column.
EpisodeScores = Mapping[str, Mapping[str, float]]
_PAIRED = "SR"
_ROUNDING = 1e-9
_ENVS = 16
ComparedRun = tuple[Path, AgentConfig]  # folder and settings


def report(
    config: EvaluateVlmConfig,
    maker: VlmWalkMaker | ContinuousVlmWalkMaker,
    runs: Mapping[str, ComparedRun],
    finished: Finished,
    spending: Spending,
) -> dict[str, Any]:
    """Print scores, counts, tokens and cost, and return them for the file of results.

    Args:
        spending: What this run has sent. A partial result contains it; a complete one does not, so
            that a repeated run writes the same file.
    """
    walks = list(finished.walks.values())
    counts, usage = answer_counts(walks), total_usage(walks)
    answered = finished.without_failed().walks.values()
    scored = [walk.episode for walk in answered if walk.episode.has_goal]
    if scored:
        scores = _scores(config, maker, runs, finished, scored)
        own = dataset_scores(config.dataset)
        print(score_table(config.split, scores, own.metrics if own else {}))
        document = to_json(config.split, scores)
    else:
        goals = f"no finished episode of {config.split} has a known goal"
        print(f"No scores: {goals if walks else 'no episode is finished'}.")
        document = {"results": {}}
    if any(counts.values()):
        print(", ".join(f"{name} {count}" for name, count in counts.items() if count))
    print(f"Finished episodes, with cached answers: {_in_words(usage, config.budget)}")
    sent = f"{pluralise(spending.requests, 'request')}, {_in_words(spending.usage, config.budget)}"
    print(f"Sent in this run: {sent}")
    document |= {"answers": counts, **_amount(usage, config.budget)}
    if finished.stopped:
        amount = _amount(spending.usage, config.budget)
        document["sent_in_this_run"] = {"requests": spending.requests, **amount}
    return document | {"complete": not finished.stopped, "scored_episodes": len(scored)}


def graph_walks(finished: Finished) -> dict[str, EpisodeWalk]:
    """Return the walks on graphs by instr_id."""
    return {n: walk for n, walk in finished.walks.items() if isinstance(walk, EpisodeWalk)}


def walked(finished: Finished) -> tuple[dict[str, Trajectory], dict[str, ObjectAnswer]]:
    """Return the trajectories of walks on graphs, and the objects that they point out."""
    walks = graph_walks(finished)
    answers = {name: walk.answer for name, walk in walks.items() if walk.answer is not None}
    return {name: walk.trajectory for name, walk in walks.items()}, answers


def write_submission(config: EvaluateVlmConfig, split: LoadedSplit, finished: Finished) -> None:
    """Write the walks for the dataset's test server, and print how many there are.

    Args:
        finished: The walks; one that failed would be scored as a stop where the server failed.
    """
    assert config.submission is not None
    if config.environment == "continuous":
        _write_continuous_submission(config.submission, config, split, finished)
    else:
        trajectories, answers = walked(finished)
        write_graph_submission(
            *(config.submission, trajectories, split.episodes, split.files, split.dataset),
            partial=True,
            answers=answers,
        )
    missing = len(split.episodes) - len(finished.walks)
    note = f"; the split has {pluralise(missing, 'instruction')} more" if missing else ""
    print(f"{pluralise(len(finished.walks), 'instruction')}: {config.submission}{note}")


def _scores(
    config: EvaluateVlmConfig,
    maker: VlmWalkMaker | ContinuousVlmWalkMaker,
    runs: Mapping[str, ComparedRun],
    finished: Finished,
    scored: Sequence[Any],
) -> dict[str, AgentScores]:
    """Return the scores of the model, of trained agents and of baselines."""
    if isinstance(maker, ContinuousVlmWalkMaker):
        evaluations = _continuous_evaluations(maker, config, finished, scored)
        return score_agents(evaluations, scored, continuous_metrics())
    split = replace(maker.split, episodes=scored)
    env = replace(maker, split=split, _free=[]).make_env(min(_BASELINE_ENVS, len(scored)))
    model = score_walks(env, *walked(finished))
    evaluations = {config.model_name: model.scores}
    for name, (run, settings) in runs.items():
        whole, agent = load_run(run, config.split, settings)
        evaluations[name] = evaluate(whole, agent, name).scores
    for name, agent in baselines(env, config.seed).items():
        evaluation = evaluate(env, agent)
        if as_results(config.split, {name: evaluation}).get(config.split):
            evaluations[name] = evaluation.scores
    return score_agents(evaluations, scored, {**mean_metrics(), **model.own_metrics})


def _in_words(usage: Usage, prices: BudgetConfig) -> str:
    tokens = (
        f"{usage.prompt} prompt tokens ({usage.cached} cached), {usage.completion} answer tokens"
    )
    cost = price(usage, prices)
    return tokens if cost is None else f"{tokens}, cost {cost:.4f}"


def _amount(usage: Usage, prices: BudgetConfig) -> dict[str, Any]:
    tokens = {name: getattr(usage, name) for name in usage.__struct_fields__}
    return {"tokens": tokens, "cost": price(usage, prices)}


@dataclass(frozen=True)
class AgentScores:
    """Scores of an agent on the scored episodes of a run.

    Attributes:
        intervals: Mean of each metric with the bootstrap's 95 % interval over buildings; one
            without width, because all buildings have the same value, is neither printed nor
            written.
        difference: Success rate less that of the model, on the same episodes, with its interval;
            None for the model.
    """

    episodes: int
    buildings: int
    intervals: dict[str, Interval]
    difference: Interval | None = None


def score_agents(
    evaluations: Mapping[str, EpisodeScores],
    episodes: Sequence[Episode | ContinuousEpisode],
    metrics: Mapping[str, Metric],
) -> dict[str, AgentScores]:
    """Compute the scores of agents on the same episodes, the model first.

    Args:
        metrics: Metrics by short name; one that is infinite somewhere, such as the distance to a
            goal that cannot be reached, is left out.
    """
    clusters = [episode.scan for episode in episodes]
    success = metrics[_PAIRED].column
    first: np.ndarray | None = None
    scores = {}
    for name, evaluation in evaluations.items():
        rows = [evaluation[episode.instr_id] for episode in episodes]
        columns = {
            short: np.array([row[metric.column] for row in rows])
            for short, metric in metrics.items()
        }
        columns = {short: c for short, c in columns.items() if np.isfinite(c).all()}
        intervals = bootstrap_intervals(columns, clusters=clusters)
        succeeded = np.array([row[success] for row in rows])
        difference = None
        if first is None:
            first = succeeded
        else:
            difference = paired_difference(first, succeeded, clusters=clusters)
        scores[name] = AgentScores(len(rows), len(set(clusters)), intervals, difference)
    return scores


def score_table(
    split: str, scores: Mapping[str, AgentScores], own: Mapping[str, Metric] = MappingProxyType({})
) -> str:
    """Return an aligned table, with a note if an interval is missing.

    NE is in metres, most other metrics are in per cent.

    Args:
        own: Metrics of the dataset alone by short name, which are further columns.
    """
    first = next(iter(scores))
    metrics = {**mean_metrics("walk"), **own}
    rows = [["split", "agent", *metrics, f"{_PAIRED} - {first}"]]
    for name, agent in scores.items():
        cells = [_cell(agent.intervals.get(short), metric) for short, metric in metrics.items()]
        paired = metrics[_PAIRED]
        difference = "" if agent.difference is None else _cell(agent.difference, paired, sign=True)
        rows.append([split, name, *cells, difference])
    shown = [agent.intervals.get(column) for agent in scores.values() for column in metrics]
    shown += [agent.difference for agent in scores.values()]
    table = aligned(rows, texts=2)
    if all(interval is None or _has_width(interval) for interval in shown):
        return table
    buildings = pluralise(scores[first].buildings, "scored building")
    return f"{table}\nNo interval: the value is the same in all buildings ({buildings})."


def _cell(interval: Interval | None, metric: Metric, sign: bool = False) -> str:
    if interval is None:
        return "-"
    mean, low, high = (metric.factor * value for value in interval)
    text = f"{mean:{'+' if sign else ''}.1f}"
    return f"{text} [{low:.1f}, {high:.1f}]" if _has_width(interval) else text


def _has_width(interval: Interval) -> bool:
    """Return whether buildings differ; otherwise they say nothing about other buildings."""
    return interval.high - interval.low > _ROUNDING


def answer_counts(walks: Sequence[AskingWalk]) -> dict[str, int]:
    """Return counts of episodes, decisions and answers; all but the first few should be small."""
    decisions = [decision for walk in walks for decision in walk.decisions]
    answers = [x.answer for one in decisions for x in one.exchanges if x.answer is not None]
    kinds = Counter(answer.kind for answer in answers)
    endings = Counter(walk.ending for walk in walks)
    return {
        "episodes": len(walks),
        "decisions": len(decisions),
        "answers": len(answers),
        "asked again": sum(max(0, len(one.exchanges) - 1) for one in decisions),
        "invalid": kinds["invalid"],
        "refused": kinds["refused"],
        "truncated": kinds["truncated"],
        "prompt too long": sum(x.answer is None for one in decisions for x in one.exchanges),
        "decisions without a valid answer": sum(one.kind != "valid" for one in decisions),
        "ended by an invalid answer": endings["invalid"],
        "ended by the limit": endings["limit"],
        "failed": endings["failed"],
        "revisits": sum(walk.revisits for walk in walks),
    }


def total_usage(walks: Sequence[AskingWalk]) -> Usage:
    """Return the tokens of all requests of walks."""
    usage = Usage()
    for walk in walks:
        for decision in walk.decisions:
            for exchange in decision.exchanges:
                usage = usage + exchange.reply.usage
    return usage


def to_json(split: str, scores: Mapping[str, AgentScores]) -> dict[str, Any]:
    """Return means as clipnav evaluate-agent writes them, and their intervals.

    Without an interval, there is null in its place.
    """
    return {
        "results": {
            split: {
                name: {metric: interval.mean for metric, interval in agent.intervals.items()}
                | {"episodes": agent.episodes}
                for name, agent in scores.items()
            }
        },
        "intervals": {
            split: {
                name: {
                    metric: [interval.low, interval.high] if _has_width(interval) else None
                    for metric, interval in agent.intervals.items()
                }
                for name, agent in scores.items()
            }
        },
        "differences": {
            split: {
                name: {
                    _PAIRED: list(agent.difference)
                    if _has_width(agent.difference)
                    else [agent.difference.mean, None, None]
                }
                for name, agent in scores.items()
                if agent.difference is not None
            }
        },
    }


def continuous_maker(
    config: EvaluateVlmConfig,
    split: LoadedSplit,
    subset: Sequence[Episode],
    settings: WalkSettings,
    strategy: Strategy | None,
) -> ContinuousVlmWalkMaker:
    """Return the maker of walks in continuous space."""
    if not is_built_in(config.world):
        raise UserError(
            f"--world {config.world} has no floors and no cameras for continuous walks; use a "
            "built-in world"
        )
    chosen = {episode.instr_id for episode in subset}
    dataset = config.dataset
    episodes = continuous_episodes(dataset, split.episodes, split.files.connectivity_dir)
    changes: dict[str, Any] = {"rgb_size": (config.prompt.image_size, config.prompt.image_size)}
    changes["observe"] = () if config.prompt.picture_kind == "none" else ("rgb",)
    if config.answers == "pixel":
        changes["depth_size"] = changes["rgb_size"]  # pixels of both pictures are the same
    if config.max_episode_steps is not None:
        changes["max_episode_steps"] = config.max_episode_steps
    task = task_settings(dataset, shuffle=False, **changes)
    return ContinuousVlmWalkMaker(
        split_of_episodes(dataset, [e for e in episodes if e.instr_id in chosen], split.tokenizer),
        strategy or steps_prompt,
        settings,
        task,
        HouseSimulator(task),
    )


def _continuous_evaluations(
    maker: ContinuousVlmWalkMaker,
    config: EvaluateVlmConfig,
    finished: Finished,
    scored: Sequence[Any],
) -> dict[str, EpisodeScores]:
    """Return the measures of the model, of VLN-CE's two baselines and of the expert."""
    walks = _walks(finished)
    names = [episode.instr_id for episode in scored]
    evaluations: dict[str, EpisodeScores] = {
        config.model_name: {name: walks[name].measures for name in names}
    }
    env = maker.make_env(min(_ENVS, len(scored)))
    rows = {episode.instr_id: row for row, episode in enumerate(env.episodes)}
    walkers: dict[str, Walker] = {
        "random": RandomWalker(config.seed),
        "forward": ForwardWalker(config.seed, maker.task.turns_per_circle),
        "expert": ExpertWalker(),
    }
    for agent, walker in walkers.items():
        measures = walk_all(env, walker, [rows[name] for name in names])
        evaluations[agent] = dict(zip(names, measures, strict=True))
    return evaluations


def _write_continuous_submission(
    path: Path, config: EvaluateVlmConfig, split: LoadedSplit, finished: Finished
) -> None:
    """Write the walks for the test server of R2R-CE or RxR-CE."""
    dataset = config.dataset
    episodes = continuous_episodes(dataset, split.episodes, split.files.connectivity_dir)
    traces = {walk.episode.episode_id: walk.trace for walk in _walks(finished).values()}
    write_ce_submission(path, traces, episodes, dataset, partial=True)


def _walks(finished: Finished) -> dict[str, ContinuousWalk]:
    return {n: walk for n, walk in finished.walks.items() if isinstance(walk, ContinuousWalk)}


def compared_runs(config: EvaluateVlmConfig) -> dict[str, ComparedRun]:
    """Return folder and settings of the runs to compare with, by the name of their row."""
    runs = {}
    for run, name in short_names(config.runs).items():
        settings = replace(read_agent_config(run), device=config.device)
        model_metadata(run)
        own = (config.dataset, config.world)
        if (settings.dataset, settings.world) != own:
            raise UserError(
                f"--runs {run}: trained on {settings.dataset} in {settings.world}, but the "
                f"evaluation is on {config.dataset} in {config.world}; name another run"
            )
        language, wanted = settings.instruction_language, config.instruction_language
        if language not in (None, wanted):
            raise UserError(
                f"--runs {run}: reads --instruction-language {language} only, but the evaluation "
                f"has {wanted or 'all languages'}; add --instruction-language {language}, or name "
                "another run"
            )
        if name in (config.model_name, *BASELINES):
            raise UserError(f"--runs {run}: {name} is the name of another row; rename the folder")
        runs[name] = run, settings
    return runs
