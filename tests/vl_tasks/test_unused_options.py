import dataclasses

import pytest

from clipnav.training.settings import CONFIG, to_json
from clipnav.vl_tasks.specs import parse_task
from clipnav.vl_tasks.vqa.settings import FEATURE_PRESETS as VQA_PRESETS


@pytest.mark.parametrize(
    ("task", "flags", "complaint"),
    [
        (
            "vqa",
            "--pythia.hidden-size 8",
            "--pythia.hidden-size 8 has no effect with --model mcan",
        ),
        (
            "vqa",
            "--preset small --mcan.layers 3",
            "--mcan.layers 3 has no effect with --model pythia",
        ),
        ("vqa", "--answers a.json --min-count 3", "--min-count 3 has no effect with --answers"),
        (
            "vqa",
            "--no-vision --grids.fit pad",
            "--grids.fit pad has no effect with --no-vision",
        ),
        (
            "gqa",
            "--pythia.hidden-size 8",
            "--pythia.hidden-size 8 has no effect with --model mcan",
        ),
        ("gqa", "--answers a.json --min-count 3", "--min-count 3 has no effect with --answers"),
        (
            "gqa",
            "--clip-vil-p.max-words 9",
            "--clip-vil-p.max-words 9 has no effect with --model mcan",
        ),
        (
            "gqa",
            "--model clip-vil-p --start-from r --mcan.layers 3",
            "--mcan.layers 3 has no effect with --model clip-vil-p",
        ),
        ("vqa", "--no-vision --images x", "--images x has no effect with --no-vision"),
        (
            "vqa",
            "--no-vision --no-standardise",
            "--no-standardise has no effect with --no-vision",
        ),
        ("vqa", "--preset mcan-small --images x", "--images x has no effect with --regions"),
        (
            "vqa",
            "--preset small --no-vision --regions r",
            "--regions r has no effect with --no-vision",
        ),
        ("snli-ve", "--hidden-size 8", "--hidden-size 8 has no effect with --model fused"),
        (
            "snli-ve",
            "--model two-tower --max-words 9",
            "--max-words 9 has no effect with --model two-tower",
        ),
        (
            "snli-ve",
            "--no-vision --grids.fit pad",
            "--grids.fit pad has no effect with --no-vision",
        ),
        (
            "snli-ve",
            "--model clip-vil-p --start-from r --clip-vil-p.frozen-trunk "
            "--clip-vil-p.trunk-optimiser.learning-rate 0.5",
            "trunk-optimiser.learning-rate 0.5 has no effect with --clip-vil-p.frozen-trunk",
        ),
        (
            "vqa",
            "--model clip-vil-p --start-from r --clip-vil-p.trunk-optimiser.decay 0.5",
            "-optimiser.decay 0.5 has no effect without --clip-vil-p.trunk-optimiser.milestones",
        ),
        (
            "vqa",
            "--preset houses-multilingual --multilingual.trunk.no-frozen",
            "--multilingual.trunk.no-frozen has no effect where --clip-vil-p.frozen-trunk decides",
        ),
        (
            "vqa",
            "--preset houses-multilingual --clip-vil-p.dropout 0.3 --multilingual.text.dropout 0.5",
            "--multilingual.text.dropout 0.5 has no effect with --clip-vil-p.dropout",
        ),
        (
            "vqa",
            "--preset houses-multilingual --faithful --clip-vil-p.loss-scale 500",
            "--clip-vil-p.loss-scale 500.0 has no effect with --faithful",
        ),
        (
            "vqa",
            "--optimiser.warmup 0 --optimiser.warmup-stairs 2",
            "--optimiser.warmup-stairs 2 has no effect without --optimiser.warmup",
        ),
        (
            "captions",
            "--baseline samples",
            "--baseline samples has no effect without --start-from",
        ),
    ],
)
def test_flags_without_effect_are_refused(task, flags, complaint):
    with pytest.raises(ValueError, match=complaint):
        parse_task(task, flags.split())


def test_flags_with_effect_are_accepted():
    assert (
        parse_task("vqa", ["--model", "pythia", "--pythia.hidden-size", "8"]).pythia.hidden_size
        == 8
    )
    blind = parse_task(
        "snli-ve", ["--model", "two-tower", "--no-vision", "--grids.precision", "fp32"]
    )
    assert blind.grids.precision == "fp32"
    assert parse_task("vqa", ["--preset", "mcan-small", "--regions", "r"]).regions is not None


def test_flags_without_effect_are_refused_when_resuming(tmp_path):
    saved = dataclasses.replace(VQA_PRESETS["houses"], vision=False, output=tmp_path)
    (tmp_path / CONFIG).write_text(to_json(saved))
    with pytest.raises(ValueError, match="--images x has no effect"):
        parse_task("vqa", ["--resume", str(tmp_path), "--images", "x"])


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        ("--regions r --model movie-mcan", "movie-mcan requires grid features"),
        ("--regions r", "regions have no position in a grid; add --mcan.no-positions"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(flags, complaint, capsys):
    with pytest.raises(SystemExit):
        parse_task("vqa", flags.split())
    assert complaint in " ".join(capsys.readouterr().err.replace("│", " ").split())


def test_faithful_scales_the_cross_entropy_of_clip_vil_p_only():
    flags = ["--model", "clip-vil-p", "--start-from", "run", "--faithful", "--loss"]
    assert parse_task("gqa", [*flags, "ce"]).faithful
    with pytest.raises(ValueError, match="--faithful has no effect with --model clip-vil-p"):
        parse_task("gqa", [*flags, "bce"])


def test_entailment_has_no_faithful_flag(capsys):
    with pytest.raises(SystemExit):
        parse_task("snli-ve", ["--faithful"])
    assert "--faithful" in capsys.readouterr().err
