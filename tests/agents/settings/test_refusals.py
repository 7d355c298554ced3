"""Settings without effect, out of range or in contradiction are refused in one line."""

import math
import re
from pathlib import Path

import pytest

from clipnav.agents.clear.settings import parse_language
from clipnav.agents.continuous.settings import (
    ContinuousNetworkConfig,
    ContinuousTrainConfig,
    EvaluateContinuousConfig,
    parse_continuous,
)
from clipnav.agents.duet.settings import (
    MapPretrainConfig,
    MapTrainConfig,
    MapTransformerConfig,
    parse_pretraining,
)
from clipnav.agents.envdrop.settings import SpeakerTrainConfig, TrainConfig, parse_speaker
from clipnav.agents.frontier.settings import FrontierTrainConfig
from clipnav.agents.hamt.settings import HistoryTrainConfig
from clipnav.agents.settings import (
    BackTranslationConfig,
    EvaluateConfig,
    FollowerConfig,
    ReinforcementConfig,
    SearchConfig,
    SpeakerConfig,
    TextConfig,
)
from clipnav.agents.settings.command_line import parse_agent
from clipnav.training.optimiser_settings import OptimiserConfig
from clipnav.training.settings import CONFIG, to_json

SPEAKER = "--back-translation.speaker runs/s"
MODEL = "--text.tokens pretrained --text.model bert"
LANGUAGE = "--dataset rxr --language-representation run"
MAP, HAMT, FRONTIER = "--agent map", "--agent hamt", "--agent frontier"
# What is given, beside what else, and why it has no effect.
WITHOUT_EFFECT = [
    ("--iterations 9", "--minutes 3", "with --minutes 3"),
    ("--instruction-language en", "--dataset r4r", "with --dataset r4r"),
    ("--reward ndtw", "", "with --reinforcement.weight 0"),
    ("--reinforcement.discount 0.5", "", "with --reinforcement.weight 0"),
    (
        "--max-instruction-length 40",
        "--instruction-ablation empty",
        "with --instruction-ablation empty",
    ),
    ("--max-training-steps 9", "--dataset rxr --max-episode-steps 8", "end after 8 steps"),
    ("--sampled-steps 0.1", "--imitation-weight 0 --reinforcement.weight 1", "--imitation-weight"),
    ("--sampled-steps 0.1", "--feedback sample", "with --feedback sample"),
    ("--follower.feature-dropout-kind batch", "--follower.feature-dropout 0", "feature-dropout 0"),
    ("--follower.no-standardise", "--no-vision", "with --no-vision"),
    ("--follower.embedding-size 99", MODEL, "with --text.tokens pretrained"),
    ("--follower.no-read-states", "", "without --text.model and --language-representation"),
    ("--back-translation.paths 9", "", "without --back-translation.speaker"),
    ("--back-translation.dropout batch", f"{SPEAKER} --no-vision", "with --no-vision"),
    (
        "--back-translation.dropout batch",
        f"{SPEAKER} --follower.feature-dropout 0",
        "with --follower.feature-dropout 0",
    ),
    ("--text.vocabulary-size 99", "", "with --text.tokens words, only with subwords"),
    ("--text.learning-rate 0.1", MODEL, "without --text.tune"),
    ("--optimiser.betas 0.5 0.6", "--world matterport --data-dir data", "--optimiser.name rmsprop"),
    ("--optimiser.milestones 5 6", "", "with --optimiser.schedule cosine"),
    ("--optimiser.warmup-start 0.5", "--optimiser.warmup 0", "without --optimiser.warmup"),
    ("--optimiser.clip-at 2.0", "--optimiser.clip none", "with --optimiser.clip none"),
    ("--clear.tune-language", "--dataset rxr", "without --language"),
    ("--clear.encode-stop", "--dataset rxr", "without --visual"),
    ("--clear.temperature 0.1", "--dataset rxr", "with --clear.contrastive-weight 0"),
    ("--text.vocabulary-size 500", LANGUAGE, "with --language-representation"),
    ("--visual-representation run", "--no-vision", "with --no-vision"),
    (
        "--clear.contrastive-weight 0.1",
        f"{LANGUAGE} --instruction-ablation shuffled",
        "with --instruction-ablation shuffled",
    ),
    ("--sampled-steps 0.5", f"{FRONTIER} --reinforcement.weight 1", "samples every decision"),
    ("--expert ndtw", f"{MAP} --sampled-weight 0", ""),
    ("--network.feature-dropout 0.2", f"{MAP} --no-vision", "with --no-vision"),
    ("--network.text-layers 1", f"{MAP} --network.text-encoder lstm", "text-encoder lstm"),
    ("--network.text-model-layers 2", MAP, "without --network.text-model"),
    (
        "--network.text-layers 1",
        f"{MAP} {MODEL} --network.text-model bert",
        "with --network.text-model",
    ),
    ("--angle-feature-size 8", MAP, ""),
    ("--network.text-encoder transformer", f"{MAP} {LANGUAGE}", ""),
    ("--freeze-encoders", HAMT, "without --start-from"),
    ("--teacher reference", f"{HAMT} --sampled-weight 0", "with --sampled-weight 0"),
    ("--critic-dropout 0.5", HAMT, "with --reinforcement.weight 0"),
]


def refusal(parse, arguments, capsys):
    """Return the message of a refused command line, without the frame that tyro adds."""
    with pytest.raises((ValueError, SystemExit)) as refused:
        parse(arguments)
    if refused.type is not SystemExit:
        assert "\n" not in str(refused.value)
        return str(refused.value)
    return " ".join(capsys.readouterr().err.replace("│", " ").split())


@pytest.mark.parametrize(("flag", "beside", "reason"), WITHOUT_EFFECT)
def test_settings_of_agents_without_effect_are_refused(flag, beside, reason, capsys):
    message = refusal(parse_agent, [*beside.split(), *flag.split()], capsys)
    assert re.search(rf"{re.escape(flag)} has no effect.*{re.escape(reason)}", message)
    parse_agent(beside.split())


@pytest.mark.parametrize(
    ("parse", "arguments", "message"),
    [
        (parse_speaker, "--no-vision --speaker.feature-dropout 0.1", "with --no-vision"),
        (parse_speaker, "--text.learning-rate 0.1", "without --text.tune"),
        (
            parse_pretraining,
            f"{MODEL} --network.text-model bert --text.tune --text.learning-rate 1e-6",
            "--text.learning-rate 1e-06 has no effect in pre-training",
        ),
        (
            parse_pretraining,
            "--language-representation runs/l --clear.tune-language "
            "--clear.language-learning-rate 1e-6",
            "--clear.language-learning-rate 1e-06 has no effect in pre-training",
        ),
        (parse_pretraining, "--angle-feature-size 8", "--angle-feature-size 8 has no effect"),
        (
            parse_continuous,
            "--rounds 1 --expert-probability 0.5",
            "--expert-probability 0.5 has no effect",
        ),
        (
            parse_continuous,
            "--network.kind seq2seq --network.action-size 8",
            "--network.action-size 8 has no effect",
        ),
        (parse_agent, "--agent mapp", "mapp: no such agent; choose one of follower, fr"),
        (parse_language, "--batch-size 1", "--batch-size 1: must be at least 2"),
        (parse_language, "--temperature 0", "--temperature 0: must be greater than 0"),
        (parse_language, "--select-by test", "--select-by test: not among --evaluation-splits"),
        (parse_language, "--dataset r2r --languages hi", "--languages hi has no effect"),
        (parse_language, "--encoder.model m", "--encoder.tokens pretrained requires --encoder.mod"),
        (parse_language, "--encoder.heads 3", "must be a multiple of --encoder.heads 3"),
        (parse_language, "--encoder.dropout 1", "--encoder.dropout 1: must be at least 0 and bel"),
    ],
)
def test_command_lines_are_refused(parse, arguments, message, capsys):
    assert message in refusal(parse, arguments.split(), capsys)


@pytest.mark.parametrize(
    "words",
    [
        # Settings of a preset may lose their effect by other flags.
        "--preset envdrop --optimiser.clip none",
        "--preset envdrop --no-vision --reinforcement.weight 0",
        "--dataset rxr --text.tokens words --instruction-language en",
        f"--preset envdrop {SPEAKER} --back-translation.paths 9",
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


@pytest.mark.parametrize(
    ("given", "beside", "message"),
    [
        ({"paths": 9}, {}, "--search.paths 9 has no effect without --search.method"),
        ({"sharpness": 0.5}, {"method": "beam"}, "--search.sharpness 0.5 .*only with frontier"),
        ({"paths": 9}, {"method": "frontier"}, "--search.paths 9 .*--search.method frontier"),
        (
            {"metre_cost": 0.5},
            {"method": "frontier", "tune": "val_seen"},
            "--search.metre-cost 0.5 .*with --search.tune val_seen",
        ),
        ({"expansions": 9}, {"method": "beam"}, "--search.expansions 9 .*method beam"),
        ({"alpha": 0.1}, {"method": "beam"}, "--search.alpha 0.1 .*without --search.speaker"),
        (
            {"alpha": 0.1},
            {"method": "beam", "speaker": Path("s"), "tune": "val_seen"},
            "--search.alpha 0.1 .*with --search.tune val_seen",
        ),
        ({"speaker": Path("s")}, {}, r"--search\.speaker s .* --search\.method beam"),
        ({"tune": "val_seen"}, {"method": "beam"}, r"--search\.tune val_seen .* --search\.speaker"),
    ],
)
def test_settings_of_searches_without_effect_are_refused(given, beside, message):
    with pytest.raises(ValueError, match=message):
        SearchConfig(**beside, **given)
    SearchConfig(**beside)


RUN = Path("run")
A2C = ReinforcementConfig(weight=1.0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: TrainConfig(minutes=0), "--minutes 0: "),
        (lambda: TrainConfig(select_by="test"), "--select-by test"),
        (lambda: TrainConfig(imitation_weight=0), "--imitation-weight 0 and --reinforcement"),
        (lambda: TrainConfig(imitation_weight=math.nan), "--imitation-weight nan: "),
        (lambda: TrainConfig(evaluation_splits="val_seen"), "val_seen: must be a tuple"),
        (lambda: SpeakerTrainConfig(max_instruction_length=1), "--max-instruction-length 1: "),
        (lambda: SpeakerTrainConfig(angle_feature_size=6), "--angle-feature-size 6: "),
        (lambda: FollowerConfig(dropout=1), "--follower.dropout 1: "),
        (lambda: FollowerConfig(hidden_size=0), "--follower.hidden-size 0: "),
        (lambda: FollowerConfig(hidden_size=7), "--follower.hidden-size 7: "),
        (lambda: SpeakerConfig(hidden_size=7), "--speaker.hidden-size 7: "),
        (lambda: SpeakerConfig(hidden_size=-2), "--speaker.hidden-size -2: "),
        (lambda: TextConfig(vocabulary_size=-5), "--text.vocabulary-size -5: "),
        (lambda: BackTranslationConfig(paths=0), "--back-translation.paths 0: must be at least 1"),
        (lambda: ReinforcementConfig(weight=-1), "--reinforcement.weight -1: "),
        (lambda: ReinforcementConfig(discount=7), "--reinforcement.discount 7: "),
        (lambda: OptimiserConfig(learning_rate=math.inf), "--optimiser.learning-rate inf: "),
        (lambda: OptimiserConfig(betas=(0.9, 1)), r"--optimiser.betas \(0.9, 1\): "),
        (lambda: SearchConfig(alpha=2), "--search.alpha 2: "),
        (lambda: SearchConfig(method="beam", paths=0), "--search.paths 0: "),
        (lambda: EvaluateConfig(RUN, batch_size=0), "--batch-size 0: "),
        (lambda: EvaluateConfig(RUN, partial=True), "--partial has no effect without --submission"),
        (lambda: EvaluateConfig(RUN, ("test", "test")), "--splits test test: names a split twice"),
        (
            lambda: EvaluateConfig(RUN, ("test", "val_seen"), submission=RUN),
            "--splits test val_seen",
        ),
        (lambda: FrontierTrainConfig(imitation_weight=0.0), "the run has no loss"),
        (lambda: MapTrainConfig(max_decisions=100), "--network.max-steps"),
        (lambda: MapTrainConfig(teacher_weight=0.0, sampled_weight=0.0), "the run has no loss"),
        (lambda: MapTrainConfig(instructions_per_path=13, batch_size=12), "--batch-size"),
        (lambda: MapTrainConfig(max_instruction_length=600), "--network.max-text-length"),
        (lambda: MapTrainConfig(cloning_iterations=-1), "--cloning-iterations"),
        (lambda: MapTrainConfig(sampled_steps=1.5), "--sampled-steps"),
        (
            lambda: MapTrainConfig(sampled_steps=0.3, reinforcement=A2C),
            "requires walks of the agent alone",
        ),
        (
            lambda: MapTrainConfig(text=TextConfig(tokens="pretrained", model="bert")),
            "require the same model",
        ),
        (
            lambda: MapTrainConfig(network=MapTransformerConfig(text_model="bert")),
            "require the same model",
        ),
        (lambda: MapPretrainConfig(masked_words=0.0, actions=0.0), "the run has no task"),
        (lambda: MapPretrainConfig(masked_views=1.0), "requires --class-scores"),
        (lambda: MapPretrainConfig(class_scores=RUN), "requires --class-scores"),
        (lambda: MapPretrainConfig(generated_share=1.5), "--generated-share"),
        (lambda: MapTransformerConfig(hidden_size=10, heads=3), "divisible"),
        (lambda: MapTransformerConfig(dropout=1.0), "--network.dropout"),
        (lambda: MapTransformerConfig(cross_layers=0), "cross-layers"),
        (lambda: MapTransformerConfig(text_model="bert", text_model_layers=0), "text-model-layers"),
        (lambda: HistoryTrainConfig(max_episode_steps=101), "--network.max-steps 100"),
        (lambda: HistoryTrainConfig(critic_dropout=1.0), "--critic-dropout 1: must be at least 0"),
        (lambda: ContinuousTrainConfig(depth_pixels=50), "--depth-pixels 50: must be a multiple"),
        (lambda: ContinuousTrainConfig(world="matterport"), "--world matterport: has no floors"),
        (lambda: ContinuousTrainConfig(rounds=0), "--rounds 0: must be at least 1"),
        (lambda: ContinuousTrainConfig(expert_probability=1.5), "--expert-probability 1.5: must"),
        (lambda: ContinuousTrainConfig(minutes=1.0), "rounds divide --iterations"),
        (lambda: ContinuousNetworkConfig(state_size=15), r"--network\.state-size 15: must be even"),
        (lambda: EvaluateContinuousConfig(RUN, splits=()), "names no split"),
        (lambda: EvaluateContinuousConfig(RUN, batch_size=0), "--batch-size 0"),
        (lambda: EvaluateContinuousConfig(RUN, episodes=3, submission=RUN), "all episodes"),
        (
            lambda: EvaluateContinuousConfig(RUN, ("a", "b"), submission=RUN),
            "exactly one split with --submission",
        ),
    ],
)
def test_values_out_of_range_and_contradictions_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()
