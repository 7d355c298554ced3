"""Typed instructions on the page."""

import msgspec
import pytest

from clipnav.envs.pictures.panorama_files import NoPictures


def test_a_typed_instruction_is_followed(page, url, traces, opened):
    opened(page, url, episode="train/101_0")
    page.locator("#custom").click()
    page.locator("#custom-text").fill("Walk past the red sofa.")
    page.locator("#custom-start").click()
    page.locator("#title", has_text="Your instruction").wait_for()
    assert page.locator(".marker").count() == len(traces[0].steps[0].candidates)


@pytest.mark.usefixtures("interception")
def test_closing_the_dialog_cancels_the_walk(page, url, opened):
    opened(page, url, episode="train/101_0")
    held = []
    page.route("**/api/follow", lambda route: held.append(route))
    page.locator("#custom").click()
    page.locator("#custom-text").fill("Walk past the red sofa.")
    with page.expect_request("**/api/follow"):
        page.locator("#custom-start").click()
    assert page.locator("#custom-start").is_disabled()
    page.locator("#custom-text").press("Control+Enter")
    page.locator("#custom-cancel").click()
    with page.expect_response("**/api/follow"):
        held[0].continue_()
    page.locator("#custom").click()
    page.locator("#custom-start:enabled").wait_for()
    assert len(held) == 1
    assert page.locator("#title").inner_text() == "Episode 101_0 in attic"


def test_a_typed_instruction_does_not_play_what_is_opened_instead(page, url, traces, opened):
    opened(page, url, episode="train/101_0", a="wanderer")
    page.evaluate("() => { window.held = createImageBitmap; createImageBitmap = () => slow; }")
    page.evaluate("() => { window.slow = new Promise((resolve) => (window.release = resolve)); }")
    page.locator("#custom").click()
    page.locator("#custom-text").fill("Go to the kitchen.")
    page.locator("#custom-start").click()
    page.locator("#title", has_text="Your instruction").wait_for()
    page.locator("#open-list").click()
    page.locator("[data-key='train/100_1']").click()
    page.locator("#title", has_text="Episode 100_1").wait_for()
    page.evaluate("() => { createImageBitmap = held; release(new OffscreenCanvas(2, 1)); }")
    page.wait_for_selector("[data-state=still]")
    assert page.locator("#play").inner_text() == "Play"


def test_an_invalid_instruction_is_reported(page, url, errors, opened):
    opened(page, url)
    page.locator("#custom").click()
    page.locator("#custom-text").fill("   ")
    with page.expect_response("**/api/follow"):
        page.locator("#custom-start").click()
    page.locator("#custom-error", has_text="1 to 4000 characters").wait_for()
    page.locator("#custom-cancel").click()
    assert "400" in errors.pop()  # the browser's own word on it


def test_unknown_words_are_underlined(page, make_library, traces, serve, tmp_path, opened):
    words = ("Walk ", "past ", "the ", "purple ", "dragon", ".")
    mine = msgspec.structs.replace(
        traces[0],
        instruction="".join(words),
        words=words,
        unknown_words=(3, 4),
        steps=tuple(
            msgspec.structs.replace(step, word_attention=(0.0,) * 8) for step in traces[0].steps
        ),
    )
    with serve(make_library(), NoPictures("none"), tmp_path, lambda _: mine) as url:
        page.goto(url)
        page.locator("#custom").click()
        page.locator("#custom-text").fill("Walk past the purple dragon.")
        page.locator("#custom-start").click()
        page.locator("#title", has_text="Your instruction").wait_for()
    unknown = page.locator(".instruction .unknown")
    assert unknown.all_inner_texts() == ["purple", "dragon"]
    assert "not in the agent's vocabulary" in unknown.first.get_attribute("title")
    assert "underline" in unknown.first.evaluate("one => getComputedStyle(one).textDecorationLine")
    note = page.locator(".instruction .note").inner_text()
    assert note == "Underlined words are not in the agent's vocabulary."
