import json

import msgspec
import numpy as np
import pytest

from clipnav.agents.acting.baselines import TeacherAgent
from clipnav.envs.graphs.goal import Goal
from clipnav.envs.metrics import metrics, score_path
from clipnav.envs.navigation.vector_env import VlnVectorEnv
from clipnav.envs.navigation.vln_env import VlnEnv, make_vln_vector_env
from clipnav.envs.submissions.ground_truth import ScoringRules, load_ground_truth
from clipnav.storage import temporary_path
from clipnav.storage.errors import UserError
from clipnav.viewer.site.library import Library, episode_of
from clipnav.viewer.trace import (
    outcome,
    read_traces,
    record,
    trace_json,
    trace_of_path,
    traces_of_submission,
    write_trace,
)
from clipnav.viewer.trace.building import Setting

MINE = Setting("agent", "matterport", "r2r", "train")


def test_a_recording_follows_the_walk(tiny_env, traces):
    for trace in traces[:14]:
        graph = tiny_env.nav_world.graphs[trace.scan]
        assert list(trace.walked) == graph.shortest_path(trace.path[0], trace.path[-1])
        assert trace.ending == "stopped"
        assert trace.steps[-1].action == 0
        assert trace.steps[-1].distance_to_goal == 0
        assert outcome(trace) == "success"
        for step, following in zip(trace.steps, trace.steps[1:], strict=False):
            assert step.candidates[step.action - 1].viewpoint == following.viewpoint
            assert step.candidates[step.action - 1].probability == 0.9
            assert step.stop_probability == pytest.approx(0.1)
            assert step.value == 0.5
            assert sum(step.word_attention) == pytest.approx(1)


def test_metrics_are_of_the_walk_up_to_each_step(tiny_env, traces):
    for trace in traces:
        graph = tiny_env.nav_world.graphs[trace.scan]
        for number, step in enumerate(trace.steps):
            scores = score_path(graph, trace.walked[: number + 1], trace.path)
            for short, metric in metrics().items():
                assert step.metrics[short] == pytest.approx(scores[metric.column], abs=6e-5)


def test_geometry_is_the_graphs(tiny_env, traces):
    graph = tiny_env.nav_world.graphs["attic"]
    for step in traces[0].steps:
        here = graph.positions[graph.index(step.viewpoint)]
        assert {c.viewpoint for c in step.candidates} == set(graph.neighbours(step.viewpoint))
        for candidate in step.candidates:
            there = graph.positions[graph.index(candidate.viewpoint)] - here
            across = np.hypot(*there[:2])
            assert candidate.distance == pytest.approx(np.linalg.norm(there), abs=1e-3)
            facing = [np.sin(candidate.heading), np.cos(candidate.heading)]
            np.testing.assert_allclose(facing, there[:2] / across, atol=1e-3)
            assert np.tan(candidate.floor) == pytest.approx((there[2] - 1.5) / across, abs=2e-3)


def test_a_walk_that_never_stops_is_cut_off(traces):
    trace = traces[14]
    assert trace.agent == "wanderer"
    assert trace.ending == "cut off"
    assert len(trace.steps) == 7
    assert trace.steps[-1].action is None
    assert trace.steps[0].word_attention is None
    assert trace.steps[0].candidates[0].probability is None


def test_a_recording_replaces_only_traces_of_the_same_agent_and_split(
    tiny_env, teacher, traces, tmp_path
):
    for _ in range(2):
        record(tiny_env, teacher, ["100_0"], tmp_path, name="teacher")
    path = tmp_path / "100_0.json"
    with pytest.raises(FileExistsError, match=r"100_0\.json: .* by 'teacher' .* another folder"):
        record(tiny_env, teacher, ["101_1", "100_0"], tmp_path, name="other")
    assert read_traces(tmp_path) == [traces[0]]
    for field, value in {"split": "val_seen", "dataset": "r4r", "world": "houses"}.items():
        path.write_bytes(trace_json(msgspec.structs.replace(traces[0], **{field: value})))
        before = path.read_bytes()
        with pytest.raises(FileExistsError, match=value):
            record(tiny_env, teacher, ["100_0"], tmp_path, name="teacher")
        assert path.read_bytes() == before


def test_a_recording_requires_a_batch_without_autoreset(tiny_env, teacher):
    env = VlnVectorEnv(tiny_env.split, 2, tiny_env.settings)
    with pytest.raises(ValueError, match="make it with autoreset_mode='Disabled'"):
        record(env, teacher, ["100_0"], name="teacher")
    with pytest.raises(TypeError, match="no batch of agents"):
        record(VlnEnv(tiny_env.split, tiny_env.settings), teacher, ["100_0"], name="teacher")


def test_secret_goals_stay_secret(secret_env, wanderer):
    traces = record(secret_env, wanderer, ["300_0", "301_1"], name="w")
    assert all(trace.path == trace.walked[:1] for trace in traces)
    assert all(step.metrics == {} for trace in traces for step in trace.steps)
    assert all(step.distance_to_goal is None for trace in traces for step in trace.steps)
    assert outcome(traces[0]) == "unknown"


def test_outcomes(tiny_env, traces):
    graph = tiny_env.nav_world.graphs["attic"]
    episode = tiny_env.episodes[0]  # a0 a1 a2 a5
    there_and_away = ["a0", "a1", "a2", "a5", "a4", "a3"]
    assert outcome(trace_of_path(MINE, episode, graph, there_and_away)) == "wrong stop"
    assert outcome(trace_of_path(MINE, episode, graph, ["a0", "a3", "a6"])) == "lost"


def test_files_come_back_as_they_were(traces, tmp_path):
    for trace in traces[:3]:
        write_trace(trace, tmp_path / "teacher")
    write_trace(traces[-1], tmp_path / "wanderer")
    assert read_traces(tmp_path) == [*traces[:3], traces[-1]]
    assert read_traces(tmp_path / "wanderer" / f"{traces[-1].instr_id}.json") == [traces[-1]]
    lines = tmp_path / "all.jsonl"
    lines.write_bytes(b"\n".join(map(trace_json, traces)))
    assert read_traces(lines) == traces


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"version": 2}, "'version': it is 2, but this clipnav reads 1"),
        ({"format": "other"}, "'format': it is 'other'"),
        ({"steps": []}, "'steps': it is empty"),
        ({"steps": "none"}, "'steps': expected array, got str"),
        ({"ending": "gone"}, "'ending'"),
        ({"words": ["Walk "]}, "'words'"),
        ({"path": []}, "'path': it is empty"),
        ({"agent": ""}, "'agent': it is empty"),
        ({"dataset": "../r2r"}, "../r2r: no such dataset"),
    ],
)
def test_damage_is_named(traces, tmp_path, change, complaint):
    path = tmp_path / "bad.json"
    path.write_text(json.dumps({**msgspec.to_builtins(traces[0]), **change}))
    with pytest.raises(ValueError, match=r"bad\.json: record 0") as raised:
        read_traces(path)
    assert complaint in str(raised.value)
    assert "record the trace again" in str(raised.value)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"action": 99}, "'steps[0].action': 99 is not in 0.."),
        ({"action": 0}, "'steps[0].action': it stops, but steps follow"),
        ({"stop_probability": 1.5}, "'steps[0].candidates': a probability"),
        ({"word_attention": [1.0]}, "'steps[0].word_attention': 1 weights instead of"),
        ({"view_attention": [-1.0] * 36}, "'steps[0].view_attention': a weight is negative"),
        ({"metrics": {"NE": 1.0}}, "'steps[0].metrics': SR or OSR is missing"),
        ({"heading": "north"}, "'steps[0].heading': expected float, got str"),
    ],
)
def test_damage_in_a_step_is_named(traces, tmp_path, change, complaint):
    path = tmp_path / "bad.json"
    record = msgspec.to_builtins(traces[0])
    record["steps"] = [{**record["steps"][0], **change}, *record["steps"][1:]]
    path.write_text(json.dumps(record))
    with pytest.raises(ValueError, match=r"bad\.json") as raised:
        read_traces(path)
    assert complaint in str(raised.value)


def test_an_action_leads_to_the_next_step(traces, tmp_path):
    record = msgspec.to_builtins(traces[0])
    record["steps"] = [record["steps"][0], *record["steps"][2:]]
    (tmp_path / "bad.json").write_text(json.dumps(record))
    with pytest.raises(ValueError, match=r"steps\[0\].action': it does not lead to the next step"):
        read_traces(tmp_path)


def test_ids_with_other_letters_have_files_of_their_own(traces, tmp_path):
    ids = ["पथ", "పథం", "7.1", "7-1", "../7", "a b"]
    written = [msgspec.structs.replace(traces[0], instr_id=instr_id) for instr_id in ids]
    for trace in written:
        assert write_trace(trace, tmp_path).parent == tmp_path
    assert {trace.instr_id for trace in read_traces(tmp_path)} == set(ids)
    assert (tmp_path / "7-1.json").is_file()


def test_two_walks_of_an_episode_by_one_agent_are_named(traces, tmp_path):
    """Otherwise a page shows one of them, and figures count both."""
    other = msgspec.structs.replace(traces[14], agent=traces[0].agent)
    first, second = write_trace(traces[0], tmp_path / "a"), write_trace(other, tmp_path / "b")
    with pytest.raises(ValueError, match="a second walk of train 100_0 by 'teacher'") as refused:
        read_traces(tmp_path)
    assert str(refused.value).startswith(f"{second}: ")
    assert str(first) in str(refused.value)
    write_trace(msgspec.structs.replace(other, split="other"), tmp_path / "b")
    assert len(read_traces(tmp_path)) == 2


def test_a_trace_that_is_being_written_is_left_out(traces, tmp_path):
    written = write_trace(traces[0], tmp_path)
    temporary_path(written.with_stem("101_0")).write_bytes(trace_json(traces[1])[:100])
    write_trace(traces[1], temporary_path(tmp_path / "other"))
    assert read_traces(tmp_path) == traces[:1]


def test_empty_files_are_no_collection(tmp_path):
    (tmp_path / "empty.json").touch()
    for path in (tmp_path, tmp_path / "empty.json"):
        with pytest.raises(ValueError, match="contains no trace; record"):
            read_traces(path)


def test_submissions_of_others(tiny_world, tmp_path):
    ground_truth = load_ground_truth(ScoringRules(splits=("train",), data_dir=tiny_world))
    path = tmp_path / "theirs.json"
    walks = [
        {"instr_id": "100_0", "trajectory": [["a0", 0.7, 0], ["a0", 1.2, 0], ["a1", 1.5, 0]]},
        {"instr_id": "101_1", "trajectory": [["a6"], ["a8"]]},
    ]
    path.write_text(json.dumps(walks))
    (turned, jumped), checked = traces_of_submission(path, ground_truth, "matterport", "r2r")
    assert turned.walked == ("a0", "a1")
    assert turned.agent == "theirs"
    assert turned.steps[0].action is not None
    assert turned.steps[1].action == 0
    assert jumped.walked == ("a6", "a8")
    assert jumped.steps[0].action is None
    assert len(checked.trajectories) == 2
    path.write_text(json.dumps([{"instr_id": "100_0", "trajectory": [["b1", 0, 0]]}]))
    with pytest.raises(ValueError, match=r"no walk that can be shown.*viewpoints that their scan"):
        traces_of_submission(path, ground_truth, "matterport", "r2r")


def test_headings_of_a_path_are_those_of_the_environment(tiny_env, traces):
    trace = traces[0]
    graph = tiny_env.nav_world.graphs[trace.scan]
    walked = trace_of_path(MINE, tiny_env.episodes[0], graph, trace.walked)
    for mine, theirs in zip(walked.steps[1:], trace.steps[1:], strict=True):
        assert mine.heading == pytest.approx(theirs.heading, abs=1e-3)
        assert mine.elevation == pytest.approx(theirs.elevation, abs=1e-3)
        assert mine.action == theirs.action


def test_objects_and_goals_are_recorded():
    env = make_vln_vector_env(
        1, "Disabled", dataset="reverie", split="val_unseen", observe="indices"
    )
    episode = env.episodes[0]
    (trace,) = record(env, TeacherAgent(), [episode.instr_id], name="expert")
    assert trace.goal == episode.goal
    assert episode_of(trace).goal == episode.goal
    assert trace.steps[-1].action == 0
    assert trace.steps[-1].metrics["SR"] == 1
    pointed = [one for one in trace.steps[-1].objects if one.pointed]
    assert pointed == [one for one in trace.steps[-1].objects if one.target]
    node = env.nav_world.node(trace.scan, trace.walked[-1])
    (answer,) = env.answers()
    assert answer.object_id == episode.goal.object_id
    index = env.objects.index(node, answer.object_id)
    assert [one.name for one in pointed] == [env.objects.names[node, index]]
    assert len(trace.steps[-1].objects) == env.objects.mask[node].sum()
    turns = np.exp(1j * (np.array(pointed[0].corners)[:, 0] - answer.heading))
    assert np.angle(turns.mean()) == pytest.approx(0, abs=0.3)
    assert not any(one.pointed for step in trace.steps[:-1] for one in step.objects)
    assert msgspec.json.decode(trace_json(trace), type=type(trace)) == trace
    unknown = msgspec.structs.replace(trace, goal=Goal(("nowhere",)))
    with pytest.raises(UserError, match="no viewpoint 'nowhere'"):
        Library(env.files, "reverie").check([unknown])
