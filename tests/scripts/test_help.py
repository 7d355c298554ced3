import ast

import pytest

from tests.conftest import SCRIPTS

COMMANDS = sorted(path.name for path in SCRIPTS.glob("*.py") if "__main__" in path.read_text())


@pytest.mark.parametrize("script", COMMANDS)
def test_help_begins_with_the_purpose_and_shows_examples_line_by_line(script, run_script, capsys):
    with pytest.raises(SystemExit) as ended:
        run_script(script, "--help")
    assert ended.value.code == 0
    told = ast.get_docstring(ast.parse((SCRIPTS / script).read_text())).splitlines()
    shown = capsys.readouterr().out.splitlines()
    assert told[0] in shown
    examples = [line for line in told if line.startswith("$ ")]
    assert all(line.startswith(f"$ {script}") for line in examples)
    assert examples or script == "demo.py"
    assert set(examples) <= set(shown)
    assert any("--help" in line for line in shown)
