"""See what agents see: a page with panoramas, attention, map and metrics of every episode.

$ visualise_episode.py runs/demo
$ visualise_episode.py runs/one runs/other           # two agents side by side
$ visualise_episode.py mine.json --dataset r2r --split val_unseen --data-dir data
$ visualise_episode.py                               # walk yourself
$ visualise_episode.py runs/demo --episode 32000_0 --export episode.html --video episode.mp4
"""

from complaints import friendly_errors

import contextlib
import logging
import threading
import webbrowser
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from envs.worlds import Dataset, World
from training.settings import check_counts

if TYPE_CHECKING:
    from agents.acting.rollout import Agent
    from agents.settings import TrainConfig
    from envs.episodes import Episode
    from envs.navigation.vector_env import VlnVectorEnv
    from viewer.scene.pictures import Pictures
    from viewer.site.library import Library
    from viewer.site.opening import Kind
    from viewer.trace import Trace

    Run = tuple[TrainConfig, VlnVectorEnv, dict[str, Agent]]


@dataclass(frozen=True)
class VisualiseConfig:
    """Open a page on episodes, or write one, a film or a rerun log of an episode."""

    sources: tyro.conf.Positional[tuple[Path, ...]] = ()
    """Runs of train_agent.py, folders or files of traces, submission files; none to walk
    yourself."""
    dataset: Dataset = "r2r"
    """Data set of submission files, and of the episodes to walk; runs and traces know theirs."""
    split: str = "val_unseen"
    """Split to walk. Traces know theirs."""
    world: World | None = None
    """World of submission files and traces, matterport if a data folder is named, else houses; runs
    know theirs."""
    data_dir: Path | None = None
    """Folder of the data of world matterport."""
    features: Path | None = None
    """Feature store of runs, if it has moved."""
    skyboxes: Path | None = None
    """Folder of Matterport3D's scans with their skyboxes, by default DATA_DIR/matterport/v1/scans.
    """
    baselines: bool = True
    """Have the baselines walk the episodes of runs, too."""
    limit: int | None = None
    """Show the first so many episodes of the split only."""
    device: str = "cpu"
    """Where followers compute."""
    host: str = "127.0.0.1"
    """Address to serve the page on; by default this machine alone can see it."""
    port: int = 8420
    """Port to serve it on; 0 for any free one."""
    browser: bool = True
    """Open the page in the browser."""
    save_to: Path = Path("traces")
    """Folder for the traces of your own walks."""
    episode: str | None = None
    """instr_id of the episode to write with the flags below; the first one by default."""
    agent: tuple[str, ...] = ()
    """Agent to film, or two to film side by side; by default the first one, or with two sources the
    first one of each. A rerun log is of the first."""
    export: Path | None = None
    """Write one HTML file that needs no server, instead of serving the page."""
    video: Path | None = None
    """Write a film, .gif or .mp4 (the latter needs the extra "video")."""
    size: str = "1280x720"
    """Width and height of the film in pixels; 1080x1080 and 720x1280 are arranged for phones."""
    rerun: Path | None = None
    """Write a log for the rerun viewer, .rrd (needs the extra "rerun")."""

    def __post_init__(self) -> None:
        check_counts(self, ("limit",))
        if (self.episode or self.agent) and not self.writes:
            raise ValueError(
                "--episode and --agent choose what --export, --video and --rerun write; on the "
                "page, choose them there"
            )
        if len(self.agent) > 2:
            raise ValueError(f"--agent: a film shows one agent or two, not {len(self.agent)}")
        if not self.video and self.size != VisualiseConfig.size:
            raise ValueError("--size is of a film: name its file, --video FILE")

    @property
    def writes(self) -> bool:
        """Whether files are asked for instead of the page."""
        return any((self.export, self.video, self.rerun))


def main() -> None:
    """Parse the command line; serve the page or write the files that are asked for."""
    config = tyro.cli(VisualiseConfig, description=__doc__)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if config.writes:
        if config.video:
            _check_film(config.video, config)
        write(config, gather(config))
    else:
        serve(config)


@dataclass(frozen=True)
class Gathered:
    """Everything to show.

    Attributes:
        library: Episodes and traces.
        pictures: Panoramas.
        follow: Who follows instructions of the user's; None if nobody does.
        follower: Name of it.
        first: Names of the first agent of each source.
    """

    library: "Library"
    pictures: "Pictures"
    follow: "Callable[[Episode], Trace] | None"
    follower: str
    first: tuple[str, ...]


def gather(config: VisualiseConfig) -> Gathered:
    """Load what the sources hold, and have runs walk."""
    from envs.episodes import load_episodes
    from envs.worlds import named_world, world_files
    from viewer.scene.pictures import world_pictures
    from viewer.site.library import Library
    from viewer.site.opening import first_agents, kind_of, told_apart

    kinds: dict[Path, Kind] = {source: kind_of(source) for source in config.sources}
    runs = [source for source, kind in kinds.items() if kind == "run"]
    if runs:
        config = _as_trained(config, runs[0])
    files = world_files(named_world(config.world, config.data_dir), config.data_dir)
    library = Library(files, config.dataset)
    loaded = {run: _load_run(config, run) for run in runs}
    told = told_apart(_all_traces(config, kinds, loaded, library))
    for traces in told.values():
        library.add(traces)
    if not kinds:
        episodes = load_episodes(config.dataset, config.split, files)
        library.add_episodes(episodes[: config.limit], config.split)
    follow, follower = None, ""
    if runs:
        _, _, walkers = loaded[runs[-1]]
        follower = next(iter(walkers))
        for trace in told.get((runs[-1], follower), [])[:1]:
            follower = trace.agent
        follow = _follow(loaded[runs[-1]], follower)
    return Gathered(
        library, world_pictures(files, config.skyboxes), follow, follower, first_agents(told)
    )


def _all_traces(
    config: VisualiseConfig,
    kinds: "Mapping[Path, Kind]",
    loaded: "Mapping[Path, Run]",
    library: "Library",
) -> "dict[Path, list[Trace]]":
    """Read traces and submissions, then have runs walk; of the wanted episode if files are written.

    Walking takes minutes, so all that can be wrong is found before.
    """
    brought: dict[Path, list[Trace]] = {}
    ids: dict[Path, list[str]] = {}
    for source, kind in kinds.items():
        if kind == "run":
            _, env, _ = loaded[source]
            ids[source] = [episode.instr_id for episode in env.episodes[: config.limit]]
            continue
        if kind == "traces":
            brought[source] = _read_traces(source)
        else:
            brought[source] = _read_submission(config, source, library)
        library.check(brought[source])
        ids[source] = [trace.instr_id for trace in brought[source]]
    if config.writes:
        wanted = _wanted(config, [one for own in ids.values() for one in own])
        ids = {source: [wanted] if wanted in own else [] for source, own in ids.items()}
        for source, traces in brought.items():
            brought[source] = [trace for trace in traces if trace.instr_id == wanted]
    for source, run in loaded.items():
        brought[source] = _walk_run(config, source, run, ids[source])
    return {source: brought[source] for source in kinds}


def _wanted(config: VisualiseConfig, ids: list[str]) -> str:
    """Of which episode files are written."""
    if not ids:
        raise ValueError("nobody has walked an episode: name a run, traces or a submission file")
    if config.episode is not None and config.episode not in ids:
        raise ValueError(f"there is no episode '{config.episode}'; the first one is '{ids[0]}'")
    return config.episode or ids[0]


def serve(config: VisualiseConfig) -> None:
    """Serve the page until Ctrl-C."""
    from viewer.site.drives import Drives
    from viewer.site.routes import Site
    from viewer.site.server import ViewerServer

    # Walking takes minutes: a port that is taken is told of before.
    with ViewerServer(host=config.host, port=config.port) as server:
        found = gather(config)
        library, pictures = found.library, found.pictures
        drives = Drives(library, config.save_to)
        server.site = Site(library, pictures, drives, found.follow, found.follower)
        print(f"{len(library.rows())} episodes: {server.url} (Ctrl-C ends it)", flush=True)
        threading.Thread(target=_first_picture, args=(library, pictures), daemon=True).start()
        if config.browser:
            webbrowser.open(server.url)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()


def _first_picture(library: "Library", pictures: "Pictures") -> None:
    """Have the first picture drawn before the browser asks for it."""
    from viewer.scene.pictures import WIDTHS, NoPictureError

    key = library.rows()[0]["key"]
    episode = library.entry(key).episode
    with contextlib.suppress(NoPictureError):
        pictures.jpeg(episode.scan, episode.path[0], WIDTHS[0])


def write(config: VisualiseConfig, found: Gathered) -> None:
    """Write the page, the film and the log that are asked for."""
    library, pictures = found.library, found.pictures
    keys = [row["key"] for row in library.rows() if row["walks"]][:1]
    if config.export:
        from viewer.site.export import export_page

        export_page(config.export, library, pictures, keys)
        size = config.export.stat().st_size / 1e6
        print(f"Page: {config.export} ({size:.1f} MB)")
    if not (config.video or config.rerun):
        return
    walks = _chosen(config.agent or found.first[:2], library.walks(keys[0]), keys[0])
    if config.video:
        from viewer.films import FilmSettings, film_walks, parse_size

        settings = FilmSettings(parse_size(config.size), progress=True)
        film_walks(config.video, walks, library, pictures, settings)
        print(f"Film: {config.video} ({config.video.stat().st_size / 1e6:.1f} MB)")
    if config.rerun:
        from viewer.outputs.rerun_log import log_trace

        log_trace(config.rerun, walks[0], library, pictures)
        print(f"Rerun log: {config.rerun}")


def _check_film(path: Path, config: VisualiseConfig) -> None:
    """Refuse a film that cannot be made before anybody walks, which takes minutes."""
    from viewer.films import arranged, check_kind, parse_size

    check_kind(path)
    arranged(parse_size(config.size), max(len(config.agent), 1))


def _chosen(names: tuple[str, ...], walks: "Mapping[str, Trace]", key: str) -> "list[Trace]":
    """The walks of the agents to film."""
    for name in names:
        if name not in walks:
            raise ValueError(f"'{name}' has not walked {key}; there are {', '.join(walks)}")
    return [walks[name] for name in names]


def _as_trained(config: VisualiseConfig, run: Path) -> VisualiseConfig:
    from agents.settings import TrainConfig
    from training.settings import read_config

    saved = read_config(run, TrainConfig)
    folder = config.data_dir or saved.data_dir
    return replace(config, dataset=saved.dataset, world=saved.world, data_dir=folder)


def _load_run(config: VisualiseConfig, run: Path) -> "Run":
    """Settings, environment over the split, and by name the follower, first, and baselines."""
    from agents.experiments.runs import load_walkers
    from agents.settings import EvaluateConfig

    return load_walkers(
        EvaluateConfig(
            run,
            baselines=config.baselines,
            data_dir=config.data_dir,
            features=config.features,
            device=config.device,
        ),
        config.split,
    )


def _walk_run(config: VisualiseConfig, source: Path, run: "Run", ids: list[str]) -> "list[Trace]":
    """Have a run's follower and the baselines walk episodes of the split."""
    import torch

    from viewer.trace import record_all

    settings, env, walkers = run
    who = ", ".join(walkers)
    print(f"{source}: {who}: {len(ids)} episodes of {config.split} ...", flush=True)
    with torch.inference_mode():
        walked = record_all(env, walkers, ids, split=config.split, dataset=settings.dataset)
    return [trace for traces in walked.values() for trace in traces]


def _follow(run: "Run", name: str) -> "Callable[[Episode], Trace]":
    """How to have a run's follower, shown under a name, follow other instructions."""
    import torch

    from viewer.site.free_walk import walk_freely
    from viewer.trace.building import Setting

    settings, env, (agent, *_) = run[0], run[1], run[2].values()
    setting = Setting(name, env.files.world, settings.dataset, "")

    def follow(episode: "Episode") -> "Trace":
        with torch.inference_mode():
            return walk_freely(env, agent, setting, episode, env.max_episode_steps)

    return follow


def _read_traces(source: Path) -> "list[Trace]":
    from viewer.trace import read_traces

    traces = read_traces(source)
    print(f"{source}: {len(traces)} traces", flush=True)
    return traces


def _read_submission(config: VisualiseConfig, source: Path, library: "Library") -> "list[Trace]":
    from envs.submissions.scores import ScoringRules, load_ground
    from viewer.trace import traces_of_submission

    world = library.files.world
    ground = load_ground(ScoringRules(config.dataset, (config.split,), world, config.data_dir))
    traces, checked = traces_of_submission(source, ground, world, config.dataset)
    library.add_episodes(ground.episodes[: config.limit], config.split)
    print(f"{source}: {len(traces)} walks", flush=True)
    for finding in checked.findings:
        print(f"  {finding}", flush=True)
    return traces[: config.limit]


if __name__ == "__main__":
    with friendly_errors():
        main()
