import dataclasses

import pytest

from storage.runs.settings import CONFIG, to_json
from vl_tasks.command_line import parse_captions, parse_entailment, parse_vqa
from vl_tasks.presets import VQA_PRESETS


@pytest.mark.parametrize(
    ("parse", "flags", "complaint"),
    [
        (parse_vqa, "--pythia.hidden 8", "--pythia.hidden changes nothing: --model is mcan"),
        (parse_vqa, "--preset small --mcan.layers 3", "--mcan.layers changes .* is pythia"),
        (parse_vqa, "--answers a.json --min-count 3", "--min-count changes nothing: --answers"),
        (parse_vqa, "--no-vision --grids.fit pad", "--grids.fit changes nothing: with --no-vision"),
        (parse_vqa, "--no-vision --images x", "--images changes nothing: with --no-vision"),
        (parse_vqa, "--no-vision --no-standardise", "--standardise changes nothing"),
        (parse_vqa, "--preset mcan-small --images x", "--images changes nothing: --regions"),
        (parse_vqa, "--preset small --no-vision --regions r", "--regions changes nothing"),
        (parse_entailment, "--hidden 8", "--hidden changes nothing: it is of the two-tower"),
        (parse_entailment, "--model two-tower --words 9", "--words changes nothing: the two-tower"),
        (parse_entailment, "--no-vision --grids.fit pad", "--grids.fit changes nothing"),
        (parse_captions, "--baseline samples", "--baseline changes nothing: without --start"),
    ],
)
def test_flags_without_effect_are_refused(parse, flags, complaint):
    with pytest.raises(ValueError, match=complaint):
        parse(flags.split())


def test_flags_with_effect_are_taken():
    assert parse_vqa(["--model", "pythia", "--pythia.hidden", "8"]).pythia.hidden == 8
    blind = parse_entailment(["--model", "two-tower", "--no-vision", "--grids.precision", "fp32"])
    assert blind.grids.precision == "fp32"
    assert parse_vqa(["--preset", "mcan-small", "--regions", "r"]).regions is not None


def test_flags_without_effect_are_refused_of_runs_that_go_on(tmp_path):
    saved = dataclasses.replace(VQA_PRESETS["houses"], vision=False, output=tmp_path)
    (tmp_path / CONFIG).write_text(to_json(saved))
    with pytest.raises(ValueError, match="--images changes nothing"):
        parse_vqa(["--resume", str(tmp_path), "--images", "x"])


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        ("--regions r --model movie-mcan", "movie-mcan convolves a grid"),
        ("--regions r", "regions have no places in a grid; add --no-mcan.positions"),
        ("--optimiser.warmup 0 --optimiser.warmup-stairs 2", "there is no --optimiser.warmup"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(flags, complaint, capsys):
    with pytest.raises(SystemExit):
        parse_vqa(flags.split())
    assert complaint in " ".join(capsys.readouterr().err.replace("│", " ").split())


def test_faithful_is_unknown_where_it_means_nothing(capsys):
    with pytest.raises(SystemExit):
        parse_entailment(["--faithful"])
    assert "--faithful" in capsys.readouterr().err
