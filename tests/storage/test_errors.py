import pickle
from pathlib import Path

import pytest

from clipnav.storage.errors import (
    NoEffectError,
    UnknownNameError,
    UserError,
    in_one_line,
    truncate,
)
from clipnav.storage.extras import import_extra
from clipnav.storage.pictures import PictureError
from clipnav.storage.records import RecordError


def test_shortened_values_are_one_short_line():
    assert truncate("a\nb\t c") == "a b c"
    assert len(truncate("x" * 1000)) == 80
    assert truncate([1, 2]) == "[1, 2]"
    assert truncate("\x1b[2Jred\x9b \ud800") == r"\x1b[2Jred\x9b \ud800"
    assert truncate("nicht größer als 2 µm") == "nicht größer als 2 µm"


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (OSError("no\n network"), "no network"),
        (UserError("a.json: damaged"), "a.json: damaged"),
        (UnknownNameError("no scan 'a'"), "no scan 'a'"),
        (KeyError("image width"), "KeyError: 'image width'"),
        (RuntimeError("ERROR_frameHeader"), "RuntimeError: ERROR_frameHeader"),
        (KeyError(), "KeyError"),
    ],
)
def test_the_type_of_an_error_precedes_a_text_that_says_nothing_alone(error, line):
    assert in_one_line(error) == line


@pytest.mark.parametrize(
    "error",
    [
        NoEffectError("--dropout has no effect", "dropout"),
        PictureError("a.jpg", "damaged"),
        RecordError(Path("a.json"), 3, "no id", "correct it"),
        UnknownNameError("no house"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_worker_processes_can_report_errors(error):
    other = pickle.loads(pickle.dumps(error))
    assert type(other) is type(error)
    assert str(other) == str(error)
    assert vars(other) == vars(error)


@pytest.mark.parametrize("module", ["no_such_package", "no_such_package.part"])
def test_a_missing_package_is_named_with_its_extra(module):
    message = r"^a\.hdf5: reading requires the package no_such_package: pip install 'clipnav\[fo"
    with pytest.raises(ModuleNotFoundError, match=message):
        import_extra(module, "formats", "a.hdf5: reading")
