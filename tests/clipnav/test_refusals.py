"""What a command cannot do is said before it begins."""

import pytest


def test_figures_need_a_source(run_command, tmp_path):
    with pytest.raises(SystemExit, match="name runs or traces"):
        run_command("plot-results", "--output", tmp_path / "figures")
    assert not list(tmp_path.iterdir())


def test_a_search_leaves_no_traces(run_command, tmp_path):
    search = ("--search.method", "beam", "--traces", tmp_path / "traces")
    with pytest.raises(ValueError, match=r"--traces .*without --search\.method beam"):
        run_command("evaluate-agent", tmp_path / "run", *search)


@pytest.mark.parametrize("command", ["evaluate-submission mine.json", "export-continuous-episodes"])
def test_a_command_needs_a_split(command, run_command, capsys):
    with pytest.raises(SystemExit) as ended:
        run_command(*command.split(), "--splits")
    assert ended.value.code == 2
    assert "--splits: names no split; name at least one" in shown(capsys.readouterr().err)


def shown(error):
    """Return a boxed message in one line."""
    return " ".join(error.replace("│", " ").replace("|", " ").split())


def test_an_explanation_needs_a_text_and_a_png_file(run_command, tmp_path, capsys):
    refused = {
        "the text is empty": [" "],
        "choose a name that ends in .png": ["a chair", "--output", "x.gif"],
    }
    for complaint, arguments in refused.items():
        with pytest.raises(SystemExit) as ended:
            run_command("explain-image", tmp_path / "photo.jpg", *arguments)
        assert ended.value.code == 2
        assert complaint in shown(capsys.readouterr().err)
