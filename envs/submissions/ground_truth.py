"""What submissions are scored against: rules, episodes of the splits, and navigation graphs."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal

from clipnav.envs.datasets import dataset_spec
from clipnav.envs.episodes import Episode, base_language, load_splits
from clipnav.envs.goals.scores import dataset_scores
from clipnav.envs.graphs.nav_graph import NavGraph
from clipnav.envs.metrics import SUCCESS_THRESHOLD
from clipnav.envs.metrics.path_scores import check_threshold
from clipnav.envs.worlds import World, named_world, world_files
from clipnav.storage.errors import UserError
from clipnav.training.settings import check_counts, check_splits

_ONLY_CONTINUOUS = {"dtw": "exact"}
_CONTINUOUS_DEFINITIONS = ("vlnce", "etpnav")
_ONLY_ON_GRAPHS = {"turns": "keep"}


@dataclass(frozen=True)
class ScoringRules:
    """Instructions to score, and definitions of the metrics."""

    dataset: str = "r2r"
    """Dataset of the instructions: r2r, rxr, r4r, reverie, soon, cvdn, objectnav, goat or one of
    an installed package; r2r-ce and rxr-ce are walks in continuous environments."""
    splits: tuple[str, ...] = ("val_unseen",)
    """Splits of the files."""
    world: World | None = None
    """World of the graphs and annotations; by default matterport with a data folder, else
    houses."""
    data_dir: Path | None = None
    """Data folder of the world matterport."""
    instruction_language: str | None = None
    """Only language to score, such as en or en-IN."""
    instructions_per_path: int | None = None
    """Number of instructions per path to score, the first ones in the language; all by default. 3
    gives the results of Matterport3DSimulator's eval.py, which ignores the fourth instruction of
    one path of val_seen."""
    missing: Literal["leave-out", "stand-still"] = "leave-out"
    """Treatment of instructions without a valid path: leave them out of the means, or score a path
    of only the start."""
    turns: Literal["keep", "drop"] = "keep"
    """Whether repetitions of a viewpoint, which EnvDrop writes for turns in place, count in nDTW,
    sDTW and steps."""
    definition: str | None = None
    """Definition of the scores; by default the first one. Continuous environments: a success is a
    stop less than 3 m from the goal (vlnce), or a walk that ends at most 3 m from it, stopped or
    not (etpnav). reverie: official, duet, with_success; soon: unwrapped, soon; cvdn: trusted,
    planner, player, hamt; objectnav: nearest, same; see docs/goals.md."""
    dtw: Literal["exact", "fastdtw"] = "exact"
    """Algorithm of nDTW in continuous environments; VLN-CE uses the approximation fastdtw."""
    threshold: float = SUCCESS_THRESHOLD
    """Success radius in metres; also the scale of nDTW and CLS."""
    confidence: float = 0.95
    """Confidence level of the intervals."""
    resamples: int = 10_000
    """Number of bootstrap resamples of the paths."""
    seed: int = 0
    """Random seed of the bootstrap."""

    def __post_init__(self) -> None:
        dataset_spec(self.instructions_dataset)
        check_counts(self, ("instructions_per_path", "resamples"))
        check_counts(self, ("seed",), least=0)
        if not 0 < self.confidence < 1:
            raise UserError(
                f"--confidence {self.confidence:g}: must be between 0 and 1, such as 0.95"
            )
        check_threshold(self.threshold)
        check_splits(self, ("splits",))
        definitions = self.definitions
        if self.definition is not None and self.definition not in definitions:
            known = f"choose one of {', '.join(definitions)}" if definitions else "leave it out"
            raise UserError(
                f"--definition {self.definition} has no effect with --dataset {self.dataset}; "
                f"{known}"
            )
        own = not self.is_continuous and bool(definitions)
        if own and self.threshold != SUCCESS_THRESHOLD:
            raise UserError(
                f"--threshold {self.threshold:g} has no effect with --dataset {self.dataset}, "
                "whose definitions set the radius; leave it out"
            )
        kind, ineffective = "continuous environments", _ONLY_ON_GRAPHS
        if not self.is_continuous:
            kind, ineffective = "navigation graphs", _ONLY_CONTINUOUS
        for name, default in ineffective.items():
            if getattr(self, name) != default:
                raise UserError(
                    f"--{name} {getattr(self, name)} has no effect on walks in {kind} (--dataset "
                    f"{self.dataset}); leave it out"
                )

    @property
    def is_continuous(self) -> bool:
        """Whether the walks are in continuous environments."""
        return self.dataset.endswith("-ce")

    @property
    def definitions(self) -> tuple[str, ...]:
        """Definitions of the scores of the dataset; () if there are no different ones."""
        if self.is_continuous:
            return _CONTINUOUS_DEFINITIONS
        scores = dataset_scores(self.dataset)
        return scores.definitions if scores else ()

    @property
    def chosen_definition(self) -> str:
        """The definition, by default the first of the dataset; "" if there is none."""
        return self.definition or next(iter(self.definitions), "")

    @property
    def instructions_dataset(self) -> str:
        """Dataset whose annotations contain the instructions."""
        return self.dataset.removesuffix("-ce")


DEFAULT_RULES = ScoringRules()


@dataclass(frozen=True, eq=False)
class GroundTruth:
    """Ground truth that submissions are scored against.

    Attributes:
        episodes: All episodes of the splits.
        split_of: Split of each episode by instr_id.
        graphs: Navigation graphs by scan.
        counted: Ids of the instructions that the rules count.
        version: Versions of the annotation files, for reports; "" if there is one only.
    """

    episodes: list[Episode]
    split_of: dict[str, str]
    graphs: dict[str, NavGraph]
    counted: set[str]
    version: str = ""


def load_ground_truth(rules: ScoringRules) -> GroundTruth:
    """Load the splits and graphs that submissions are scored against.

    Raises:
        FileNotFoundError: There is no such split or data folder.
        UserError: The data is damaged, two splits share an instruction, no instruction is left to
            score, or the rules are for walks in continuous environments.
    """
    check_on_graphs(rules)
    files = world_files(named_world(rules.world, rules.data_dir), rules.data_dir)
    by_split = load_splits(
        rules.instructions_dataset, rules.splits, files, hint="score these splits separately"
    )
    episodes = [episode for split in by_split.values() for episode in split]
    split_of = {e.instr_id: split for split, of_split in by_split.items() for e in of_split}
    counted = counted_ids(episodes, rules)
    scans = sorted({episode.scan for episode in episodes})
    graphs = {scan: NavGraph.load(scan, files.connectivity_dir) for scan in scans}
    spec, version = dataset_spec(rules.dataset), ""
    if spec.version:
        paths = [files.annotations(rules.dataset, split) for split in rules.splits]
        version = ", ".join(sorted({spec.call("version", path) for path in paths}))
    return GroundTruth(episodes, split_of, graphs, counted, version)


def check_on_graphs(rules: ScoringRules) -> None:
    """Refuse rules for walks in continuous environments."""
    if rules.is_continuous:
        raise UserError(
            f"dataset '{rules.dataset}': files of walks in continuous environments are scored by "
            f"clipnav evaluate-submission FILE --dataset {rules.dataset}; score_submission scores "
            "paths on navigation graphs"
        )


def counted_ids(episodes: Sequence[Episode], rules: ScoringRules) -> set[str]:
    """Return the ids that match the language and the number of instructions per path."""
    language = rules.instruction_language

    def is_counted(episode: Episode) -> bool:
        return language in (None, episode.language, base_language(episode.language))

    of_path: dict[tuple[str, int], list[Episode]] = {}
    for episode in episodes:
        of_path.setdefault((episode.scan, episode.path_id), []).append(episode)
    counted = {
        episode.instr_id
        for group in of_path.values()
        for episode in islice(filter(is_counted, group), rules.instructions_per_path)
    }
    if not counted:
        known = ", ".join(sorted({episode.language for episode in episodes}))
        raise UserError(
            f"--instruction-language {language}: no instruction in this language, only {known}; "
            "choose one of these, or leave the flag out"
        )
    return counted
