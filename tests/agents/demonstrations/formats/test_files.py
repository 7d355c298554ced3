"""Names of files within an export."""

import pytest

from clipnav.agents.demonstrations.formats.files import inside


@pytest.mark.parametrize(
    "name",
    ["", "/etc/passwd", "../other", "a/../../b", "C:\\x", "C:x", "\\x", "..\\other", "\\\\host\\x"],
)
def test_names_that_lead_outside_on_any_system_are_refused(tmp_path, name):
    with pytest.raises(ValueError, match="is not the name of a file inside the export"):
        inside(tmp_path, name)


def test_relative_names_are_files_of_the_folder(tmp_path):
    assert inside(tmp_path, "scan/a..b.jpg") == tmp_path / "scan" / "a..b.jpg"
