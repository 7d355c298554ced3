"""Agreement of two rankings of systems: Kendall's tau, with resamples of measured scores."""

from collections.abc import Sequence

import numpy as np

from clipnav.storage.errors import UserError


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
