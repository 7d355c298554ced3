"""The viewer as a command: serve the page, or write a page, a film or a log of one episode."""

import contextlib
import logging
import threading
import webbrowser
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from clipnav.commands.viewer.viewer_content import Content, load_content
from clipnav.commands.viewer.visualise_config import VisualiseConfig
from clipnav.storage.errors import UserError, counted

if TYPE_CHECKING:
    from clipnav.envs.pictures.panorama_files import Pictures
    from clipnav.viewer.site.library import Library
    from clipnav.viewer.trace import Trace


def visualise(config: VisualiseConfig) -> None:
    """Serve the page, or write the requested files."""
    show_announcements()
    if config.writes:
        if config.video:
            _check_film(config.video, config)
        write(config, load_content(config))
    else:
        serve(config)


def show_announcements() -> None:
    """Print what the environments announce, such as a house that is built, and any warning."""
    logging.basicConfig(format="%(message)s")
    # Not the root logger: open_clip and others report each of their steps to it.
    logging.getLogger("clipnav.envs").setLevel(logging.INFO)


def serve(config: VisualiseConfig) -> None:
    """Serve the page until Ctrl-C."""
    from clipnav.viewer.site.manual_walks import ManualWalks
    from clipnav.viewer.site.routes import Routes
    from clipnav.viewer.site.server import ViewerServer

    # Walking takes minutes, so a port in use is reported first.
    with ViewerServer(host=config.host, port=config.port) as server:
        content = load_content(config)
        library, pictures = content.library, content.pictures
        manual_walks = ManualWalks(library, config.traces, content.new_continuous)
        server.site = Routes(library, pictures, manual_walks, content.follow, content.follower)
        count = counted(len(library.rows()), "episode")
        print(f"{count}: {server.url} (press Ctrl-C to stop)", flush=True)
        threading.Thread(target=_first_picture, args=(library, pictures), daemon=True).start()
        if config.browser:
            webbrowser.open(server.url)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()


def _first_picture(library: "Library", pictures: "Pictures") -> None:
    """Render the first picture before the browser requests it."""
    from clipnav.envs.pictures.panorama_files import WIDTHS, NoPictureError

    key = library.rows()[0]["key"]
    episode = library.entry(key).episode
    with contextlib.suppress(NoPictureError):
        pictures.jpeg(episode.scan, episode.path[0], WIDTHS[0])


def write(config: VisualiseConfig, content: Content) -> None:
    """Write the requested page, film and log."""
    library, pictures = content.library, content.pictures
    keys = [row["key"] for row in library.rows() if row["walks"]][:1]
    if config.export:
        from clipnav.viewer.site.export import export_page

        export_page(config.export, library, pictures, keys)
        size = config.export.stat().st_size / 1e6
        print(f"Page: {config.export} ({size:.1f} MB)")
    if not (config.video or config.rerun):
        return
    walks = _walks_of(config.agent or content.first_agents[:2], library.walks(keys[0]), keys[0])
    if config.video:
        from clipnav.viewer.films import FilmSettings, film_walks, parse_size

        size = parse_size(config.size) if config.size else None
        settings = FilmSettings(size, progress=True)
        film_walks(config.video, walks, library, pictures, settings)
        print(f"Film: {config.video} ({config.video.stat().st_size / 1e6:.1f} MB)")
    if config.rerun:
        from clipnav.viewer.outputs.rerun_log import log_trace

        log_trace(config.rerun, walks[0], library, pictures)
        print(f"Rerun log: {config.rerun}")


def _check_film(path: Path, config: VisualiseConfig) -> None:
    """Check that a film can be made; walking comes later and takes minutes."""
    from clipnav.viewer.films import arranged, check_kind, parse_size

    check_kind(path)
    if config.size:
        # By default the first agent of each of two sources is filmed.
        agents = len(config.agent) or min(len(config.sources), 2)
        arranged(parse_size(config.size), max(agents, 1))


def _walks_of(names: tuple[str, ...], walks: "Mapping[str, Trace]", key: str) -> "list[Trace]":
    """Return the walks of the agents to film."""
    for name in names:
        if name not in walks:
            raise UserError(f"'{name}' has not walked {key}; the agents are {', '.join(walks)}")
    return [walks[name] for name in names]
