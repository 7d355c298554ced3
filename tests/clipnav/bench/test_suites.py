import pytest

from clipnav.bench.suites import (
    FOLDER,
    check_world_version,
    load_suite,
    parse_suite,
    suite_digest,
    suite_names,
)
from clipnav.storage.errors import UserError
from tests.clipnav.bench.conftest import SUITE

# A released suite never changes: correct a mistake in a new version, and add its digest here.
RELEASED = {
    "graph@1": "aa3cee7d0856bc6ed917a80b371babbc79d2f75a9b6c781276460ddd12338237",
    "smoke@1": "7e9e8d981b30c7330a7a137e18ab15b8a6f8afdc161f20e6211afa78e732ad08",
}


def test_released_suites_are_frozen():
    assert {name: suite_digest(load_suite(name)) for name in suite_names()} == RELEASED
    for name in RELEASED:
        suite = load_suite(name)
        assert suite.label == name
        assert len({part.name for part in suite.parts}) == len(suite.parts)
        check_world_version(suite)


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
