"""Evaluate the agent of a run on one or more splits.

$ clipnav evaluate-agent runs/r2r-houses --splits val_seen val_unseen
$ clipnav evaluate-agent runs/r2r-houses --instruction-ablation shuffled
$ clipnav evaluate-agent runs/r2r-houses --search.method frontier
$ clipnav evaluate-agent runs/r2r-matterport --splits test --submission test.json
$ clipnav evaluate-agent runs/r2r-houses --traces traces    # for visualise and plot-results

The agent acts greedily. A follower can search before it walks, or, with --search.method frontier,
turn back to any viewpoint that it has seen. Flags override the settings of the run. If the run is
of an agent of a package that is not installed, add --agent package.module:SPEC, its row.
"""

import shutil
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from clipnav.agents.settings import AgentConfig, EvaluateConfig, read_agent_config
from clipnav.agents.settings.evaluation import BASELINES
from clipnav.parsing import parse
from clipnav.storage import remove_abandoned, temporary_path
from clipnav.storage.errors import UserError
from clipnav.storage.outputs import check_new

if TYPE_CHECKING:
    from clipnav.agents.acting.rollout import Agent
    from clipnav.envs.navigation.vector_env import VlnVectorEnv


def main(arguments: Sequence[str]) -> None:
    """Parse the command line and evaluate."""
    config = parse(EvaluateConfig, __name__, __doc__, arguments)
    if config.traces is not None and config.search.method in {"beam", "best-first"}:
        raise UserError(
            f"--traces {config.traces}: a search before the walk has no traces; record traces "
            f"without --search.method {config.search.method}"
        )
    # Imported here so that --help answers without loading torch.
    from clipnav.agents.acting.evaluation import agent_name
    from clipnav.agents.experiments.runs import evaluate_run
    from clipnav.viewer.trace import agent_folder, record

    folder = config.traces
    if folder is None:
        evaluate_run(config)
        return
    settings = config.settings(read_agent_config(config.run))
    # Traces of another run or split would be mixed with these.
    name = agent_name(settings)
    check_new(agent_folder(folder, name), "--traces")
    for baseline in BASELINES if config.baselines else ():
        own = agent_folder(folder, baseline)
        if own.exists():
            raise FileExistsError(
                f"--traces {own}: already exists; add --no-baselines, or name another folder"
            )
    _check_ids(config, settings)

    def record_batch(env: "VlnVectorEnv", agent: "Agent", name: str, instr_ids: list[str]) -> None:
        record(env, agent, instr_ids, temporary_path(agent_folder(folder, name)), name=name)

    # The folders have their names when they are complete, so that a stopped evaluation can be
    # repeated.
    if folder.is_dir():
        remove_abandoned(folder)
    complete = [agent_folder(folder, one) for one in (name, *BASELINES)]
    folders = {own: temporary_path(own) for own in complete}
    try:
        evaluate_run(config, record_batch)
        for own, written in folders.items():
            if written.exists():
                with suppress(FileNotFoundError):
                    own.rmdir()  # an empty folder, which Windows does not replace
                written.rename(own)
    finally:
        for written in folders.values():
            shutil.rmtree(written, ignore_errors=True)
    print(f"Traces: {folder}")


def _check_ids(config: EvaluateConfig, settings: AgentConfig) -> None:
    """Refuse splits that share an instruction, whose traces would have the same file name."""
    from clipnav.envs.episodes import load_splits
    from clipnav.envs.worlds import world_files

    if len(config.splits) > 1:
        load_splits(
            settings.dataset,
            config.splits,
            world_files(settings.world, settings.data_dir),
            settings.instruction_language,
            hint=f"--traces {config.traces}: record each of these splits in its own folder",
        )
