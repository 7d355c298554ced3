"""Whether a world ranks systems as published scores do."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from clipnav.envs.metrics import seed_interval
from clipnav.envs.submissions.ground_truth import ScoringRules
from clipnav.envs.submissions.scores import score_submission
from clipnav.envs.worlds import World
from clipnav.storage.errors import UserError
from clipnav.storage.json_files import read_json
from clipnav.training.comparisons import SCORES, Scores

LOWEST, HIGHEST = 0.025, 0.975  # quantiles of the resamples


class Published(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Published score of a system.

    Attributes:
        SR: Success rate on R2R's val_unseen in per cent.
    """

    SR: float
    source: str


def read_published(path: Path) -> dict[str, Published]:
    """Read a TOML file with a table for each system."""
    try:
        return msgspec.toml.decode(path.read_bytes(), type=dict[str, Published])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: {error}; a table [SYSTEM] needs SR and source") from error


@dataclass(frozen=True)
class Estimate:
    """A statistic with the ends of its 95 % interval over runs and paths."""

    value: float
    low: float
    high: float

    def to_json(self, text: str, factor: float = 1) -> dict[str, Any]:
        """Return the numbers, and the statistic as text in a format such as "{:.2f}"."""
        value, low, high = (text.format(factor * n) for n in (self.value, self.low, self.high))
        ends = {"value": self.value, "low": self.low, "high": self.high}
        return {**ends, "text": f"{value} [{low}, {high}]"}


def kendall_tau(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return Kendall's tau between the scores of N systems: tau-a, in which ties count 0.

    Args:
        first: (N,) scores.
        second: (..., N) other scores of the same systems.

    Returns:
        (...) tau, from -1 (opposite order) to 1 (same order).
    """
    i, j = np.triu_indices(len(first), 1)
    agreement = np.sign(first[i] - first[j]) * np.sign(second[..., i] - second[..., j])
    return agreement.mean(axis=-1)


def resampled_means(
    scores: Sequence[np.ndarray], rng: np.random.Generator, resamples: int = 10_000
) -> np.ndarray:
    """Resample runs and paths, and return the mean score of each system.

    A resample has the same paths for all systems, because all were scored on the same ones, and
    runs of its own for each system.

    Args:
        scores: Scores (S, P) of the S runs of each of N systems on the same P paths.

    Returns:
        (resamples, N) mean scores.
    """
    paths = {system.shape[1] for system in scores}
    if len(paths) != 1:
        raise UserError(f"the systems were scored on different numbers of paths: {sorted(paths)}")
    count = paths.pop()
    path_weights = rng.multinomial(count, np.full(count, 1 / count), resamples) / count
    means = np.empty((resamples, len(scores)))
    for k, system in enumerate(scores):
        runs = len(system)
        run_weights = rng.multinomial(runs, np.full(runs, 1 / runs), resamples) / runs
        means[:, k] = (run_weights @ system * path_weights).sum(axis=1)
    return means


def rank_systems(
    systems: Mapping[str, np.ndarray],
    published: Mapping[str, Published],
    pairs: Sequence[tuple[str, str]] = (),
    seed: int = 0,
) -> dict[str, Any]:
    """Compare the success rates of systems with their published order.

    Args:
        systems: Success rate (S, P) of each run on each path.
        pairs: Pairs of systems whose difference and ratio are computed.

    Returns:
        "tau", and for each system and each pair its published and its measured figures, for JSON.
    """
    names = list(systems)
    means = np.array([systems[name].mean() for name in names])
    resamples = resampled_means(list(systems.values()), np.random.default_rng(seed))

    def estimate(statistic: Callable[[np.ndarray], np.ndarray]) -> Estimate:
        low, high = np.quantile(statistic(resamples), (LOWEST, HIGHEST))
        return Estimate(float(statistic(means)), float(low), float(high))

    order = np.array([published[name].SR for name in names])
    figures: dict[str, Any] = {
        "systems": {
            name: {
                "published": published[name].SR,
                "source": published[name].source,
                "SR": {"over_seeds": seed_interval(systems[name].mean(axis=1)).to_json()},
            }
            for name in names
        },
        "tau": estimate(lambda scores: kendall_tau(order, scores)).to_json("{:.2f}"),
        "pairs": {},
    }
    for one, other in pairs:
        i, j = names.index(one), names.index(other)
        difference = estimate(lambda scores, i=i, j=j: scores[..., i] - scores[..., j])
        ratio = estimate(lambda scores, i=i, j=j: _ratio(scores[..., i], scores[..., j]))
        figures["pairs"][f"{one}/{other}"] = {
            "difference": difference.to_json("{:+.1f}", 100),
            "published difference": f"{order[i] - order[j]:+.1f}",
            "ratio": ratio.to_json("{:.2f}"),
            "published ratio": f"{order[i] / order[j]:.2f}",
        }
    return figures


def _ratio(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return first / second, NaN where second is 0."""
    return np.divide(first, second, out=np.full_like(first, np.nan), where=second > 0)


def path_scores(
    template: str, seeds: int, split: str, rules: ScoringRules
) -> tuple[list[str], np.ndarray]:
    """Read the success rates of the runs of a system: the ids of the P paths, and (S, P) rates.

    Args:
        template: Folder of a run of clipnav compare-agents, or a submission file (.json), with
            {seed} for the seed.
    """
    runs = []
    for seed in range(seeds):
        path = Path(template.replace("{seed}", str(seed)))
        if path.suffix == ".json":
            scored = score_submission(path, rules)
            if scored.checked.faulty:
                raise UserError(f"{path}: incomplete; clipnav evaluate-submission names its faults")
            rates = scored.metrics["SR"].tolist()
            successes = dict(zip(scored.instructions, rates, strict=True))
        else:
            path = path / SCORES
            scores = read_json(path, "finish the comparison first", Scores, allow_nan=True)
            if split not in scores:
                raise UserError(f"{path}: has no scores of {split}; add it to --splits")
            successes = {instr_id: metrics["SR"] for instr_id, metrics in scores[split].items()}
        by_path: dict[str, list[float]] = defaultdict(list)
        for instr_id, success in successes.items():
            by_path[instr_id.rpartition("_")[0]].append(success)
        runs.append({number: float(np.mean(rates)) for number, rates in by_path.items()})
    paths = sorted(runs[0])
    if any(sorted(run) != paths for run in runs):
        raise UserError(f"{template}: its runs were scored on different paths of {split}")
    return paths, np.array([[run[number] for number in paths] for run in runs])


def rank_files(
    systems: Mapping[str, str],
    published: Path,
    pairs: Sequence[tuple[str, str]],
    seeds: int,
    split: str,
    world: World,
    data_dir: Path | None,
) -> dict[str, Any]:
    """Read the scores of systems and compare them with published ones; see `rank_systems`."""
    known = read_published(published)
    missing = [name for name in systems if name not in known]
    if missing:
        raise UserError(f"{published}: has no published score of {missing[0]!r}; add it")
    rules = ScoringRules(splits=(split,), world=world, data_dir=data_dir)
    scores: dict[str, np.ndarray] = {}
    first: list[str] = []
    for name, template in systems.items():
        paths, scores[name] = path_scores(template, seeds, split, rules)
        first = first or paths
        if paths != first:
            raise UserError(f"{name}: was scored on other paths of {split} than the first system")
    return rank_systems(scores, known, pairs)


def ranking_table(figures: Mapping[str, Any]) -> str:
    """Return the figures as text."""
    lines = [f"{'':24}{'published':>10}{'measured':>10}"]
    for name, row in figures["systems"].items():
        mean = 100 * row["SR"]["over_seeds"]["mean"]
        lines.append(f"{name:24}{row['published']:10.1f}{mean:10.1f}")
    lines.append(f"Kendall's tau: {figures['tau']['text']}")
    for name, pair in figures["pairs"].items():
        difference, ratio = pair["difference"]["text"], pair["ratio"]["text"]
        lines.append(
            f"{name}: difference {difference} (published {pair['published difference']}), "
            f"ratio {ratio} ({pair['published ratio']})"
        )
    return "\n".join(lines)
