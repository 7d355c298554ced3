r"""Compare the order of systems in a world with the order of their published scores.

$ clipnav rank-systems --world houses --systems "imitation=runs/imitation/runs/imitation-{seed}" \
    "search=runs/search-{seed}.json" --pairs search/imitation
$ clipnav rank-systems --world houses-standard --successes docs/results/successes/standard.json

A system is a name, and the folder of its runs in the output of clipnav compare-agents or its
submission files, with {seed} for the seed. A name of the file --published has its published rate;
others are compared, but not part of tau. The command prints Kendall's tau between the success
rates and the published ones, and differences and ratios of pairs of systems, each with its 95 %
interval: resamples of runs and paths. The file --successes keeps which instructions the runs
completed, so that systems can be added without training the others again.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from clipnav.envs.worlds import World
from clipnav.parsing import parse
from clipnav.storage import write_text
from clipnav.storage.errors import UserError
from clipnav.storage.outputs import check_outputs
from clipnav.training.settings import check_counts


@dataclass(frozen=True)
class RankingArguments:
    """Systems, their published scores, and what to compare."""

    systems: tuple[str, ...] = ()
    """Systems: a name, "=" and the folder of a run of clipnav compare-agents or a submission file
    (.json). {seed} is replaced by the seed."""
    published: Path = Path("docs/results/published_r2r.toml")
    """TOML file with the published success rate and its source for each name."""
    pairs: tuple[str, ...] = ()
    """Pairs of systems to compare, such as blind/imitation."""
    seeds: int = 3
    """Number of runs of each system, with seeds from 0."""
    split: str = "val_unseen"
    """Split of the scores."""
    world: World = "houses"
    """World of the submission files: houses, houses-standard, matterport, or one of a package."""
    data_dir: Path | None = None
    """Data folder of the world matterport."""
    successes: Path | None = None
    """File with the successes of systems (.json), which are compared, too; it is created or
    extended with those of --systems."""
    json: Path | None = None
    """File for all figures."""

    def __post_init__(self) -> None:
        check_counts(self, ("seeds",))
        check_outputs(self, {"json": (".json",), "successes": (".json",)})
        if not self.systems and (self.successes is None or not self.successes.is_file()):
            raise UserError("--systems: name a system, or a file of others with --successes")


def main(arguments: Sequence[str]) -> None:
    """Parse the command line and run the command."""
    config = parse(RankingArguments, __name__, __doc__, arguments)
    from clipnav.agents.experiments.ranking import rank_files, ranking_table
    from clipnav.envs.submissions.ground_truth import ScoringRules

    systems = dict(_halves(text, "=", "--systems", "NAME=PATH") for text in config.systems)
    pairs = [_halves(text, "/", "--pairs", "NAME/NAME") for text in config.pairs]
    figures = rank_files(
        systems,
        config.published,
        pairs,
        config.seeds,
        ScoringRules(splits=(config.split,), world=config.world, data_dir=config.data_dir),
        config.successes,
    )
    print(ranking_table(figures))
    if config.json is not None:
        write_text(config.json, json.dumps(figures, indent=2) + "\n")


def _halves(text: str, separator: str, flag: str, form: str) -> tuple[str, str]:
    first, found, second = text.partition(separator)
    if not (first and found and second):
        raise UserError(f"{flag} {text!r}: write {form}")
    return first, second
