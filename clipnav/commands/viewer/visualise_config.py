"""Settings of clipnav visualise; nothing here imports torch, so that --help answers at once."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import tyro

from clipnav.envs.datasets import continuous_version, dataset_spec
from clipnav.envs.worlds import World, is_built_in
from clipnav.storage.errors import UserError
from clipnav.storage.outputs import check_outputs
from clipnav.training.settings import check_counts


@dataclass(frozen=True)
class VisualiseConfig:
    """Show episodes on a page, or write a page, a film or a rerun log of one episode."""

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
    """Agent to film, or two agents to film side by side; by default the first one, or with two
    sources the first one of each. A rerun log contains the first agent."""
    export: Path | None = None
    """HTML file to write instead of serving the page; it needs no server."""
    video: Path | None = None
    """Film to write: .webp, .apng, .gif, or .mp4 (needs the extra "video")."""
    size: str | None = None
    """Width and height of the film in pixels; by default 1280x720 for .mp4 and 960x540 for
    others. 1080x1080 and 720x1280 have layouts for phones."""
    seconds: float | None = None
    """Length of the film in seconds; by default long enough to read it."""
    rerun: Path | None = None
    """Log for the rerun viewer to write, .rrd (needs the extra "rerun")."""

    def __post_init__(self) -> None:
        dataset_spec(self.dataset)
        check_counts(self, ("episodes",))
        if not 0 <= self.port <= 65535:
            raise UserError(f"--port {self.port}: must be between 0 and 65535")
        if self.episode and not self.writes:
            raise UserError(
                "--episode applies to --export, --video and --rerun; on the page, choose the "
                "episode there"
            )
        if self.agent and not (self.video or self.rerun):
            raise UserError(
                "--agent applies to --video and --rerun; on a page, choose the agents there"
            )
        if self.sample and self.environment == "continuous":
            raise UserError("--sample is a run on graphs; omit --environment continuous")
        if len(self.agent) > 2:
            raise UserError(f"--agent: a film shows one or two agents, not {len(self.agent)}")
        if self.size and not self.video:
            raise UserError("--size applies to films: add --video FILE")
        if self.seconds is not None and not (self.video and self.seconds > 0):
            raise UserError("--seconds: must be positive, and applies to films: add --video FILE")
        if self.environment == "continuous":
            self._check_continuous()
        files = {
            "export": (".html",),
            "video": (".webp", ".apng", ".gif", ".mp4"),
            "rerun": (".rrd",),
        }
        check_outputs(self, files)

    def _check_continuous(self) -> None:
        if self.world is not None and not is_built_in(self.world):
            raise UserError(
                f"--world {self.world} has no floors for continuous walks; use the built-in houses"
            )
        continuous_version(self.dataset)
        if self.frontier:
            raise UserError("--frontier: continuous walks have no viewpoints to turn back to")
        if self.features is not None:
            raise UserError(
                f"--features {self.features}: continuous agents encode pictures, not stored views"
            )
        if self.rerun is not None:
            raise UserError(
                f"--rerun {self.rerun}: logs contain walks on graphs only; write a film with "
                "--video, or a page with --export"
            )

    @property
    def writes(self) -> bool:
        """Whether to write files instead of serving the page."""
        return any((self.export, self.video, self.rerun))
