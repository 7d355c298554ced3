"""What a command cannot do is said before it begins."""

import dataclasses
import re

import pytest

from clipnav.agents.envdrop.settings import preset
from clipnav.storage import UnwritableError
from clipnav.training.settings import CONFIG, to_json


def test_figures_need_a_source(run_command, tmp_path):
    with pytest.raises(SystemExit, match="name runs or traces"):
        run_command("plot-results", "--output", tmp_path / "figures")
    assert not list(tmp_path.iterdir())


def test_a_search_leaves_no_traces(run_command, tmp_path):
    search = ("--search.method", "beam", "--traces", tmp_path / "traces")
    with pytest.raises(ValueError, match=r"--traces .*without --search\.method beam"):
        run_command("evaluate-agent", tmp_path / "run", *search)


def test_traces_of_baselines_are_not_mixed_with_others(run_command, tmp_path):
    run, traces = tmp_path / "run", tmp_path / "traces"
    (traces / "shortest-path").mkdir(parents=True)
    run.mkdir()
    (run / CONFIG).write_text(to_json(preset("r2r", "houses")))
    with pytest.raises(FileExistsError, match="shortest-path: already exists; add --no-baselines"):
        run_command("evaluate-agent", run, "--traces", traces)
    with pytest.raises(FileNotFoundError, match="vocabulary"):  # the next step reads the run
        run_command("evaluate-agent", run, "--traces", traces, "--no-baselines")


def test_traces_of_a_stopped_evaluation_are_no_obstacle(run_command, tmp_path, monkeypatch):
    run, traces = tmp_path / "run", tmp_path / "traces"
    run.mkdir()
    (run / CONFIG).write_text(to_json(preset("r2r", "houses")))
    (traces / "random").mkdir(parents=True)
    command = ("evaluate-agent", run, "--traces", traces, "--no-baselines")

    def record(env, agent, instr_ids, folder, *, name):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "0.json").write_text(name)

    def evaluate(config, record_batch):
        record_batch(None, None, "follower", ["0"])

    def evaluate_on_a_full_disk(config, record_batch):
        evaluate(config, record_batch)
        raise UnwritableError("no space left")

    monkeypatch.setattr("clipnav.viewer.trace.record", record)
    monkeypatch.setattr("clipnav.agents.experiments.runs.evaluate_run", evaluate_on_a_full_disk)
    with pytest.raises(UnwritableError):
        run_command(*command)
    assert [path.name for path in traces.iterdir()] == ["random"]
    monkeypatch.setattr("clipnav.agents.experiments.runs.evaluate_run", evaluate)
    run_command(*command)
    assert (traces / "follower" / "0.json").read_text() == "follower"
    with pytest.raises(FileExistsError, match="follower: already exists"):
        run_command(*command)


def test_traces_of_splits_that_share_instructions_are_refused(run_command, tmp_path):
    run, traces = tmp_path / "run", tmp_path / "traces"
    run.mkdir()
    (run / CONFIG).write_text(to_json(dataclasses.replace(preset("r2r", "houses"), dataset="r4r")))
    splits = ("--splits", "val_seen", "val_unseen")
    complaint = "0_0 is in both val_seen and val_unseen; --traces .*: record each of these splits"
    with pytest.raises(ValueError, match=complaint):
        run_command("evaluate-agent", run, *splits, "--traces", traces)
    for alone in (("--traces", traces), splits):
        with pytest.raises(FileNotFoundError, match="vocabulary"):  # the next step reads the run
            run_command("evaluate-agent", run, *alone)


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


@pytest.fixture
def inputs(tmp_path, monkeypatch):
    """Working folder with a run and other files, all with the same content."""
    (tmp_path / "run").mkdir()
    names = ("run/config.json", "run/model.safetensors", "a.json", "a.safetensors", "a.png")
    for name in names:
        (tmp_path / name).write_text("{}")
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    assert {name: (tmp_path / name).read_text() for name in names} == dict.fromkeys(names, "{}")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("evaluate-submission a.json --json a.json", "is also an input; name another file"),
        ("evaluate-submission --dataset r2r", "no submission file; pass at least one"),
        ("evaluate-submission a.json --confidence 95", "--confidence 95: must be between 0 and 1"),
        ("evaluate-submission a.json --resamples 0", "--resamples 0: must be at least 1"),
        ("evaluate-submission a.json --json run", "choose a name that ends in .json"),
        ("evaluate-agent run --json run/model.safetensors", "choose a name that ends in .json"),
        ("evaluate-agent run --submission run/config.json", "is a file of the run run; name"),
        ("evaluate-agent run --json run/config.json/x.json", "run/config.json is a file; name"),
        ("evaluate-agent run --traces a.json", "--traces a.json: is a file; name a folder"),
        ("evaluate-continuous-agent run --json run/config.json", "is a file of the run run"),
        ("evaluate-waypoint-agent run --json run/config.json", "is a file of the run run"),
        ("evaluate-vlm --local-model m --submission run/config.json", "is a file of the run run"),
        ("evaluate-vlm --local-model m --output run", "--output run: is a run; name another"),
        ("visualise run --export run/config.json", "choose a name that ends in .html"),
        ("visualise run --rerun a.json", "choose a name that ends in .rrd"),
        ("plot-results run --output a.json", "--output a.json: is a file; name a folder"),
        ("plot-results run --output b.pdf", "not a file; set --output . --format pdf"),
        ("explain-image a.png word --output a.png", "is also an input"),
        ("convert-features --features a.tsv --output a.json", "ends in .tsv or .h5"),
        ("convert-features --features a.safetensors --output a.safetensors", "is also an input"),
        ("evaluate-answers a.json --questions q --annotations b --json a.json", "also an input"),
        ("evaluate-gqa a.json --questions q --json a.json", "is also an input"),
        ("evaluate-captions a.json --references r --json a.json", "is also an input"),
        ("evaluate-reliability a.json --json a.json", "is also an input"),
        ("split-questions --output run/config.json", "is a file of the run run"),
        ("habitat-server --compare --json run/config.json", "is a file of the run run"),
        ("habitat-server", "give either --check or --compare"),
        ("habitat-server --check --compare", "give either --check or --compare"),
        ("habitat-server --check --json b.json", "--json b.json has no effect with --check"),
        ("evaluate-submission a.json --splits", "--splits: names no split; name at least one"),
        ("export-continuous-episodes --splits", "--splits: names no split; name at least one"),
        ("compare-agents --splits", "--splits: names no split; name at least one"),
        ("compare-agents --splits val_seen val_seen", "--splits val_seen val_seen: names a"),
        ("compare-agents --seeds 0", "--seeds 0: must be at least 1"),
        ("evaluate-reliability a b --names x", "1 names for 2 models; give one name for each"),
        ("evaluate-reliability a b --names x x", "two models are named x; give each a name of"),
        ("build-houses --contact-sheet no/such/x.gif", "must be a .png or .jpg"),
        ("build-houses --statistics a --scans house_00", "--scans house_00 has no effect"),
        ("build-houses --sheet-houses 5", "--sheet-houses 5 has no effect without --contact"),
        ("pretrain-house-clip --workers 0", "--workers 0: must be at least 1"),
        ("evaluate-vlm", "--url and --model, or a --local-model"),
        ("evaluate-vlm --url http://a/v1", "--url and --model belong together"),
        ("evaluate-vlm --url a/v1 --model m", "--url a/v1: must start with http"),
        ("evaluate-vlm --url http://me:secret@a/v1 --model m", "must not contain a password"),
        (
            "evaluate-vlm --url http://a/v1 --model m --strategy navgpt --pictures candidates",
            "navgpt describes views in words",
        ),
        (
            "evaluate-vlm --url http://a/v1 --model m --captioner runs/x",
            "--captioner runs/x has no effect with --strategy plain",
        ),
    ],
)
def test_impossible_command_lines_are_refused_and_no_input_is_replaced(
    words, complaint, inputs, run_command, capsys
):
    with pytest.raises(SystemExit) as ended:
        run_command(*words.split())
    assert ended.value.code == 2
    printed = shown(capsys.readouterr().err)
    assert complaint in printed
    assert not re.search(r"parsing [A-Z]\w+:", printed)  # the name of a class


@pytest.mark.parametrize(
    "words",
    [
        "convert-features --features b.tsv --output a.safetensors",
        "convert-openai-clip --weights RN50.pt --output run",
        "convert-openai-clip --weights run --output run --format transformers",
    ],
)
def test_a_conversion_replaces_no_output(words, inputs, run_command):
    with pytest.raises(FileExistsError, match=r"--output .* already exists; name another one"):
        run_command(*words.split())


def test_damaged_settings_and_features_name_a_remedy(run_command, tmp_path):
    for name in ("config.json", "features.lmdb"):
        (tmp_path / name).write_text("[")
    with pytest.raises(ValueError, match=r"config\.json: .*; correct the file, or train the run"):
        run_command("train-agent", "--config", tmp_path / "config.json")
    with pytest.raises(ValueError, match=r"features\.lmdb: .*; download the file again, or create"):
        run_command("inspect-features", "--features", tmp_path / "features.lmdb")
