import dataclasses
from pathlib import Path

import pytest

from clipnav.training.checkpoints import TRAINER
from clipnav.training.settings import CONFIG, to_json
from clipnav.vl_tasks.captioning.settings import PRESETS as CAPTION_PRESETS
from clipnav.vl_tasks.captioning.settings import SCST_CHANGES
from clipnav.vl_tasks.clip_vil_p.settings import PRESETS as PRETRAIN_PRESETS
from clipnav.vl_tasks.entailment.settings import FEATURE_PRESETS as ENTAILMENT_PRESETS
from clipnav.vl_tasks.gqa.settings import PRESETS as GQA_PRESETS
from clipnav.vl_tasks.house_tasks import HouseTaskFiles
from clipnav.vl_tasks.reliability.settings import SelectorConfig
from clipnav.vl_tasks.specs import parse_task, read_question_config
from clipnav.vl_tasks.vqa.settings import FEATURE_PRESETS as VQA_PRESETS


def test_data_and_preset_choose_the_defaults():
    assert parse_task("vqa", []) == VQA_PRESETS["houses"]
    assert parse_task("vqa", ["--data", "easy-vqa"]) == VQA_PRESETS["easy-vqa"]
    given = parse_task("vqa", ["--data", "data/vqa"])
    assert given == dataclasses.replace(VQA_PRESETS["small"], data="data/vqa")
    given = parse_task(
        "vqa", ["--preset", "pythia-clip-vil", "--data=x", "--no-vision", "--seed", "3"]
    )
    wanted = dataclasses.replace(VQA_PRESETS["pythia-clip-vil"], data="x", vision=False, seed=3)
    assert given == wanted
    assert parse_task("snli-ve", ["--preset", "snli-ve-two-tower"]).model == "two-tower"
    assert parse_task("captions", ["--preset", "coco"]) == CAPTION_PRESETS["coco"]
    assert parse_task("captions", ["--data", "mine"]).preset == "small"
    with pytest.raises(
        ValueError, match="--preset magic does not exist; choose one of houses, easy-vqa"
    ):
        parse_task("vqa", ["--preset", "magic"])


def test_a_missing_value_is_reported_by_the_full_parser(capsys):
    with pytest.raises(SystemExit):
        parse_task("vqa", ["--seed", "3", "--data"])
    assert "Missing value for argument '--data'" in " ".join(capsys.readouterr().err.split())


def test_a_folder_of_house_tasks_selects_the_preset_houses(tmp_path):
    assert parse_task("vqa", ["--data", str(tmp_path)]).preset == "small"
    HouseTaskFiles(tmp_path).summary.write_text("{}")
    wanted = dataclasses.replace(VQA_PRESETS["houses"], data=str(tmp_path))
    assert parse_task("vqa", ["--data", str(tmp_path)]) == wanted
    assert parse_task("captions", ["--data", str(tmp_path)]).preset == "houses"


@pytest.mark.parametrize("saved", ["houses", "rn50-stage-1"])
def test_a_continued_pre_training_computes_the_network_of_its_start(tmp_path, saved):
    start = dataclasses.replace(PRETRAIN_PRESETS[saved], output=tmp_path)
    (tmp_path / CONFIG).write_text(to_json(start))
    flags = ["--data", str(tmp_path), "--start-from", str(tmp_path)]
    for preset in ("houses", "rn50-stage-1"):
        config = parse_task("pretrain-vl", [*flags, "--preset", preset])
        assert (config.faithful, config.text) == (start.faithful, start.text)
    other = "--no-faithful" if start.faithful else "--faithful"
    with pytest.raises(ValueError, match=f"{other} has no effect with --start-from"):
        parse_task("pretrain-vl", [*flags, other])


def test_presets_contain_their_names_and_have_distinct_run_folders():
    for presets in (VQA_PRESETS, GQA_PRESETS, ENTAILMENT_PRESETS, CAPTION_PRESETS):
        for name, config in presets.items():
            assert config.preset == name
    assert parse_task("vqa", []).run_name == "vqa-mcan-house"
    assert parse_task("gqa", []).run_name == "gqa-mcan-house"
    assert parse_task("vqa", ["--no-vision"]).run_name == "vqa-mcan-house-no-vision"


def test_runs_on_the_current_folder_are_named_after_it(tmp_path, monkeypatch):
    photos = tmp_path / "photos"
    (photos / "images").mkdir(parents=True)
    monkeypatch.chdir(photos)
    assert parse_task("vqa", ["--data", "."]).run_name == "vqa-pythia-photos"
    assert parse_task("pretrain-vl", ["--data", "."]).run_name == "pretrain-vl-photos"
    assert SelectorConfig(run=Path(".")).run_name == "selector-photos"
    monkeypatch.chdir("images")
    assert parse_task("vqa", ["--data", ".."]).run_name == "vqa-pythia-photos"


@pytest.mark.parametrize("preset", ["houses", "easy-vqa", "small"])
def test_presets_for_a_laptop_have_small_networks_of_all_models(preset):
    flags = ["--preset", preset, "--model"]
    for task in ("vqa", "gqa")[: 1 if preset == "easy-vqa" else 2]:
        assert parse_task(task, [*flags, "pythia"]).pythia.product_size <= 512
        assert parse_task(task, [*flags, "mcan"]).mcan.hidden_size <= 128
        assert parse_task(task, [*flags, "movie-mcan"]).mcan.hidden_size <= 128


@pytest.mark.parametrize("flags", [["--evaluation-splits", "held-out"], ["--submit", "held-out"]])
def test_held_out_split_requires_select_by_held_out(flags, capsys):
    with pytest.raises(SystemExit):
        parse_task("vqa", flags)
    assert "exists only with --select-by" in capsys.readouterr().err
    assert parse_task("vqa", ["--select-by", "held-out", *flags]).select_by == "held-out"


@pytest.mark.parametrize(
    ("task", "flags", "problem"),
    [
        (
            "vqa",
            "--preset small --pythia.hidden-size 0",
            "--pythia.hidden-size 0: must be at least 1",
        ),
        ("vqa", "--preset small --pythia.dropout 1", "--pythia.dropout 1: must be at least 0"),
        ("vqa", "--mcan.heads 0", "--mcan.heads 0: must be at least 1"),
        ("gqa", "--mcan.dropout -1", "--mcan.dropout -1: must be at least 0 and below 1"),
        ("vqa", "--mcan.heads 3", "--mcan.hidden-size 128 is not divisible by --mcan.heads 3"),
        ("snli-ve", "--max-words 0", "--max-words 0: must be at least 1"),
        ("snli-ve", "--model two-tower --dropout 1", "--dropout 1: must be at least 0"),
        ("captions", "--captioner.layers 0", "--captioner.layers 0: must be at least 1"),
        ("captions", "--captioner.hidden-size 9", "is not divisible by --captioner.heads 4"),
        ("vqa", "--train-splits", "--train-splits: names no split; name at least one"),
        ("pretrain-vl", "--train-splits", "--train-splits: names no split; name at least one"),
        ("vqa", "--seed -1", "--seed -1: must be at least 0"),
        ("pretrain-vl", "--seed -1", "--seed -1: must be at least 0"),
        ("captions", "--min-count 0", "--min-count 0: must be at least 1"),
        (
            "vqa",
            "--model clip-vil-p --clip-vil-p.trunk-optimiser.learning-rate -1",
            "--clip-vil-p.trunk-optimiser.learning-rate -1: must be a finite number",
        ),
        (
            "vqa",
            "--model clip-vil-p --clip-vil-p.trunk-optimiser.milestones 5",
            "--clip-vil-p.trunk-optimiser.milestones have no effect with "
            "--clip-vil-p.trunk-optimiser.name adamw",
        ),
        (
            "vqa",
            "--model multilingual --multilingual.text.heads 3",
            "--multilingual.text.hidden-size 128 is not divisible by --multilingual.text.heads 3",
        ),
        (
            "vqa",
            "--model multilingual --multilingual.image-size 128 64",
            "--multilingual.image-size 128 64: give the shorter side first",
        ),
        ("pretrain-vl", "--trunk.positions -1", "--trunk.positions -1: must be at least 0"),
        ("pretrain-vl", "--text.layers 0", "--text.layers 0: must be at least 1"),
        (
            "pretrain-vl",
            "--trunk-optimiser.decay -1",
            "--trunk-optimiser.decay -1: must be a finite number",
        ),
    ],
)
def test_sizes_and_rates_out_of_range_are_named_by_their_flags(task, flags, problem, capsys):
    with pytest.raises(SystemExit):
        parse_task(task, flags.split())
    shown = " ".join(capsys.readouterr().err.replace("│", " ").split())
    assert problem in shown


@pytest.mark.parametrize("flag", ["--start-from", "--start_from"])
def test_self_critical_training_uses_the_settings_of_its_start(tmp_path, flag):
    saved = dataclasses.replace(CAPTION_PRESETS["houses"], output=tmp_path, seed=5)
    (tmp_path / CONFIG).write_text(to_json(saved))
    config = parse_task("captions", [flag, str(tmp_path), "--iterations", "7"])
    changes = {**SCST_CHANGES["houses"], "iterations": 7}
    assert config == dataclasses.replace(
        saved, phase="scst", start_from=tmp_path, output=None, **changes
    )
    with pytest.raises(ValueError, match="require each other"):
        dataclasses.replace(saved, phase="scst")


def test_self_critical_training_refuses_settings_incompatible_with_its_start(tmp_path):
    (tmp_path / CONFIG).write_text(to_json(CAPTION_PRESETS["houses"]))
    start = ("--start-from", str(tmp_path))
    for flags, problem in {
        ("--captioner.layers", "3"): "captioner.layers: 2 against 3",
        ("--captioner.faithful",): "captioner.faithful: False against True",
        ("--preset", "coco"): "preset: houses against coco",
        ("--min-count", "9"): "min_count: 2 against 9",
        ("--no-standardise",): "standardise: True against False",
        ("--no-vision",): "vision: True against False",
        ("--grids.fit", "pad"): "grids.fit: center_crop against pad",
    }.items():
        with pytest.raises(ValueError, match=f"{problem}; omit the flags"):
            parse_task("captions", [*start, *flags])
    grids = parse_task("captions", [*start, "--grids.no-keep", "--grids.precision", "fp32"]).grids
    assert (grids.keep, grids.precision) == (False, "fp32")


def test_a_settings_file_does_not_change_the_captioner_to_start_from(tmp_path):
    preset = CAPTION_PRESETS["houses"]
    other = dataclasses.replace(
        preset, captioner=dataclasses.replace(preset.captioner, heads=1), standardise=False
    )
    runs = [tmp_path / name for name in ("one", "two")]
    for run, saved in zip(runs, (preset, other), strict=True):
        run.mkdir()
        (run / CONFIG).write_text(to_json(saved))
    file = tmp_path / "scst.json"
    file.write_text(to_json(parse_task("captions", ["--start-from", str(runs[0]), "--seed", "3"])))
    assert parse_task("captions", ["--config", str(file)]).start_from == runs[0]
    with pytest.raises(ValueError, match=r"standardise: False against True.*captioner\.heads: 1"):
        parse_task("captions", ["--config", str(file), "--start-from", str(runs[1])])


def test_a_settings_file_does_not_change_the_networks_to_start_from(tmp_path):
    preset = PRETRAIN_PRESETS["houses"]
    other = dataclasses.replace(preset, text=dataclasses.replace(preset.text, pooling="first"))
    (tmp_path / CONFIG).write_text(to_json(other))
    file = tmp_path / "first-stage.json"
    file.write_text(to_json(preset))
    with pytest.raises(ValueError, match=r"text\.pooling: first against means; omit the flags or"):
        parse_task("pretrain-vl", ["--config", str(file), "--start-from", str(tmp_path)])
    file.write_text(to_json(other))
    again = parse_task("pretrain-vl", ["--config", str(file), "--start-from", str(tmp_path)])
    assert again == dataclasses.replace(other, start_from=tmp_path)


def test_settings_of_questions_are_told_from_those_of_other_trainings(tmp_path):
    for config in (VQA_PRESETS["houses"], GQA_PRESETS["houses"]):
        (tmp_path / CONFIG).write_text(to_json(config))
        assert read_question_config(tmp_path) == config
    (tmp_path / CONFIG).write_text(to_json(PRETRAIN_PRESETS["houses"]))
    with pytest.raises(ValueError, match="name a run of clipnav finetune-vqa"):
        read_question_config(tmp_path)


def test_a_settings_file_gives_the_defaults(tmp_path):
    saved = dataclasses.replace(VQA_PRESETS["small"], data="x", seed=3, output=tmp_path / "old")
    (tmp_path / CONFIG).write_text(to_json(saved))
    given = parse_task("vqa", ["--config", str(tmp_path / CONFIG), "--seed", "4"])
    assert given == dataclasses.replace(saved, seed=4, output=None)
    for flag in ("--preset", "--resume"):
        with pytest.raises(ValueError, match=rf"{flag} and --config .* exclude each other"):
            parse_task("vqa", [flag, "small", "--config", str(tmp_path)])


def test_resumed_runs_keep_their_settings(tmp_path):
    saved = dataclasses.replace(VQA_PRESETS["houses"], output=tmp_path)
    (tmp_path / CONFIG).write_text(to_json(saved))
    (tmp_path / TRAINER).touch()
    config = parse_task("vqa", ["--resume", str(tmp_path), "--submit", "test"])
    assert config == dataclasses.replace(saved, resume=tmp_path, submit="test")
    assert parse_task("vqa", ["--resume", str(tmp_path), "--minutes", "3"]).minutes == 3
    with pytest.raises(ValueError, match="batch_size: 128 against 5"):
        parse_task("vqa", ["--resume", str(tmp_path), "--batch-size", "5"])
    with pytest.raises(FileNotFoundError):
        parse_task("vqa", ["--resume", str(tmp_path / "none")])
