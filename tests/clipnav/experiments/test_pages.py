import re
from xml.etree import ElementTree

import msgspec
import pytest

from clipnav.experiments.charts import draw_chart
from clipnav.experiments.declarations import (
    Chart,
    Column,
    Experiment,
    command_lines,
    read_experiments,
)
from clipnav.experiments.pages import format_cell, pages_of, render, render_table
from clipnav.experiments.records import ExperimentRecord, read_record, write_record
from clipnav.storage.errors import UserError
from tests.conftest import ROOT

DOCS = ROOT / "docs"
EXPERIMENTS = read_experiments(DOCS / "results")
OLD = Experiment(
    page="page.md",
    columns=("agent", "note", "SR", "x"),
    steps=("demo",),
    rows=(("a",),),
    budget="1 hour",
)
RECORD = ExperimentRecord(
    experiment="old",
    commit="1234567",
    date="2026-01-02",
    machine={"processor": "A processor", "cores": 2, "load": 1.5, "python": "3.11.7"},
    seeds=(0, 1),
    world_version=1,
    commands=("clipnav demo",),
    columns=("agent", "note", "SR", "x"),
    rows=(("a", None, (50.04, 1.26), 1234.5), ("b", "text", 7, None)),
)


def test_every_page_equals_its_rendering():
    for page in pages_of(DOCS):
        text = page.read_text("utf-8")
        assert render(text, DOCS / "results", EXPERIMENTS, str(page)) == text


def test_every_chart_equals_its_drawing(tmp_path):
    measured = {name for name in EXPERIMENTS if read_record(DOCS / "results", name)}
    drawn = {name for name in measured if EXPERIMENTS[name].chart}
    assert drawn == {path.stem for path in (DOCS / "results").glob("*.svg")}
    assert len(drawn) > 4
    for name in drawn:
        record = read_record(DOCS / "results", name)
        text = (DOCS / "results" / f"{name}.svg").read_text("utf-8")
        assert text == draw_chart(record, EXPERIMENTS[name])


def test_a_chart_shows_values_and_intervals_at_their_places():
    experiment = Experiment(
        page="page.md",
        columns=("split", "agent", "SR", "SPL less that of a"),
        steps=(),
        rows=(),
        budget="",
        chart=Chart("R2R, val_unseen", ("SR", "SPL less that of a")),
    )
    rows = (("seen", "a", (40.0, 10.0), None), ("seen", "b <c>", 80.0, (-2.0, -4.0, 1.0)))
    record = msgspec.structs.replace(RECORD, columns=experiment.columns, rows=rows)
    drawing = ElementTree.fromstring(draw_chart(record, experiment))
    space = "{http://www.w3.org/2000/svg}"
    texts = [text.text for text in drawing.iter(f"{space}text")]
    assert {"R2R, val_unseen", "seen", "a", "b <c>", "40.0 ± 10.0"} <= set(texts)

    def places(kind, tag, name):
        marks = [one for one in drawing.iter(f"{space}{tag}") if one.get("class") == kind]
        return [float(one.get(name)) for one in marks]

    first, second = places("mean", "circle", "cx")
    (start,), (end,) = places("bar", "line", "x1"), places("bar", "line", "x2")
    # 10 per cent are a quarter of the distance from 40 to 80.
    assert first - start == pytest.approx((second - first) / 4, abs=0.2)
    assert end - first == pytest.approx(first - start, abs=0.2)
    (zero,) = places("zero", "line", "x1")
    (difference,) = places("difference", "circle", "cx")
    (low,), (high,) = places("apart", "line", "x1"), places("apart", "line", "x2")
    assert (zero - difference) / (zero - low) == pytest.approx(0.5, abs=0.01)
    assert (high - zero) / (zero - low) == pytest.approx(0.25, abs=0.01)


def test_curves_show_means_and_bands_over_the_numbers_of_the_first_column():
    experiment = Experiment(
        page="page.md",
        columns=("iterations", "seeing", "blind"),
        steps=(),
        rows=(),
        budget="",
        chart=Chart("R2R, val_unseen", ("seeing", "blind"), y="SPL"),
    )
    rows = (("100", (20.0, 10.0), 10.0), ("200", (40.0, 0.0), 40.0))
    record = msgspec.structs.replace(RECORD, columns=experiment.columns, rows=rows)
    drawing = ElementTree.fromstring(draw_chart(record, experiment))
    space = "{http://www.w3.org/2000/svg}"

    def points(tag):
        shapes = [shape.get("points").split() for shape in drawing.iter(f"{space}{tag}")]
        return [[tuple(map(float, pair.split(","))) for pair in shape] for shape in shapes]

    ((x, seeing), (right, top)), (_, (_, same)) = points("polyline")
    assert x < right
    assert (seeing > top, same) == (True, top)
    band, _ = points("polygon")
    ends = [y for place, y in band if place == x]
    assert sum(ends) / 2 == pytest.approx(seeing, abs=0.2)
    assert max(ends) - min(ends) == pytest.approx(seeing - top, abs=0.2)  # 10 on each side
    names = {text.text: float(text.get("y")) for text in drawing.iter(f"{space}text")}
    assert {"R2R, val_unseen", "iterations", "SPL", "100"} <= set(names)
    assert abs(names["seeing"] - names["blind"]) >= 15  # where both curves end
    five = msgspec.structs.replace(experiment, chart=Chart("", ("seeing",) * 5, y="SPL"))
    with pytest.raises(UserError, match="at most 4 curves"):
        draw_chart(record, five)


def test_curves_on_a_logarithmic_axis_have_points_with_whiskers():
    experiment = Experiment(
        page="page.md",
        columns=("houses", "seen", "unseen"),
        steps=(),
        rows=(),
        budget="",
        chart=Chart("R2R", ("seen", "unseen"), y="SR", log_x=True),
    )
    rows = (("8", (60.0, 10.0), 20.0), ("24", (55.0, 5.0), 30.0), ("72", 50.0, (40.0, 10.0)))
    record = msgspec.structs.replace(RECORD, columns=experiment.columns, rows=rows)
    drawing = ElementTree.fromstring(draw_chart(record, experiment))
    space = "{http://www.w3.org/2000/svg}"
    points = [
        (float(one.get("cx")), float(one.get("cy"))) for one in drawing.iter(f"{space}circle")
    ]
    assert len(points) == 6
    first, second, third = (x for x, _ in points[:3])
    assert third - second == pytest.approx(second - first, abs=0.2)  # three times as many each
    whiskers = [
        [float(one.get(name)) for name in ("x1", "x2", "y1", "y2")]
        for one in drawing.iter(f"{space}line")
        if one.get("class") is None
    ]
    # 10 per cent on each side are twice the distance from 60 to 55.
    assert whiskers[0][:2] == [first, first]
    assert abs(whiskers[0][2] - whiskers[0][3]) == pytest.approx(
        4 * (points[1][1] - points[0][1]), abs=0.4
    )
    assert whiskers[2][2] == whiskers[2][3]
    texts = {text.text: text for text in drawing.iter(f"{space}text")}
    assert [float(texts[name].get("x")) for name in ("8", "24", "72")] == [first, second, third]
    assert {"SR", "houses", "seen", "unseen"} <= set(texts)
    assert not list(drawing.iter(f"{space}polygon"))


@pytest.mark.parametrize("name", ["results.md", "benchmarks.md"])
def test_a_page_contains_its_experiments_and_no_other_table(name):
    text = (DOCS / name).read_text("utf-8")
    shown = re.findall(r"^<!-- table: (\S+) -->$", text, re.MULTILINE)
    assert sorted(shown) == sorted(n for n, e in EXPERIMENTS.items() if e.page == name)
    outside = re.sub(r"^<!-- table.*?^<!-- end -->$", "", text, flags=re.MULTILINE | re.DOTALL)
    assert not re.search(r"^\|", outside, re.MULTILINE)


def test_every_record_has_an_experiment():
    records = {path.stem for path in (DOCS / "results").glob("*.json")}
    assert records <= set(EXPERIMENTS)


@pytest.mark.parametrize(
    ("cell", "column", "text"),
    [
        (None, Column("SR"), ""),
        ("text", Column("SR"), "text"),
        (52.96, Column("SR"), "53.0"),
        (13.5, Column("TL"), "13.50"),
        (1234.5, Column("rate"), "1,234"),
        (2.2718, Column("rate"), "2.27"),
        (46.85, Column("BLEU", format=".2f"), "46.85"),
        ((50.04, 1.26), Column("SPL"), "50.0 ± 1.3"),
        ((1.81, -0.1, 3.8), Column("d", key="SPL#x"), "+1.8 [-0.1, +3.8]"),
    ],
)
def test_cells(cell, column, text):
    assert format_cell(cell, column) == text


def test_a_table_with_its_provenance(tmp_path):
    write_record(tmp_path, RECORD)
    text = "A\n\n<!-- table: old -->\nstale\n<!-- end -->\n\nB\n"
    rendered = render(text, tmp_path, {"old": OLD}, "page.md")
    assert rendered == (
        "A\n\n<!-- table: old -->\n"
        "| agent | note | SR | x |\n"
        "|---|---|---:|---:|\n"
        "| a | | 50.0 ± 1.3 | 1,234 |\n"
        "| b | text | 7.0 | |\n"
        "\n"
        "*old: commit 1234567, 2026-01-02, seeds 0, 1, A processor, 2 cores, load 1.5, "
        "houses of version 1. Measured before the commands, seeds or rows of this table were "
        "changed; `clipnav reproduce old` (1 hour) has not rerun it.*\n"
        "<!-- end -->\n\nB\n"
    )
    assert render(rendered, tmp_path, {"old": OLD}, "page.md") == rendered


DECLARED = Experiment(
    page="page.md",
    columns=("agent", "SR"),
    steps=("clipnav train a", "python benchmarks/b.py runs/results/earlier/x --json b-{seed}"),
    rows=(("a", "b-{seed}#SR"), ("b", "b-{seed}#OSR")),
    seeds=(0, 1),
    budget="1 hour",
)


@pytest.mark.parametrize(
    ("changes", "is_declared"),
    [
        ({}, True),
        ({"budget": "2 hours"}, True),
        ({"steps": DECLARED.steps[1:]}, False),
        ({"steps": ("clipnav train b", DECLARED.steps[1])}, False),
        ({"rows": DECLARED.rows[:1]}, False),
        ({"rows": (DECLARED.rows[0], ("c", "b-{seed}#OSR"))}, False),
        ({"seeds": (0, 1, 2)}, False),
    ],
)
def test_a_table_of_an_earlier_declaration_is_marked(tmp_path, changes, is_declared):
    experiments = {"earlier": OLD, "now": DECLARED}
    record = msgspec.structs.replace(
        RECORD,
        experiment="now",
        commands=tuple(command_lines("now", experiments)),
        columns=("agent", "SR"),
        rows=(("a", 50.0), ("b", 60.0)),
    )
    write_record(tmp_path, record)
    experiments["now"] = msgspec.structs.replace(DECLARED, **changes)
    text = "<!-- table: now -->\n<!-- end -->\n"
    rendered = render(text, tmp_path, experiments, "page.md")
    assert ("Measured by `clipnav reproduce now`" in rendered) == is_declared
    sentence = "Measured before the commands, seeds or rows of this table were changed; `clipnav"
    assert (sentence in rendered) != is_declared


def test_a_record_is_read_as_it_was_written(tmp_path):
    path = write_record(tmp_path, RECORD)
    assert read_record(tmp_path, "old") == RECORD
    assert read_record(tmp_path, "other") is None
    path.write_text(path.read_text().replace('"date": "2026-01-02"', '"date": 2026'))
    with pytest.raises(ValueError, match=r"old\.json: .*date.*; restore it"):
        read_record(tmp_path, "old")


def test_columns_of_another_declaration_are_refused():
    other = msgspec.structs.replace(OLD, columns=("agent", "SPL"))
    with pytest.raises(ValueError, match="old: the columns of the record and of the declaration"):
        render_table(RECORD, other)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<!-- table: new -->\n<!-- end -->\n", r"page\.md: table 'new' has no experiment"),
        ("<!-- table: old -->\n", r"page\.md: a table has no end"),
    ],
)
def test_a_table_that_cannot_be_rendered_is_named(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        render(text, tmp_path, {"old": OLD}, "page.md")
