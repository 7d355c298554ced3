"""Content of the viewer for continuous walks: runs, the expert's walks, and walks by hand."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clipnav.commands.viewer.visualise_config import VisualiseConfig
from clipnav.storage.errors import UserError, counted

if TYPE_CHECKING:
    from clipnav.envs.episodes import Episode
    from clipnav.viewer.site.continuous_walks import ContinuousDriver
    from clipnav.viewer.trace import Trace
    from clipnav.viewer.trace.continuous import ContinuousRecorder

EXPERT = "expert"
_EPISODES = 8  # to walk if --episodes is not given
_BATCH = 16
_ENDLESS = 100_000  # actions of a walk by hand


@dataclass(frozen=True)
class ContinuousContent:
    """Continuous walks of a split.

    Attributes:
        config: Settings of the command.
        episodes: Episodes of the split, up to --episodes.
    """

    config: VisualiseConfig
    episodes: "Sequence[Episode]"

    def expert_traces(self) -> "list[Trace]":
        """Return the expert's walks of the first episodes, or of --episode."""
        ids = self._ids()
        print(
            f"{EXPERT}: {counted(len(ids), 'continuous episode')} of {self.config.split} ...",
            flush=True,
        )
        return self._recorder(EXPERT, min(_BATCH, len(ids)), None).record(ids)

    def run_traces(self, run: Path) -> "list[Trace]":
        """Return the walks of a run's agent, and with --baselines of untrained agents."""
        from clipnav.agents.continuous.evaluation import baseline_walkers
        from clipnav.agents.continuous.tasks import load_continuous_run
        from clipnav.envs.continuous.walkers import Walker
        from clipnav.viewer.trace.building import Setting
        from clipnav.viewer.trace.continuous import ContinuousRecorder

        config, ids = self.config, self._ids()
        task, agent = load_continuous_run(run, config.device)
        walkers: dict[str, Walker] = {task.config.network.kind: agent}
        walkers |= baseline_walkers(task) if config.baselines else {}
        count = counted(len(ids), "episode")
        print(f"{run}: {', '.join(walkers)}: {count} of {config.split} ...", flush=True)
        traces: list[Trace] = []
        for name, walker in walkers.items():
            env = task.env(config.split, min(_BATCH, len(ids)), draws=walker is agent)
            setting = Setting(name, task.config.world, task.config.dataset, config.split)
            traces += ContinuousRecorder(env, self.episodes, setting).record(ids, walker)
        return traces

    def _ids(self) -> list[str]:
        """Return the ids of the first episodes, or that of --episode."""
        config, ids = self.config, [episode.instr_id for episode in self.episodes]
        if config.episode is not None:
            if config.episode not in ids:
                raise UserError(
                    f"--episode {config.episode}: there is no such episode; "
                    f"the first one is {ids[0]}"
                )
            return [config.episode]
        return ids[: config.episodes or (1 if config.writes else _EPISODES)]

    def driver(self) -> "ContinuousDriver":
        """Return what carries out the actions of walks by hand."""
        from clipnav.viewer.site.continuous_walks import ContinuousDriver
        from clipnav.viewer.site.manual_walks import CONTINUOUS_AGENT

        return ContinuousDriver(self._recorder(CONTINUOUS_AGENT, 1, _ENDLESS))

    def _recorder(self, agent: str, size: int, limit: int | None) -> "ContinuousRecorder":
        from clipnav.envs.continuous.environments.making import make_continuous_vector_env
        from clipnav.viewer.trace.building import Setting
        from clipnav.viewer.trace.continuous import ContinuousRecorder

        config = self.config
        world = config.world or "houses"
        arguments: dict[str, Any] = {"observe": (), "tilt_actions": False}
        if limit is not None:
            arguments["max_episode_steps"] = limit
        arguments |= {"dataset": config.dataset, "split": config.split, "world": world}
        env = make_continuous_vector_env(size, "Disabled", None, None, **arguments)
        setting = Setting(agent, world, config.dataset, config.split)
        return ContinuousRecorder(env, self.episodes, setting)
