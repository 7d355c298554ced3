"""Figures of many series, of long names and of damaged logs."""

import math

import pytest

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
    assert len({(style.colour, style.marker) for style in styles}) == 24


@pytest.mark.parametrize(("count", "name"), [(2, LONG), (20, "run")])
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


def test_losses_that_are_not_numbers_are_reported():
    losses, _ = plots.training_curves({"run": log([math.nan, math.nan])}).axes
    assert [text.get_text() for text in losses.texts] == ["all losses are NaN"]


def test_names_are_no_formulas_and_none_is_left_out():
    names = ["_hidden", r"cost $\frac$ and $6"]
    figure = plots.training_curves({name: log([3.0, 2.0]) for name in names})
    drawn(figure)
    shown = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert [text.strip().replace(r"\$", "$") for text in shown] == names
