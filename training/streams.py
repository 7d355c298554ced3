"""Random streams of runs and evaluations.

Random numbers of two purposes with the same seed must not be equal. Each purpose therefore has a
number that follows the seed. numpy ignores zeros at the end of a seed, so that [seed, stream] and
[seed, stream, 0] are one stream: give a purpose with further numbers a stream of its own.
Built-in houses and their tasks are data, which must not change, and have tags of their own.
"""

from enum import IntEnum, unique

import numpy as np


@unique
class Stream(IntEnum):
    """Numbers of random streams; "noise" is torch's random numbers, such as those of dropout."""

    RANDOM_BASELINE = 11
    TASK_NOISE = 17  # of visual question answering, entailment and captioning
    BUCKETED_ORDER = 21
    SHUFFLED_ORDER = 29
    AGENT_NOISE = 31
    FOLLOWER_ACTIONS = 32
    CONTINUOUS_TEACHER_STEPS = 33  # of exported walks
    GRAPH_TEACHER_STEPS = 34
    EXPORTED_EPISODES = 35
    VLM_EPISODES = 36
    GROUPED_ORDER = 37
    VLM_NOISE = 38
    VLM_INVALID_ANSWERS = 39
    PAIRS = 41
    PAIR_NOISE = 43
    PAIR_FINE_TUNING_NOISE = 47
    SAMPLED_PATHS = 51
    VIEWS = 52
    VIEW_CAMERAS = 53
    SAMPLED_LANGUAGES = 54
    ENCODER_NOISE = 55
    MAP_DECISIONS = 61  # of map agents and HAMT
    FRONTIER_DECISIONS = 62
    MAP_PRETRAINING = 63
    DRAWN_PATHS = 64  # to a viewpoint of the goal
    GHOST_DECISIONS = 65
    LANGUAGE_PAIRS = 66
    LANGUAGE_PARTNERS = 67
    LANGUAGE_NOISE = 68
    VISUAL_NOISE = 69
    GHOST_WALKS = 70
    DAGGER_EPISODES = 71
    DAGGER_ACTIONS = 72
    CONTINUOUS_NOISE = 73
    CONTINUOUS_BATCHES = 74
    CONTINUOUS_BASELINES = 75
    EXCHANGED_WORDS = 76
    SELECTOR_NOISE = 77
    SHIFTED_ANSWERS = 78
    RELIABILITY_INTERVALS = 79
    WAYPOINT_HEADINGS = 91
    WAYPOINT_NOISE = 92
    WAYPOINT_CHANCE = 93

    def rng(self, seed: int, *numbers: int) -> np.random.Generator:
        """Return the generator of a purpose; `numbers` separate its draws, such as an iteration."""
        return np.random.default_rng([seed, self, *numbers])


def iteration_seed(seed: int, stream: Stream, iteration: int) -> int:
    """Return the seed of torch's random numbers in an iteration of a single process."""
    return int(stream.rng(seed, iteration).integers(2**63))


def rank_iteration_seed(seed: int, stream: Stream, iteration: int, rank: int) -> int:
    """Return the seed of torch's random numbers in an iteration of one rank.

    Arguments are those of `iteration_seed`; each rank gets a different seed.
    """
    sequence = np.random.SeedSequence((seed, stream, iteration, rank))
    return int(sequence.generate_state(1, np.uint64)[0] >> 1)
