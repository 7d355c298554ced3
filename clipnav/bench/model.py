"""Parts of suites for models behind a server, which choose among labelled options.

Items that the budget does not reach count as walks of the start alone.
"""

import tempfile
import time
from dataclasses import replace
from pathlib import Path

from clipnav.agents.language_models.evaluation.evaluating import (
    balanced_subset,
    prepare,
    run_experiment,
)
from clipnav.agents.language_models.evaluation.reporting import graph_walks, total_usage
from clipnav.agents.language_models.models.replies import price
from clipnav.agents.language_models.settings import (
    BudgetConfig,
    EvaluateVlmConfig,
    PromptConfig,
)
from clipnav.agents.language_models.walks.running import Finished
from clipnav.bench import graph
from clipnav.bench.entrants import Entrant
from clipnav.bench.graph import GraphTask
from clipnav.bench.kinds import RunOptions, Walked
from clipnav.bench.suites import Place, Suite, SuitePart
from clipnav.storage.errors import UserError

_SEED = 0  # of the subset


def load(part: SuitePart, place: Place) -> GraphTask:
    """Load the episodes of a part: a subset that is balanced over buildings and lengths."""
    loaded = graph.load(part, place)
    return replace(loaded, episodes=balanced_subset(loaded.episodes, part.episodes, _SEED))


def walk(suite: Suite, task: GraphTask, entrant: Entrant, seed: int, options: RunOptions) -> Walked:
    """Let a model walk the episodes, within the budget of the suite."""
    if entrant.kind != "vlm":  # agents of other kinds walk the same episodes
        return graph.walk(suite, task, entrant, seed, options)
    budget = BudgetConfig(**{**suite.budget, **options.budget})
    finished: list[Finished] = []
    with tempfile.TemporaryDirectory() as folder:
        config = EvaluateVlmConfig(
            url=entrant.url,
            model=options.model,
            dataset=task.part.dataset,
            split=task.part.split,
            world=task.place.world,
            data_dir=task.place.data_dir,
            episodes=task.part.episodes,
            seed=_SEED,
            concurrency=options.requests,
            max_episode_steps=task.part.max_steps,
            output=Path(folder) / "vlm",
            prompt=PromptConfig(**task.part.options),
            budget=budget,
        )
        started = time.perf_counter()
        run_experiment(prepare(config), finished.append)
        seconds = time.perf_counter() - started
    (done,) = finished
    failed = [walk for walk in done.walks.values() if walk.ending == "failed"]
    if failed:
        raise UserError(
            f"{len(failed)} of {len(done.walks)} episodes failed: {failed[0].error}; run the same "
            "command again, which asks only what has no answer yet"
        )
    walked = {name: [pose[0] for pose in one.trajectory] for name, one in graph_walks(done).items()}
    walks = [walked.get(e.instr_id, list(e.path[:1])) for e in task.episodes]
    usage = total_usage(list(done.walks.values()))
    amount: dict[str, float] = {"prompt_tokens": usage.prompt, "answer_tokens": usage.completion}
    amount |= {"episodes": len(walked)}
    cost = price(usage, budget)
    if cost is not None:
        amount["cost"] = cost
    return Walked(walks, task.scores(walks), seconds, amount)
