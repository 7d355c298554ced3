"""Settings of searches; without torch, so that ``--help`` answers at once."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from training.settings import check_counts, check_effects, check_numbers


@dataclass(frozen=True)
class SearchConfig:
    """Look at many paths before walking one."""

    method: Literal["none", "beam", "best-first"] = "none"
    """Walk greedily, keep the likeliest paths step by step, or follow whichever is likeliest."""
    paths: int = 5
    """Width of the beam; or paths that best-first search looks for."""
    expansions: int = 300
    """Places at which best-first search looks around, at most."""
    speaker: Path | None = None
    """Run of a speaker that has a say in the choice among the found paths."""
    alpha: float = 0.5
    """Weight of the speaker's log-log_prob; the follower's has the rest."""
    per_word: bool = False
    """Divide the speaker's log-log_prob by the words of the instruction."""
    per_action: bool = False
    """Divide the follower's log-log_prob by the actions of the path."""
    tune: str | None = None
    """Split on which to choose the three settings above by success, such as val_seen."""

    def __post_init__(self) -> None:
        check_counts(self, ("paths", "expansions"), "search.")
        check_numbers(self, ("alpha",), "search.", most=1)
        if self.speaker is not None and self.method == "none":
            raise ValueError(
                f"--search.speaker {self.speaker} chooses among paths that are searched: add "
                "--search.method beam or best-first"
            )
        if self.tune is not None and self.speaker is None:
            raise ValueError(
                f"--search.tune {self.tune} weighs what a speaker says: add --search.speaker"
            )
        check_effects(self, self._idle(), part="search.")

    def _idle(self) -> dict[str, str]:
        """Names of settings that have no effect beside the others, and why."""
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
