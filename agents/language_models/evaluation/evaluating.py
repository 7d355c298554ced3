"""Evaluation of a model on a subset of a split: walks, log and files of results."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from clipnav.agents.language_models.evaluation.compared_runs import ComparedRun, compared_runs
from clipnav.agents.language_models.evaluation.continuous import continuous_maker
from clipnav.agents.language_models.evaluation.earlier_results import (
    check_earlier_results,
    recorded_settings,
)
from clipnav.agents.language_models.evaluation.records import append_requests, write_requests
from clipnav.agents.language_models.evaluation.reporting import report, write_submission
from clipnav.agents.language_models.evaluation.subsets import balanced_subset, subset_digest
from clipnav.agents.language_models.models.bodies import BodyMaker
from clipnav.agents.language_models.models.budget import Spending, price
from clipnav.agents.language_models.models.cache import ReplyCache
from clipnav.agents.language_models.models.server import ServerModel
from clipnav.agents.language_models.prompts.pictures import Draw, Pictures
from clipnav.agents.language_models.prompts.sources import drawing, view_descriptions
from clipnav.agents.language_models.settings import EvaluateVlmConfig
from clipnav.agents.language_models.strategies import make_strategy
from clipnav.agents.language_models.strategies.navgpt import Describe
from clipnav.agents.language_models.walks.asking import Strategy, WalkSettings
from clipnav.agents.language_models.walks.continuous import ContinuousWalkMaker
from clipnav.agents.language_models.walks.running import (
    AnyWalk,
    Finished,
    WalkMaker,
    walk_concurrently,
    walk_in_batches,
)
from clipnav.envs.episodes.splits import LoadedSplit, load_split
from clipnav.storage import cache_dir, write_text
from clipnav.storage.errors import counted
from clipnav.storage.locks import sole_writer
from clipnav.storage.progress import progress_bar

REQUESTS, RESULTS = "requests.jsonl", "results.json"
RUNNING = "requests.running.jsonl"  # until the end of a run, as the walks end


@dataclass(frozen=True)
class Experiment:
    """An evaluation with its data.

    Attributes:
        config: Settings.
        split: The whole split.
        maker: Starts the walks of the chosen episodes.
        pictures: Pictures of the prompts.
        output: Folder of the results.
        runs: Runs to compare with, see `compared_runs`.
    """

    config: EvaluateVlmConfig
    split: LoadedSplit
    maker: WalkMaker | ContinuousWalkMaker
    pictures: Pictures
    output: Path
    runs: Mapping[str, ComparedRun] = field(default_factory=dict)

    @property
    def episode_ids(self) -> list[str]:
        """The instr_id of each chosen episode."""
        return [episode.instr_id for episode in self.maker.split.episodes]


def evaluate_vlm(config: EvaluateVlmConfig, strategy: Strategy | None = None) -> int:
    """Evaluate a vision-language model as clipnav evaluate-vlm does, but without traces.

    Args:
        config: Settings; their fields are the flags of the command.
        strategy: Function from an observation to a prompt, a tuple of `Message`; by default that of
            the settings.

    Returns:
        Exit status: 1 if an episode failed or a limit of the budget ended the run, otherwise 0.

    Raises:
        FileNotFoundError, UserError: Data is missing, or settings do not fit it.
    """
    return run_experiment(prepare(config, strategy))


def prepare(
    config: EvaluateVlmConfig,
    strategy: Strategy | None = None,
    draw: Draw | None = None,
    describe: Describe | None = None,
) -> Experiment:
    """Load the split, draw the subset and build the parts of prompts.

    Args:
        config: Settings.
        strategy: Strategy of your own; by default that of the settings.
        draw: Function that draws pictures; by default those of the world.
        describe: Function that describes views in words, for navgpt; by default from the object ids
            of the built-in houses.

    Raises:
        FileNotFoundError, UserError: Data or a run to compare with is missing, or settings do not
            fit it.
    """
    if strategy is None:
        config.check_prompt()
    runs = compared_runs(config)  # before the first request, which may cost money
    split = load_split(
        config.dataset,
        config.split,
        config.world,
        config.data_dir,
        features="none",
        language=config.instruction_language,
    )
    subset = balanced_subset(split.episodes, config.episodes, config.seed)
    settings = WalkSettings(config.prompt, config.answer_retries, config.on_invalid, config.seed)
    maker: WalkMaker | ContinuousWalkMaker
    if config.environment == "continuous":
        maker = continuous_maker(config, split, subset, settings, strategy)
        pictures = Pictures()
    else:
        strategy = strategy or make_strategy(config.prompt, describe or view_descriptions(config))
        limit = config.max_episode_steps
        maker = WalkMaker(replace(split, episodes=subset), strategy, settings, limit)
        pictures = Pictures(draw or drawing(config))
    output = config.output or Path("runs") / config.run_name
    return Experiment(config, split, maker, pictures, output, runs)


def run_experiment(
    experiment: Experiment, on_end: Callable[[Finished], object] = lambda finished: None
) -> int:
    """Walk, score, print and write everything.

    Results of more finished episodes, or of as many in a complete run, stay in the folder: a server
    that is down, or a small budget, can leave fewer than an earlier run with the same settings had.

    Args:
        experiment: The experiment.
        on_end: Function that is called with all walks before the scores, to write traces; not if
            earlier results stay.

    Returns:
        Exit status: 1 if an episode failed or a limit of the budget ended the run, otherwise 0.

    Raises:
        UserError: The folder contains results with other settings.
    """
    config, output, ids = experiment.config, experiment.output, experiment.episode_ids
    settings, digest = recorded_settings(config), subset_digest(ids)
    output.mkdir(parents=True, exist_ok=True)
    with sole_writer(output):
        earlier = check_earlier_results(output / RESULTS, settings, digest)
        spending = Spending(config.budget)
        finished = _walk(experiment, spending)
        answered = finished.without_failed()
        is_kept = (len(answered.walks), not finished.stopped) < earlier
        if not is_kept:
            write_requests(output / REQUESTS, finished.walks.values())
            on_end(finished)
        document = report(config, experiment.maker, experiment.runs, finished, spending)
        document |= {"subset_sha256": digest, "subset": ids, "settings": settings}
        if not is_kept:
            write_text(output / RESULTS, json.dumps(document, indent=2) + "\n")
        (output / RUNNING).unlink(missing_ok=True)
    if config.submission is not None and answered.walks and not is_kept:
        write_submission(config, experiment.split, answered)
    _print_end(finished)
    if is_kept:
        print(
            f"Nothing is written: {output} has results of a more complete run, with "
            f"{counted(earlier[0], 'finished episode')}; this run has {len(answered.walks)}. To "
            f"write its results, name another folder with --output, or delete {output}"
        )
    else:
        print(f"Results: {output}")
    return 1 if finished.stopped or len(answered.walks) < len(finished.walks) else 0


def _print_end(finished: Finished) -> None:
    """Print why walks failed, and why the run ended before all episodes."""
    failed = [walk for walk in finished.walks.values() if walk.ending == "failed"]
    if failed:
        share = f"{len(failed)} of {len(finished.walks)}"
        print(f"{share} episodes failed and are not scored: {failed[0].error}")
    if finished.stopped:
        scored = " The scores are those of the finished episodes." if finished.walks else ""
        print(f"Stopped: {finished.stopped}.{scored}")


def _walk(experiment: Experiment, spending: Spending) -> Finished:
    config, maker = experiment.config, experiment.maker
    log = experiment.output / RUNNING
    log.unlink(missing_ok=True)
    cache = ReplyCache(config.cache or cache_dir() / "language_models")
    total = len(maker.split.episodes)
    failed = 0
    with progress_bar(total=total, desc=config.model_name, unit="episodes") as bar:

        def on_walk(walk: AnyWalk) -> None:
            nonlocal failed
            append_requests(log, walk)
            failed += walk.ending == "failed"
            show(1)

        def show(walks: int = 0) -> None:
            bar.set_postfix_str(_progress(config, spending, cache, failed), refresh=False)
            bar.update(walks)

        if config.local_model is not None:
            from clipnav.agents.language_models.models.loading import load_model
            from clipnav.agents.language_models.models.local import LocalModel

            local = LocalModel(
                load_model(config.local_model, config.device),
                experiment.pictures,
                config.sampling,
                cache,
                spending,
                config.server.answer_format,
            )
            return walk_in_batches(maker, local, config.concurrency, on_walk, show)
        assert config.url is not None
        assert config.model is not None
        bodies = BodyMaker(
            config.model,
            experiment.pictures,
            config.sampling,
            config.server.token_field,
            config.prompt.picture_detail,
        )
        model = ServerModel(config.url, bodies, cache, spending, config.server, config.concurrency)
        try:
            return walk_concurrently(maker, model, config.concurrency, on_walk)
        finally:
            model.close()


def _progress(config: EvaluateVlmConfig, spending: Spending, cache: ReplyCache, failed: int) -> str:
    usage = spending.usage
    parts = [f"{failed} failed"] if failed else []
    parts += [f"{spending.requests} requests", f"{cache.hits} cached"]
    parts.append(f"{(usage.prompt + usage.completion) / 1000:.0f}k tokens")
    cost = price(usage, config.budget)
    if cost is not None:
        parts.append(f"cost {cost:.2f}")
    return ", ".join(parts)
