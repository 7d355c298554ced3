import math

import msgspec
import numpy as np
import pytest
from PIL import Image

from clipnav.envs.metrics import Interval
from clipnav.viewer.outputs import plots


@pytest.fixture
def groups(traces):
    return plots.by_agent(traces)


def test_training_curves_contain_the_logged_values():
    events = [
        {"kind": "train", "iteration": 50, "loss": 3.0},
        {"kind": "train", "iteration": 100, "loss": 2.0},
        {"kind": "val_seen", "iteration": 100, "SR": 0.4},
        {"kind": "val_seen/hi", "iteration": 100, "SR": 0.1},
        {"kind": "val_unseen", "iteration": 100, "SR": 0.3},
    ]
    losses, successes = plots.training_curves({"run": events}).axes
    assert losses.lines[0].get_xydata().tolist() == [[50, 3.0], [100, 2.0]]
    drawn = {line.get_label(): line.get_xydata().tolist() for line in successes.lines}
    assert drawn == {"val_seen": [[100, 40.0]], "val_unseen": [[100, 30.0]]}
    assert successes.get_ylabel() == "success (%)"
    with pytest.raises(ValueError, match="neither losses nor metrics"):
        plots.training_curves({"run": []})


def test_outcomes_add_up(groups):
    (axes,) = plots.outcomes(groups).axes
    rows = {}
    for bars in axes.containers:
        for bar in bars:
            rows[bar.get_y()] = rows.get(bar.get_y(), 0) + bar.get_width()
    assert list(rows.values()) == pytest.approx([100, 100])
    success = axes.containers[0]
    assert success.get_label() == "success"
    assert success[0].get_width() == 100


def test_a_language_without_walks_is_not_drawn_as_a_failure(groups):
    hindi = [msgspec.structs.replace(trace, language="hi-IN") for trace in groups["wanderer"]]
    for axes in plots.languages({**groups, "hindi": hindi}).axes:
        assert [label.get_text() for label in axes.get_xticklabels()] == ["en", "hi"]
        marked = [(text.get_text(), round(text.get_position()[0], 2)) for text in axes.texts]
        assert marked == [("no walks", 0.73), ("no walks", 1.0), ("no walks", 0.27)]


def test_intervals_are_drawn_where_there_are_any():
    sure, alone = Interval(0.4, 0.3, 0.45), Interval(0.2, math.nan, math.nan)
    seen = {"follower": sure, "forward": alone}
    unseen = {"follower": alone, "forward": alone}
    panels = {
        "SR": {"val_seen": seen, "val_unseen": unseen},
        "SPL": {"val_seen": unseen, "val_unseen": seen},
    }
    success, spl = plots.intervals(panels).axes
    assert [label.get_text() for label in success.get_yticklabels()] == ["follower", "forward"]
    assert (success.get_xlabel(), spl.get_xlabel()) == ("SR (%)", "SPL (%)")
    parts = {part.get_label(): part for part in success.containers}
    points = {name: part.lines[0].get_xdata() for name, part in parts.items()}
    assert list(points["val_seen"]) == pytest.approx([40, 20])
    assert list(points["val_unseen"]) == pytest.approx([20, 20])
    follower, *others = parts["val_seen"].lines[2][0].get_segments()
    np.testing.assert_allclose(follower[:, 0], [30, 45])
    assert not any(np.isfinite(one).any() for one in others)


def test_figures_name_data_sets_and_splits_and_have_a_dark_theme(groups, tmp_path):
    figure = plots.titled(plots.success_by_length(groups), groups)
    assert figure.get_suptitle() == "R2R train, matterport"
    # Few lines are labelled at their ends instead of in a legend.
    (axes,) = figure.axes
    assert axes.get_legend() is None
    assert {text.get_text() for text in axes.texts} == set(groups)
    shades = []
    for dark in (False, True):
        plots.save(figure, tmp_path / "figure.png", dark=dark)
        with Image.open(tmp_path / "figure.png") as image:
            shades.append(np.asarray(image.convert("L")).mean())
    assert shades[0] > 200
    assert shades[1] < 60


def test_success_by_length_has_intervals_over_buildings(groups):
    replace = msgspec.structs.replace
    first, last = groups["wanderer"][0], groups["teacher"][0].steps[-1]
    lost = replace(last, metrics={**last.metrics, "SR": 0.0})
    walks = [  # two buildings, the instructions of one all succeed
        replace(first, scan=scan, steps=(first.steps[0], step))
        for scan, step in (("a", last), ("b", lost))
        for _ in range(50)
    ]
    (axes,) = plots.success_by_length({"agent": walks}).axes
    (bar,) = axes.containers[0].lines[2][0].get_segments()
    np.testing.assert_allclose(bar[:, 1], [0, 100])
    (axes,) = plots.success_by_length({"agent": walks[:50]}).axes
    assert not np.isfinite(axes.containers[0].lines[2][0].get_segments()).any()


def test_figures_are_written_whole(groups, tmp_path):
    for kind, head in (("png", b"\x89PNG"), ("pdf", b"%PDF")):
        path = tmp_path / f"outcomes.{kind}"
        plots.save(plots.outcomes(groups), path)
        assert path.read_bytes().startswith(head)


def test_datasets_and_worlds_are_not_pooled(traces):
    (split,) = {trace.split for trace in traces}
    one = traces[0]
    other = [msgspec.structs.replace(one, dataset="rxr", split=name) for name in (split, "other")]
    assert set(plots.by_agent([one, other[0]])) == {f"{one.agent}, r2r", f"{one.agent}, rxr"}
    groups = plots.by_agent([one, *other])
    assert list(groups) == [
        f"{one.agent}, {k}" for k in (f"r2r {split}", f"rxr {split}", "rxr other")
    ]
    houses = msgspec.structs.replace(one, world="houses")
    assert set(plots.by_agent([one, houses])) == {
        f"{one.agent}, matterport",
        f"{one.agent}, houses",
    }


def test_a_trace_without_the_measures_of_the_figures_is_named(traces):
    def changed(place, **fields):
        steps = list(traces[0].steps)
        steps[place] = msgspec.structs.replace(steps[place], **fields)
        return msgspec.structs.replace(traces[0], steps=tuple(steps))

    fewer = [traces[1], changed(-1, metrics={"SR": 1.0, "OSR": 1.0})]
    with pytest.raises(ValueError, match=r"100_0 by teacher: .* metrics.nDTW of the last step;"):
        plots.by_agent(fewer)
    with pytest.raises(ValueError, match=r"require distance_to_goal of the first step;"):
        plots.by_agent([changed(0, distance_to_goal=None)])
    with pytest.raises(ValueError, match=r"metrics.SR of the last step, metrics.OSR"):
        plots.by_agent([changed(-1, metrics={})])


def test_without_goals_there_is_nothing_to_measure(secret_env, wanderer):
    from clipnav.viewer.trace import record

    secret = record(secret_env, wanderer, ["300_0"], name="w")
    with pytest.raises(ValueError, match="no trace has a known goal"):
        plots.by_agent(secret)
