"""Pages without a server, and without pictures."""

import msgspec

from clipnav.envs.drawing.scenes import scene


def test_an_exported_page_needs_no_server(moving_page, exported, traces, metric):
    page, requests = moving_page, []
    page.on("request", lambda request: requests.append(request.url))
    page.goto(exported())
    page.wait_for_selector("[data-state=still] canvas[data-picture]")
    assert not page.locator("#walk").is_visible()
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
    page.locator("#step").press("End")
    assert metric(page, "SR") == "yes"
    assert [url for url in requests if url.startswith("http")] == []


def test_the_map_replaces_missing_pictures(page, exported, traces, monkeypatch):
    def two_storeys(graph, world):
        shown = scene(graph, world)
        for place in shown["viewpoints"].values():
            place[3] = int(place[0] > 2)
        return {**shown, "storeys": 2}

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
    monkeypatch.setattr("clipnav.viewer.site.export.scene", two_storeys)
    page.goto(exported("No skyboxes here."))
    for storey in "101":
        page.locator("#storeys button", has_text=storey).press("Enter")
        assert page.evaluate("document.activeElement.textContent") == storey
        assert page.locator("#storeys [aria-pressed=true]").inner_text() == storey


def test_agents_move_on_a_map_beside_a_long_instruction(
    moving_page, exported, make_library, traces
):
    page, library = moving_page, make_library()
    words = tuple(f"{word} " for word in "walk past the red sofa and then on".split() * 12)
    changes = {"instruction": "".join(words), "words": words, "agent": "me"}
    library.add([msgspec.structs.replace(traces[14], **changes)])
    page.goto(exported("No skyboxes here.", library=library) + "#a=me")
    page.locator(".instruction .word").nth(95).wait_for()
    assert page.evaluate(
        "(({ scrollHeight, clientHeight }) => scrollHeight <= clientHeight)"
        "(document.getElementById('instructions'))"
    )
    before = page.locator(".agent").first.get_attribute("transform")
    page.evaluate(
        """() => {
          window.seen = new Set();
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
