import dataclasses
import re
from pathlib import Path

import pytest

from clipnav.training.checkpoints import TRAINER
from clipnav.training.settings import CONFIG, to_json
from clipnav.vl_tasks.house_tasks import HouseTaskFiles
from clipnav.vl_tasks.reliability.settings import SelectorConfig
from clipnav.vl_tasks.specs import parse_task, read_question_config
from tests.vl_tasks.small_networks import preset

CLIP_VIL_P = "--model clip-vil-p --start-from r"
MULTILINGUAL = "--preset houses-multilingual"
# Task, flags and a part of the message.
REFUSED = """
vqa | --preset magic | --preset magic does not exist; choose one of houses
vqa | --pythia.hidden-size 8 | --pythia.hidden-size 8 has no effect with --model mcan
vqa | --preset small --mcan.layers 3 | --mcan.layers 3 has no effect with --model pythia
vqa | --answers a.json --min-count 3 | --min-count 3 has no effect with --answers
vqa | --no-vision --grids.fit pad | --grids.fit pad has no effect with --no-vision
vqa | --no-vision --images x | --images x has no effect with --no-vision
vqa | --no-vision --regions r --preset small | --regions r has no effect with --no-vision
vqa | --preset mcan-small --images x | --images x has no effect with --regions
vqa | --optimiser.warmup 0 --optimiser.warmup-stairs 2 | has no effect without --optimiser.warmup
vqa | --languages en fr | --languages.* no effect
vqa | CLIP_VIL_P --clip-vil-p.trunk-optimiser.decay 0.5 | without --clip-vil-p.trunk-optimiser.mil
vqa | --model mcan --start-from r | --start-from r has no effect with --model mcan
vqa | CLIP_VIL_P --no-vision | clip-vil-p requires images
vqa | --model multilingual --tokenizer mmf | with --model multilingual
vqa | MULTILINGUAL --multilingual.trunk.no-frozen | no effect where --clip-vil-p.frozen-trunk dec
vqa | MULTILINGUAL --multilingual.text.dropout 0.5 | has no effect with --clip-vil-p.dropout
vqa | MULTILINGUAL --faithful --clip-vil-p.loss-scale 5 | has no effect with --faithful
vqa | MULTILINGUAL --languages en --agreement 0.5 | one of --languages
vqa | MULTILINGUAL --clip-vil-p.sentences-per-image 3 | groups by question
vqa | MULTILINGUAL --multilingual.text.bert b --multilingual.text.layers 2 | with --multilingual.tex
gqa | --clip-vil-p.max-words 9 | --clip-vil-p.max-words 9 has no effect with --model mcan
gqa | CLIP_VIL_P --mcan.layers 3 | --mcan.layers 3 has no effect with --model clip-vil-p
gqa | CLIP_VIL_P --faithful --loss bce | --faithful has no effect with --model clip-vil-p
snli-ve | --hidden-size 8 | --hidden-size 8 has no effect with --model fused
snli-ve | --model two-tower --max-words 9 | --max-words 9 has no effect with --model two-tower
snli-ve | CLIP_VIL_P --clip-vil-p.frozen-trunk --clip-vil-p.trunk-optimiser.decay 0.5 | frozen-trunk
captions | --baseline samples | --baseline samples has no effect without --start-from
pretrain-vl | --objective masked-words --no-answering | with --objective masked-words
vqa | --pythia.dropout 1 --preset small | --pythia.dropout 1: must be at least 0
vqa | --mcan.heads 0 | --mcan.heads 0: must be at least 1
vqa | --mcan.heads 3 | --mcan.hidden-size 128 is not divisible by --mcan.heads 3
vqa | --train-splits | --train-splits: names no split; name at least one
vqa | --evaluation-splits held-out | exists only with --select-by
vqa | --submit held-out | exists only with --select-by
vqa | --faithful --regions r --model movie-mcan | movie-mcan requires grid features
vqa | --regions r | no position in a grid; add --mcan.no-positions
vqa | CLIP_VIL_P --clip-vil-p.trunk-optimiser.learning-rate -1 | must be a finite number
vqa | MULTILINGUAL --multilingual.text.heads 3 | is not divisible by --multilingual.text.heads 3
vqa | MULTILINGUAL --multilingual.image-size 128 64 | give the shorter side first
vqa | MULTILINGUAL --languages fr fr | 'fr' occurs twice
vqa | MULTILINGUAL --languages ../fr | is not the code of a language
snli-ve | --max-words 0 | --max-words 0: must be at least 1
snli-ve | --faithful | --faithful
captions | --captioner.hidden-size 9 | is not divisible by --captioner.heads 4
pretrain-vl | --trunk.positions -1 | --trunk.positions -1: must be at least 0
pretrain-vl | --text.layers 0 | --text.layers 0: must be at least 1
vqa | --seed 3 --data | Missing value for argument '--data'
"""


@pytest.mark.parametrize("row", REFUSED.strip().splitlines())
def test_wrong_and_unused_settings_are_refused(row, capsys):
    task, flags, problem = (part.strip() for part in row.split(" | "))
    words = flags.replace("CLIP_VIL_P", CLIP_VIL_P).replace("MULTILINGUAL", MULTILINGUAL).split()
    with pytest.raises((ValueError, SystemExit)) as refused:
        parse_task(task, words)
    shown = f"{refused.value} {capsys.readouterr().err}".replace("│", " ")
    assert re.search(problem, " ".join(shown.split())), shown


def test_data_model_and_preset_choose_the_defaults():
    assert parse_task("vqa", []) == preset("vqa", "houses")
    assert parse_task("vqa", ["--data", "easy-vqa"]) == preset("vqa", "easy-vqa")
    given = parse_task("vqa", ["--data", "data/vqa"])
    assert given == dataclasses.replace(preset("vqa", "small"), data="data/vqa")
    flags = ["--preset", "pythia-clip-vil", "--data=x", "--no-vision", "--seed", "3"]
    wanted = dataclasses.replace(preset("vqa", "pythia-clip-vil"), data="x", vision=False, seed=3)
    assert parse_task("vqa", flags) == wanted
    multilingual = preset("vqa", "houses-multilingual")
    assert parse_task("vqa", ["--model", "multilingual"]) == multilingual
    photos = parse_task("vqa", ["--model", "multilingual", "--data", "photos"])
    assert photos.preset == "small-multilingual"
    words = parse_task("pretrain-vl", ["--objective", "masked-words"])
    assert words.preset == "houses-multilingual"
    assert words.run_name == "pretrain-vl-multilingual-house"


def test_a_folder_of_house_tasks_selects_the_preset_houses(tmp_path):
    assert parse_task("vqa", ["--data", str(tmp_path)]).preset == "small"
    HouseTaskFiles(tmp_path).summary.write_text("{}")
    wanted = dataclasses.replace(preset("vqa", "houses"), data=str(tmp_path))
    assert parse_task("vqa", ["--data", str(tmp_path)]) == wanted


def test_flags_with_effect_are_accepted():
    assert parse_task("vqa", ["--model", "pythia", "--pythia.hidden-size", "8"]).model == "pythia"
    blind = ["--model", "two-tower", "--no-vision", "--grids.precision", "fp32"]
    assert parse_task("snli-ve", blind).grids.precision == "fp32"
    assert parse_task("vqa", ["--preset", "mcan-small", "--regions", "r"]).regions is not None
    assert parse_task("gqa", [*CLIP_VIL_P.split(), "--faithful", "--loss", "ce"]).faithful
    held_out = ["--select-by", "held-out", "--submit", "held-out"]
    assert parse_task("vqa", held_out).submit == "held-out"


def test_runs_on_the_current_folder_are_named_after_it(tmp_path, monkeypatch):
    photos = tmp_path / "photos"
    (photos / "images").mkdir(parents=True)
    monkeypatch.chdir(photos)
    assert parse_task("vqa", ["--data", ".", "--no-vision"]).run_name == (
        "vqa-pythia-photos-no-vision"
    )
    assert parse_task("pretrain-vl", ["--data", "."]).run_name == "pretrain-vl-photos"
    assert SelectorConfig(run=Path(".")).run_name == "selector-photos"
    monkeypatch.chdir("images")
    assert parse_task("vqa", ["--data", ".."]).run_name == "vqa-pythia-photos"


@pytest.mark.parametrize("name", ["houses", "easy-vqa", "small"])
def test_presets_for_a_laptop_have_small_networks_of_all_models(name):
    for task in ("vqa", "gqa")[: 1 if name == "easy-vqa" else 2]:
        assert parse_task(task, ["--preset", name, "--model", "pythia"]).pythia.product_size <= 512
        for model in ("mcan", "movie-mcan"):
            assert parse_task(task, ["--preset", name, "--model", model]).mcan.hidden_size <= 128


@pytest.mark.parametrize("saved", ["houses", "rn50-stage-1"])
def test_a_continued_pre_training_computes_the_network_of_its_start(tmp_path, saved):
    start = dataclasses.replace(preset("pretrain-vl", saved), output=tmp_path)
    (tmp_path / CONFIG).write_text(to_json(start))
    flags = ["--data", str(tmp_path), "--start-from", str(tmp_path)]
    for name in ("houses", "rn50-stage-1"):
        config = parse_task("pretrain-vl", [*flags, "--preset", name])
        assert (config.faithful, config.text) == (start.faithful, start.text)
    other = "--no-faithful" if start.faithful else "--faithful"
    with pytest.raises(ValueError, match=f"{other} has no effect with --start-from"):
        parse_task("pretrain-vl", [*flags, other])


@pytest.mark.parametrize("flag", ["--start-from", "--start_from"])
def test_self_critical_training_uses_the_settings_of_its_start(tmp_path, flag):
    saved = dataclasses.replace(preset("captions", "houses"), output=tmp_path, seed=5)
    (tmp_path / CONFIG).write_text(to_json(saved))
    config = parse_task("captions", [flag, str(tmp_path), "--iterations", "7"])
    assert (config.phase, config.baseline, config.batch_size) == ("scst", "samples", 16)
    assert (config.start_from, config.output, config.iterations) == (tmp_path, None, 7)
    assert (config.seed, config.captioner, config.grids) == (5, saved.captioner, saved.grids)
    with pytest.raises(ValueError, match="require each other"):
        dataclasses.replace(saved, phase="scst")


def test_self_critical_training_refuses_settings_incompatible_with_its_start(tmp_path):
    (tmp_path / CONFIG).write_text(to_json(preset("captions", "houses")))
    start = ("--start-from", str(tmp_path))
    for flags, problem in {
        ("--captioner.layers", "3"): "captioner.layers: 2 against 3",
        ("--preset", "coco"): "preset: houses against coco",
        ("--no-vision",): "vision: True against False",
        ("--grids.fit", "pad"): "grids.fit: center_crop against pad",
    }.items():
        with pytest.raises(ValueError, match=f"{problem}; omit the flags"):
            parse_task("captions", [*start, *flags])
    grids = parse_task("captions", [*start, "--grids.no-keep", "--grids.precision", "fp32"]).grids
    assert (grids.keep, grids.precision) == (False, "fp32")


def test_a_settings_file_does_not_change_the_networks_to_start_from(tmp_path):
    houses = preset("pretrain-vl", "houses")
    other = dataclasses.replace(houses, text=dataclasses.replace(houses.text, pooling="first"))
    (tmp_path / CONFIG).write_text(to_json(other))
    file = tmp_path / "first-stage.json"
    file.write_text(to_json(houses))
    with pytest.raises(ValueError, match=r"text\.pooling: first against means; omit the flags or"):
        parse_task("pretrain-vl", ["--config", str(file), "--start-from", str(tmp_path)])
    file.write_text(to_json(other))
    again = parse_task("pretrain-vl", ["--config", str(file), "--start-from", str(tmp_path)])
    assert again == dataclasses.replace(other, start_from=tmp_path)


def test_settings_of_questions_are_told_from_those_of_other_trainings(tmp_path):
    for config in (preset("vqa", "houses"), preset("gqa", "houses")):
        (tmp_path / CONFIG).write_text(to_json(config))
        assert read_question_config(tmp_path) == config
    (tmp_path / CONFIG).write_text(to_json(preset("pretrain-vl", "houses")))
    with pytest.raises(ValueError, match="but clipnav finetune-vqa is needed"):
        read_question_config(tmp_path)


def test_a_settings_file_gives_the_defaults(tmp_path):
    saved = dataclasses.replace(preset("vqa", "small"), data="x", seed=3, output=tmp_path / "old")
    (tmp_path / CONFIG).write_text(to_json(saved))
    given = parse_task("vqa", ["--config", str(tmp_path / CONFIG), "--seed", "4"])
    assert given == dataclasses.replace(saved, seed=4, output=None)
    for flag in ("--preset", "--resume"):
        with pytest.raises(ValueError, match=rf"{flag} and --config .* exclude each other"):
            parse_task("vqa", [flag, "small", "--config", str(tmp_path)])


def test_resumed_runs_keep_their_settings(tmp_path):
    saved = dataclasses.replace(preset("vqa", "houses"), output=tmp_path, vision=False)
    (tmp_path / CONFIG).write_text(to_json(saved))
    (tmp_path / TRAINER).touch()
    config = parse_task("vqa", ["--resume", str(tmp_path), "--submit", "test"])
    assert config == dataclasses.replace(saved, resume=tmp_path, submit="test")
    with pytest.raises(ValueError, match="batch_size: 128 against 5"):
        parse_task("vqa", ["--resume", str(tmp_path), "--batch-size", "5"])
    with pytest.raises(ValueError, match="--images x has no effect"):
        parse_task("vqa", ["--resume", str(tmp_path), "--images", "x"])
    with pytest.raises(FileNotFoundError):
        parse_task("vqa", ["--resume", str(tmp_path / "none")])
