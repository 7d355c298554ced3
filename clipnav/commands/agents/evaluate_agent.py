"""Evaluate the agent of a run on one or more splits.

$ clipnav evaluate-agent runs/r2r-houses --splits val_seen val_unseen
$ clipnav evaluate-agent runs/r2r-houses --instruction-ablation shuffled
$ clipnav evaluate-agent runs/r2r-houses --search.method frontier
$ clipnav evaluate-agent runs/r2r-matterport --splits test --submission test.json
$ clipnav evaluate-agent runs/r2r-houses --traces traces    # for visualise and plot-results

The agent acts greedily. A follower can search before it walks, or, with --search.method frontier,
turn back to any viewpoint that it has seen. Flags override the settings of the run.
"""

from collections.abc import Sequence
from pathlib import Path

from agents.settings import EvaluateConfig, read_agent_config
from clipnav.parsing import parse
from storage.errors import UserError
from storage.outputs import check_new


def main(arguments: Sequence[str]) -> None:
    """Parse the command line and evaluate."""
    config = parse(EvaluateConfig, __name__, __doc__, arguments)
    if config.traces is not None and config.search.method in {"beam", "best-first"}:
        raise UserError(
            f"--traces {config.traces}: a search before the walk has no traces; record traces "
            f"without --search.method {config.search.method}"
        )
    # Imported here so that --help answers without loading torch.
    from agents.acting.evaluation import agent_name
    from agents.experiments.runs import evaluate_run, prepare_evaluation
    from viewer.trace import agent_folder

    if config.traces is not None:  # traces of another run or split would be mixed with these
        name = agent_name(config.settings(read_agent_config(config.run)))
        check_new(agent_folder(config.traces, name), "--traces")
    config = prepare_evaluation(config)  # so that traces are walked as tuned for the scores
    evaluate_run(config)
    if config.traces is not None:
        for split in config.splits:
            record_traces(config, split, config.traces)
        print(f"Traces: {config.traces}")


def record_traces(config: EvaluateConfig, split: str, folder: Path) -> None:
    """Walk a split again and write a trace of each episode, with a folder for each agent."""
    import torch

    from agents.experiments.runs import load_walkers
    from viewer.trace import record_all

    _, env, walkers = load_walkers(config, split)
    ids = [episode.instr_id for episode in env.episodes]
    with torch.inference_mode():
        record_all(env, walkers, ids, folder)
