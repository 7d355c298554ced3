from storage.messages import in_one_line, shortened


def test_shortened_values_are_one_short_line():
    assert shortened("a\nb\t c") == "a b c"
    assert len(shortened("x" * 1000)) == 80
    assert shortened([1, 2]) == "[1, 2]"


def test_errors_are_described_in_one_line_with_their_type():
    assert in_one_line(OSError("no\n network")) == "OSError: no network"
    assert in_one_line(KeyError()) == "KeyError"
    assert len(in_one_line(ValueError("x" * 1000))) == len("ValueError: ") + 240
