import dataclasses

import pytest

from clipnav.envs.episodes import Episode, TimedWord
from clipnav.envs.episodes.splits import exchange_words


def episodes_of(paths, language="en"):
    """Build episodes whose instructions contain their language, path and index."""
    return [
        Episode(
            *(f"{language}{place}", path, "attic", ("a", "b"), 0.0, f"{language} {path} {place}"),
            language=language,
            timed_instruction=(TimedWord(f"{path}"),),
        )
        for place, path in enumerate(paths)
    ]


@pytest.mark.parametrize("paths", [[1, 2], [1, 1, 2, 2], [1, 1, 1, 2, 3, 3], list(range(50)) * 3])
def test_each_episode_gets_the_instruction_of_another_path(paths):
    own = episodes_of(paths)
    for seed in range(20):
        given = exchange_words(own, seed)
        assert sorted(e.instruction for e in given) == sorted(e.instruction for e in own)
        for episode, other in zip(own, given, strict=True):
            _, path, _ = other.instruction.split()
            assert int(path) != episode.path_id
            assert other.timed_instruction[0].word == path
            words = {"instruction": "", "timed_instruction": ()}
            assert dataclasses.replace(other, **words) == dataclasses.replace(episode, **words)


def test_exchange_depends_on_the_seed_and_stays_within_a_language():
    hindi, english = episodes_of(range(30), "hi-IN"), episodes_of(range(30), "en-US")
    both = [episode for pair in zip(hindi, english, strict=True) for episode in pair]
    given = exchange_words(both, 3)
    assert given[::2] == exchange_words(hindi, 3)
    assert given[1::2] == exchange_words(english, 3)
    assert exchange_words(both, 3) == given != exchange_words(both, 4)
    assert all(e.instruction.startswith(e.language) for e in given)


def test_a_split_with_too_few_paths_cannot_be_exchanged():
    with pytest.raises(ValueError, match="language 'te': more than half of the 3 instructions"):
        exchange_words([*episodes_of([1, 1, 2], "te"), *episodes_of([1, 2])], 0)
