"""Speed of training a speaker, and of training a follower with back-translation.

`--original DIR` also runs the user's clone of R2R-EnvDrop, in turns and with the same weights. The
setting is the published one: a feature dropout mask per element, batches of any lengths and
features that are not standardised; on sampled paths, one mask per batch in speaker and follower.

An iteration with back-translation is one weight update by four rollouts: imitation and A2C with
human instructions, and both with generated ones. A speaker that was not trained rarely ends an
instruction, so the end is suppressed, and every instruction has 30 tokens, about the mean of R2R.
The original thus decodes no longer than clipnav, although it would otherwise decode all rows until
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
from typing import Any

import numpy as np
import torch
import tyro
from measuring import BenchmarkConfig, Figure, in_turns, multiple_figures, report
from original_envdrop import EnvDrop, write_paths
from torch import nn
from training_runs import (
    PUBLISHED,
    keep_weights,
    random_run,
    weight_updates,
    with_setting,
)

from clipnav.agents.envdrop.learner import FollowerLearner
from clipnav.agents.envdrop.settings import SpeakerTrainConfig, TrainConfig
from clipnav.agents.envdrop.speaker import END
from clipnav.agents.envdrop.speaker_training import SpeakerLearner
from clipnav.agents.layers.encoders import PAD
from clipnav.agents.settings import BackTranslationConfig, SpeakerConfig
from clipnav.training.settings import CONFIG, to_json

LONGEST = 30  # tokens of a generated instruction
PATHS = 2000
_MULTIPLE = 3  # target: the original's CPU seconds for one of clipnav's


@dataclass(frozen=True)
class SpeakingConfig(BenchmarkConfig):
    """Measure a training step of a speaker, and an iteration with back-translation."""

    data_dir: Path | None = None
    """Folder with matterport/ and r2r/, to use R2R instead of the built-in houses."""
    original: Path | None = None
    """Clone of R2R-EnvDrop to compare with; requires --data-dir."""
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
        original: EnvDrop | None = None
        described: Any = None
        if config.original is not None:
            original = EnvDrop(config.original, run, speaker.env, Path(folder, "original"))
            described = original.speaker(speaker.speaker)
            keep_weights([described.encoder_optimizer, described.decoder_optimizer])
        figures = _compare(
            f"speaker step, batch {size}",
            weight_updates(speaker),
            [] if original is None else [lambda: original.train_speaker(described)],
            config.seconds,
        )
        _save_untrained(speaker, Path(folder, "speaker"))
        settings = BackTranslationConfig(Path(folder, "speaker"), paths=paths, dropout="batch")
        follower = FollowerLearner(dataclasses.replace(run, back_translation=settings))
        theirs: list[Callable[[], None]] = []
        if original is not None:
            assert follower._translator is not None
            never_end(described.decoder.projection)
            original.load_follower(follower.follower, follower.network.critic)
            keep_weights(original.agent.optimizers)
            episodes = follower._translator.env.episodes
            word = speaker.env.tokenizer.words[-2]
            file = write_paths(episodes, word, Path(folder, "paths.json"))
            sampled = original.environment(file)
            theirs = [lambda: original.translate_back(sampled, described, LONGEST)]
        name = f"iteration with back-translation, batch {size}"
        figures += _compare(name, weight_updates(follower), theirs, 2 * config.seconds)
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
    name: str, ours: Callable[[], None], theirs: list[Callable[[], None]], seconds: float
) -> list[Figure]:
    """Measure an update of each implementation, and their ratio."""
    spent, *original = in_turns([ours, *theirs], (1 + len(theirs)) * seconds).T
    return [
        Figure(name, float(np.median(spent)), "CPU s"),
        *multiple_figures(name, original, spent, _MULTIPLE),
    ]


if __name__ == "__main__":
    main()
