"""Settings of an evaluation."""

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar

import tyro

from clipnav.agents.settings.runs import AgentConfig, InstructionAblation
from clipnav.storage.errors import UserError
from clipnav.storage.outputs import check_outputs
from clipnav.training.settings import (
    check_counts,
    check_numbers,
    check_splits,
    check_unused_options,
)

_WEIGHTING = "alpha", "per_word", "per_action"
Config = TypeVar("Config", bound=AgentConfig)
SUBMISSIONS = (".json", ".jsonl")  # suffixes of submission files
OBJECT_NAMES = "object names"  # the baseline that compares names of objects with the instruction
BASELINES = (
    "random",
    "forward",
    "shortest path",
    "reference path",
    OBJECT_NAMES,
)  # on graphs, in tables


@dataclass(frozen=True)
class SearchConfig:
    """Search over many paths before walking one of them, or while walking."""

    method: Literal["none", "beam", "best-first", "frontier"] = "none"
    """Search method: greedy decoding; beam search or best-first search over viewpoints, before the
    walk; or frontier, which may turn back to any viewpoint that it has seen while it walks."""
    paths: int = 5
    """Beam width, or number of complete paths of best-first search."""
    expansions: int = 300
    """Maximum number of viewpoints that best-first search expands."""
    speaker: Path | None = None
    """Run of a speaker that re-ranks the paths that the search returns."""
    alpha: float = 0.5
    """Weight of the speaker's log-probability; the follower's has weight 1 - alpha."""
    per_word: bool = False
    """Divide the speaker's log-probability by the number of words of the instruction."""
    per_action: bool = False
    """Divide the follower's log-probability by the number of actions of the path."""
    metre_cost: float = 0.2
    """Cost per metre of the walk with frontier, in log-probability of the follower."""
    sharpness: float = 2.0
    """Factor of the follower's logits in frontier."""
    tune: str | None = None
    """Split, such as val_seen, to tune alpha, per-word and per-action on, by success rate; for
    frontier, metre-cost and sharpness."""

    def __post_init__(self) -> None:
        check_counts(self, ("paths", "expansions"), "search.")
        check_numbers(self, ("alpha",), "search.", most=1)
        check_numbers(self, ("metre_cost", "sharpness"), "search.")
        if self.speaker is not None and self.method in {"none", "frontier"}:
            raise UserError(
                f"--search.speaker {self.speaker} requires a search before the walk: add "
                "--search.method beam or best-first"
            )
        if self.tune is not None and self.speaker is None and self.method != "frontier":
            raise UserError(
                f"--search.tune {self.tune} requires a speaker to weight: add --search.speaker"
            )
        check_unused_options(self, self._idle(), part="search.")

    def _idle(self) -> dict[str, str]:
        """Return the settings that have no effect beside the others, each with the reason."""
        before, walking = ("paths", "expansions", *_WEIGHTING), ("metre_cost", "sharpness")
        if self.method == "none":
            return dict.fromkeys((*before, *walking), "without --search.method")
        tuned = f"with --search.tune {self.tune}, which chooses it"
        if self.method == "frontier":
            idle = dict.fromkeys(before, "with --search.method frontier")
            return idle | (dict.fromkeys(walking, tuned) if self.tune else {})
        idle = dict.fromkeys(walking, f"with --search.method {self.method}, only with frontier")
        if self.speaker is None:
            idle |= dict.fromkeys(_WEIGHTING, "without --search.speaker")
        elif self.tune is not None:
            idle |= dict.fromkeys(_WEIGHTING, tuned)
        if self.method == "beam":
            idle["expansions"] = "with --search.method beam, only with best-first"
        return idle


def check_submitted_splits(config: Any) -> None:
    """Check that there are splits, and only one if a submission is to be written."""
    check_splits(config, ("splits",))
    if config.submission is not None and len(config.splits) > 1:
        raise UserError(
            f"--splits {' '.join(config.splits)}: name exactly one split with --submission, "
            "because a submission file contains one split"
        )


@dataclass(frozen=True)
class EvaluateConfig:
    """Run, splits and outputs of an evaluation; flags override the settings of the run."""

    COMMON: ClassVar[tuple[str, ...]] = tuple(
        "run splits instruction_ablation search.method baselines submission traces json data_dir "
        "features device".split()
    )

    run: tyro.conf.Positional[Path]
    """Folder of a run of clipnav train-agent."""
    splits: tuple[str, ...] = ("val_unseen",)
    """Splits to evaluate: train, val_seen, val_unseen, test, ..."""
    instruction_ablation: InstructionAblation | None = None
    """Ablation of the instructions: none, empty or shuffled; that of the run by default."""
    baselines: bool = True
    """Evaluate the non-learning baselines, too."""
    submission: Path | None = None
    """File to write the trajectories to, in the format of the dataset's test server."""
    partial: bool = False
    """Allow a submission without all languages, from a run with --instruction-language; test
    servers refuse it."""
    traces: Path | None = None
    """Folder for traces of all agents, for clipnav visualise and clipnav plot-results; it must not
    contain traces of the same agents."""
    json: Path | None = None
    """File for the scores of the table: {"results": {SPLIT: {AGENT: {METRIC: MEAN}}}}."""
    data_dir: Path | None = None
    """Folder of the data to read instead of the one of the training."""
    features: Path | None = None
    """Feature store of the same encoder to read instead of the one of the training, such as one
    that covers other scans."""
    stops_at_best: bool | None = None
    """Map agents: at the end of an episode, walk to the visited viewpoint whose probability of stop
    was the highest; as in the run by default."""
    search: SearchConfig = field(default_factory=SearchConfig)
    """Search before walking; a submission then contains the walk of the search as well."""
    batch_size: int = 256
    """Number of episodes in a batch."""
    threads: int | None = None
    """Number of CPU threads of torch; torch's default if not given."""
    device: str = "cpu"
    """Device of the agent: cpu, cuda, cuda:1, ..."""

    def __post_init__(self) -> None:
        check_counts(self, ("batch_size", "threads"))
        if self.partial and self.submission is None:
            raise UserError("--partial has no effect without --submission")
        check_submitted_splits(self)
        files = {"submission": SUBMISSIONS, "json": (".json",)}
        check_outputs(self, {**files, "traces": ()})

    def settings(self, saved: Config) -> Config:
        """Return the settings of a run, overridden by those of this evaluation."""
        own: dict[str, Any] = {}
        if self.stops_at_best is not None:
            if not hasattr(saved, "stops_at_best"):
                raise UserError(
                    f"--stops-at-best {self.stops_at_best}: {self.run} is not the run of a map "
                    "agent, and other agents cannot walk back at the end; leave the flag out"
                )
            own["stops_at_best"] = self.stops_at_best
        return dataclasses.replace(
            saved,
            **own,
            instruction_ablation=self.instruction_ablation or saved.instruction_ablation,
            data_dir=self.data_dir or saved.data_dir,
            features=self.features or saved.features,
            evaluation_batch_size=self.batch_size,
            device=self.device,
        )
