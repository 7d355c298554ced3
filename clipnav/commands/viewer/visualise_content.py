"""What clipnav visualise shows: episodes and the traces of agents."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clipnav.storage.errors import UserError, pluralise

if TYPE_CHECKING:
    from clipnav.agents.acting.rollout import Agent
    from clipnav.agents.settings import AgentConfig
    from clipnav.commands.viewer.visualise import VisualiseConfig
    from clipnav.envs.episodes import Episode
    from clipnav.envs.navigation.vector_env import VlnVectorEnv
    from clipnav.envs.pictures.panorama_files import Pictures
    from clipnav.viewer.site.continuous_walks import ContinuousDriver
    from clipnav.viewer.site.library import Entry, Library
    from clipnav.viewer.site.manual_walks import ManualEpisode
    from clipnav.viewer.site.opening import Kind
    from clipnav.viewer.trace import Trace
    from clipnav.viewer.trace.continuous import ContinuousRecorder

    Run = tuple[AgentConfig, VlnVectorEnv, dict[str, Agent]]

_EXPERT = "expert"
_EPISODES = 8  # to walk if --episodes is not given
_BATCH = 16
_ENDLESS = 100_000  # actions of a walk by hand


@dataclass(frozen=True)
class Content:
    """Everything that the viewer shows.

    Attributes:
        library: Episodes and traces.
        pictures: Panoramas.
        follow: Lets an agent follow a typed instruction; None without a run.
        follower: Name of that agent.
        first_agents: Name of the first agent of each source.
        new_continuous: Begins a continuous walk by hand; None for walks on graphs.
    """

    library: "Library"
    pictures: "Pictures"
    follow: "Callable[[Episode], Trace] | None"
    follower: str
    first_agents: tuple[str, ...]
    new_continuous: "Callable[[Entry], ManualEpisode] | None" = None


def load_content(config: "VisualiseConfig") -> Content:
    """Read traces and submissions, and let runs walk their episodes."""
    from clipnav.envs.episodes import load_episodes
    from clipnav.envs.pictures.world_pictures import world_pictures
    from clipnav.envs.worlds import named_world, world_files
    from clipnav.viewer.site.continuous_walks import house_free_pictures
    from clipnav.viewer.site.library import Library
    from clipnav.viewer.site.opening import first_agents, kind_of, label_agents

    kinds: dict[Path, Kind] = {source: kind_of(source) for source in config.sources}
    if "run" not in kinds.values():
        given = {
            "--frontier": config.frontier,
            "--no-baselines": not config.baselines,
            f"--features {config.features}": config.features is not None,
        }
        if flag := next((flag for flag, is_given in given.items() if is_given), None):
            raise UserError(f"{flag} applies to runs: name a run, or omit it")
    if config.environment == "continuous":
        return _continuous_content(config, kinds)
    runs = [source for source, kind in kinds.items() if kind == "run"]
    if runs:
        config = _as_trained(config, runs)
    files = world_files(named_world(config.world, config.data_dir), config.data_dir)
    library = Library(files, config.dataset)
    loaded = {run: _load_run(config, run) for run in runs}
    named = label_agents(_all_traces(config, kinds, loaded, library))
    for traces in named.values():
        library.add(traces)
    if not kinds:
        episodes = load_episodes(config.dataset, config.split, files)
        library.add_episodes(episodes[: config.episodes], config.split)
    follow, follower = None, ""
    if runs:
        _, _, walkers = loaded[runs[-1]]
        follower = next(iter(walkers))
        for trace in named.get((runs[-1], follower), [])[:1]:
            follower = trace.agent
        follow = _follow(loaded[runs[-1]], follower)
    pictures = world_pictures(files, config.scan_dir)
    if files.is_built_in and any(one.is_continuous for own in named.values() for one in own):
        pictures = house_free_pictures(pictures)
    return Content(library, pictures, follow, follower, first_agents(named))


def _continuous_content(config: "VisualiseConfig", kinds: "Mapping[Path, Kind]") -> Content:
    """Read traces, let runs walk, or record the expert; walks by hand are continuous."""
    from clipnav.agents.continuous.tasks import read_continuous_config
    from clipnav.envs.episodes import load_episodes
    from clipnav.envs.pictures.world_pictures import world_pictures
    from clipnav.envs.worlds import world_files
    from clipnav.viewer.site.continuous_walks import house_free_pictures
    from clipnav.viewer.site.library import Library
    from clipnav.viewer.site.opening import first_agents, label_agents

    for source, kind in kinds.items():
        if kind == "submission":
            raise UserError(
                f"{source}: is a submission, but continuous walks come from traces and runs; "
                "remove it, or --environment continuous"
            )
    runs = [source for source, kind in kinds.items() if kind == "run"]
    trained = {run: read_continuous_config(run) for run in runs}
    for run, own in trained.items():
        first = trained[runs[0]]
        if (own.dataset, own.world) != (first.dataset, first.world):
            raise UserError(
                f"{run}: walks episodes of {own.dataset} in '{own.world}', but {runs[0]} those "
                f"of {first.dataset} in '{first.world}'; show each by itself"
            )
        config = replace(config, dataset=own.dataset, world=own.world)
    files = world_files(config.world or "houses", config.data_dir)
    episodes = load_episodes(config.dataset, config.split, files)
    library = Library(files, config.dataset)
    recorded: dict[Path, Kind] = {source: kind for source, kind in kinds.items() if kind != "run"}
    traces = _all_traces(config, recorded, {}, library) if recorded else {}
    if traces and config.writes:
        config = replace(
            config, episode=next(one.instr_id for own in traces.values() for one in own)
        )
        _check_one_episode(config, traces, runs)
    content = ContinuousContent(config, episodes)
    traces |= {run: content.run_traces(run) for run in runs}
    traces = {source: traces[source] for source in kinds}
    named = label_agents(traces or {Path("expert"): content.expert_traces()})
    for one in named.values():
        library.add(one)
    library.add_episodes(episodes[: config.episodes], config.split)
    pictures = house_free_pictures(world_pictures(files))
    return Content(library, pictures, None, "", first_agents(named), content.driver().begin)


def _all_traces(
    config: "VisualiseConfig",
    kinds: "Mapping[Path, Kind]",
    loaded: "Mapping[Path, Run]",
    library: "Library",
) -> "dict[Path, list[Trace]]":
    """Read traces and submissions, then let runs walk; if files are written, one episode only.

    Walking takes minutes, so everything is validated first.
    """
    import torch

    from clipnav.viewer.trace import read_traces, record_all

    traces_by_source: dict[Path, list[Trace]] = {}
    ids: dict[Path, list[str]] = {}
    for source, kind in kinds.items():
        if kind == "run":
            _, env, _ = loaded[source]
            ids[source] = [episode.instr_id for episode in env.episodes[: config.episodes]]
            continue
        if kind == "traces":
            traces = read_traces(source)
            shown = list(dict.fromkeys(trace.instr_id for trace in traces))[: config.episodes]
            traces = [trace for trace in traces if trace.instr_id in shown]
            print(f"{source}: {pluralise(len(traces), 'trace')}", flush=True)
        else:
            traces = _read_submission(config, source, library)
        library.check(traces)
        traces_by_source[source] = traces
        ids[source] = [trace.instr_id for trace in traces]
    if config.writes:
        chosen = _episode_to_write(config, [one for own in ids.values() for one in own])
        ids = {source: [chosen] if chosen in own else [] for source, own in ids.items()}
        for source, traces in traces_by_source.items():
            traces_by_source[source] = [trace for trace in traces if trace.instr_id == chosen]
        _check_one_episode(config, traces_by_source, [run for run in loaded if ids[run]])
    for source, (_, env, walkers) in loaded.items():
        count = pluralise(len(ids[source]), "episode")
        print(f"{source}: {', '.join(walkers)}: {count} of {config.split} ...", flush=True)
        with torch.inference_mode():
            walked = record_all(env, walkers, ids[source])
        traces_by_source[source] = [trace for own in walked.values() for trace in own]
    return {source: traces_by_source[source] for source in kinds}


def _episode_to_write(config: "VisualiseConfig", ids: list[str]) -> str:
    """Return the instr_id of the episode to write."""
    if not ids:
        raise UserError("no agent has walked an episode: name a run, traces or a submission file")
    if config.episode is not None and config.episode not in ids:
        limit = f" among the first {config.episodes} (--episodes)" if config.episodes else ""
        raise UserError(
            f"--episode {config.episode}: there is no such episode{limit}; "
            f"the first one is {ids[0]}"
        )
    return config.episode or ids[0]


def _check_one_episode(
    config: "VisualiseConfig", traces: "Mapping[Path, Sequence[Trace]]", runs: Sequence[Path]
) -> None:
    """Check that the episode to write has one dataset and split; others may use its id as well."""
    found = [(one.dataset, one.split, source) for source, own in traces.items() for one in own]
    found += [(config.dataset, config.split, run) for run in runs]
    for dataset, split, source in found:
        if (dataset, split) != found[0][:2]:
            first = f"{found[0][0]} {found[0][1]}"
            raise _two_episodes(source, f"{dataset} {split}", found[0][2], first)


def _two_episodes(source: Path, episodes: str, first: Path, others: str) -> UserError:
    return UserError(
        f"{source}: has episodes of {episodes}, beside those of {others} in {first}, and only one "
        "episode is written; show each by itself"
    )


def _as_trained(config: "VisualiseConfig", runs: Sequence[Path]) -> "VisualiseConfig":
    """Return settings with dataset, world and data folder of the first run."""
    from clipnav.agents.settings import read_agent_config

    saved = {run: read_agent_config(run) for run in runs}
    first = saved[runs[0]]
    for run, other in saved.items():
        if other.world != first.world:
            raise UserError(
                f"{run}: its world is '{other.world}', but '{first.world}' is shown; show the runs "
                "of each world by themselves"
            )
        if config.data_dir is None and _resolved(other.data_dir) != _resolved(first.data_dir):
            raise UserError(
                f"{run}: its data folder is {other.data_dir}, but that of {runs[0]} is "
                f"{first.data_dir}; show each by itself, or pass --data-dir"
            )
        if config.writes and other.dataset != first.dataset:
            raise _two_episodes(run, other.dataset, runs[0], first.dataset)
    folder = config.data_dir or first.data_dir
    return replace(config, dataset=first.dataset, world=first.world, data_dir=folder)


def _resolved(folder: Path | None) -> Path | None:
    return None if folder is None else folder.resolve()


def _load_run(config: "VisualiseConfig", run: Path) -> "Run":
    """Load settings, the environment of the split, and the agents by name, the follower first."""
    from clipnav.agents.experiments.runs import load_walkers
    from clipnav.agents.settings import EvaluateConfig, SearchConfig

    return load_walkers(
        EvaluateConfig(
            run,
            baselines=config.baselines,
            data_dir=config.data_dir,
            features=config.features,
            search=SearchConfig("frontier" if config.frontier else "none"),
            device=config.device,
        ),
        config.split,
    )


def _follow(run: "Run", name: str) -> "Callable[[Episode], Trace]":
    """Return a function that lets the follower of a run follow any instruction."""
    import torch

    from clipnav.viewer.trace.recording import walk_freely

    env, (agent, *_) = run[1], run[2].values()

    def follow(episode: "Episode") -> "Trace":
        with torch.inference_mode():
            return walk_freely(env, agent, name, episode, env.max_episode_steps)

    return follow


def _read_submission(config: "VisualiseConfig", source: Path, library: "Library") -> "list[Trace]":
    from clipnav.envs.submissions.ground_truth import ScoringRules, load_ground_truth
    from clipnav.viewer.trace import traces_of_submission

    world = library.files.world
    ground_truth = load_ground_truth(
        ScoringRules(config.dataset, (config.split,), world, config.data_dir)
    )
    traces, checked = traces_of_submission(source, ground_truth, world, config.dataset)
    library.add_episodes(ground_truth.episodes[: config.episodes], config.split)
    print(f"{source}: {pluralise(len(traces), 'walk')}", flush=True)
    for finding in checked.findings:
        print(f"  {finding}", flush=True)
    return traces[: config.episodes]


@dataclass(frozen=True)
class ContinuousContent:
    """Continuous walks of a split.

    Attributes:
        config: Settings of the command.
        episodes: Episodes of the split, up to --episodes.
    """

    config: "VisualiseConfig"
    episodes: "Sequence[Episode]"

    def expert_traces(self) -> "list[Trace]":
        """Return the expert's walks of the first episodes, or of --episode."""
        ids = self._ids()
        print(
            f"{_EXPERT}: {pluralise(len(ids), 'continuous episode')} of {self.config.split} ...",
            flush=True,
        )
        return self._recorder(_EXPERT, min(_BATCH, len(ids)), None).record(ids)

    def run_traces(self, run: Path) -> "list[Trace]":
        """Return the walks of a run's agent, and with --baselines of untrained agents."""
        from clipnav.agents.continuous.evaluation import baseline_walkers
        from clipnav.agents.continuous.tasks import load_continuous_run
        from clipnav.envs.continuous.walkers import Walker
        from clipnav.viewer.trace.building import Setting
        from clipnav.viewer.trace.continuous import ContinuousRecorder

        config, ids = self.config, self._ids()
        task, agent = load_continuous_run(run, config.device)
        walkers: dict[str, Walker] = {task.name: agent}
        walkers |= baseline_walkers(task) if config.baselines else {}
        count = pluralise(len(ids), "episode")
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
