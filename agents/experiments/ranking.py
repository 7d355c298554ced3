"""Whether a world ranks systems as published scores do."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from clipnav.envs.metrics import seed_interval
from clipnav.envs.submissions.ground_truth import ScoringRules
from clipnav.envs.submissions.scores import score_submission
from clipnav.envs.worlds import named_world
from clipnav.storage import write_text
from clipnav.storage.errors import UserError
from clipnav.storage.json_files import parse_toml, read_json
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
    hint = "a table [SYSTEM] needs SR and source"
    return parse_toml(path.read_bytes(), path, dict[str, Published], hint)


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
        systems: Success rate (S, P) of each run on each path. Tau is that of the published ones.
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

    ranked = [k for k, name in enumerate(names) if name in published]
    order = np.array([published[names[k]].SR for k in ranked])
    tau = estimate(lambda scores: kendall_tau(order, scores[..., ranked]))
    figures: dict[str, Any] = {"systems": {}, "tau": tau.to_json("{:.2f}"), "pairs": {}}
    for name in names:
        source = msgspec.to_builtins(published[name]) if name in published else {}
        figures["systems"][name] = {
            "published": source.get("SR"),
            "source": source.get("source"),
            "SR": {"over_seeds": seed_interval(systems[name].mean(axis=1)).to_json()},
        }
    for one, other in pairs:
        i, j = names.index(one), names.index(other)
        difference = estimate(lambda scores, i=i, j=j: scores[..., i] - scores[..., j])
        ratio = estimate(lambda scores, i=i, j=j: _ratio(scores[..., i], scores[..., j]))
        figures["pairs"][f"{one}/{other}"] = {
            "difference": difference.to_json("{:+.1f}", 100),
            "ratio": ratio.to_json("{:.2f}"),
        }
        if one in published and other in published:
            rates = published[one].SR, published[other].SR
            figures["pairs"][f"{one}/{other}"] |= {
                "published difference": f"{rates[0] - rates[1]:+.1f}",
                "published ratio": f"{rates[0] / rates[1]:.2f}",
            }
    return figures


def _ratio(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return first / second, NaN where second is 0."""
    return np.divide(first, second, out=np.full_like(first, np.nan), where=second > 0)


class Successes(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which instructions of a split the runs of systems completed.

    Attributes:
        instructions: Ids of the I instructions in order.
        systems: For each run of each system, I digits: 1 for success, 0 for failure.
    """

    split: str
    world: str
    instructions: tuple[str, ...]
    systems: dict[str, tuple[str, ...]]

    def __post_init__(self) -> None:
        count = len(self.instructions)
        for name, runs in self.systems.items():
            if not runs or any(len(run) != count or set(run) - {"0", "1"} for run in runs):
                raise ValueError(f"{name}: needs one digit 0 or 1 for each of {count} instructions")

    def by_path(self, name: str) -> np.ndarray:
        """Return the success rates (S, P) of the S runs of a system on the P paths."""
        digits = np.array([[int(digit) for digit in run] for run in self.systems[name]])
        paths = [instr_id.rpartition("_")[0] for instr_id in self.instructions]
        _, index = np.unique(paths, return_inverse=True)
        return np.array([np.bincount(index, run) for run in digits]) / np.bincount(index)


def read_successes(path: Path, split: str, world: str) -> Successes:
    """Read successes that `rank_files` stored, those of the same split and world."""
    stored = read_json(path, "remove it to write it anew", Successes)
    if (stored.split, stored.world) != (split, world):
        raise UserError(
            f"{path}: has successes in {stored.world}, {stored.split}; choose another file for "
            f"those in {world}, {split}"
        )
    return stored


def _run_successes(path: Path, split: str, rules: ScoringRules) -> dict[str, float]:
    """Return the success of each instruction of a folder of compare-agents, or a submission."""
    if path.suffix == ".json":
        scored = score_submission(path, rules)
        if scored.checked.faulty:
            raise UserError(f"{path}: incomplete; clipnav evaluate-submission names its faults")
        return dict(zip(scored.instructions, scored.metrics["SR"].tolist(), strict=True))
    path = path / SCORES
    scores = read_json(path, "finish the comparison first", Scores, allow_nan=True)
    if split not in scores:
        raise UserError(f"{path}: has no scores of {split}; add it to --splits")
    return {instr_id: metrics["SR"] for instr_id, metrics in scores[split].items()}


def rank_files(
    systems: Mapping[str, str],
    published: Path,
    pairs: Sequence[tuple[str, str]],
    seeds: int,
    rules: ScoringRules,
    stored: Path | None = None,
) -> dict[str, Any]:
    """Read the successes of systems and compare them with published rates; see `rank_systems`.

    Args:
        systems: For each system, the folder of a run of clipnav compare-agents or a submission
            file (.json), with {seed} for the seed.
        rules: Its only split is that of the scores.
        stored: File of successes. The systems in it are compared, too, and the given ones are
            added to it.
    """
    known = read_published(published)
    (split,), world = rules.splits, named_world(rules.world, rules.data_dir)
    earlier = read_successes(stored, split, world) if stored and stored.is_file() else None
    instructions = earlier.instructions if earlier else ()
    digits = dict(earlier.systems) if earlier else {}
    unknown = [name for pair in pairs for name in pair if name not in {**digits, **systems}]
    if unknown:
        raise UserError(f"--pairs: {unknown[0]} is not among --systems or in --successes")
    for name, template in systems.items():
        runs = []
        for seed in range(seeds):
            path = Path(template.replace("{seed}", str(seed)))
            successes = _run_successes(path, split, rules)
            instructions = instructions or tuple(sorted(successes))
            if sorted(successes) != list(instructions):
                raise UserError(
                    f"{path}: was scored on other instructions of {split} than the rest"
                )
            runs.append("".join(str(int(successes[instr_id])) for instr_id in instructions))
        digits[name] = tuple(runs)
    merged = Successes(split, world, instructions, digits)
    # In an order that does not depend on that of the arguments.
    names = sorted(digits, key=lambda name: (known[name].SR if name in known else 100, name))
    figures = rank_systems({name: merged.by_path(name) for name in names}, known, pairs)
    if stored:
        write_text(stored, json.dumps(msgspec.to_builtins(merged), indent=0) + "\n")
    return figures


def ranking_table(figures: Mapping[str, Any]) -> str:
    """Return the figures as text."""
    lines = [f"{'':24}{'published':>10}{'measured':>10}"]
    for name, row in figures["systems"].items():
        rate = "-" if row["published"] is None else f"{row['published']:.1f}"
        mean = 100 * row["SR"]["over_seeds"]["mean"]
        lines.append(f"{name:24}{rate:>10}{mean:10.1f}")
    lines.append(f"Kendall's tau of the published ones: {figures['tau']['text']}")
    for name, pair in figures["pairs"].items():
        lines.append(
            f"{name}: difference {pair['difference']['text']}, ratio {pair['ratio']['text']}"
        )
        if "published ratio" in pair:
            lines[-1] += f" (published {pair['published difference']}, {pair['published ratio']})"
    return "\n".join(lines)
