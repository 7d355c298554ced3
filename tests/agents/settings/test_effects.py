"""Settings without effect are refused on a command line and accepted in a preset."""

import re
from pathlib import Path

import pytest

from clipnav.agents.envdrop.presets import parse_speaker
from clipnav.agents.envdrop.settings import TrainConfig
from clipnav.agents.settings import EvaluateConfig, SearchConfig
from clipnav.agents.settings.command_line import parse_agent
from clipnav.training.settings import CONFIG, to_json

SPEAKER = "--back-translation.speaker runs/s"
MODEL = "--text.tokens pretrained --text.model bert"
WITHOUT_EFFECT = [
    # what is given, beside what else, and why it has no effect
    ("--iterations 9", "--minutes 3", "with --minutes 3"),
    ("--data-dir data", "", "with --world houses"),
    ("--data-dir data", "--world houses-standard", "with --world houses-standard"),
    ("--instruction-language en", "", "with --dataset r2r"),
    ("--instruction-language en", "--dataset r4r", "with --dataset r4r"),
    ("--reward ndtw", "", "with --reinforcement.weight 0"),
    ("--reward distance", "--dataset rxr", "with --reinforcement.weight 0"),
    ("--reinforcement.discount 0.5", "", "with --reinforcement.weight 0"),
    ("--reinforcement.value 0.1", "", "with --reinforcement.weight 0"),
    ("--reinforcement.entropy 0.1", "", "with --reinforcement.weight 0"),
    (
        "--max-instruction-length 40",
        "--instruction-ablation empty",
        "with --instruction-ablation empty",
    ),
    ("--max-training-steps 20", "", "end after 20 steps"),
    ("--max-training-steps 9", "--dataset rxr --max-episode-steps 8", "end after 8 steps"),
    ("--feedback sample", "--imitation-weight 0 --reinforcement.weight 1", "--imitation-weight 0"),
    ("--sampled-steps 0.1", "--imitation-weight 0 --reinforcement.weight 1", "--imitation-weight"),
    ("--teacher reference", "--imitation-weight 0 --reinforcement.weight 1", "--imitation-weight"),
    ("--sampled-steps 0.1", "--feedback sample", "with --feedback sample"),
    ("--follower.feature-dropout-kind batch", "--follower.feature-dropout 0", "feature-dropout 0"),
    ("--follower.feature-dropout-kind batch", "--no-vision", "with --no-vision"),
    ("--follower.feature-dropout 0.1", "--no-vision", "with --no-vision"),
    ("--follower.no-standardise", "--no-vision", "with --no-vision"),
    ("--follower.embedding-size 99", MODEL, "with --text.tokens pretrained"),
    ("--follower.no-read-states", "", "without --text.model and --language-representation"),
    ("--back-translation.paths 9", "", "without --back-translation.speaker"),
    ("--back-translation.imitation-weight 0.1", "", "without --back-translation.speaker"),
    ("--back-translation.dropout batch", "", "without --back-translation.speaker"),
    ("--back-translation.dropout batch", f"{SPEAKER} --no-vision", "with --no-vision"),
    (
        "--back-translation.dropout batch",
        f"{SPEAKER} --follower.feature-dropout 0",
        "with --follower.feature-dropout 0",
    ),
    ("--text.vocabulary-size 99", "", "with --text.tokens words, only with subwords"),
    ("--text.vocabulary-size 99", MODEL, "with --text.tokens pretrained, only with subwords"),
    ("--text.tune", "", "without --text.model"),
    ("--text.learning-rate 0.1", MODEL, "without --text.tune"),
    ("--optimiser.betas 0.5 0.6", "--world matterport --data-dir data", "--optimiser.name rmsprop"),
    ("--optimiser.milestones 5 6", "", "with --optimiser.schedule cosine"),
    ("--optimiser.decay 0.5", "", "with --optimiser.schedule cosine"),
    ("--optimiser.warmup-start 0.5", "--optimiser.warmup 0", "without --optimiser.warmup"),
    ("--optimiser.clip-at 2.0", "--optimiser.clip none", "with --optimiser.clip none"),
]
WITHOUT_EFFECT_ON_SPEAKERS = [
    ("--iterations 9", "--minutes 3", "with --minutes 3"),
    ("--speaker.feature-dropout-kind batch", "--speaker.feature-dropout 0", "feature-dropout 0"),
    ("--speaker.feature-dropout-kind batch", "--no-vision", "with --no-vision"),
    ("--speaker.feature-dropout 0.1", "--no-vision", "with --no-vision"),
    ("--speaker.no-standardise", "--no-vision", "with --no-vision"),
    ("--text.learning-rate 0.1", "", "without --text.tune"),
]


def refusal(flag, reason):
    return rf"{re.escape(flag)} has no effect .*{re.escape(reason)}"


@pytest.fixture
def complaint(capsys):
    """Return the error message of a refused command line, without the frame that tyro adds."""

    def of(parse, words):
        with pytest.raises((ValueError, SystemExit)) as refused:
            parse(words)
        if refused.type is not SystemExit:
            return str(refused.value)
        return " ".join(capsys.readouterr().err.replace("│", " ").split())

    return of


@pytest.mark.parametrize(("flag", "beside", "reason"), WITHOUT_EFFECT)
def test_settings_of_followers_without_effect_are_refused(flag, beside, reason, complaint):
    message = complaint(parse_agent, [*flag.split(), *beside.split()])
    assert re.search(refusal(flag, reason), message)
    parse_agent(beside.split())


@pytest.mark.parametrize(("flag", "beside", "reason"), WITHOUT_EFFECT_ON_SPEAKERS)
def test_settings_of_speakers_without_effect_are_refused(flag, beside, reason, complaint):
    message = complaint(parse_speaker, [*flag.split(), *beside.split()])
    assert re.search(refusal(flag, reason), message)
    parse_speaker(beside.split())


@pytest.mark.parametrize(
    "words",
    [
        # Settings of a preset may lose their effect by other flags.
        "--preset envdrop --optimiser.clip none",
        "--preset envdrop --optimiser.name adam --optimiser.betas 0.8 0.9",
        "--preset envdrop --follower.feature-dropout 0",
        "--preset envdrop --no-vision --reinforcement.weight 0",
        "--optimiser.schedule constant --optimiser.warmup 0",
        "--dataset rxr --text.tokens words --instruction-language en",
        "--max-episode-steps 5",
        "--features store --no-vision",
        f"--preset envdrop {SPEAKER} --back-translation.paths 9",
        f"--imitation-weight 0 --feedback sample {SPEAKER}",
        f"{MODEL} --text.tune --text.learning-rate 0.1",
        "--reinforcement.weight 1 --reward ndtw --reinforcement.discount 0.5",
    ],
)
def test_settings_with_effect_are_accepted(words):
    parse_agent(words.split())


def test_settings_without_effect_on_a_resumed_run_are_refused(tmp_path):
    (tmp_path / CONFIG).write_text(to_json(parse_agent(["--minutes", "3"])))
    resume = ["--resume", str(tmp_path)]
    assert parse_agent([*resume, "--minutes", "5"]).minutes == 5
    with pytest.raises(ValueError, match=r"^--iterations 9 has no effect with --minutes 3"):
        parse_agent([*resume, "--iterations", "9"])


def test_training_without_any_loss_is_refused():
    with pytest.raises(ValueError, match="--imitation-weight 0 and --reinforcement"):
        TrainConfig(imitation_weight=0)


SEARCHES_WITHOUT_EFFECT = [
    ({"paths": 9}, {}, "--search.paths 9", "without --search.method"),
    ({"expansions": 9}, {}, "--search.expansions 9", "without --search.method"),
    ({"alpha": 0.1}, {}, "--search.alpha 0.1", "without --search.method"),
    ({"per_word": True}, {}, "--search.per-word", "without --search.method"),
    ({"per_action": True}, {}, "--search.per-action", "without --search.method"),
    ({"metre_cost": 0.5}, {}, "--search.metre-cost 0.5", "without --search.method"),
    ({"sharpness": 0.5}, {"method": "beam"}, "--search.sharpness 0.5", "only with frontier"),
    ({"paths": 9}, {"method": "frontier"}, "--search.paths 9", "with --search.method frontier"),
    (
        {"metre_cost": 0.5},
        {"method": "frontier", "tune": "val_seen"},
        "--search.metre-cost 0.5",
        "with --search.tune val_seen",
    ),
    ({"expansions": 9}, {"method": "beam"}, "--search.expansions 9", "method beam"),
    ({"alpha": 0.1}, {"method": "beam"}, "--search.alpha 0.1", "without --search.speaker"),
    ({"per_word": True}, {"method": "beam"}, "--search.per-word", "without --search.speaker"),
    ({"per_action": True}, {"method": "beam"}, "--search.per-action", "without --search.speaker"),
    (
        {"alpha": 0.1},
        {"method": "beam", "speaker": Path("s"), "tune": "val_seen"},
        "--search.alpha 0.1",
        "with --search.tune val_seen",
    ),
]


@pytest.mark.parametrize(("given", "beside", "flag", "reason"), SEARCHES_WITHOUT_EFFECT)
def test_settings_of_searches_without_effect_are_refused(given, beside, flag, reason):
    with pytest.raises(ValueError, match=refusal(flag, reason)):
        SearchConfig(**beside, **given)
    SearchConfig(**beside)


def test_partial_requires_a_submission():
    with pytest.raises(ValueError, match="--partial has no effect without --submission"):
        EvaluateConfig(Path("run"), partial=True)
