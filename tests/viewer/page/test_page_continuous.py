"""Continuous walks in the browser: path on the plan, collisions, and driving with arrow keys."""

import pytest

from clipnav.viewer.site.continuous_walks import ContinuousDriver, FreePictures
from clipnav.viewer.site.export import export_page
from clipnav.viewer.site.manual_walks import CONTINUOUS_AGENT

KEY = "val_unseen/26000_0"


@pytest.fixture
def library(continuous_library):
    return continuous_library


@pytest.fixture
def pictures(pictures, grey):
    return FreePictures(pictures, lambda scan, position, width: grey(scan, "a0", width).rgb)


@pytest.fixture
def url(library, pictures, serve, tmp_path, make_recorder):
    driver = ContinuousDriver(make_recorder(CONTINUOUS_AGENT, max_episode_steps=10_000))
    with serve(library, pictures, tmp_path / "traces", None, driver.begin) as url:
        yield url


def open_walk(page, url, **fields):
    state = "&".join(f"{name}={value}" for name, value in {"episode": KEY, **fields}.items())
    page.goto(f"{url}#{state}")
    page.wait_for_selector("[data-state=still] canvas[data-picture]")


def announced(page):
    return page.locator("#live").inner_text()


def press(page, key, steps):
    page.keyboard.press(key)
    text = f"after {steps} step{'' if steps == 1 else 's'}"
    page.locator("[data-state=still] figcaption", has_text=text).wait_for()


def test_a_walk_is_shown_and_exported(page, url, library, pictures, expert_trace, tmp_path):
    open_walk(page, url, a="expert", step=20)
    line = page.locator("polyline.walked.one:not(.ahead)").get_attribute("points")
    assert len(line.split()) == 21
    assert page.locator("figcaption").inner_text().startswith("expert")
    motion = expert_trace.steps[20].motion
    assert motion in page.locator("tr[aria-current=step]").inner_text()
    canvas = page.locator("canvas").first
    assert canvas.get_attribute("aria-label").startswith("Panorama of position ")
    assert page.locator(".marker").count() == 0
    # Arrow keys look around while an agent walks.
    before = canvas.get_attribute("data-heading")
    canvas.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function(
        "(before) => document.querySelector('canvas').dataset.heading !== before", arg=before
    )
    assert page.locator("#step-text").inner_text().startswith("step 20 of")
    path = tmp_path / "episode.html"
    export_page(path, library, pictures, [KEY], width=1024)
    page.goto(path.as_uri())
    page.wait_for_selector("[data-state=still] canvas[data-picture]")
    page.keyboard.press("]")
    page.locator("[data-state=still] figcaption", has_text="step 1 of").wait_for()


def test_a_person_drives_with_the_arrow_keys_into_a_wall_and_stops(page, url, heading):
    open_walk(page, url, a="expert", step=5)
    page.locator("#walk", has_text="Take over here").click()
    page.locator("[data-state=still] figcaption", has_text="after 5 steps").wait_for()
    page.locator("#leave").click()
    page.locator("#walk", has_text="Continue your walk").click()
    page.locator("#restart", has_text="Start over").click()
    page.locator("[data-state=still] figcaption", has_text="after 0 steps").wait_for()
    before = heading(page)
    assert announced(page) == "Step 0."
    press(page, "ArrowRight", 1)
    assert announced(page) == "Step 1, right."
    assert (heading(page) - before) % 360 == pytest.approx(15, abs=0.2)
    page.reload()
    page.locator("[data-state=still] figcaption", has_text="after 1 step").wait_for()
    press(page, "ArrowLeft", 2)
    for step in range(3, 60):
        press(page, "ArrowUp", step)
        if page.locator("svg.map .collision").count():
            break
    else:
        pytest.fail("there is a wall or a table ahead")
    assert "collides" in page.locator("#steps").inner_text()
    assert announced(page) == f"Step {step}, forward, collides."
    page.keyboard.press("s")
    page.locator("#walk-status", has_text="You have stopped").wait_for()
    assert "forward, collides, stops here, " in announced(page)
    assert "you,-continuous" in page.locator("#walk-status .file").inner_text()
