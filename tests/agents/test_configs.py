import dataclasses
import json
import re
from pathlib import Path

import pytest

from agents.command_line import EvaluateConfig, parse_speaker, parse_train
from agents.configs import FollowerConfig, SpeakerConfig, SpeakerTrainConfig, TrainConfig
from agents.presets import preset, speaker_preset
from agents.search_config import SearchConfig
from storage.runs.settings import CONFIG, differences, read_config, to_json


def test_dataset_and_world_change_other_defaults():
    assert parse_train([]) == preset("r2r", "houses")
    config = parse_train(["--follower.hidden-size", "96", "--dataset", "rxr", "--no-vision"])
    wanted = preset("rxr", "houses")
    follower = dataclasses.replace(wanted.follower, hidden_size=96)
    assert config == dataclasses.replace(wanted, vision=False, follower=follower)
    config = parse_train(["--world=matterport", "--data-dir", "data", "--minutes", "2.5"])
    assert config.iterations == preset("r2r", "matterport").iterations
    assert config.data_dir == Path("data")
    assert config.reinforcement.weight == 1.0
    assert config.minutes == 2.5


def test_language_is_left_out_by_a_short_form():
    assert parse_train([]).language == "read"
    short = parse_train(["--dataset", "rxr", "--no-language", "--no-vision"])
    assert short == parse_train(["--dataset", "rxr", "--language", "none", "--no-vision"])
    assert short.run_name == "rxr-houses-no-vision-no-language"
    shuffled = parse_train(["--language", "shuffled", "--seed", "4"])
    assert (shuffled.exchanged_words, shuffled.run_name) == (4, "r2r-houses-shuffled")


def test_a_run_that_goes_on_from_another_has_a_name_of_its_own():
    first = parse_train([])
    second = dataclasses.replace(first, start_from=Path("runs", first.run_name))
    assert second.run_name == f"{first.run_name}-continued"


@pytest.mark.parametrize(
    "arguments",
    [["--dataset", "r3r"], ["--world", "moon"], ["--iterations", "many"], ["--preset", "duet"]],
)
def test_wrong_values_are_refused(arguments, capsys):
    with pytest.raises(SystemExit) as exit_:
        parse_train(arguments)
    assert exit_.value.code != 0
    assert arguments[1] in capsys.readouterr().err


def test_recipes_are_read_first():
    arguments = ["--preset", "clip-vil-rxr", "--spoken", "hi", "--batch-size", "32"]
    config = parse_train(arguments)
    assert config.preset == "clip-vil-rxr"
    assert config.dataset == "rxr"
    wanted = preset("rxr", "houses", "clip-vil-rxr")
    assert config == dataclasses.replace(wanted, spoken="hi", batch_size=32)
    config = parse_train(["--preset", "envdrop", "--back-translation.speaker", "runs/speaker"])
    assert config.back_translation.speaker == Path("runs/speaker")
    assert config.follower.feature_dropout == 0.4
    speaker = parse_speaker(["--preset", "envdrop", "--world", "matterport"])
    assert speaker == speaker_preset("r2r", "matterport", "envdrop")


def test_who_goes_on_from_a_run_is_rewarded_in_the_houses(tmp_path):
    (tmp_path / CONFIG).write_text(to_json(preset("r2r", "houses")))
    wanted = preset("r2r", "houses", continued=True)
    found = parse_train(["--start-from", str(tmp_path), "--seed", "2"])
    assert found == dataclasses.replace(wanted, start_from=tmp_path, seed=2)
    # On other data a follower learns as others do.
    for dataset, world in (("r2r", "matterport"), ("rxr", "houses"), ("r2r", "houses-standard")):
        found = parse_train(["--dataset", dataset, "--world", world, f"--start-from={tmp_path}"])
        assert found == dataclasses.replace(preset(dataset, world), start_from=tmp_path)


def test_names_with_underscores_choose_defaults_too(tmp_path):
    (tmp_path / CONFIG).write_text(to_json(preset("r2r", "houses")))
    start = ["--start-from", str(tmp_path), "--output=a_b", "--max-training-steps=8"]
    words = [f"--start_from={tmp_path}", "--output=a_b", "--max_training_steps=8"]
    assert parse_train(words) == parse_train(start)
    speaker = ["--preset", "envdrop", "--back-translation.speaker", "runs/a_speaker"]
    found = parse_train([word.replace("k-t", "k_t") for word in speaker])
    assert found == parse_train(speaker)
    assert found.back_translation.speaker == Path("runs/a_speaker")


@pytest.mark.parametrize("name", ["--resume", "--start-from", "--dataset", "--preset"])
def test_a_value_that_is_missing_is_named_by_the_parser_of_all_flags(name, capsys):
    with pytest.raises(SystemExit):
        parse_train([name])
    complaint = capsys.readouterr().err
    assert name in complaint
    assert "--back-translation.speaker" not in complaint


def test_starts_from_no_folder_but_a_run(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"config\.json: no such file"):
        parse_train(["--start-from", str(tmp_path)])


def test_settings_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="--batch-size"):
        TrainConfig(batch_size=0)
    with pytest.raises(ValueError, match="--select-by test"):
        TrainConfig(select_by="test")


@pytest.mark.parametrize(
    ("flag", "make"),
    [
        ("--minutes 0", lambda: TrainConfig(minutes=0)),
        ("--max-training-steps 0", lambda: TrainConfig(max_training_steps=0)),
        ("--max-episode-steps -1", lambda: TrainConfig(max_episode_steps=-1)),
        ("--threads 0", lambda: SpeakerTrainConfig(threads=0)),
        ("--follower.dropout 1", lambda: FollowerConfig(dropout=1)),
        ("--follower.feature-dropout -0.1", lambda: FollowerConfig(feature_dropout=-0.1)),
        ("--speaker.feature-dropout 1", lambda: SpeakerConfig(feature_dropout=1.0)),
        ("--search.paths 0", lambda: SearchConfig(method="beam", paths=0)),
        ("--search.expansions 0", lambda: SearchConfig(method="best-first", expansions=0)),
        ("--batch-size 0", lambda: EvaluateConfig(Path("run"), batch_size=0)),
    ],
)
def test_numbers_that_make_no_sense_are_named(flag, make):
    with pytest.raises(ValueError, match=f"{flag}: "):
        make()


def test_settings_of_a_search_that_would_change_nothing_are_refused():
    speaker = Path("runs/speaker")
    with pytest.raises(
        ValueError, match=r"--search\.speaker runs/speaker .* --search\.method beam"
    ):
        SearchConfig(speaker=speaker)
    with pytest.raises(ValueError, match=r"--search\.tune val_seen .* add --search\.speaker"):
        SearchConfig(method="beam", tune="val_seen")
    SearchConfig(method="beam", speaker=speaker, tune="val_seen")


SPEAKER = "--back-translation.speaker runs/s"
MODEL = "--text.tokens pretrained --text.model bert"
WITHOUT_EFFECT = [
    # what is given, beside what else, and why it has no effect
    ("--iterations 9", "--minutes 3", "with --minutes 3"),
    ("--data-dir data", "", "with --world houses"),
    ("--data-dir data", "--world houses-standard", "with --world houses-standard"),
    ("--spoken en", "", "with --dataset r2r"),
    ("--spoken en", "--dataset r4r", "with --dataset r4r"),
    ("--reward ndtw", "", "with --reinforcement.weight 0"),
    ("--reward distance", "--dataset rxr", "with --reinforcement.weight 0"),
    ("--reinforcement.discount 0.5", "", "with --reinforcement.weight 0"),
    ("--reinforcement.value 0.1", "", "with --reinforcement.weight 0"),
    ("--reinforcement.entropy 0.1", "", "with --reinforcement.weight 0"),
    ("--max-instruction-length 40", "--no-language", "with --language none"),
    ("--max-training-steps 20", "", "cut off after 20 steps"),
    ("--max-training-steps 9", "--dataset rxr --max-episode-steps 8", "cut off after 8 steps"),
    ("--feedback sample", "--imitation-weight 0 --reinforcement.weight 1", "--imitation-weight 0"),
    ("--sampled-steps 0.1", "--imitation-weight 0 --reinforcement.weight 1", "--imitation-weight"),
    ("--teacher reference", "--imitation-weight 0 --reinforcement.weight 1", "--imitation-weight"),
    ("--sampled-steps 0.1", "--feedback sample", "with --feedback sample"),
    ("--follower.feature-dropout-kind batch", "--follower.feature-dropout 0", "feature-dropout 0"),
    ("--follower.feature-dropout-kind batch", "--no-vision", "with --no-vision"),
    ("--follower.feature-dropout 0.1", "--no-vision", "with --no-vision"),
    ("--follower.no-standardise", "--no-vision", "with --no-vision"),
    ("--follower.embedding-size 99", MODEL, "with --text.tokens pretrained"),
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
    """What a parser says to a command line that it refuses; tyro frames what dataclasses say."""

    def of(parse, words):
        with pytest.raises((ValueError, SystemExit)) as refused:
            parse(words)
        if refused.type is ValueError:
            return str(refused.value)
        return " ".join(capsys.readouterr().err.replace("│", " ").split())

    return of


@pytest.mark.parametrize(("flag", "beside", "reason"), WITHOUT_EFFECT)
def test_settings_of_followers_without_effect_are_refused(flag, beside, reason, complaint):
    said = complaint(parse_train, [*flag.split(), *beside.split()])
    assert re.search(refusal(flag, reason), said)
    parse_train(beside.split())


@pytest.mark.parametrize(("flag", "beside", "reason"), WITHOUT_EFFECT_ON_SPEAKERS)
def test_settings_of_speakers_without_effect_are_refused(flag, beside, reason, complaint):
    said = complaint(parse_speaker, [*flag.split(), *beside.split()])
    assert re.search(refusal(flag, reason), said)
    parse_speaker(beside.split())


@pytest.mark.parametrize(
    "words",
    [
        # What a preset brings is no fault of who turns off what it is for.
        "--preset envdrop --optimiser.clip none",
        "--preset envdrop --optimiser.name adam --optimiser.betas 0.8 0.9",
        "--preset envdrop --follower.feature-dropout 0",
        "--preset envdrop --no-vision --reinforcement.weight 0",
        "--optimiser.schedule constant --optimiser.warmup 0",
        "--dataset rxr --text.tokens words --spoken en",
        "--max-episode-steps 5",
        "--features store --no-vision",
        f"--preset envdrop {SPEAKER} --back-translation.paths 9",
        f"--imitation-weight 0 --feedback sample {SPEAKER}",
        f"{MODEL} --text.tune --text.learning-rate 0.1",
        "--reinforcement.weight 1 --reward ndtw --reinforcement.discount 0.5",
    ],
)
def test_settings_with_effect_are_taken(words):
    parse_train(words.split())


def test_what_a_run_that_goes_on_would_not_heed_is_refused(tmp_path):
    (tmp_path / CONFIG).write_text(to_json(parse_train(["--minutes", "3"])))
    resume = ["--resume", str(tmp_path)]
    assert parse_train([*resume, "--minutes", "5"]).minutes == 5
    with pytest.raises(ValueError, match=r"^--iterations 9 has no effect with --minutes 3"):
        parse_train([*resume, "--iterations", "9"])


def test_training_without_any_loss_is_refused():
    with pytest.raises(ValueError, match="--imitation-weight 0 and --reinforcement"):
        TrainConfig(imitation_weight=0)


SEARCHES_WITHOUT_EFFECT = [
    ({"paths": 9}, {}, "--search.paths 9", "without --search.method"),
    ({"expansions": 9}, {}, "--search.expansions 9", "without --search.method"),
    ({"alpha": 0.1}, {}, "--search.alpha 0.1", "without --search.method"),
    ({"per_word": True}, {}, "--search.per-word", "without --search.method"),
    ({"per_action": True}, {}, "--search.per-action", "without --search.method"),
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


def test_submissions_in_part_are_written_somewhere():
    with pytest.raises(ValueError, match="--partial has no effect without --submission"):
        EvaluateConfig(Path("run"), partial=True)


def test_settings_survive_the_folder_of_a_run(tmp_path):
    config = parse_train(
        ["--features", "a.safetensors", "--seed", "3", "--optimiser.learning-rate", "0.02"]
    )
    (tmp_path / CONFIG).write_text(to_json(config))
    assert read_config(tmp_path, TrainConfig) == config


def test_settings_of_an_earlier_run_lack_what_came_later(tmp_path):
    config = preset("r2r", "houses")
    values = json.loads(to_json(config))
    del values["sampled_steps"], values["follower"]["keeps_place"]
    (tmp_path / CONFIG).write_text(json.dumps(values))
    follower = dataclasses.replace(config.follower, keeps_place=False)
    assert read_config(tmp_path, TrainConfig) == dataclasses.replace(config, follower=follower)


def test_settings_of_an_earlier_speaker_may_have_what_changed_nothing(tmp_path):
    config = speaker_preset("rxr", "houses")
    assert not hasattr(config, "reward")
    (tmp_path / CONFIG).write_text(json.dumps({**json.loads(to_json(config)), "reward": "ndtw"}))
    assert read_config(tmp_path, SpeakerTrainConfig) == config


def test_damaged_settings_name_the_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"config\.json"):
        read_config(tmp_path, TrainConfig)
    text = to_json(TrainConfig())
    for damaged, problem in (
        (text[:100], "not JSON"),
        (text.replace('"seed"', '"sead"'), "sead"),
        (text.replace('"hidden_size"', '"hiden"'), "hiden"),
        (text.replace('"read"', "true"), "language is True, none of read, none, shuffled"),
    ):
        (tmp_path / CONFIG).write_text(damaged)
        with pytest.raises(ValueError, match=problem) as error:
            read_config(tmp_path, TrainConfig)
        assert str(tmp_path / CONFIG) in str(error.value)


def test_resuming_keeps_the_settings_of_the_run(tmp_path):
    config = parse_train(["--dataset", "rxr", "--batch-size", "16"])
    (tmp_path / CONFIG).write_text(to_json(config))
    resumed = parse_train(["--resume", str(tmp_path), "--iterations", "9"])
    assert resumed == dataclasses.replace(config, resume=tmp_path, iterations=9)


def test_a_run_goes_on_in_its_own_folder(tmp_path):
    (tmp_path / CONFIG).write_text(to_json(parse_train(["--output", "runs/first"])))
    assert parse_train(["--resume", str(tmp_path)]).output == Path("runs/first")
    with pytest.raises(ValueError, match=r"output: runs/first against runs/second; leave"):
        parse_train(["--resume", str(tmp_path), "--output", "runs/second"])


def test_resuming_with_other_settings_names_both_values(tmp_path):
    config = parse_train(["--batch-size", "16"])
    (tmp_path / CONFIG).write_text(to_json(config))
    arguments = ["--resume", str(tmp_path), "--batch-size", "32", "--follower.hidden-size", "64"]
    with pytest.raises(ValueError, match="batch_size: 16 against 32") as error:
        parse_train(arguments)
    assert "follower.hidden_size: 256 against 64" in str(error.value)


def test_differences_look_into_parts():
    one, other = preset("r2r", "matterport"), preset("r2r", "houses")
    found = differences(one, other, frozenset({"follower"}))
    assert "world: matterport against houses" in found
    assert "optimiser.name: rmsprop against adam" in found
    assert not any(line.startswith("follower") for line in found)
