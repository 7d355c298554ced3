"""Draw figures of runs and traces: training curves, success by path length, endings, languages.

$ plot_results.py runs/demo --output figures
$ plot_results.py runs/one runs/other traces/follower traces/random --kind pdf

Traces come from evaluate_agent.py --traces FOLDER, or from visualise_episode.py.
"""

from complaints import friendly_errors

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro


@dataclass(frozen=True)
class PlotConfig:
    """Draw figures of runs and traces."""

    sources: tyro.conf.Positional[tuple[Path, ...]]
    """Runs of train_agent.py, and files or folders of traces."""
    output: Path = Path("figures")
    """Folder to write to."""
    kind: Literal["png", "pdf", "svg"] = "png"
    """File format."""


def main() -> None:
    """Parse the command line and draw."""
    config = tyro.cli(PlotConfig, description=__doc__)
    if not config.sources:
        raise SystemExit("name a run or traces: plot_results.py runs/demo ...")
    for path in draw(config):
        print(path)


def draw(config: PlotConfig) -> list[Path]:
    """Draw all figures that the sources have something for; tells the files."""
    from training.log import read_log
    from viewer.outputs import plots
    from viewer.site.opening import kind_of, short_names, told_apart
    from viewer.trace import read_traces

    kinds = {source: kind_of(source) for source in config.sources}
    odd = [str(source) for source, kind in kinds.items() if kind == "submission"]
    if odd:
        raise ValueError(
            f"{odd[0]}: neither a run nor traces; score it with evaluate_submission.py"
        )
    runs = short_names(source for source, kind in kinds.items() if kind == "run")
    logs = {name: read_log(source) for source, name in runs.items()}
    told = told_apart({s: read_traces(s) for s, kind in kinds.items() if kind == "traces"})
    traces = [trace for walks in told.values() for trace in walks]
    figures = {}
    if logs:
        figures["training"] = plots.training_curves(logs)
    if traces:
        groups = plots.by_agent(traces)
        figures["success_by_length"] = plots.success_by_length(groups)
        figures["endings"] = plots.endings(groups)
        figures["languages"] = plots.languages(groups)
    config.output.mkdir(parents=True, exist_ok=True)
    paths = [config.output / f"{name}.{config.kind}" for name in figures]
    for path, figure in zip(paths, figures.values(), strict=True):
        plots.save(figure, path)
    return paths


if __name__ == "__main__":
    with friendly_errors():
        main()
