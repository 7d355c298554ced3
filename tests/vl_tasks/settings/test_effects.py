import dataclasses

import pytest

from clipnav.training.settings import CONFIG, to_json
from clipnav.vl_tasks.command_line import parse_captions, parse_entailment, parse_gqa, parse_vqa
from clipnav.vl_tasks.settings.presets import VQA_PRESETS


@pytest.mark.parametrize(
    ("parse", "flags", "complaint"),
    [
        (
            parse_vqa,
            "--pythia.hidden-size 8",
            "--pythia.hidden-size 8 has no effect with --model mcan",
        ),
        (
            parse_vqa,
            "--preset small --mcan.layers 3",
            "--mcan.layers 3 has no effect with --model pythia",
        ),
        (parse_vqa, "--answers a.json --min-count 3", "--min-count 3 has no effect with --answers"),
        (
            parse_vqa,
            "--no-vision --grids.fit pad",
            "--grids.fit pad has no effect with --no-vision",
        ),
        (
            parse_gqa,
            "--pythia.hidden-size 8",
            "--pythia.hidden-size 8 has no effect with --model mcan",
        ),
        (parse_gqa, "--answers a.json --min-count 3", "--min-count 3 has no effect with --answers"),
        (
            parse_gqa,
            "--clip-vil-p.max-words 9",
            "--clip-vil-p.max-words 9 has no effect with --model mcan",
        ),
        (
            parse_gqa,
            "--model clip-vil-p --start-from r --mcan.layers 3",
            "--mcan.layers 3 has no effect with --model clip-vil-p",
        ),
        (parse_vqa, "--no-vision --images x", "--images x has no effect with --no-vision"),
        (
            parse_vqa,
            "--no-vision --no-standardise",
            "--no-standardise has no effect with --no-vision",
        ),
        (parse_vqa, "--preset mcan-small --images x", "--images x has no effect with --regions"),
        (
            parse_vqa,
            "--preset small --no-vision --regions r",
            "--regions r has no effect with --no-vision",
        ),
        (parse_entailment, "--hidden-size 8", "--hidden-size 8 has no effect with --model fused"),
        (
            parse_entailment,
            "--model two-tower --max-words 9",
            "--max-words 9 has no effect with --model two-tower",
        ),
        (
            parse_entailment,
            "--no-vision --grids.fit pad",
            "--grids.fit pad has no effect with --no-vision",
        ),
        (
            parse_entailment,
            "--model clip-vil-p --start-from r --clip-vil-p.frozen-trunk "
            "--clip-vil-p.trunk-optimiser.learning-rate 0.5",
            "trunk-optimiser.learning-rate 0.5 has no effect with --clip-vil-p.frozen-trunk",
        ),
        (
            parse_vqa,
            "--model clip-vil-p --start-from r --clip-vil-p.trunk-optimiser.decay 0.5",
            "-optimiser.decay 0.5 has no effect without --clip-vil-p.trunk-optimiser.milestones",
        ),
        (
            parse_vqa,
            "--preset houses-multilingual --multilingual.trunk.no-frozen",
            "--multilingual.trunk.no-frozen has no effect where --clip-vil-p.frozen-trunk decides",
        ),
        (
            parse_vqa,
            "--preset houses-multilingual --clip-vil-p.dropout 0.3 --multilingual.text.dropout 0.5",
            "--multilingual.text.dropout 0.5 has no effect with --clip-vil-p.dropout",
        ),
        (
            parse_vqa,
            "--preset houses-multilingual --faithful --clip-vil-p.loss-scale 500",
            "--clip-vil-p.loss-scale 500.0 has no effect with --faithful",
        ),
        (
            parse_captions,
            "--baseline samples",
            "--baseline samples has no effect without --start-from",
        ),
    ],
)
def test_flags_without_effect_are_refused(parse, flags, complaint):
    with pytest.raises(ValueError, match=complaint):
        parse(flags.split())


def test_flags_with_effect_are_accepted():
    assert parse_vqa(["--model", "pythia", "--pythia.hidden-size", "8"]).pythia.hidden_size == 8
    blind = parse_entailment(["--model", "two-tower", "--no-vision", "--grids.precision", "fp32"])
    assert blind.grids.precision == "fp32"
    assert parse_vqa(["--preset", "mcan-small", "--regions", "r"]).regions is not None


def test_flags_without_effect_are_refused_when_resuming(tmp_path):
    saved = dataclasses.replace(VQA_PRESETS["houses"], vision=False, output=tmp_path)
    (tmp_path / CONFIG).write_text(to_json(saved))
    with pytest.raises(ValueError, match="--images x has no effect"):
        parse_vqa(["--resume", str(tmp_path), "--images", "x"])


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        ("--regions r --model movie-mcan", "movie-mcan requires grid features"),
        ("--regions r", "regions have no position in a grid; add --mcan.no-positions"),
        (
            "--optimiser.warmup 0 --optimiser.warmup-stairs 2",
            "has no effect without --optimiser.warmup",
        ),
    ],
)
def test_settings_that_contradict_each_other_are_refused(flags, complaint, capsys):
    with pytest.raises(SystemExit):
        parse_vqa(flags.split())
    assert complaint in " ".join(capsys.readouterr().err.replace("│", " ").split())


def test_faithful_scales_the_cross_entropy_of_clip_vil_p_only():
    flags = ["--model", "clip-vil-p", "--start-from", "run", "--faithful", "--loss"]
    assert parse_gqa([*flags, "ce"]).faithful
    with pytest.raises(ValueError, match="--faithful has no effect with --model clip-vil-p"):
        parse_gqa([*flags, "bce"])


def test_entailment_has_no_faithful_flag(capsys):
    with pytest.raises(SystemExit):
        parse_entailment(["--faithful"])
    assert "--faithful" in capsys.readouterr().err
