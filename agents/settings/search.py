"""Settings of searches."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from training.settings import check_counts, check_effects, check_numbers


@dataclass(frozen=True)
class SearchConfig:
    """Search over many paths before walking one of them."""

    method: Literal["none", "beam", "best-first"] = "none"
    """Search method: greedy decoding, beam search, or best-first search over viewpoints."""
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
    tune: str | None = None
    """Split, such as val_seen, to tune alpha, per-word and per-action on, by success rate."""

    def __post_init__(self) -> None:
        check_counts(self, ("paths", "expansions"), "search.")
        check_numbers(self, ("alpha",), "search.", most=1)
        if self.speaker is not None and self.method == "none":
            raise ValueError(
                f"--search.speaker {self.speaker} requires a search: add --search.method beam or "
                "best-first"
            )
        if self.tune is not None and self.speaker is None:
            raise ValueError(
                f"--search.tune {self.tune} requires a speaker to weight: add --search.speaker"
            )
        check_effects(self, self._idle(), part="search.")

    def _idle(self) -> dict[str, str]:
        """Return the settings that have no effect beside the others, each with the reason."""
        if self.method == "none":
            names = ("paths", "expansions", "alpha", "per_word", "per_action")
            return dict.fromkeys(names, "without --search.method")
        weighting, idle = ("alpha", "per_word", "per_action"), dict[str, str]()
        if self.speaker is None:
            idle = dict.fromkeys(weighting, "without --search.speaker")
        elif self.tune is not None:
            idle = dict.fromkeys(weighting, f"with --search.tune {self.tune}, which chooses it")
        if self.method == "beam":
            idle["expansions"] = "with --search.method beam, only with best-first"
        return idle
