import pytest

from clipnav.bench.suites import (
    FOLDER,
    check_world_version,
    data_digest,
    load_suite,
    parse_suite,
    suite_digest,
    suite_names,
)
from clipnav.envs.episodes import load_episodes
from clipnav.envs.worlds import world_files
from clipnav.storage.errors import UserError
from tests.clipnav.bench.conftest import SUITE

# A released suite never changes: correct a mistake in a new version, and add its digest here.
RELEASED = {
    "continuous@1": "699f5dffc0d9558163c1dd55cc7c1c9f00f106adf3de6b23874a7cee5b790e64",
    "graph@1": "937be63a457589a89b7fd8c04371cf4caa73b3815eec19ce60c381f51b50ff58",
    "language-models@1": "b9a485562e144205d786022c8aaf902a2411e8e84050923e51dd04c4ce8f8cbe",
    "smoke@1": "92a5743cec25f0661178459156c5b496c9d8ef993cb3ce7104462d7dddc44572",
    "vision-language@1": "bca2592486c137c552540b7b7c454ffa2441363afc6f5289d0cba071c9cc8112",
}


def test_released_suites_are_frozen():
    assert {name: suite_digest(load_suite(name)) for name in suite_names()} == RELEASED
    for name in RELEASED:
        suite = load_suite(name)
        assert suite.label == name
        assert len({part.name for part in suite.parts}) == len(suite.parts)
        check_world_version(suite)


def test_suites_are_of_the_built_in_houses_of_this_version():
    """Houses that are built anew are another world version, and need new versions of suites."""
    files = world_files("houses")
    for name in RELEASED:
        for part in load_suite(name).parts:
            if part.data_sha256:
                episodes = load_episodes(part.dataset, part.split, files)
                scans = sorted({episode.scan for episode in episodes})
                digest = data_digest(files, part.dataset, part.split, scans)
                assert digest == part.data_sha256, f"{name} {part.name}"


def test_a_digest_depends_on_everything_that_a_suite_says(suite):
    changes = [("max_steps = 20", "max_steps = 21"), ('"SPL", "SR"', '"SR", "SPL"')]
    changes += [("seeds = [0, 1]", "seeds = [0]"), ("world_version = 2", "world_version = 1")]
    digests = {suite_digest(parse_suite(SUITE.replace(*one), FOLDER)) for one in changes}
    assert len(digests | {suite_digest(suite)}) == len(changes) + 1
    assert suite_digest(parse_suite(f"# a comment\n{SUITE}", FOLDER)) == suite_digest(suite)


def test_wrong_suites_are_refused():
    with pytest.raises(UserError, match=r"smoke@9: no such suite; choose one of .*smoke@1"):
        load_suite("smoke@9")
    with pytest.raises(UserError, match="unknown field"):
        parse_suite(SUITE.replace("max_steps", "most_steps"), FOLDER)
    old = parse_suite(SUITE.replace("world_version = 2", "world_version = 1"), FOLDER)
    with pytest.raises(UserError, match="version 1 of the houses, but this clipnav builds"):
        check_world_version(old)
