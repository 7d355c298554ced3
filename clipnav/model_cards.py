"""Model cards of published runs: settings, scores with intervals, licence and use."""

import json
import math
import re
import subprocess
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from clipnav.envs.houses.building.house import GENERATOR_VERSION
from clipnav.envs.metrics import Metric, mean_metrics, metrics
from clipnav.envs.metrics.bootstrap import Interval, bootstrap_intervals
from clipnav.envs.worlds import is_built_in, world_names
from clipnav.storage import file_sha256
from clipnav.storage.errors import UserError, truncate
from clipnav.storage.json_files import read_json_object
from clipnav.storage.shared_runs import FOLDER_SCHEME, MODEL, SCHEME, run_name, without_folders
from clipnav.training.checkpoints import RESULTS, model_metadata, read_results
from clipnav.training.settings import CONFIG

_ROOT = Path(__file__).resolve().parents[1]
_AGENTS = "clipnav train-agent"
_LONGEST = 200  # characters
_LARGEST = 1e9  # in any unit
_MARKUP = re.compile(r"[&<>|`*\[\]#~$\\]")  # of Markdown, its tables, HTML and formulas

Rows = dict[str, dict[str, dict[str, Interval]]]
"""Intervals by split, agent and metric; the ends are NaN if they are not known."""


def model_card(source: Path, run: Path, name: str, licence: str, evaluate: bool) -> str:
    """Return the model card of a run in Markdown, with metadata for Hugging Face.

    Args:
        source: Folder of the run, whose settings name the folders of the data on this machine.
        run: Folder with the files that are published.
        name: Address of the repository or folder.
        licence: Identifier of a licence on Hugging Face.
        evaluate: Walk the evaluation splits again, for intervals.
    """
    settings = read_json_object(run / CONFIG, "name the folder of a run")
    results = _results(source)
    if evaluate and settings.get("command") == _AGENTS:
        for split, scores in _evaluated(source, run).items():
            results.setdefault(split, {}).update(scores)
    tags = ["clipnav", "vision-and-language-navigation"]
    tags += [str(settings[field]) for field in ("agent", "dataset") if settings.get(field)]
    metadata = [f"license: {json.dumps(licence)}", "library_name: clipnav"]
    metadata.append(f"tags: {json.dumps(tags)}")
    plain = name.removeprefix(SCHEME)
    address, source_name = SCHEME + plain, plain
    if name.startswith(FOLDER_SCHEME):
        address, source_name = "FOLDER", f"{FOLDER_SCHEME}FOLDER"
    use = [f"clipnav pull {source_name}"]
    if settings.get("command") == _AGENTS:
        use = [f"clipnav visualise {address}", f"clipnav evaluate-agent {address}", *use]
    sections = (
        "\n".join(["---", *metadata, "---"]),
        f"# {_plain(run_name(name))}",
        f"A run of {_plain(settings.get('command', 'clipnav'))}, published with `clipnav push`.",
        _facts(run, settings, model_metadata(source), licence),
        _table(results),
        "\n".join(["## Use", "", "```sh", *use, "```"]),
    )
    return "\n\n".join(section for section in sections if section) + "\n"


def _results(run: Path) -> Rows:
    """Return the means of results.json, without intervals; empty if there are no tables in it."""
    rows: Rows = {}
    for split, agents in read_results(run).items():
        for agent, scores in agents.items():
            if isinstance(scores, dict):
                known = {
                    name: scores[name] for name in metrics("table") if scores.get(name) is not None
                }
                for metric, value in known.items():
                    if type(value) not in (int, float) or not abs(value) < _LARGEST:
                        raise UserError(
                            f"{run / RESULTS}: {metric} of {truncate(agent)} on {truncate(split)} "
                            f"is {truncate(value)}, not a score; evaluate the run again"
                        )
                means = {metric: Interval(v, math.nan, math.nan) for metric, v in known.items()}
                rows.setdefault(split, {})[agent] = means
    return rows


def _evaluated(source: Path, run: Path) -> Rows:
    """Return the intervals of the published agent on its evaluation splits, over buildings."""
    from clipnav.agents.acting.evaluation import agent_name, evaluate
    from clipnav.agents.experiments.runs import load_run
    from clipnav.agents.settings import read_agent_config

    settings = read_agent_config(source)
    rows: Rows = {}
    for split in settings.evaluation_splits:
        env, agent = load_run(run, split, settings)
        scores = evaluate(env, agent, split).scores
        if not scores:  # goals that are not published
            continue
        scans = {episode.instr_id: episode.scan for episode in env.episodes}
        columns = {
            name: [score[metric.column] for score in scores.values()]
            for name, metric in mean_metrics("table").items()
        }
        intervals = bootstrap_intervals(columns, clusters=[scans[one] for one in scores])  # pyright: ignore[reportArgumentType]
        rows[split] = {agent_name(settings): intervals}
    return rows


def _facts(
    run: Path, settings: Mapping[str, Any], metadata: Mapping[str, str], licence: str
) -> str:
    world = settings.get("world")
    built_in = world in world_names() and is_built_in(world)
    facts = {
        "Agent": settings.get("agent"),
        "Dataset": settings.get("dataset") or settings.get("data"),
        "World": f"{world}, version {GENERATOR_VERSION}" if built_in else world,
        "Preset": settings.get("preset"),
        "Encoder": metadata.get("encoder"),
        "Iterations": metadata.get("iteration", settings.get("iterations")),
        "Seed": settings.get("seed"),
        "Weights": f"SHA-256 {file_sha256(run / MODEL)}",
        "Code": f"clipnav {version('clipnav')}{_commit()}",
        "Licence": licence,
    }
    rows = [f"| {name} | {_plain(value)} |" for name, value in facts.items() if value is not None]
    return "\n".join(["| Fact | Value |", "| --- | --- |", *rows])


def _plain(value: object) -> str:
    """Return a value in one line of Markdown that has no markup and no folders of this machine."""
    text = truncate(without_folders(str(value)), _LONGEST)
    return _MARKUP.sub(lambda found: f"&#{ord(found[0])};", text)


def _commit() -> str:
    """Return the commit of the checkout in which this file is; nothing for an installed package."""
    if not (_ROOT / ".git").exists():
        return ""
    words = ["git", "-C", str(_ROOT), "describe", "--always", "--dirty=+", "--exclude=*"]
    try:
        described = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return ""
    return f", commit {described.strip()} (when published)"


def _table(results: Rows) -> str:
    known = {name for agents in results.values() for scores in agents.values() for name in scores}
    shown = [metric for name, metric in metrics("table").items() if name in known]
    if not shown:
        return ""
    heads = [f"{metric.name} [{metric.unit}]" for metric in shown]
    lines = [f"| split | agent | {' | '.join(heads)} |", "| --- | --- |" + " ---: |" * len(shown)]
    for split, agents in results.items():
        for agent, scores in agents.items():
            cells = [_cell(one, scores[one.name]) if one.name in scores else "" for one in shown]
            lines.append(f"| {_plain(split)} | {_plain(agent)} | {' | '.join(cells)} |")
    note = (
        "Means over the episodes, with 95 % bootstrap intervals over buildings where the agent was "
        "evaluated for this card."
    )
    return "## Scores\n\n" + "\n".join(lines) + f"\n\n{note}"


def _cell(metric: Metric, interval: Interval) -> str:
    mean, low, high = map(metric.text, interval)
    return mean if low == "nan" else f"{mean} ({low} to {high})"
