"""Pages without a server, and without pictures."""

import msgspec


def test_an_exported_page_needs_no_server(page, exported, metric):
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(exported())
    page.wait_for_selector("[data-state=still] canvas[data-picture]")
    page.locator("#step").press("End")
    assert metric(page, "SR") == "yes"
    assert not page.locator("#walk").is_visible()
    assert [url for url in asked if url.startswith("http")] == []


def test_an_exported_page_plays_and_has_shortcuts(moving_page, exported, traces):
    page = moving_page
    page.goto(exported())
    page.wait_for_selector("[data-state=still] canvas[data-picture]")
    assert page.locator(".steps tbody tr").count() == len(traces[0].steps)
    page.keyboard.press("]")
    page.wait_for_selector(f"[data-state=still] [data-picture='attic/{traces[0].walked[1]}']")
    page.keyboard.press("d")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    page.keyboard.press("?")
    assert page.locator("#help-dialog").is_visible()
    page.keyboard.press("Escape")
    # A key that arrives before the focus has left the dialog belongs to the dialog.
    page.wait_for_function("!document.activeElement.closest('dialog')")
    page.keyboard.press(">")
    assert page.locator("#speed").input_value() == "2"
    page.locator("#agent-b").select_option("wanderer")
    page.wait_for_selector(".view.two[data-state=still]")


def test_the_map_replaces_missing_pictures(page, exported, traces):
    page.goto(exported("No skyboxes here."))
    page.wait_for_selector(".map .reference")
    assert page.locator("#notice").inner_text() == "No skyboxes here."
    assert page.locator("canvas").count() == 0
    stage = page.locator(".views").bounding_box()
    drawing = page.locator(".views .map").bounding_box()
    assert drawing["height"] > 0.8 * stage["height"]
    steps = traces[0].steps
    assert page.locator(".map .marker").count() == len(steps[0].candidates)
    for number, step in enumerate(steps[:-1]):
        mark = page.locator(".map .marker.chosen")
        assert f"Candidate {step.action}," in mark.get_attribute("aria-label")
        spot = mark.bounding_box()
        assert drawing["x"] < spot["x"] < drawing["x"] + drawing["width"] - spot["width"]
        assert drawing["y"] < spot["y"] < drawing["y"] + drawing["height"] - spot["height"]
        mark.press("Enter")
        assert page.locator("#step-text").inner_text().startswith(f"step {number + 1} ")
    assert "stops here" in page.locator(".caption").inner_text()


def test_agents_move_on_a_map_without_pictures(moving_page, exported):
    page = moving_page
    page.goto(exported("No skyboxes here."))
    body = page.locator(".agent").first
    body.wait_for()
    before = body.get_attribute("transform")
    page.evaluate("window.seen = new Set()")
    page.evaluate(
        """() => {
          const note = () => {
            window.seen.add(document.querySelector(".agent").getAttribute("transform"));
            requestAnimationFrame(note);
          };
          note();
        }"""
    )
    page.keyboard.press("]")
    page.wait_for_function("() => window.seen.size > 4")
    assert before in page.evaluate("[...window.seen]")


def test_a_long_instruction_is_whole_without_pictures(page, exported, make_library, traces):
    library = make_library()
    words = tuple(f"{word} " for word in "walk past the red sofa and then on".split() * 12)
    library.add(
        [msgspec.structs.replace(traces[14], instruction="".join(words), words=words, agent="me")]
    )
    page.goto(exported("No skyboxes here.", library=library) + "#a=me")
    page.locator(".instruction .word").nth(95).wait_for()
    assert page.evaluate(
        "(({ scrollHeight, clientHeight }) => scrollHeight <= clientHeight)"
        "(document.getElementById('instructions'))"
    )
