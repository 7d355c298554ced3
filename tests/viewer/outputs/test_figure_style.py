"""Figures of many series, of long names and of damaged logs."""

import math
from itertools import pairwise

import pytest

from clipnav.envs.metrics import Interval
from clipnav.viewer.outputs import plots
from clipnav.viewer.outputs.plots import series_style

LONG = "a follower with a very long name that takes more than one line of a legend"


def log(losses, rates=()):
    steps = [{"kind": "train", "iteration": i, "loss": loss} for i, loss in enumerate(losses, 1)]
    return steps + [{"kind": "val", "iteration": i, "SR": rate} for i, rate in enumerate(rates, 1)]


def drawn(figure):
    """Draws a figure; returns its renderer."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return canvas.get_renderer()


def look(line):
    return (line.get_color(), line.get_linestyle(), line.get_marker(), line.get_fillstyle())


def test_no_two_runs_look_alike():
    logs = {f"run {place}": log([3.0, 2.0], [0.1, 0.2]) for place in range(20)}
    for axes in plots.training_curves(logs).axes:
        assert len({look(line) for line in axes.lines}) == 20
    styles = [series_style(place) for place in range(24)]
    assert len({(style.colour, style.hatch) for style in styles}) == 24
    assert len({(style.colour, style.marker) for style in styles}) == 24


@pytest.mark.parametrize("count", [2, 9, 20])
@pytest.mark.parametrize("name", ["run", LONG])
def test_legends_of_many_runs_cover_no_curve(count, name):
    logs = {f"{name} {place}": log([3.0, 2.9], [0.1, 0.2]) for place in range(count)}
    figure = plots.training_curves(logs)
    renderer = drawn(figure)
    for axes in figure.axes:
        box, legend = axes.get_window_extent(renderer), axes.get_legend()
        frame = legend.get_window_extent(renderer)
        assert frame.y1 <= box.y0 or frame.height <= 0.7 * box.height
        assert frame.x1 - frame.x0 <= 1.1 * box.width
        assert box.height >= 2.0 * figure.dpi
        assert len(legend.get_texts()) == count


def test_a_shared_legend_is_as_wide_as_the_figure(traces):
    groups = {
        f"{LONG} {place}": own for place in range(9) for own in plots.by_agent(traces).values()
    }
    figure = plots.languages(groups)
    renderer = drawn(figure)
    (legend,) = figure.legends
    assert legend.get_window_extent(renderer).width <= figure.bbox.width
    assert min(axes.get_window_extent(renderer).height for axes in figure.axes) >= 1.5 * figure.dpi


def test_bars_of_many_agents_are_higher_than_their_numbers(traces):
    groups = {f"agent {place}": list(traces) for place in range(16)}
    figure = plots.outcomes(groups)
    renderer = drawn(figure)
    (axes,) = figure.axes
    bar = axes.containers[0][0].get_window_extent(renderer)
    assert bar.height >= axes.texts[0].get_window_extent(renderer).height
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == list(groups)


def test_long_names_leave_room_for_the_bars(traces):
    figure = plots.outcomes({LONG: list(traces)})
    (axes,) = figure.axes
    assert axes.get_window_extent(drawn(figure)).width >= 1.5 * figure.dpi
    one = {LONG: Interval(0.4, 0.3, 0.5)}
    figure = plots.intervals({"SR": {"val": one}})
    assert figure.axes[0].get_window_extent(drawn(figure)).width >= 1.5 * figure.dpi


def test_a_single_loss_is_visible():
    losses, _ = plots.training_curves({"run": log([3.0])}).axes
    assert losses.lines[0].get_marker() == "o"
    losses, _ = plots.training_curves({"run": log([3.0, math.nan, 2.0, 1.0])}).axes
    assert losses.lines[0].get_markevery() == [0]
    losses, _ = plots.training_curves({"run": log([3.0, 2.0])}).axes
    assert losses.lines[0].get_marker() == "None"


def test_losses_that_are_not_numbers_are_reported():
    losses, _ = plots.training_curves({"run": log([math.nan, math.nan])}).axes
    assert [text.get_text() for text in losses.texts] == ["all losses are NaN"]


def test_names_are_no_formulas_and_none_is_left_out():
    names = ["_hidden", r"cost $\frac$ and $6"]
    figure = plots.training_curves({name: log([3.0, 2.0]) for name in names})
    drawn(figure)
    shown = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert [text.strip().replace(r"\$", "$") for text in shown] == names


def test_names_of_ten_languages_are_apart():
    languages = {name: {"overall": 30.0} for name in "en hi bn zh pt de ru ko id te".split()}
    figure = plots.answers_by_language({"run": {"languages": languages, "consistency": 10.0}})
    renderer = drawn(figure)
    (axes,) = figure.axes
    boxes = [label.get_window_extent(renderer) for label in axes.get_xticklabels()]
    assert all(one.x1 < other.x0 for one, other in pairwise(boxes))
