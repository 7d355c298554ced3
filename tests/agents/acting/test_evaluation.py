import numpy as np
import pytest

import clipnav
from clipnav.agents.acting.baselines import TeacherAgent
from clipnav.agents.acting.environments import make_env
from clipnav.agents.acting.evaluation import Evaluation, as_results, compare, evaluate, table
from clipnav.envs.continuous.measures import continuous_metrics
from clipnav.envs.metrics import Metric, metrics
from clipnav.envs.metrics.table import by_name


@pytest.mark.parametrize("split", ["train", "val_unseen"])
def test_every_episode_is_walked_once(doors_config, split):
    # 96 and 24 episodes in batches of 16: the last batch is full or half empty.
    env = make_env(doors_config, split)
    walked = []
    agent = TeacherAgent()
    begin = agent.begin
    agent.begin = lambda observation, info, live: (
        walked.extend(info["instr_id"][live]),
        begin(observation, info, live),
    )
    evaluation = evaluate(env, agent)
    names = [episode.instr_id for episode in env.episodes]
    assert sorted(walked) == sorted(names)
    assert list(evaluation.trajectories) == list(evaluation.scores) == names
    for episode in env.episodes:
        path = [pose[0] for pose in evaluation.trajectories[episode.instr_id]]
        assert path == list(episode.path)
    assert evaluation.summary()["SR"] == 1.0
    assert evaluation.by_language()["en"] == evaluation.summary()


def test_an_own_agent_is_evaluated_through_the_public_names(doors_env):
    class Own:
        def begin(self, observation, info, live):
            self.ended = np.zeros(len(observation["heading"]), bool)

        def act(self, observation, info, live):
            assert len(observation["heading"]) == len(info["teacher_action"]) == len(self.ended)
            assert (np.diff(live) > 0).all()
            assert not self.ended[live].any()
            actions = info["teacher_action"][live]
            self.ended[live] = actions == 0
            return actions

    evaluation = clipnav.evaluate(doors_env, Own())
    assert isinstance(evaluation, clipnav.Evaluation)
    assert evaluation.summary()["SR"] == 1.0


def test_comparison_names_its_agents(doors_env):
    summaries = compare(doors_env, {"mine": TeacherAgent()}, 0, "train")["train"]
    assert list(summaries) == ["mine", "random", "forward", "shortest path"]
    assert summaries["mine"] == summaries["shortest path"]
    assert compare(doors_env, {}, 0, "train")["train"]["random"] == summaries["random"]


@pytest.mark.parametrize(
    ("languages", "parts"),
    [
        ("en en", {"val": ["follower", "object names"]}),
        ("te te", {"val": ["follower"]}),
        (
            "en te",
            {"val": ["follower"], "val/en": ["follower", "object names"], "val/te": ["follower"]},
        ),
    ],
)
def test_names_of_objects_are_compared_in_their_language_alone(languages, parts):
    scores = dict.fromkeys("ab", dict.fromkeys([m.column for m in metrics().values()], 1.0))
    scores = {name: {**columns, "rgs": 0.5} for name, columns in scores.items()}
    spoken = dict(zip("ab", languages.split(), strict=True))
    evaluation = Evaluation({}, scores, spoken, by_name(Metric("RGS", "rgs")))
    results = as_results("val", {"follower": evaluation, "object names": evaluation})
    assert {part: list(agents) for part, agents in results.items()} == parts
    # The metrics of a dataset are in each part, too.
    assert all(one["RGS"] == 0.5 for agents in results.values() for one in agents.values())


def test_table_is_aligned():
    summary = {"TL": 9.5, "NE": 1, "OSR": 1, "SR": 0.5, "SPL": 0.4444, "nDTW": 0.1, "sDTW": 0.05}
    text = table({"val_unseen": {"follower": summary, "shortest path": summary}}, metrics("table"))
    header, first, second = text.splitlines()
    assert header.split() == ["split", "agent", "TL", "NE", "OSR", "SR", "SPL", "nDTW", "sDTW"]
    assert first.split()[1:] == ["follower", "9.50", "1.00", "100.0", "50.0", "44.4", "10.0", "5.0"]
    assert len(header) == len(first) == len(second)


def test_continuous_tables_have_steps_and_no_scores_of_secret_goals():
    text = table(
        {"val_unseen": {"cma": {"TL": 9, "steps": 31.25}, "expert": {}}}, continuous_metrics()
    )
    header, first, second = (line.split() for line in text.splitlines())
    assert header[-2:] == ["sDTW", "steps"]
    assert (first[2], first[-1]) == ("9.00", "31.2")
    assert second[2:] == ["-"] * len(continuous_metrics())
