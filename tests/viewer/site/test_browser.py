"""The page in a real browser: Chromium without a screen, driven by Playwright."""

import re
import shutil
import threading

import numpy as np
import pytest

from envs.metrics import score_path
from envs.worlds import world_files
from viewer.scene.pictures import DrawnPictures, NoPictures
from viewer.scene.scenes import scene
from viewer.site.drives import Drives
from viewer.site.export import export_page
from viewer.site.library import Library
from viewer.site.routes import Site
from viewer.site.server import ViewerServer
from viewer.trace import record

CHROMIUMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# No GPU here: WebGL is drawn by SwiftShader, which newer versions want to be asked for.
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--enable-unsafe-swiftshader",
    "--use-angle=swiftshader",
]


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip(
        "playwright.sync_api", reason='playwright is missing: pip install -e ".[dev]"'
    )
    path = next(filter(None, map(shutil.which, CHROMIUMS)), None)
    if path is None:
        pytest.skip("no Chromium here: install it (apt-get install chromium) to test the page")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def url(tiny_world, tmp_path_factory, tiny_arguments, traces, grey, make_env, teacher):
    folder = tmp_path_factory.mktemp("viewer")
    library = Library(world_files("matterport", tiny_world), "r2r")
    library.add(traces)
    hindi = make_env("val_unseen", {**tiny_arguments, "dataset": "rxr"})
    ids = [episode.instr_id for episode in hindi.episodes]
    library.add(record(hindi, teacher, ids, name="teacher", split="val_unseen", dataset="rxr"))
    pictures = DrawnPictures(grey, lambda scan: folder / scan)
    site = Site(library, pictures, Drives(library, folder), lambda _: traces[0], "teacher")
    with ViewerServer(site) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield server.url
        server.shutdown()
        thread.join()


@pytest.fixture
def errors():
    return []


@pytest.fixture
def page(browser, errors):
    """A page on which no error may happen."""
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
    page.set_default_timeout(20_000)
    yield page
    page.close()
    assert errors == []


def opened(page, url, episode="train/100_0", **places):
    fields = {"episode": episode, "a": "teacher", **places}
    page.goto(url + "#" + "&".join(f"{name}={value}" for name, value in fields.items()))
    page.wait_for_selector("canvas[data-picture]")
    return page


def drawn(page):
    """What stands on the canvas, to be compared."""
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")
    return page.evaluate("() => document.querySelector('canvas').toDataURL()")


def standing_at(page):
    return page.locator("canvas").get_attribute("aria-label").split()[3]


def metric(page, name):
    return page.locator(f"[data-metric={name}]").first.inner_text()


def test_shows_what_the_agent_saw(page, url, traces):
    opened(page, url)
    first = traces[0].steps[0]
    assert page.locator(".mark").count() == len(first.candidates)
    chosen = page.locator(".mark.chosen")
    assert f"Candidate {first.action}" in chosen.get_attribute("aria-label")
    assert "probability 90 %" in chosen.get_attribute("aria-label")
    assert page.locator("#instructions .word").all_inner_texts() == [
        word.strip() for word in traces[0].words
    ]
    assert page.locator("#outcome").inner_text() == "success"
    assert "value 0.50" in page.locator("figcaption").inner_text()
    # The picture has a bright and a dark half, so it is not empty.
    shades = page.evaluate(
        """() => {
          const canvas = document.querySelector("canvas");
          const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d");
          copy.drawImage(canvas, 0, 0);
          const at = (y) => copy.getImageData(canvas.width / 2, y, 1, 1).data[0];
          return [at(5), at(canvas.height - 5)];
        }"""
    )
    assert shades[0] > 1.5 * shades[1] > 0


def test_drag_wheel_and_keys_look_around(page, url):
    opened(page, url)
    before = drawn(page)
    cone = page.locator(".cone").get_attribute("d")
    page.mouse.move(400, 300)
    page.mouse.down()
    page.mouse.move(250, 330, steps=3)
    page.mouse.up()
    dragged = drawn(page)
    assert dragged != before
    assert page.locator(".cone").get_attribute("d") != cone
    page.mouse.wheel(0, -400)
    zoomed = drawn(page)
    assert zoomed != dragged
    page.locator("canvas").focus()
    page.keyboard.press("ArrowLeft")
    assert drawn(page) != zoomed


def test_view_attention_can_be_shown_and_hidden(page, url):
    opened(page, url)
    with_attention = drawn(page)
    page.locator("#view-attention").uncheck()
    assert drawn(page) != with_attention


def test_scrubbing_shows_each_step(page, url, traces):
    opened(page, url)
    steps = traces[0].steps
    assert metric(page, "NE") == f"{steps[0].metrics['NE']:.2f} m"
    page.locator("#step").focus()
    page.keyboard.press("End")
    assert page.locator("#step-text").inner_text() == f"step {len(steps) - 1} of {len(steps) - 1}"
    assert metric(page, "SR") == "yes"
    assert metric(page, "nDTW") == f"{steps[-1].metrics['nDTW']:.3f}"
    assert "stops here" in page.locator("figcaption").inner_text()
    page.locator("canvas").focus()
    page.keyboard.press("[")
    assert page.locator("#step-text").inner_text().startswith(f"step {len(steps) - 2} ")
    page.locator(".mark.chosen").press("Enter")
    assert page.locator("#step-text").inner_text().startswith(f"step {len(steps) - 1} ")


def test_play_comes_to_the_end(page, url):
    opened(page, url)
    page.locator("#play").click()
    assert page.locator("#play").inner_text() == "Pause"
    page.locator("#play", has_text="Play").wait_for()
    assert not page.locator("#next").is_enabled()


def test_a_person_clicks_three_candidates_and_stops(page, url, tiny_env):
    opened(page, url, episode="train/103_1")
    page.locator("#drive").click()
    page.wait_for_selector("#driving:not([hidden])")
    assert page.locator(".reference").count() == 0
    walked = ["a2"]
    for number in (1, 2):
        page.locator(f".mark[data-candidate='{number}']").click()
        page.locator("figcaption", has_text=f"after {len(walked)} step").wait_for()
        walked.append(standing_at(page))
    page.keyboard.press("1")
    page.locator("figcaption", has_text="after 3 steps").wait_for()
    walked.append(standing_at(page))
    page.locator("#stop").click()
    page.wait_for_selector("[data-metric=NE]")
    graph = tiny_env.nav_world.graphs["attic"]
    scores = score_path(graph, walked, ["a2", "a1", "a0"])
    assert metric(page, "NE") == f"{scores['nav_error']:.2f} m"
    assert metric(page, "TL") == f"{scores['trajectory_length']:.2f} m"
    assert metric(page, "SR") == ("yes" if scores["success"] else "no")
    assert page.locator(".reference").count() == 1
    page.locator("#save").click()
    page.wait_for_selector("#notice:not([hidden])")
    assert "103_1.json" in page.locator("#notice").inner_text()
    row = page.locator(".rows [data-key='train/103_1']")
    page.locator("#leave").click()
    page.locator("#agent-a option", has_text="you").wait_for(state="attached")
    page.locator("#agent-a").select_option("you")
    page.locator("figcaption", has_text="you").wait_for()
    assert f"NE {scores['nav_error']:.1f} m" in row.text_content()


def test_a_person_who_looks_back_does_not_walk(page, url):
    opened(page, url, episode="train/103_1")
    page.locator("#drive").click()
    page.locator("figcaption", has_text="after 0 steps").wait_for()
    page.keyboard.press("1")
    page.locator("figcaption", has_text="after 1 step").wait_for()
    there = standing_at(page)
    assert page.locator(".mark").count() == 3
    orders = []
    page.on("request", lambda request: orders.append(request.url))
    page.locator("#back").click()
    assert page.locator(".mark").count() == 2
    page.locator(".mark[data-candidate='2']").press("Enter")
    page.keyboard.press("2")
    page.keyboard.press("3")
    page.locator("#step-text", has_text="step 0 of 1").wait_for()
    page.locator(f".node[data-viewpoint='{there}']").dispatch_event("click")
    page.locator("#step-text", has_text="step 1 of 1").wait_for()
    page.locator("#back").click()
    page.locator("#stop", has_text="Back to where you are").click()
    page.locator("#stop", has_text="Stop here").wait_for()
    assert standing_at(page) == there
    assert [order for order in orders if "/api/act" in order] == []


def test_a_person_takes_over_where_the_agent_stands(page, url, traces):
    opened(page, url, step=1)
    assert page.locator("#drive").inner_text() == "Take over here"
    page.locator("#drive").click()
    page.locator("figcaption", has_text="after 1 step").wait_for()
    assert standing_at(page) == traces[0].walked[1]
    page.locator("#leave").click()
    page.locator("#drive", has_text="Drive yourself").wait_for()


def test_two_agents_side_by_side(page, url, traces):
    opened(page, url, b="wanderer", step=1)
    page.wait_for_selector(".view.two canvas[data-picture]")
    assert page.locator(".metrics thead th").all_inner_texts() == ["teacher", "wanderer"]
    shown = page.locator("[data-metric=TL]").all_inner_texts()
    lengths = [trace.steps[1].metrics["TL"] for trace in (traces[0], traces[14])]
    assert shown == [f"{length:.2f} m" for length in lengths]
    assert page.locator(".map .body").count() == 2


def test_the_episode_that_was_asked_for_last_is_shown(page, url, traces):
    opened(page, url)
    held = []
    page.route("**/api/trace?episode=train%2F101_0*", lambda route: held.append(route))
    for episode in ("101_0", "103_1"):
        page.keyboard.press("e")
        page.locator(f".rows [data-key='train/{episode}']").click()
    page.locator("#title", has_text="103_1").wait_for()
    with page.expect_response("**/api/trace?episode=train%2F101_0*"):
        held[0].continue_()
    page.keyboard.press("]")
    assert page.locator("#title").inner_text() == "Episode 103_1 in attic"
    second = next(trace for trace in traces if trace.instr_id == "103_1")
    assert standing_at(page) == second.walked[1]


def test_a_server_that_has_ended_is_told_of(page, url, errors):
    opened(page, url)
    page.route("**/api/*", lambda route: route.abort())
    page.locator("#drive").click()
    page.locator("#notice", has_text="does not answer").wait_for()
    page.evaluate("document.getElementById('notice').hidden = true")
    page.locator("#agent-b").select_option("wanderer")
    page.locator("#notice", has_text="does not answer").wait_for()
    page.wait_for_function("document.getElementById('agent-b').value === ''")
    assert page.locator("#title").inner_text() == "Episode 100_0 in attic"
    assert all("ERR_FAILED" in error for error in errors)
    errors.clear()


def test_hindi_words_stay_whole(page, url):
    opened(page, url, episode="rxr/val_unseen/2001")
    assert page.locator(".instruction .words").get_attribute("lang") == "hi-IN"
    languages = page.evaluate(
        """() => [".words .word", ".end, .note", ".unseen"].map((kind) =>
          document.querySelector(`.instruction :is(${kind})`)?.closest("[lang]").lang ?? "en")"""
    )
    assert languages == ["hi-IN", "en", "en"]
    words = page.locator(".instruction .word").all_inner_texts()
    assert words == ["दरवाज़े", "के", "पास", "रुकें", "।"]


def test_the_list_searches_filters_and_sorts(page, url):
    opened(page, url)
    page.keyboard.press("e")
    count = page.locator("#count")
    assert count.text_content() == "22 of 22"
    page.locator("#search").fill("103_ door")
    assert count.text_content() == "1 of 22"
    page.locator("#search").fill("")
    page.locator("#filter-language").select_option("hi")
    assert count.text_content() == "4 of 22"
    page.locator("#filter-language").select_option("any")
    page.locator("#filter-outcome").select_option("lost")
    assert page.locator(".rows .none").count() == 1
    page.locator("#filter-outcome").select_option("any")
    page.locator("#sort").select_option("TL")
    page.locator("#sort-order").click()
    longest = page.locator(".rows button").first
    key = longest.get_attribute("data-key")
    longest.click()
    page.locator("#title", has_text=key.split("/")[-1]).wait_for()
    assert not page.locator("#list").is_visible()


def test_ones_own_instruction_is_followed(page, url, traces):
    opened(page, url, episode="train/101_0")
    page.locator("#own").click()
    page.locator("#own-text").fill("Walk past the red sofa.")
    page.locator("#own-go").click()
    page.locator("#title", has_text="Your instruction").wait_for()
    assert page.locator(".mark").count() == len(traces[0].steps[0].candidates)


def test_one_instruction_is_walked_at_a_time(page, url):
    opened(page, url, episode="train/101_0")
    held = []
    page.route("**/api/follow", lambda route: held.append(route))
    page.locator("#own").click()
    page.locator("#own-text").fill("Walk past the red sofa.")
    with page.expect_request("**/api/follow"):
        page.locator("#own-go").click()
    assert page.locator("#own-go").is_disabled()
    page.locator("#own-text").press("Control+Enter")
    page.locator("#own-cancel").click()
    with page.expect_response("**/api/follow"):
        held[0].continue_()
    page.locator("#own").click()
    page.locator("#own-go:enabled").wait_for()
    assert len(held) == 1
    assert page.locator("#title").inner_text() == "Episode 101_0 in attic"


def test_a_refusal_is_shown(page, url, errors):
    opened(page, url)
    page.locator("#own").click()
    page.locator("#own-text").fill("   ")
    with page.expect_response("**/api/follow"):
        page.locator("#own-go").click()
    page.locator("#own-error", has_text="1 to 4000 characters").wait_for()
    page.locator("#own-cancel").click()
    assert "400" in errors.pop()  # the browser's own word on it


def test_fits_a_phone(page, url):
    page.set_viewport_size({"width": 390, "height": 844})
    opened(page, url)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.locator("#open-list").click()
    box = page.locator("#list").bounding_box()
    assert box["x"] == 0
    assert box["width"] <= 390


def test_all_can_be_reached_by_keyboard_and_has_a_name(page, url):
    opened(page, url)
    reached = set()
    for _ in range(30):
        page.keyboard.press("Tab")
        reached.add(
            page.evaluate(
                """() => {
                  const at = document.activeElement;
                  return at.id || at.dataset.candidate && "mark" || at.tagName.toLowerCase();
                }"""
            )
        )
    assert {"open-list", "agent-a", "agent-b", "drive", "own", "play", "step", "canvas"} <= reached
    assert "mark" in reached
    nameless = page.evaluate(
        """() => [...document.querySelectorAll("button, input, select, textarea, [role]")]
          .filter((one) => !(one.getAttribute("aria-label") || one.textContent.trim()
            || one.labels?.length || ["status", "alert"].includes(one.role)))
          .map((one) => one.outerHTML.slice(0, 80))"""
    )
    assert nameless == []


def focused(page):
    return page.evaluate("document.activeElement.getAttribute('aria-label')")


def test_the_focus_stays_with_the_marks(page, url, traces):
    opened(page, url)
    page.locator(".mark.chosen").focus()
    for step in traces[0].steps[1:-1]:
        page.keyboard.press("Enter")
        page.wait_for_function(
            f"document.querySelector('canvas').ariaLabel.includes(' {step.viewpoint} ')"
        )
        assert focused(page).startswith(f"Candidate {step.action},")
        assert focused(page).endswith("chosen")
    page.locator(".mark[data-candidate='1']").focus()
    page.keyboard.press("[")
    assert focused(page).startswith("Candidate 1,")


def test_the_focus_stays_with_the_storeys(page, tiny_world, traces, tmp_path, monkeypatch):
    def two_storeys(graph, world):
        shown = scene(graph, world)
        for place in shown["viewpoints"].values():
            place[3] = int(place[0] > 2)
        return {**shown, "storeys": 2}

    monkeypatch.setattr("viewer.site.export.scene", two_storeys)
    library = Library(world_files("matterport", tiny_world), "r2r")
    library.add(traces)
    path = tmp_path / "episode.html"
    export_page(path, library, NoPictures("No skyboxes here."), ["train/100_0"])
    page.goto(path.as_uri())
    for storey in "101":
        page.locator("#storeys button", has_text=storey).press("Enter")
        assert page.evaluate("document.activeElement.textContent") == storey
        assert page.locator("#storeys [aria-pressed=true]").inner_text() == storey


def luminance(colour):
    """Relative luminance of WCAG 2 of a colour such as rgb(0, 114, 178)."""
    shares = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    linear = [s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares]
    return float(np.dot([0.2126, 0.7152, 0.0722], linear))


def contrast(one, other):
    low, high = sorted([luminance(one) + 0.05, luminance(other) + 0.05])
    return high / low


def test_what_matters_can_be_told_from_what_is_behind_it(page, url):
    opened(page, url)
    style = "([kind, what]) => getComputedStyle(document.querySelector(kind))[what]"
    behind = [
        page.evaluate(style, [kind, "backgroundColor"]) for kind in (".bar", ":root", ".views")
    ]
    page.locator("#step").focus()
    page.keyboard.press("Tab")
    outline = page.evaluate(style, [":focus-visible", "outlineColor"])
    assert min(contrast(outline, colour) for colour in behind) >= 3
    page.evaluate("document.querySelector('.instruction .word').classList.add('unread')")
    assert contrast(page.evaluate(style, [".unread", "color"]), behind[0]) >= 4.5
    page.locator(".mark.chosen").focus()
    disc, ring = (
        page.evaluate(style, [".mark.chosen:focus-visible .disc", what])
        for what in ("fill", "stroke")
    )
    assert contrast(disc, ring) >= 3


def test_an_exported_page_needs_no_server(page, tiny_world, traces, tmp_path, grey):
    library = Library(world_files("matterport", tiny_world), "r2r")
    library.add(traces)
    path = tmp_path / "episode.html"
    pictures = DrawnPictures(grey, lambda scan: tmp_path / scan)
    export_page(path, library, pictures, ["train/100_0"], width=1024)
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(path.as_uri())
    page.wait_for_selector("canvas[data-picture]")
    page.locator("#step").focus()
    page.keyboard.press("End")
    assert metric(page, "SR") == "yes"
    assert not page.locator("#drive").is_visible()
    assert [url for url in asked if url.startswith("http")] == []


def test_without_pictures_the_map_is_shown_with_a_note(page, tiny_world, traces, tmp_path):
    library = Library(world_files("matterport", tiny_world), "r2r")
    library.add(traces)
    path = tmp_path / "episode.html"
    export_page(path, library, NoPictures("No skyboxes here."), ["train/100_0"])
    page.goto(path.as_uri())
    page.wait_for_selector(".map .reference")
    assert page.locator("#notice").inner_text() == "No skyboxes here."
    assert page.locator(".mark").count() > 0
    assert len(drawn(page)) > 1000
