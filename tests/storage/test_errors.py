from pathlib import Path

import pytest

from storage.errors import UnknownNameError, UserError, in_one_line, short_names, shortened


def test_shortened_values_are_one_short_line():
    assert shortened("a\nb\t c") == "a b c"
    assert len(shortened("x" * 1000)) == 80
    assert shortened([1, 2]) == "[1, 2]"


def test_errors_are_described_in_one_line_with_their_type():
    assert in_one_line(OSError("no\n network")) == "OSError: no network"
    assert in_one_line(KeyError()) == "KeyError"
    assert len(in_one_line(ValueError("x" * 1000))) == len("ValueError: ") + 240


def test_short_names_are_the_shortest_distinct_ends():
    paths = [Path("/a/run"), Path("/b/run"), Path("/b/other"), Path("/c/b/deep"), Path("/d/b/deep")]
    names = ["a/run", "b/run", "other", "c/b/deep", "d/b/deep"]
    assert list(short_names(paths).values()) == names


@pytest.mark.parametrize("kind", [ValueError, KeyError])
def test_an_unknown_name_is_a_wrong_value_and_a_missing_key(kind: type[Exception]) -> None:
    with pytest.raises(kind) as raised:
        raise UnknownNameError("no scan 'x'")
    assert isinstance(raised.value, UserError)
    assert str(raised.value) == "no scan 'x'"
