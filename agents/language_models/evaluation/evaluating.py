"""Evaluation of a model on a subset of a split: walks, log and files of results."""

import dataclasses
import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np

from clipnav.agents.language_models.evaluation.reporting import (
    ComparedRun,
    compared_runs,
    continuous_maker,
    report,
    write_submission,
)
from clipnav.agents.language_models.models.bodies import BodyMaker
from clipnav.agents.language_models.models.replies import ModelQuestion, ReplyCache, Spending, price
from clipnav.agents.language_models.models.server import ServerModel
from clipnav.agents.language_models.prompts.messages import Prompt, prompt_text
from clipnav.agents.language_models.prompts.pictures import (
    Draw,
    PromptPictures,
    drawing,
    view_descriptions,
)
from clipnav.agents.language_models.settings import EvaluateVlmConfig
from clipnav.agents.language_models.strategies import Describe, make_strategy
from clipnav.agents.language_models.walks.asking import AskingWalk, Strategy, WalkSettings
from clipnav.agents.language_models.walks.continuous import ContinuousVlmWalkMaker
from clipnav.agents.language_models.walks.running import (
    AnyWalk,
    Finished,
    VlmWalkMaker,
    walk_concurrently,
    walk_in_batches,
)
from clipnav.envs.episodes import Episode, base_language
from clipnav.envs.episodes.chains import check_no_chains
from clipnav.envs.episodes.episode import check_goals
from clipnav.envs.episodes.splits import LoadedSplit, load_split
from clipnav.storage import append_bytes, atomic_write, cache_dir, write_text
from clipnav.storage.errors import UserError, pluralise
from clipnav.storage.json_files import read_json
from clipnav.storage.locks import exclusive_lock
from clipnav.storage.progress import progress_bar
from clipnav.training.settings import differences
from clipnav.training.streams import Stream

REQUESTS, RESULTS = "requests.jsonl", "results.json"
_RUNNING = "requests.running.jsonl"  # until the end of a run, as the walks end
# Settings that change neither the prompts nor the answers are left out of the results, so that a
# repeated run writes the same file.
_LEFT_OUT = ("concurrency", "output", "cache", "submission", "runs", "device", "budget")
# Settings of the connection, which are recorded and may differ.
_CONNECTION = (
    "server.request_timeout",
    "server.max_retries",
    "server.longest_wait",
    "server.probe",
)
_LONGEST = 4096  # characters of an answer in the log
T = TypeVar("T")
_PROMPTS = "prompts.jsonl"


@dataclass(frozen=True)
class VlmExperiment:
    """An evaluation with its data.

    Attributes:
        runs: Runs to compare with, see `compared_runs`.
    """

    config: EvaluateVlmConfig
    split: LoadedSplit
    maker: VlmWalkMaker | ContinuousVlmWalkMaker
    pictures: PromptPictures
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
) -> VlmExperiment:
    """Load the split, draw the subset and build the parts of prompts.

    Args:
        describe: Function that describes views in words, for navgpt; by default from the object ids
            of the built-in houses.
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
    check_no_chains(split.episodes, f"--dataset {config.dataset}")
    subset = balanced_subset(split.episodes, config.episodes, config.seed)
    settings = WalkSettings(
        config.prompt,
        config.answer_retries,
        config.on_invalid,
        config.seed,
        config.answers,
        config.follower,
    )
    maker: VlmWalkMaker | ContinuousVlmWalkMaker
    if config.environment == "continuous":
        maker = continuous_maker(config, split, subset, settings, strategy)
        pictures = PromptPictures()
    else:
        strategy = strategy or make_strategy(config.prompt, describe or view_descriptions(config))
        limit = config.max_episode_steps
        maker = VlmWalkMaker(replace(split, episodes=subset), strategy, settings, limit)
        pictures = PromptPictures(draw or drawing(config))
    output = config.output or Path("runs") / config.run_name
    return VlmExperiment(config, split, maker, pictures, output, runs)


def run_experiment(
    experiment: VlmExperiment, on_end: Callable[[Finished], object] = lambda finished: None
) -> int:
    """Walk, score, print and write everything.

    Results of more finished episodes, or of as many in a complete run, stay in the folder: a server
    that is down, or a small budget, can leave fewer than an earlier run with the same settings had.

    Args:
        on_end: Function that is called with all walks before the scores, to write traces; not if
            earlier results stay.
    """
    config, output, ids = experiment.config, experiment.output, experiment.episode_ids
    settings, digest = _recorded_settings(config), subset_digest(ids)
    output.mkdir(parents=True, exist_ok=True)
    with exclusive_lock(output):
        earlier = _check_earlier_results(output / RESULTS, settings, digest)
        spending = Spending(config.budget)
        finished = _walk(experiment, spending)
        answered = finished.without_failed()
        is_kept = (len(answered.walks), not finished.stopped) < earlier
        if not is_kept:
            _write_requests(output / REQUESTS, finished.walks.values())
            on_end(finished)
        document = report(config, experiment.maker, experiment.runs, finished, spending)
        document |= {"subset_sha256": digest, "subset": ids, "settings": settings}
        if not is_kept:
            write_text(output / RESULTS, json.dumps(document, indent=2) + "\n")
        (output / _RUNNING).unlink(missing_ok=True)
    if config.submission is not None and answered.walks and not is_kept:
        write_submission(config, experiment.split, answered)
    failed = [walk for walk in finished.walks.values() if walk.ending == "failed"]
    if failed:
        share = f"{len(failed)} of {len(finished.walks)}"
        print(f"{share} episodes failed and are not scored: {failed[0].error}")
    if finished.stopped:
        scored = " The scores are those of the finished episodes." if finished.walks else ""
        print(f"Stopped: {finished.stopped}.{scored}")
    if is_kept:
        print(
            f"Nothing is written: {output} has results of a more complete run, with "
            f"{pluralise(earlier[0], 'finished episode')}; this run has {len(answered.walks)}. To "
            f"write its results, name another folder with --output, or delete {output}"
        )
    else:
        print(f"Results: {output}")
    return 1 if finished.stopped or len(answered.walks) < len(finished.walks) else 0


def _walk(experiment: VlmExperiment, spending: Spending) -> Finished:
    config, maker = experiment.config, experiment.maker
    log = experiment.output / _RUNNING
    log.unlink(missing_ok=True)
    cache = ReplyCache(config.cache or cache_dir() / "language_models")
    total = len(maker.split.episodes)
    failed = 0
    with progress_bar(total=total, desc=config.model_name, unit="episodes") as bar:

        def on_walk(walk: AnyWalk) -> None:
            nonlocal failed
            _append_requests(log, walk)
            failed += walk.ending == "failed"
            show(1)

        def show(walks: int = 0) -> None:
            usage = spending.usage
            parts = [f"{failed} failed"] if failed else []
            parts += [f"{spending.requests} requests", f"{cache.hits} cached"]
            parts.append(f"{(usage.prompt + usage.completion) / 1000:.0f}k tokens")
            cost = price(usage, config.budget)
            if cost is not None:
                parts.append(f"cost {cost:.2f}")
            bar.set_postfix_str(", ".join(parts), refresh=False)
            bar.update(walks)

        if config.local_model is not None:
            from clipnav.agents.language_models.models.local import LocalModel, load_model

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


class _Answers(msgspec.Struct):
    episodes: int
    failed: int


class _Results(msgspec.Struct):
    """What is read of a file of results."""

    settings: dict[str, Any]
    subset_sha256: str
    answers: _Answers
    complete: bool


def _recorded_settings(config: EvaluateVlmConfig) -> dict[str, Any]:
    """Return the settings that the results record, as JSON values."""
    settings = dataclasses.asdict(config)
    for name in _LEFT_OUT:
        del settings[name]
    del settings["server"]["api_key_file"]
    return json.loads(json.dumps(settings, default=str))


def _check_earlier_results(
    path: Path, settings: Mapping[str, Any], subset_sha256: str
) -> tuple[int, bool]:
    """Check that a file of results, if it exists, is of an evaluation with the same settings.

    Returns:
        Number of finished episodes that did not fail, and whether the run was complete; (0, False)
        without a file.
    """
    hint = f"name another folder with --output, or delete {path.parent}"
    if not path.is_file():
        return 0, False
    results = read_json(path, hint, _Results)
    found = differences(results.settings, settings, _CONNECTION)
    if not found and results.subset_sha256 != subset_sha256:
        found = ["the episodes, whose annotation file has changed"]
    if found:
        raise UserError(
            f"{path}: contains results with other settings ({'; '.join(found[:3])}); {hint}"
        )
    return results.answers.episodes - results.answers.failed, results.complete


def _append_requests(path: Path, walk: AskingWalk) -> None:
    """Append the requests of a walk to the log."""
    append_bytes(path, b"".join(_lines(walk)))


def _write_requests(path: Path, walks: Iterable[AskingWalk]) -> None:
    """Write the requests of all walks, in their order."""
    with atomic_write(path) as beside, beside.open("wb") as file:
        for walk in walks:
            file.writelines(_lines(walk))


def _lines(walk: AskingWalk) -> Iterator[bytes]:
    for step, decision in enumerate(walk.decisions):
        for exchange in decision.exchanges:
            text = prompt_text(exchange.question.prompt).encode("utf-8", "surrogatepass")
            digest = hashlib.sha256(text).hexdigest()
            answer, reply = exchange.answer, exchange.reply
            option = None if answer is None else answer.option
            entry = {
                "episode": walk.instr_id,
                "step": step,
                "prompt_sha256": digest,
                "options": [option.label for option in decision.observation.options],
                "answer": reply.text[:_LONGEST],
                "refusal": reply.refusal,
                "reasoning": reply.reasoning[:_LONGEST],
                "finish": reply.finish,
                "kind": "too_long" if answer is None else answer.kind,
                "action": None if option is None else option.action,
                "words": "" if option is None else option.words,
                "problem": "" if answer is None else answer.problem,
                "usage": reply.usage,
                "seconds": reply.seconds,
                "attempts": reply.attempts,
            }
            yield msgspec.json.encode(entry) + b"\n"
    if walk.error:
        entry = {"episode": walk.instr_id, "step": len(walk.decisions)}
        yield msgspec.json.encode({**entry, "error": walk.error}) + b"\n"


def balanced_subset(episodes: Sequence[Episode], count: int | None, seed: int) -> list[Episode]:
    """Draw episodes that are balanced over buildings and numbers of moves.

    The buildings take turns. Within a building the numbers of moves take turns, and each building
    begins with another one. As many paths are drawn as all their instructions require, but at least
    one of each building, or `count` if there are more buildings. If the paths have more than
    `count` instructions, they take turns, each beginning with another language.
    """
    if count is None:
        return list(episodes)
    if count > len(episodes):
        raise UserError(
            f"--episodes {count}: the split has {len(episodes)} episodes; name at most as many, or "
            "--episodes None for all"
        )
    rng = Stream.VLM_EPISODES.rng(seed)
    paths: dict[int, list[Episode]] = defaultdict(list)
    for episode in episodes:
        paths[episode.path_id].append(episode)
    least = min(count, len({episode.scan for episode in episodes}))
    drawn: list[list[Episode]] = []
    for path in _in_turns(list(paths.values()), rng):
        if len(drawn) >= least and sum(map(len, drawn)) >= count:
            break
        drawn.append(_with_languages_in_turns(path, len(drawn)))
    chosen = {episode.instr_id for episode in _round_robin(drawn)[:count]}
    return [episode for episode in episodes if episode.instr_id in chosen]


def subset_digest(instr_ids: Sequence[str]) -> str:
    """Return the SHA-256 of the ids of episodes, one a line."""
    return hashlib.sha256("".join(f"{name}\n" for name in instr_ids).encode()).hexdigest()


def _in_turns(paths: list[list[Episode]], rng: np.random.Generator) -> list[list[Episode]]:
    """Return paths in the order in which they are drawn."""
    cells: dict[str, dict[int, list[list[Episode]]]] = defaultdict(lambda: defaultdict(list))
    for path in paths:
        cells[path[0].scan][len(path[0].path)].append(path)
    queues = []
    scans = sorted(cells)
    for turn, number in enumerate(rng.permutation(len(scans)).tolist()):
        lengths = sorted(cells[scans[number]])
        offset = turn % len(lengths)
        groups = [cells[scans[number]][m] for m in lengths[offset:] + lengths[:offset]]
        shuffled = [[group[i] for i in rng.permutation(len(group))] for group in groups]
        queues.append(_round_robin(shuffled))
    return _round_robin(queues)


def _with_languages_in_turns(path: list[Episode], first: int) -> list[Episode]:
    """Return the instructions of a path with its languages in turn, beginning with a given one."""
    languages: dict[str, list[Episode]] = defaultdict(list)
    for episode in path:
        languages[base_language(episode.language)].append(episode)
    queues = list(languages.values())
    offset = first % len(queues)
    return _round_robin(queues[offset:] + queues[:offset])


def _round_robin(queues: list[list[T]]) -> list[T]:
    """Take one element of each queue in turn until all are empty."""
    longest = max(map(len, queues))
    return [queue[turn] for turn in range(longest) for queue in queues if turn < len(queue)]


def write_prompts(experiment: VlmExperiment) -> Path:
    """Write the prompts that the teacher's paths lead to, and print an estimate.

    A model that takes wrong turns, or may not stop at the goal yet, needs more requests.
    """
    config, maker = experiment.config, experiment.maker
    episodes = maker.split.episodes
    consequence = "there are no teacher's paths to write prompts along"
    check_goals(episodes, f"--split {config.split}", consequence)
    bodies = BodyMaker(config.model_name, experiment.pictures, config.sampling)
    requests = size = pictures = 0
    path = experiment.output / _PROMPTS
    experiment.output.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as beside, beside.open("wb") as file:
        for episode in progress_bar(episodes, desc="prompts", unit="episodes"):
            for step, question in enumerate(_questions(experiment, episode.instr_id)):
                entry = {"episode": episode.instr_id, "step": step}
                entry |= {"prompt": prompt_text(question.prompt)}
                file.write(msgspec.json.encode(entry) + b"\n")
                requests += 1
                pictures += _count_pictures(question.prompt)
                size += len(json.dumps(bodies.make(question)))
    print(
        f"{pluralise(len(episodes), 'episode')}: {pluralise(requests, 'request')} along the "
        f"teacher's paths, with {pluralise(pictures, 'picture')} and {size / 1e6:.1f} MB. "
        f"Prompts: {path}"
    )
    return path


def _count_pictures(prompt: Prompt) -> int:
    """Return the number of pictures of a prompt."""
    return sum(not isinstance(part, str) for message in prompt for part in message.parts)


def _questions(experiment: VlmExperiment, instr_id: str) -> list[ModelQuestion]:
    walk = experiment.maker.start(instr_id)
    questions = []
    while walk.question is not None:
        questions.append(walk.question)
        option = walk.teacher_option()
        if option is None:  # the teacher stops where the prompt has no such option yet
            break
        walk.take(option)
    return questions
