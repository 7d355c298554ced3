"""Show what agents see: a page with panoramas, attention, map and metrics of every episode.

$ clipnav visualise runs/demo
$ clipnav visualise runs/one runs/other           # two agents side by side
$ clipnav visualise mine.json --dataset r2r --split val_unseen --data-dir data
$ clipnav visualise --sample                      # a trained agent, without a training
$ clipnav visualise                               # walk by hand
$ clipnav visualise --environment continuous      # walk with the arrow keys
$ clipnav visualise runs/demo --episode 26000_0 --export episode.html --video episode.mp4

--agent package.module:SPEC names the row of runs of an agent whose package is not installed.
"""

import contextlib
import logging
import threading
import webbrowser
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Literal

import tyro

import clipnav.agents
from clipnav.commands.viewer.visualise_content import Content, load_content
from clipnav.envs.datasets import continuous_version, dataset_spec
from clipnav.envs.worlds import World, is_built_in
from clipnav.parsing import parse
from clipnav.storage.errors import UserError, pluralise
from clipnav.storage.outputs import check_outputs
from clipnav.training.settings import CONFIG, check_counts, check_unused_options

# `make sample` trains and packs it.
SAMPLE = Path(clipnav.agents.__file__).parent / "sample_run"
_SAMPLE_EPISODES = 24


@dataclass(frozen=True)
class VisualiseConfig:
    """Show episodes on a page, or write a page, a video or a rerun log of one episode."""

    COMMON: ClassVar[tuple[str, ...]] = tuple(
        "sources sample environment dataset split world data_dir baselines episodes browser "
        "episode export video".split()
    )

    sources: tyro.conf.Positional[tuple[Path, ...]] = ()
    """Runs of clipnav train-agent (with --environment continuous, of clipnav
    train-continuous-agent, or of --agent etpnav), folders or files of traces, or submission files;
    none to walk by hand."""
    sample: bool = False
    """Show the trained follower that is shipped with clipnav, without a training; on the first 24
    episodes of the split if there is no --episodes."""
    environment: Literal["graph", "continuous"] = "graph"
    """Environment: walks between viewpoints, or continuous walks in the built-in houses. Without
    sources, continuous shows the expert's walks; the arrow keys control manual walks."""
    dataset: str = "r2r"
    """Dataset of submission files and of episodes to walk by hand; runs and traces have their
    own."""
    split: str = "val_unseen"
    """Split to walk; traces have their own."""
    world: World | None = None
    """World of submission files and traces; by default matterport with --data-dir, else houses.
    Runs have their own."""
    data_dir: Path | None = None
    """Data folder of world matterport."""
    features: Path | None = None
    """Feature store to use instead of the one that the runs were trained with, such as after it
    was moved."""
    scan_dir: Path | None = None
    """Folder of Matterport3D scans with skyboxes; by default DATA_DIR/matterport/v1/scans."""
    baselines: bool = True
    """Also run the baselines on the episodes of runs."""
    frontier: bool = False
    """Also let the followers of runs walk with --search.method frontier, see clipnav
    evaluate-agent."""
    episodes: int | None = None
    """Number of episodes of the split, or of each folder of traces, to show, the first ones; by
    default all, in continuous walks 8, or only one for a file."""
    device: str = "cpu"
    """Device of the followers: cpu, cuda, cuda:1, ..."""
    host: str = "127.0.0.1"
    """Address to serve the page on; by default reachable from this machine only."""
    port: int = 8420
    """Port to serve the page on; 0 for any free port."""
    browser: bool = True
    """Open the page in the browser."""
    traces: Path = Path("traces")
    """Folder for traces of walks by hand."""
    episode: str | None = None
    """instr_id of the episode to write with the options below; the first one by default."""
    agent: tuple[str, ...] = ()
    """Agent in the video, or two agents side by side; by default the first one, or with two
    sources the first one of each. A rerun log contains the first agent."""
    export: Path | None = None
    """HTML file to write instead of serving the page; it needs no server."""
    video: Path | None = None
    """Video to write: .webp, .apng, .gif, or .mp4 (needs the extra "video")."""
    size: str | None = None
    """Width and height of the video in pixels; by default 1280x720 for .mp4 and 960x540 for
    others. 1080x1080 and 720x1280 have layouts for phones."""
    seconds: float | None = None
    """Length of the video in seconds; by default long enough to read it."""
    rerun: Path | None = None
    """Log for the rerun viewer to write, .rrd (needs the extra "rerun")."""

    def __post_init__(self) -> None:
        dataset_spec(self.dataset)
        check_counts(self, ("episodes",))
        if not 0 <= self.port <= 65535:
            raise UserError(f"--port {self.port}: must be between 0 and 65535")
        if self.seconds is not None and self.seconds <= 0:
            raise UserError(f"--seconds {self.seconds:g}: must be positive")
        if len(self.agent) > 2:
            raise UserError(f"--agent: a video shows one or two agents, not {len(self.agent)}")
        idle = {}
        if not self.writes:
            idle["episode"] = "on the page, where you choose it; add --export, --video or --rerun"
        if not (self.video or self.rerun):
            idle["agent"] = "without --video or --rerun; on a page, choose the agents there"
        if not self.video:
            idle |= dict.fromkeys(("size", "seconds"), "without --video")
        if self.environment == "continuous":
            continuous_version(self.dataset)
            if self.world is not None and not is_built_in(self.world):
                raise UserError(
                    f"--world {self.world} has no floors for continuous walks; use the built-in "
                    "houses"
                )
            idle["sample"] = "with --environment continuous, as that run walks on graphs"
            idle["frontier"] = "on continuous walks, which have no viewpoints to turn back to"
            idle["features"] = "on continuous agents, which encode pictures"
            idle["rerun"] = (
                "on continuous walks; write a video with --video, or a page with --export"
            )
        check_unused_options(self, idle)
        files = {
            "export": (".html",),
            "video": (".webp", ".apng", ".gif", ".mp4"),
            "rerun": (".rrd",),
        }
        check_outputs(self, files)

    @property
    def writes(self) -> bool:
        """Whether to write files instead of serving the page."""
        return any((self.export, self.video, self.rerun))


def main(arguments: Sequence[str]) -> None:
    """Parse the command line; serve the page, or write the requested files."""
    config = parse(VisualiseConfig, __name__, __doc__, arguments)
    if config.sample:
        if not (SAMPLE / CONFIG).is_file():
            raise UserError(
                "--sample: this version of clipnav contains no trained run; train one with clipnav "
                "demo, and show it with clipnav visualise runs/demo"
            )
        episodes = config.episodes or (None if config.writes else _SAMPLE_EPISODES)
        config = replace(config, sources=(SAMPLE, *config.sources), episodes=episodes)
    show_announcements()
    if not config.writes:
        serve(config)
        return
    if config.video:  # walking takes minutes, so a video that cannot be made is reported first
        from clipnav.viewer.videos import arranged, check_kind, parse_size

        check_kind(config.video)
        if config.size:
            # By default the first agent of each of two sources is recorded.
            agents = len(config.agent) or min(len(config.sources), 2)
            arranged(parse_size(config.size), max(agents, 1))
    write(config, load_content(config))


def show_announcements() -> None:
    """Print what the environments announce, such as a house that is built, and any warning."""
    logging.basicConfig(format="%(message)s")
    # Not the root logger: open_clip and others report each of their steps to it.
    logging.getLogger("clipnav.envs").setLevel(logging.INFO)


def serve(config: VisualiseConfig) -> None:
    """Serve the page until Ctrl-C."""
    from clipnav.envs.pictures.panorama_files import WIDTHS, NoPictureError
    from clipnav.viewer.site.manual_walks import ManualWalks
    from clipnav.viewer.site.routes import SiteRoutes
    from clipnav.viewer.site.server import ViewerServer

    # Walking takes minutes, so a port in use is reported first.
    with ViewerServer(host=config.host, port=config.port) as server:
        content = load_content(config)
        library, pictures = content.library, content.pictures
        manual_walks = ManualWalks(library, config.traces, content.new_continuous)
        server.site = SiteRoutes(library, pictures, manual_walks, content.follow, content.follower)
        count = pluralise(len(library.rows()), "episode")
        print(f"{count}: {server.url} (press Ctrl-C to stop)", flush=True)
        first = library.entry(library.rows()[0]["key"]).episode

        def render_first() -> None:  # before the browser requests it
            with contextlib.suppress(NoPictureError):
                pictures.jpeg(first.scan, first.path[0], WIDTHS[0])

        threading.Thread(target=render_first, daemon=True).start()
        if config.browser:
            webbrowser.open(server.url)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()


def write(config: VisualiseConfig, content: Content) -> None:
    """Write the requested page, video and log."""
    library, pictures = content.library, content.pictures
    keys = [row["key"] for row in library.rows() if row["walks"]][:1]
    if config.export:
        from clipnav.viewer.site.export import export_page

        export_page(config.export, library, pictures, keys)
        size = config.export.stat().st_size / 1e6
        print(f"Page: {config.export} ({size:.1f} MB)")
    if not (config.video or config.rerun):
        return
    walked = library.walks(keys[0])
    names = config.agent or content.first_agents[:2]
    for name in names:
        if name not in walked:
            raise UserError(
                f"'{name}' has not walked {keys[0]}; the agents are {', '.join(walked)}"
            )
    walks = [walked[name] for name in names]
    if config.video:
        from clipnav.viewer.videos import VideoSettings, parse_size, write_video

        size = parse_size(config.size) if config.size else None
        settings = VideoSettings(size, config.seconds, progress=True)
        write_video(config.video, walks, library, pictures, settings)
        print(f"Video: {config.video} ({config.video.stat().st_size / 1e6:.1f} MB)")
    if config.rerun:
        from clipnav.viewer.outputs.rerun_log import log_trace

        log_trace(config.rerun, walks[0], library, pictures)
        print(f"Rerun log: {config.rerun}")
