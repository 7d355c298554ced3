import pytest

from clipnav.bench.suites import (
    FOLDER,
    check_world_version,
    data_digest,
    load_suite,
    parse_suite,
    read_digests,
    suite_digest,
    suite_names,
)
from clipnav.envs.episodes import load_episodes
from clipnav.envs.houses.building.house import GENERATOR_VERSION
from clipnav.envs.worlds import world_files
from clipnav.storage.errors import UserError
from tests.clipnav.bench.conftest import SUITE


def test_released_suites_are_frozen():
    """A released suite never changes: correct a mistake in a new version, and `make digests`."""
    digests = {name: suite_digest(load_suite(name)) for name in suite_names()}
    assert digests == read_digests()["suites"]
    for name in suite_names():
        suite = load_suite(name)
        assert suite.label == name
        assert len({part.name for part in suite.parts}) == len(suite.parts)
        check_world_version(suite)


def test_suites_are_of_the_built_in_houses_of_this_version():
    """Houses that are built anew are another world version, and need new versions of suites."""
    files = world_files("houses")
    (world,) = read_digests()["data"]
    assert world == f"houses@{GENERATOR_VERSION}"
    for name, known in read_digests()["data"][world].items():
        dataset, split = name.split("/")
        scans = {episode.scan for episode in load_episodes(dataset, split, files)}
        assert data_digest(files, dataset, split, scans) == known, name
    parts = [part for name in suite_names() for part in load_suite(name).parts]
    assert all(part.data_sha256 or part.kind == "answers" for part in parts)


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
