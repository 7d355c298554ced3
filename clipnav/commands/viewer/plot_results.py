"""Plot runs and traces: training curves, success by path length, outcomes, languages.

$ clipnav plot-results runs/demo --output figures
$ clipnav plot-results runs/one runs/other traces/follower traces/random --format pdf

Traces come from clipnav evaluate-agent --traces FOLDER, or from clipnav visualise.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import tyro

from clipnav.parsing import parse
from clipnav.storage.errors import UserError, short_names
from clipnav.storage.outputs import check_outputs
from clipnav.training.checkpoints import read_results
from clipnav.training.settings import CONFIG

FigureFormat = Literal["png", "pdf", "svg"]


@dataclass(frozen=True)
class PlotConfig:
    """Sources and output of the figures."""

    sources: tyro.conf.Positional[tuple[Path, ...]]
    """Folders of runs of trainings, and files or folders of traces."""
    output: Path = Path("figures")
    """Folder of the figures."""
    format: FigureFormat = "png"
    """File format of the figures."""
    theme: Literal["light", "dark"] = "light"
    """Colours of paper and ink."""

    def __post_init__(self) -> None:
        check_outputs(self, {"output": ()})
        if self.output.suffix[1:] in get_args(FigureFormat):
            raise UserError(
                f"--output {self.output}: is the folder of several figures, not a file; set "
                f"--output {self.output.parent} --format {self.output.suffix[1:]}"
            )


def main(arguments: Sequence[str]) -> None:
    """Parse the command line, plot and print the names of the files."""
    config = parse(PlotConfig, __name__, __doc__, arguments)
    if not config.sources:
        raise SystemExit("clipnav plot-results: no source; name runs or traces, such as runs/demo")
    for path in draw(config):
        print(path)


def draw(config: PlotConfig) -> list[Path]:
    """Plot the figures that the sources provide data for; return the files."""
    from clipnav.envs.episodes import base_language
    from clipnav.training.log import read_log
    from clipnav.viewer.outputs import plots
    from clipnav.viewer.site.opening import kind_of, label_agents
    from clipnav.viewer.trace import read_traces

    kinds = {source: kind_of(source) for source in config.sources}
    for source in (source for source, kind in kinds.items() if kind == "submission"):
        hint = "score it with clipnav evaluate-submission"
        if (source.parent / CONFIG).is_file():
            hint = f"name the folder of the run, {source.parent}"
        raise UserError(f"{source}: neither a run nor traces; {hint}")
    runs = short_names(source for source, kind in kinds.items() if kind == "run")
    logs = {name: read_log(source) for source, name in runs.items()}
    sources = label_agents({s: read_traces(s) for s, kind in kinds.items() if kind == "traces"})
    traces = [trace for source_traces in sources.values() for trace in source_traces]
    figures = {}
    answers = _multilingual_scores(runs)
    if answers:
        figures["answers_by_language"] = plots.answers_by_language(answers)
    if logs:
        figures["training"] = plots.training_curves(logs)
    if traces:
        groups = plots.by_agent(traces)
        figures["success_by_length"] = plots.titled(plots.success_by_length(groups), groups)
        figures["outcomes"] = plots.titled(plots.outcomes(groups), groups)
        if len({base_language(trace.language) for trace in traces}) > 1:
            figures["languages"] = plots.titled(plots.languages(groups), groups)
    config.output.mkdir(parents=True, exist_ok=True)
    paths = [config.output / f"{name}.{config.format}" for name in figures]
    for path, figure in zip(paths, figures.values(), strict=True):
        plots.save(figure, path, dark=config.theme == "dark")
    return paths


def _multilingual_scores(runs: Mapping[Path, str]) -> dict[str, Mapping[str, Any]]:
    """Return the scores of runs of multilingual VQA by run and split."""
    scores: dict[str, Mapping[str, Any]] = {}
    for run, name in runs.items():
        for split, values in read_results(run).items():
            if {"languages", "consistency"} <= values.keys():
                scores[f"{name}, {split}" if len(runs) > 1 else split] = values
    return scores
