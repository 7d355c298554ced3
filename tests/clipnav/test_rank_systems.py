"""The command that compares the order of systems with that of published scores."""

import json

import msgspec
import numpy as np
import pytest

from clipnav.agents.experiments.ranking import rank_systems, read_published
from clipnav.experiments.declarations import OUTPUTS, read_experiments
from clipnav.experiments.pages import format_cell
from clipnav.experiments.records import read_rows
from clipnav.storage.errors import UserError
from tests.conftest import ROOT

PUBLISHED = ROOT / "docs" / "results" / "published_r2r.toml"


@pytest.fixture(scope="module")
def published_systems():
    """Success rates in the published order, except that the last two systems are exchanged."""
    published = read_published(PUBLISHED)
    names = sorted(published, key=lambda name: published[name].SR)
    rates = {name: 0.1 * rank for rank, name in enumerate(names)}
    rates["HAMT"], rates["DUET"] = rates["DUET"], rates["HAMT"]
    rng = np.random.default_rng(0)
    return {name: (rng.random((3, 200)) < rate + 0.1).astype(float) for name, rate in rates.items()}


def test_figures_have_the_values_of_their_definitions(published_systems):
    published = read_published(PUBLISHED)
    figures = rank_systems(published_systems, published, [("back-translation", "A2C")])
    # One of 45 pairs is in the opposite order.
    assert figures["tau"]["value"] == pytest.approx(43 / 45)
    assert figures["tau"]["low"] <= figures["tau"]["value"] <= figures["tau"]["high"] <= 1
    pair = figures["pairs"]["back-translation/A2C"]
    one, other = published_systems["back-translation"], published_systems["A2C"]
    assert pair["difference"]["value"] == pytest.approx(one.mean() - other.mean())
    assert pair["ratio"]["value"] == pytest.approx(one.mean() / other.mean())
    assert (pair["published difference"], pair["published ratio"]) == ("+6.0", "1.13")
    # Resamples of runs and of paths both contain the chance of single episodes, so that their
    # spread is up to the root of three times that of independent episodes.
    spread = np.sqrt(one.var() / one.size + other.var() / other.size)
    width = pair["difference"]["high"] - pair["difference"]["low"]
    assert 0.9 < width / (2 * 1.96 * spread) < 1.1 * np.sqrt(3)


def test_the_declared_tables_read_the_figures(published_systems, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    experiments = read_experiments(ROOT / "docs" / "results")
    words = next(
        step for step in experiments["world-validity"].steps if "rank-systems" in step
    ).split()
    given = words[words.index("--pairs") + 1 : words.index("--json")]
    pairs = [(pair.split("/")[0], pair.split("/")[1]) for pair in given]
    figures = rank_systems(published_systems, read_published(PUBLISHED), pairs)
    folder = OUTPUTS / "world-validity"
    folder.mkdir(parents=True)
    (folder / "ranking.json").write_text(json.dumps(figures))
    cells = []
    for name in ("world-validity", "world-validity-ranking"):
        columns = experiments[name].columns[:3]  # the fourth is read from the runs
        rows = tuple(row[:3] for row in experiments[name].rows)
        table = msgspec.structs.replace(experiments[name], columns=columns, rows=rows)
        for row in read_rows(name, table):
            cells.append(
                [format_cell(*pair) for pair in zip(row, table.column_list(), strict=True)]
            )
    assert cells[0][1] == "16.3"
    assert cells[0][2].startswith(f"{100 * published_systems['random'].mean():.1f} ± ")
    assert cells[9][2] == figures["tau"]["text"]


def test_trained_systems_and_submissions_are_ranked(run_command, tiny_world, tmp_path):
    """The experiment with a tiny world, three systems, one of them as submissions."""
    common = [
        *("--", "--world", "matterport", "--data-dir", tiny_world, "--batch-size", "4"),
        *("--features", tiny_world / "features.safetensors", "--follower.hidden-size", "16"),
        *("--iterations", "2"),
    ]
    options = ["--seeds", "2", "--splits", "val_unseen", "--workers", "1"]
    compared = tmp_path / "compared"
    run_command(
        *("compare-agents", *options, "--rows", "imitation=", "--baselines", "random"),
        *("--output", compared, *common),
    )
    runs = compared / "runs"
    for seed in range(2):
        run_command(
            *("evaluate-agent", runs / f"imitation-{seed}", "--search.method", "beam"),
            *("--submission", tmp_path / f"search-{seed}.json", "--no-baselines"),
        )
    ranking = tmp_path / "ranking.json"
    given = [
        *("rank-systems", "--world", "matterport", "--data-dir", tiny_world, "--seeds", "2"),
        *("--published", PUBLISHED, "--json", ranking, "--pairs", "imitation/random"),
        *("--systems", f"random={runs}/random-agent-{{seed}}"),
        f"imitation={runs}/imitation-{{seed}}",
    ]
    printed = run_command(*given, f"search={tmp_path}/search-{{seed}}.json")
    figures = json.loads(ranking.read_text())
    comparison = json.loads((compared / "comparison.json").read_text())["val_unseen"]
    for name, row in (("random", "random agent"), ("imitation", "imitation")):
        # Means over paths, which have equal numbers of instructions, are means over instructions.
        mean = figures["systems"][name]["SR"]["over_seeds"]["mean"]
        assert mean == pytest.approx(comparison[row]["SR"]["over_seeds"]["mean"])
    assert figures["tau"]["text"] in printed
    # A system without a published rate is compared, but not part of tau.
    run_command(*given)
    tau = json.loads(ranking.read_text())["tau"]
    mine = (f"mine={runs}/imitation-{{seed}}", "--pairs", "mine/random")
    assert f"{'mine':24}{'-':>10}" in run_command(*given, *mine)
    compared_too = json.loads(ranking.read_text())
    assert compared_too["tau"] == tau
    assert compared_too["pairs"]["mine/random"].keys() == {"difference", "ratio"}

    # Systems whose successes are stored need no runs, and other systems can be added.
    stored = tmp_path / "successes.json"
    run_command(*given, "--successes", stored)
    world = ("--world", "matterport", "--data-dir", tiny_world, "--seeds", "2")
    added = ("--published", PUBLISHED, "--pairs", "imitation/random", "--json", ranking)
    search = ("--systems", f"search={tmp_path}/search-{{seed}}.json")
    run_command("rank-systems", *world, *added, *search, "--successes", stored)
    assert json.loads(ranking.read_text()) == figures
    ranking.unlink()
    run_command("rank-systems", *world, *added, "--successes", stored)
    assert json.loads(ranking.read_text()) == figures
    with pytest.raises(UserError, match="has successes in matterport, val_unseen; choose another"):
        run_command("rank-systems", *added, *search, "--successes", stored)
    stored.write_text(stored.read_text().replace('"0', '"2', 1))
    with pytest.raises(UserError, match="one digit 0 or 1 for each of"):
        run_command("rank-systems", *world, *added, "--successes", stored)


def test_incomplete_runs_and_other_names_are_refused(run_command, tmp_path, capsys):
    (tmp_path / "published.toml").write_text('[a]\nSR = 1.0\nsource = "x"')
    given = ["rank-systems", "--published", tmp_path / "published.toml", "--systems"]
    with pytest.raises(FileNotFoundError, match=r"scores\.json"):
        run_command(*given, f"a={tmp_path}")
    with pytest.raises(UserError, match="--systems 'a': write NAME=PATH"):
        run_command(*given, "a")
    with pytest.raises(UserError, match="--pairs: b is not among --systems"):
        run_command(*given, "a=x", "--pairs", "a/b")
    with pytest.raises(SystemExit):
        run_command(*given[:-1])
    assert "--systems: name a system" in capsys.readouterr().err
    (tmp_path / "published.toml").write_text("[a]\nSR = 1.0")
    with pytest.raises(UserError, match=r"published\.toml: .*source"):
        run_command(*given, f"a={tmp_path}")
