"""Speed of training a speaker, and of training a follower with back-translation.

Both are compared with a baseline implementation, whose calls take turns with clipnav's. The setting
is the published one: a feature dropout mask per element, batches of any lengths and features that
are not standardised; on sampled paths, one mask per batch in speaker and follower.

An iteration with back-translation is one weight update by four rollouts: imitation and A2C with
human instructions, and both with generated ones. A speaker that was not trained rarely ends an
instruction, so the end is suppressed, and every instruction has 30 tokens, about the mean of R2R.
The baseline thus decodes no longer than clipnav, although it would otherwise decode all rows until
the longest instruction ends.

The networks have the sizes of the published recipes: 36 views of width 512, hidden states of width
512. Features are random, and trajectories are those of an untrained follower. CPU seconds of one
thread.
"""

import dataclasses
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import tyro
from measuring import BenchmarkConfig, Figure, in_turns, multiple_figures, report
from plain_envdrop import PlainAgent, PlainSpeaker, Rollouts, back_translate
from torch import nn
from training_runs import (
    PUBLISHED,
    baseline_env,
    baseline_order,
    keep_weights,
    random_run,
    weight_updates,
    with_setting,
)

from clipnav.agents.envdrop.augmentation import sample_paths
from clipnav.agents.envdrop.back_translation import held_out_episodes, sampled_environment
from clipnav.agents.envdrop.learner import FollowerLearner
from clipnav.agents.envdrop.settings import SpeakerTrainConfig, TrainConfig
from clipnav.agents.envdrop.speaker import END
from clipnav.agents.envdrop.speaker_training import SpeakerLearner
from clipnav.agents.layers.encoders import PAD
from clipnav.agents.settings import BackTranslationConfig, SpeakerConfig
from clipnav.training.settings import CONFIG, to_json

LONGEST = 30  # tokens of a generated instruction
PATHS = 2000
_MULTIPLE = 3  # target: the baseline's CPU seconds for one of clipnav's


@dataclass(frozen=True)
class SpeakingConfig(BenchmarkConfig):
    """Measure a training step of a speaker, and an iteration with back-translation."""

    data_dir: Path | None = None
    """Folder with matterport/ and r2r/, to use R2R instead of the built-in houses."""
    seconds: float = 20.0
    """CPU seconds per implementation; twice as many with back-translation."""
    seed: int = 0
    """Random seed for features, weights and trajectories."""


def main() -> None:
    """Parse the command line, measure and report."""
    config = tyro.cli(SpeakingConfig)
    torch.set_num_threads(1)
    size, paths = 64, PATHS
    if config.quick:
        config, size, paths = dataclasses.replace(config, seconds=0.01), 4, 40
    with tempfile.TemporaryDirectory() as folder:
        run = random_run(config.data_dir, config.seed, 512, Path(folder, "features.safetensors"))
        run = with_setting(dataclasses.replace(run, batch_size=size), PUBLISHED)
        torch.manual_seed(config.seed)
        speaker = SpeakerLearner(speaker_run(run, Path(folder, "speaker")))
        baseline = PlainSpeaker(PlainAgent(baseline_env(run, size, "train")))
        keep_weights(baseline.optimisers)
        order = baseline_order(baseline.follower.env, PUBLISHED, size, config.seed)
        figures = _compare(
            f"speaker step, batch {size}",
            weight_updates(speaker),
            lambda: baseline.iterate(next(order)),
            2 * config.seconds,
        )
        _save_untrained(speaker, Path(folder, "speaker"))
        never_end(baseline.decoder.word)
        settings = BackTranslationConfig(Path(folder, "speaker"), paths=paths, dropout="batch")
        follower = FollowerLearner(dataclasses.replace(run, back_translation=settings))
        figures += _compare(
            f"iteration with back-translation, batch {size}",
            weight_updates(follower),
            _plain_back_translations(run, baseline, size, paths),
            4 * config.seconds,
        )
    report("speaking", figures, config.json)


def speaker_run(run: TrainConfig, output: Path) -> SpeakerTrainConfig:
    """Return the settings of a speaker's run in the published setting, on a follower's data."""
    optimiser = dataclasses.replace(run.optimiser, name="adam")
    speaker = SpeakerConfig(
        feature_dropout_kind=PUBLISHED.dropout, standardise=PUBLISHED.standardise
    )
    return SpeakerTrainConfig(
        world=run.world,
        data_dir=run.data_dir,
        features=run.features,
        max_episode_steps=run.max_episode_steps,
        batch_size=run.batch_size,
        bucket=run.bucket,
        evaluation_splits=run.evaluation_splits,
        select_by=run.select_by,
        seed=run.seed,
        max_decoded_length=LONGEST,
        output=output,
        optimiser=optimiser,
        speaker=speaker,
    )


def _save_untrained(learner: SpeakerLearner, run: Path) -> None:
    """Write the run of a speaker that decodes `LONGEST` tokens."""
    never_end(learner.speaker.decoder.word)
    run.mkdir()
    (run / CONFIG).write_text(to_json(learner.config), "utf-8")
    learner.start(run)
    learner.save_model(run, 0)


def never_end(words: nn.Linear) -> None:
    """Suppress the end, and the tokens that only clipnav excludes: padding and the start."""
    with torch.no_grad():
        words.bias[[PAD, END, -1]] = -1e9


def _compare(
    name: str,
    ours: Callable[[], None],
    plain: Callable[[], object],
    seconds: float,
) -> list[Figure]:
    """Measure an update of both implementations, and their ratio."""
    spent, baseline = in_turns([ours, plain], seconds).T
    return [
        Figure(name, float(np.median(spent)), "CPU s"),
        Figure(f"{name}, baseline", float(np.median(baseline)), "CPU s"),
        *multiple_figures(name, baseline, spent, _MULTIPLE),
    ]


def _plain_back_translations(
    run: TrainConfig, speaker: PlainSpeaker, size: int, count: int
) -> Callable[[], None]:
    keep_weights(speaker.follower.optimisers)
    train = speaker.follower.env
    held_out = held_out_episodes(run)
    paths = sample_paths(train.nav_world.graphs, train.episodes, held_out, count, run.seed)
    sampled = sampled_environment(train, paths, size, run.seed)
    orders = [baseline_order(env, PUBLISHED, 2 * size, run.seed) for env in (train, sampled)]

    def iterate() -> None:
        human, described = (np.reshape(next(order), (2, size)).tolist() for order in orders)
        back_translate(speaker, Rollouts(train, *human), Rollouts(sampled, *described), LONGEST)

    return iterate


if __name__ == "__main__":
    main()
