"""Settings of searches."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from clipnav.storage.errors import UserError
from clipnav.training.settings import check_counts, check_effects, check_numbers

_WEIGHTING = "alpha", "per_word", "per_action"


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
        check_effects(self, self._idle(), part="search.")

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
