"""Evaluating a run on a split, and writing its paths for a test server."""

from pathlib import Path

import torch

from agents.acting.environments import feature_metadata, make_env
from agents.acting.evaluation import (
    Evaluation,
    Results,
    baselines,
    compare,
    evaluate,
    follower_name,
    summaries,
    table,
)
from agents.acting.follower_agent import FollowerAgent
from agents.acting.reranking import Weighting
from agents.acting.rollout import Agent
from agents.command_line import EvaluateConfig
from agents.configs import SpeakerTrainConfig, TrainConfig
from agents.experiments.search_evaluation import (
    Searched,
    evaluate_search,
    search_split,
    tuned_weighting,
)
from agents.learning.lessons import make_lesson
from agents.learning.speaker_training import LoadedSpeaker, load_speaker
from envs.episodes import load_episodes
from envs.navigation.device_features import DeviceFeatures
from envs.navigation.vector_env import VlnVectorEnv
from envs.submissions.files import write_r2r_submission, write_rxr_submission
from envs.tokenizers import load_tokenizer
from envs.worlds import world_files
from training.checkpoints import VOCABULARY, load_model
from training.devices import check_device
from training.settings import read_config


def evaluate_run(config: EvaluateConfig) -> Results:
    """Walk splits with the follower of a run; print metrics, write a submission if asked for.

    Returns:
        Summaries by split and agent, without splits whose goals are secret.

    Raises:
        FileNotFoundError, ValueError: As for `load_run`; or a submission would not be whole.
    """
    if config.threads:
        torch.set_num_threads(config.threads)
    settings = config.settings(read_config(config.run, TrainConfig))
    if config.submission is not None:
        # What would stop its writing stops the walk before it begins.
        if settings.dataset == "rxr" and settings.instruction_language and not config.partial:
            raise ValueError(
                f"--submission {config.submission}: the test server wants all languages, but "
                f"{config.run} reads {settings.instruction_language} alone "
                "(--instruction-language); evaluate a run of all languages, or add --partial"
            )
        config.submission.parent.mkdir(parents=True, exist_ok=True)
    _check_data(config, settings)
    results: Results = {}
    for split in config.splits:
        results |= _evaluate_split(config, settings, split)
    if results:
        print(table(results))
    return results


def _check_data(config: EvaluateConfig, settings: TrainConfig) -> None:
    """Find splits and a speaker that are not there before anybody walks, which takes minutes.

    Raises:
        FileNotFoundError: There is no such split, or no such run.
        ValueError: The run is no speaker's.
    """
    files = world_files(settings.world, settings.data_dir)
    tune = [] if config.search.tune is None else [config.search.tune]
    for split in (*config.splits, *tune):
        files.annotations(settings.dataset, split)
    if config.search.speaker is not None:
        read_config(config.search.speaker, SpeakerTrainConfig)


def _evaluate_split(config: EvaluateConfig, settings: TrainConfig, split: str) -> Results:
    env, agent = load_run(config.run, split, settings)
    name = follower_name(settings)
    evaluations = {name: evaluate(env, agent, split)}
    if config.search.method != "none":
        evaluations |= searches(config, settings, env, agent, split)
    if config.submission is not None:
        *_, submitted = evaluations.values()
        write_submission(config.submission, submitted, settings, split, config.partial)
        print(f"{len(submitted.trajectories)} paths: {config.submission}")
    if not evaluations[name].scores:
        print(f"The goals of {split} are secret: nothing to score.")
        return {}
    results: Results = {}
    for who, evaluation in evaluations.items():
        for part, summary in summaries(split, evaluation).items():
            results.setdefault(part, {})[who] = summary
    if config.baselines:
        for part, others in compare(env, {}, settings.seed, split).items():
            results[part] |= others
    return results


def searches(
    config: EvaluateConfig,
    settings: TrainConfig,
    env: VlnVectorEnv,
    agent: FollowerAgent,
    split: str,
) -> dict[str, Evaluation]:
    """Evaluations of a follower that searches: without, and last with the walk of the search."""
    search = config.search
    speaker = None
    if search.speaker is not None:
        speaker = load_speaker(search.speaker, env, feature_metadata(settings), settings.device)
    weighting = Weighting(search.alpha, search.per_word, search.per_action)
    if speaker is not None and search.tune is not None:
        other, guide = load_run(config.run, search.tune, settings)
        found = _search(other, guide, config, speaker, search.tune)
        weighting, success = tuned_weighting(other, found)
        print(f"{search.tune}: success {100 * success:.1f} with {weighting}")
    found = _search(env, agent, config, speaker, split)
    alone, whole = evaluate_search(env, found, weighting)
    name = f"{follower_name(settings)}, {search.method}"
    name += "" if speaker is None else " and speaker"
    return {name: alone, f"{name}, whole walk": whole}


def _search(
    env: VlnVectorEnv,
    agent: FollowerAgent,
    config: EvaluateConfig,
    speaker: LoadedSpeaker | None,
    split: str,
) -> Searched:
    name = f"{split} search"
    return search_split(
        env, agent.follower, agent.features, config.search, speaker, agent.reads, name
    )


def load_run(
    run: Path, split: str, settings: TrainConfig | None = None
) -> tuple[VlnVectorEnv, FollowerAgent]:
    """Environment over a split and the follower of a run, to walk it greedily.

    Args:
        run: Folder that the training wrote.
        split: "train", "val_seen", ...
        settings: In place of the run's own.

    Raises:
        FileNotFoundError: The folder is no run, or data is missing.
        ValueError: Files are damaged, the weights do not fit the settings or the data, or there is
            no such device.
    """
    settings = settings or read_config(run, TrainConfig)
    check_device(settings.device)
    notes = feature_metadata(settings)
    env = make_env(
        settings, split, load_tokenizer(run / VOCABULARY), settings.evaluation_batch_size
    )
    lesson = make_lesson(settings, env)
    load_model(run, lesson, notes)
    lesson.eval()
    features = DeviceFeatures(env, settings.device)
    agent = FollowerAgent(lesson.follower, features, settings.reads)
    agent.critic = lesson.critic
    return env, agent


def load_walkers(
    config: EvaluateConfig, split: str
) -> tuple[TrainConfig, VlnVectorEnv, dict[str, Agent]]:
    """Settings of a run, environment over a split, and by name follower, first, and baselines.

    Raises:
        FileNotFoundError, ValueError: As for `load_run`.
    """
    settings = config.settings(read_config(config.run, TrainConfig))
    env, agent = load_run(config.run, split, settings)
    others = baselines(env, settings.seed) if config.baselines else {}
    return settings, env, {follower_name(settings): agent, **others}


def write_submission(
    path: Path,
    evaluation: Evaluation,
    settings: TrainConfig,
    split: str,
    partial: bool = False,
) -> None:
    """Write walked paths as the test server of the data set wants them.

    R2R and R4R: JSON for EvalAI; RxR: JSON Lines. In all worlds alike.

    Args:
        path: File to write.
        evaluation: The walks.
        settings: Of the run.
        split: That was walked.
        partial: Write the file although instructions or languages are missing.

    Raises:
        ValueError: Not every instruction of the split was walked, in all its languages.
    """
    files = world_files(settings.world, settings.data_dir)
    episodes = load_episodes(settings.dataset, split, files)
    if settings.dataset == "rxr":
        write_rxr_submission(path, evaluation.trajectories, episodes, files, partial)
    else:
        write_r2r_submission(path, evaluation.trajectories, episodes, files, partial)
