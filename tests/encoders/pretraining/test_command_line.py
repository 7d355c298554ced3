import pytest

from clipnav.encoders.pretraining.settings import PretrainEncoderConfig, parse_pretraining
from clipnav.training.settings import CONFIG, to_json


@pytest.fixture
def run(tmp_path):
    """Folder of a run that has saved a state."""
    run = tmp_path / "run"
    run.mkdir()
    (run / CONFIG).write_text(to_json(PretrainEncoderConfig(set="mini", seed=3, output=run)))
    (run / "trainer.pt").touch()
    return run


def test_the_default_warmup_is_a_twentieth_of_the_iterations():
    assert parse_pretraining([]) == PretrainEncoderConfig()
    assert parse_pretraining([]).optimiser.warmup == 500
    assert parse_pretraining(["--iterations", "40"]).optimiser.warmup == 2
    flags = ["--iterations", "40", "--optimiser.warmup", "7"]
    assert parse_pretraining(flags).optimiser.warmup == 7


def test_a_resumed_run_has_its_own_settings(run):
    config = parse_pretraining(["--resume", str(run), "--workers", "5"])
    assert (config.set, config.seed, config.workers) == ("mini", 3, 5)
    assert (config.resume, config.output) == (run, run)
    with pytest.raises(ValueError, match=r"config\.json and the command line differ in seed: 3"):
        parse_pretraining(["--resume", str(run), "--seed", "4"])


def test_runs_of_earlier_versions_are_refused_in_one_line(run):
    (run / CONFIG).write_text('{"set": "mini", "run_dir": "runs/a", "samples": 320, "batch": 8}')
    with pytest.raises(ValueError, match=r"config\.json: missing or unknown settings batch, ") as e:
        parse_pretraining(["--resume", str(run)])
    assert "train it again" in str(e.value)
    assert "\n" not in str(e.value)


@pytest.mark.parametrize(
    ("flags", "problem"),
    [
        (["--objective", "random", "--iterations", "5"], "--iterations 5 has no effect with"),
        (["--minutes", "5", "--iterations", "5"], "--iterations 5 has no effect with --minutes"),
        (["--labels", "largest"], "--labels largest has no effect with --objective contrastive"),
        (
            ["--objective", "random", "--labelled-fraction", ".1"],
            "--labelled-fraction 0.1 has no effect with --objective random",
        ),
        (
            ["--objective", "supervised", "--labelled-fraction", "0"],
            "--labelled-fraction 0: must be greater than 0 and at most 1",
        ),
        (
            ["--objective", "supervised", "--labelled-fraction", ".1", "--minutes", "5"],
            "--labelled-fraction and --minutes exclude each other",
        ),
        (["--image-size", "80"], "--image-size 80: must be a multiple of 32"),
        (["--visual-width", "7"], "--visual-width 7: must be an even number"),
        (["--visual-width", "1"], "--visual-width 1: must be an even number"),
        (["--visual-layers", "1", "0", "1", "1"], "--visual-layers 1 0 1 1: each stage must have"),
        (["--optimiser.schedule", "steps"], "--optimiser.schedule steps requires"),
        (["--optimiser.warmup-start", ".5"], "--optimiser.warmup-start 0.5 has no effect"),
    ],
)
def test_settings_without_effect_are_refused(flags, problem, capsys):
    with pytest.raises((ValueError, SystemExit)) as error:
        parse_pretraining(flags)
    assert problem in " ".join((str(error.value) + capsys.readouterr().err).split())
