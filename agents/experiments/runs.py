"""Evaluation of trained agents and of their searches, and submission files for test servers."""

import itertools
import logging
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch

from clipnav.agents.acting.environments import feature_metadata
from clipnav.agents.acting.evaluation import (
    Evaluation,
    NamedWalk,
    Pose,
    Results,
    agent_name,
    as_results,
    baselines,
    by_length,
    dataset_table,
    evaluate,
    evaluate_all,
    evaluate_splits,
    score_walks,
)
from clipnav.agents.acting.rollout import Agent
from clipnav.agents.envdrop.action_scores import ActionScorer
from clipnav.agents.envdrop.follower_agent import FollowerAgent
from clipnav.agents.envdrop.search import (
    Position,
    RankedPath,
    Searcher,
    SearchResult,
    Weighting,
    beam_search,
    best_first_search,
    best_path,
    poses,
    rank_paths,
    search_walk,
    start_positions,
    tune_weighting,
)
from clipnav.agents.envdrop.settings import SpeakerTrainConfig
from clipnav.agents.envdrop.speaker_training import LoadedSpeaker, load_speaker
from clipnav.agents.frontier.agent import FrontierAgent, FrontierScoring
from clipnav.agents.layers.encoders import readable
from clipnav.agents.maps.geometry import MapGeometry
from clipnav.agents.settings import AgentConfig, EvaluateConfig, SearchConfig, read_agent_config
from clipnav.agents.specs import agent_spec
from clipnav.envs.base.infos import start_episodes
from clipnav.envs.datasets import dataset_spec
from clipnav.envs.episodes import base_language, load_episodes
from clipnav.envs.episodes.chains import check_no_chains
from clipnav.envs.episodes.episode import check_goals
from clipnav.envs.metrics import SUCCESS_THRESHOLD
from clipnav.envs.navigation.vector_env import VlnVectorEnv
from clipnav.envs.submissions.files import write_submission
from clipnav.envs.worlds import world_files
from clipnav.storage.errors import UserError, pluralise
from clipnav.storage.progress import progress_bar
from clipnav.storage.shared_runs import SCHEME, local_run
from clipnav.training.allocation import keep_freed_memory
from clipnav.training.settings import read_config

_METRE_COSTS = 0.05, 0.1, 0.2, 0.3, 0.4  # that `_best_frontier` tries
_SHARPNESS = 1.0, 1.5, 2.0, 3.0, 4.0
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class SplitSearch:
    """Searches for all episodes of a split, by instr_id.

    Attributes:
        ranked: Found paths with the scores of a speaker; empty without a speaker.
    """

    starts: dict[str, Position]
    results: dict[str, SearchResult]
    ranked: dict[str, list[RankedPath]]


def search_split(
    env: VlnVectorEnv,
    agent: FollowerAgent,
    config: SearchConfig,
    speaker: LoadedSpeaker | None = None,
    name: str = "",
) -> SplitSearch:
    """Run a search for each episode of an environment's split."""
    check_no_chains(env.episodes, f"--search.method {config.method}")
    search = SplitSearch({}, {}, {})
    episodes = by_length(env.episodes)
    with (
        torch.inference_mode(),
        progress_bar(
            total=len(episodes), desc=name, unit="episodes", leave=False, disable=not name
        ) as bar,
    ):
        for start in range(0, len(episodes), env.num_envs):
            batch = episodes[start : start + env.num_envs]
            ids = [episode.instr_id for episode in batch]
            observation, _, _ = start_episodes(env, ids)
            starts = start_positions(observation)[: len(ids)]
            search.starts.update(zip(ids, starts, strict=True))
            tokens = readable(observation["instruction"][: len(ids)], agent.use_instructions)
            searcher = Searcher(agent.follower, agent.features, env.nav_world, tokens, starts)
            if config.method == "beam":
                results = beam_search(searcher, config.paths, env.max_episode_steps)
            else:
                results = best_first_search(searcher, config.paths, config.expansions)
            search.results.update(zip(ids, results, strict=True))
            if speaker is not None:
                words = speaker.token_ids([episode.instruction for episode in batch])
                languages = speaker.language_ids([base_language(e.language) for e in batch])
                ranked = rank_paths(results, speaker.network, agent.features, words, languages)
                search.ranked.update(zip(ids, ranked, strict=True))
            bar.update(len(batch))
    return search


def evaluate_search(
    env: VlnVectorEnv, search: SplitSearch, weighting: Weighting
) -> tuple[Evaluation, Evaluation]:
    """Score the chosen paths: by themselves, and preceded by the walk of the search."""
    alone: dict[str, list[Pose]] = {}
    whole: dict[str, list[Pose]] = {}
    world = env.nav_world
    for instr_id, result in search.results.items():
        ranked = search.ranked.get(instr_id)
        chosen = best_path(ranked, weighting) if ranked else result.paths[0]
        start = search.starts[instr_id]
        alone[instr_id] = poses(world, start, [position.node for position in chosen.positions])
        whole[instr_id] = poses(world, start, search_walk(world, result, chosen))
    return score_walks(env, alone), score_walks(env, whole)


def best_weighting(env: VlnVectorEnv, search: SplitSearch) -> tuple[Weighting, float]:
    """Return the weighting with the highest success rate on a split with known goals."""
    world, ranked, values = env.nav_world, [], []
    for episode in env.episodes:
        paths = search.ranked[episode.instr_id]
        goals = np.array([world.node(episode.scan, v) for v in episode.goal.viewpoints])
        radius = episode.goal.success_radius(SUCCESS_THRESHOLD)
        ends = np.array([item.path.positions[-1].node for item in paths])
        success = world.distance(ends[:, None], goals).min(axis=1) < radius
        ranked.append(paths)
        values.append(dict(zip((item.path for item in paths), success.astype(float), strict=True)))
    return tune_weighting(ranked, values)


def _frontier_agent(
    env: VlnVectorEnv,
    agent: FollowerAgent,
    config: SearchConfig,
    geometry: MapGeometry | None = None,
) -> FrontierAgent:
    """Return an agent that walks to the best node of its whole map, with a follower's weights.

    The tables of the environment's world, `geometry`, are computed if they are not given.
    """
    return FrontierAgent(
        ActionScorer(agent.follower, agent.features, env.nav_world),
        geometry or MapGeometry.of(env.nav_world),
        env.max_episode_steps,
        FrontierScoring(config.metre_cost, config.sharpness),
        use_instructions=agent.use_instructions,
    )


def _best_frontier(
    env: VlnVectorEnv, agent: FollowerAgent, config: SearchConfig
) -> tuple[SearchConfig, float]:
    """Return the settings with the highest success rate on a split with known goals, and the rate.

    Of equally good ones the first: the lowest cost of a metre, then the lowest sharpness.
    """
    trials = [
        replace(config, tune=None, metre_cost=cost, sharpness=sharpness)
        for cost, sharpness in itertools.product(_METRE_COSTS, _SHARPNESS)
    ]
    geometry = MapGeometry.of(env.nav_world)
    agents = [_frontier_agent(env, agent, trial, geometry) for trial in trials]
    rates = [evaluate(env, one).summary()["SR"] for one in agents]
    best = int(np.argmax(rates))
    return trials[best], rates[best]


def evaluate_run(config: EvaluateConfig, record_batch: NamedWalk | None = None) -> Results:
    """Evaluate the agent of a run on splits; print the scores, and write them if requested.

    Submissions are written as well. The scores are written after each split.

    Args:
        record_batch: Walks a batch of episodes and writes its traces, also of the baselines on
            splits with unpublished goals.

    Returns:
        Summaries by split and agent; splits with unpublished goals are left out.
    """
    keep_freed_memory()
    if config.threads:
        torch.set_num_threads(config.threads)
    settings = config.settings(read_agent_config(config.run))
    if config.submission is not None:
        # Problems of the submission are reported before the evaluation, which takes minutes.
        several = len(dataset_spec(settings.dataset).languages) > 1
        if several and settings.instruction_language and not config.partial:
            raise UserError(
                f"--submission {config.submission}: the test server requires all languages, but "
                f"{config.run} has --instruction-language {settings.instruction_language}; "
                "evaluate a run of all languages, or add --partial"
            )
    _check_search(config, settings)
    files = world_files(settings.world, settings.data_dir)
    tune = [] if config.search.tune is None else [config.search.tune]
    for split in (*config.splits, *tune):
        files.annotations(settings.dataset, split)
    if config.search.speaker is not None:
        read_config(config.search.speaker, SpeakerTrainConfig)
    config = _tuned(config, settings)
    results = evaluate_splits(
        config.splits, lambda split: _evaluate_split(config, split, record_batch), config.json
    )
    if results:
        print(dataset_table(results, read_agent_config(config.run).dataset))
    return results


def _tuned(config: EvaluateConfig, settings: AgentConfig) -> EvaluateConfig:
    """Return settings with a tuned search, and print the choice, if that is requested."""
    search = config.search
    if search.tune is None:
        return config
    if search.tune in config.splits:
        _LOG.warning(
            "%s tunes the search and is evaluated, so the scores of the search there are too high",
            search.tune,
        )
    env, agent = load_run(config.run, search.tune, settings)
    assert isinstance(agent, FollowerAgent)
    check_goals(env.episodes, f"--search.tune {search.tune}")
    if search.method == "frontier":
        best, success = _best_frontier(env, agent, search)
        flags = f"--search.metre-cost {best.metre_cost:g} --search.sharpness {best.sharpness:g}"
    else:
        assert search.speaker is not None
        speaker = load_speaker(search.speaker, env, feature_metadata(settings), settings.device)
        found = search_split(env, agent, search, speaker, f"{search.tune} search")
        weighting, success = best_weighting(env, found)
        best = replace(search, tune=None, **asdict(weighting))
        flags = f"--search.alpha {best.alpha:g}"
        flags += " --search.per-word" * best.per_word + " --search.per-action" * best.per_action
    print(f"{search.tune}: success {100 * success:.1f} with {flags}")
    return replace(config, search=best)


def _check_search(config: EvaluateConfig, settings: AgentConfig) -> None:
    """Check that the agent of a run can search, if a search is requested."""
    if config.search.method != "none" and "search" not in agent_spec(settings.agent).abilities:
        raise UserError(
            f"--search.method {config.search.method}: {config.run} is a run of another agent "
            f"({agent_name(settings)}), but only followers can search; evaluate it without a search"
        )
    if config.search.speaker is not None and not settings.use_instructions:
        raise UserError(
            f"--search.speaker {config.search.speaker} and --instruction-ablation empty exclude "
            "each other, because the speaker ranks paths by whole instructions; leave the speaker "
            "out, or add --instruction-ablation none"
        )


def _evaluate_split(config: EvaluateConfig, split: str, record_batch: NamedWalk | None) -> Results:
    settings, env, walkers = load_walkers(replace(config, baselines=False), split)
    evaluations = evaluate_all(env, walkers, split, record_batch)
    if config.search.method in ("beam", "best-first"):
        evaluations |= searches(config, settings, env, walkers[agent_name(settings)], split)
    *_, submitted = evaluations.values()
    if config.submission is not None:
        files = world_files(settings.world, settings.data_dir)
        episodes = load_episodes(settings.dataset, split, files)
        write_submission(
            *(config.submission, submitted.trajectories, episodes, files, settings.dataset),
            partial=config.partial,
            answers=submitted.answers,
        )
        print(f"{pluralise(len(submitted.trajectories), 'instruction')}: {config.submission}")
        spec = agent_spec(settings.agent)
        if env.objects is not None and "grounds-objects" not in spec.abilities:
            print(f"The file has no answers, as {spec.label} points out no objects")
    if config.baselines and (submitted.scores or record_batch is not None):
        evaluations |= evaluate_all(env, baselines(env, settings.seed), split, record_batch)
    if not submitted.scores:
        print(f"The goals of {split} are not published: no scores.")
        return {}
    return as_results(split, evaluations)


def searches(
    config: EvaluateConfig, settings: AgentConfig, env: VlnVectorEnv, agent: Agent, split: str
) -> dict[str, Evaluation]:
    """Search a split before walking and return the evaluations of the chosen paths, by name.

    The first has the chosen paths by themselves, the second the walk of the search before them.
    """
    assert isinstance(agent, FollowerAgent)
    search = config.search
    speaker = None
    if search.speaker is not None:
        speaker = load_speaker(search.speaker, env, feature_metadata(settings), settings.device)
    weighting = Weighting(search.alpha, search.per_word, search.per_action)
    split_search = search_split(env, agent, search, speaker, f"{split} search")
    alone, whole = evaluate_search(env, split_search, weighting)
    name = f"{agent_name(settings)}, {search.method}" + ("" if speaker is None else " and speaker")
    return {name: alone, f"{name}, whole walk": whole}


def load_run(
    run: str | Path, split: str, settings: AgentConfig | None = None
) -> tuple[VlnVectorEnv, Agent]:
    """Build the environment of a split and load the agent of a run, which acts greedily.

    The agent acts in this environment, or in another one with the same viewpoints.

    Args:
        run: Folder of a run of clipnav train-agent, or its address on Hugging Face,
            "hf:OWNER/NAME" or "hf:OWNER/NAME@REVISION", from which it is downloaded.
        split: "train", "val_seen", ...
        settings: Settings; those of the run by default.

    Returns:
        The environment, without autoreset and with `--evaluation-batch-size` of the run as
        `num_envs`, and the agent, with its network in evaluation mode.

    Raises:
        FileNotFoundError: The folder does not contain a run, or data is missing.
        UserError: Files are damaged, the weights do not match the settings or the data, or torch
            cannot compute on the device.
        ConnectionError: The repository does not exist, or cannot be reached and was not downloaded
            before.
        OSError: The hidden states of a frozen instruction encoder do not fit on the disk.
    """
    is_address = isinstance(run, str) and run.startswith(SCHEME)
    run = local_run(str(run)) if is_address else Path(run)
    settings = settings or read_agent_config(run)
    spec = agent_spec(settings.agent)
    if spec.load is None:
        raise UserError(
            f"{run}: {spec.label} walks in continuous space; use clipnav evaluate-continuous-agent "
            "or clipnav visualise --environment continuous"
        )
    env, agent = spec.call("load", run, split, settings, kind=tuple)
    agent.loaded_for = env
    return env, agent


def load_walkers(
    config: EvaluateConfig, split: str
) -> tuple[AgentConfig, VlnVectorEnv, dict[str, Agent]]:
    """Return the settings of a run, the environment of a split, and the agents by name.

    The agent of the run is the first one; its search while walking follows if there is one, and
    baselines if `config.baselines`.
    """
    settings = config.settings(read_agent_config(config.run))
    _check_search(config, settings)
    env, agent = load_run(config.run, split, settings)
    agents: dict[str, Agent] = {agent_name(settings): agent}
    if config.search.method == "frontier":
        assert isinstance(agent, FollowerAgent)
        search = _tuned(config, settings).search
        agents[f"{agent_name(settings)}, frontier"] = _frontier_agent(env, agent, search)
    return settings, env, agents | (baselines(env, settings.seed) if config.baselines else {})
