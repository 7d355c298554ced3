"""The page in a real browser: Chromium without a screen, driven by Playwright."""

import contextlib
import threading

import pytest

from clipnav.envs.pictures.panorama_files import NoPictures
from clipnav.envs.worlds import world_files
from clipnav.viewer.site.export import export_page
from clipnav.viewer.site.library import Library
from clipnav.viewer.site.manual_walks import ManualWalks
from clipnav.viewer.site.routes import SiteRoutes
from clipnav.viewer.site.server import ViewerServer
from clipnav.viewer.trace import record
from tests.chromium import await_frame

WINDOW = {"width": 1120, "height": 630}  # small, since no GPU draws it


@contextlib.contextmanager
def served(library, pictures, folder, follow=None, new_continuous=None):
    """The address of a server for a library; walks are saved in a folder."""
    walks = ManualWalks(library, folder, new_continuous)
    site = SiteRoutes(library, pictures, walks, follow, "teacher" if follow else "")
    with ViewerServer(site) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.url
        server.shutdown()
        thread.join()


@pytest.fixture(scope="session")
def serve():
    return served


@pytest.fixture(scope="session")
def make_library(tiny_world, traces):
    """Makes libraries of all episodes of the training split."""

    def make():
        library = Library(world_files("matterport", tiny_world), "r2r")
        library.add(traces)
        return library

    return make


@pytest.fixture(scope="module")
def url(make_library, tmp_path_factory, tiny_arguments, traces, pictures, make_env, teacher):
    folder = tmp_path_factory.mktemp("viewer")
    library = make_library()
    hindi = make_env("val_unseen", {**tiny_arguments, "dataset": "rxr"})
    ids = [episode.instr_id for episode in hindi.episodes]
    library.add(record(hindi, teacher, ids, name="teacher"))
    with served(library, pictures, folder, lambda _: traces[0]) as url:
        yield url


@pytest.fixture
def exported(make_library, pictures, tmp_path):
    """Writes a page of an episode, with pictures or with a note that there are none."""

    def export(note="", key="train/100_0", library=None):
        path = tmp_path / "episode.html"
        shown = NoPictures(note) if note else pictures
        export_page(path, library or make_library(), shown, [key], width=1024)
        return path.as_uri()

    return export


@pytest.fixture
def errors():
    return []


@contextlib.contextmanager
def _errors_noted(page, errors):
    """Within it, errors of a page are added to a list."""

    def note(message):
        # A page that outlives its server still asks for pictures (net::ERR_CONNECTION_REFUSED).
        if message.type == "error" and "net::ERR_" not in message.text:
            errors.append(message.text)

    def note_exception(error):
        errors.append(str(error))

    page.on("pageerror", note_exception)
    page.on("console", note)
    yield page
    page.remove_listener("pageerror", note_exception)
    page.remove_listener("console", note)


def _page_of(context):
    page = context.new_page()
    page.set_default_timeout(60_000)  # for machines with other work
    return page


@pytest.fixture
def new_page(browser, errors):
    """Makes pages on which no error may happen."""
    with contextlib.ExitStack() as stack:

        def make(**options):
            context = stack.enter_context(browser.new_context(viewport=WINDOW, **options))
            return stack.enter_context(_errors_noted(_page_of(context), errors))

        yield make
    assert errors == []


@pytest.fixture(scope="session")
def used_page(browser):
    """Page for one test after the other: opening each in a new one takes twice as long."""
    with browser.new_context() as context:
        yield _page_of(context)


@pytest.fixture
def page(used_page, errors):
    """A page without movement, so that what is asked for stands there at once."""
    used_page.set_viewport_size(WINDOW)
    used_page.emulate_media(color_scheme="light", forced_colors="none", reduced_motion="reduce")
    used_page.mouse.move(0, 0)
    with _errors_noted(used_page, errors):
        yield used_page
        used_page.unroute_all(behavior="ignoreErrors")
        used_page.evaluate("() => { try { localStorage.clear() } catch {} }")
        used_page.goto("about:blank")
    assert errors == []


@pytest.fixture
def interception(page):
    """Lets a test hold requests of a page that is open already.

    Chromium intercepts requests from some time after the first route is added, even if Playwright
    has returned: a request that follows at once may pass (one in thirty on two busy cores).
    """
    page.route("**/unused", lambda route: route.continue_())


@pytest.fixture
def moving_page(page):
    page.emulate_media(reduced_motion="no-preference")
    return page


@pytest.fixture
def serve_traces(make_library, tmp_path):
    """Serves all episodes of the training split and further traces, by default without pictures."""

    def serve(*traces, pictures=None, follow=None):
        library = make_library()
        library.add(traces)
        return served(library, pictures or NoPictures("none"), tmp_path, follow)

    return serve


def _opened(page, url, episode="train/100_0", **places):
    fields = {"episode": episode, "a": "teacher", **places}
    # Otherwise an address with another fragment shows the former walks for a moment.
    page.goto("about:blank")
    page.goto(url + "#" + "&".join(f"{name}={value}" for name, value in fields.items()))
    page.wait_for_selector("[data-state=still] canvas[data-picture]")
    return page


def _heading(page):
    """Degrees; the page notes where it looks when it draws, a frame after it has turned."""
    await_frame(page)
    return float(page.locator("canvas").first.get_attribute("data-heading"))


def _drawn(page):
    """What stands on the canvas, to be compared."""
    await_frame(page)
    return page.evaluate("() => document.querySelector('canvas').toDataURL()")


def _standing_at(page):
    return page.locator("canvas").first.get_attribute("aria-label").split()[3]


def _metric(page, name):
    return page.locator(f"[data-metric={name}]").first.inner_text()


# Tests share these as fixtures, since they cannot import one another.
@pytest.fixture(scope="session")
def opened():
    """Opens an episode and waits until it is seen."""
    return _opened


@pytest.fixture(scope="session")
def drawn():
    return _drawn


@pytest.fixture(scope="session")
def heading():
    """Returns the heading of the first panorama."""
    return _heading


@pytest.fixture(scope="session")
def standing_at():
    """Returns the viewpoint of the first panorama."""
    return _standing_at


@pytest.fixture(scope="session")
def metric():
    """Returns the displayed text of a metric of the first agent."""
    return _metric
