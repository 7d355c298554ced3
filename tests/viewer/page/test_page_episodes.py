"""Episodes on the page: views, playback, and the list of episodes."""

import re

import msgspec
import numpy as np
import pytest

from clipnav.envs.pictures.panorama_files import DrawnPictures
from clipnav.viewer.trace.building import word_pieces

WIDTH = re.compile(r"width=(\d+)")


def test_an_episode_is_shown_step_by_step(page, url, traces, opened, metric):
    opened(page, url)
    first, *_, last = steps = traces[0].steps
    assert page.locator(".marker").count() == len(first.candidates)
    chosen = page.locator(".marker.chosen")
    assert f"Candidate {first.action}" in chosen.get_attribute("aria-label")
    assert "probability 90 %" in chosen.get_attribute("aria-label")
    words = page.locator("#instructions .word").all_inner_texts()
    assert words == [word.strip() for word in traces[0].words]
    assert page.locator("#outcome").inner_text() == "success"
    assert "value 0.50" in page.locator("figcaption").inner_text()
    assert metric(page, "NE") == f"{first.metrics['NE']:.1f} m"
    page.locator("#step").focus()
    page.keyboard.press("End")
    assert page.locator("#step-text").inner_text() == f"step {len(steps) - 1} of {len(steps) - 1}"
    assert metric(page, "SR") == "yes"
    assert metric(page, "nDTW") == f"{100 * last.metrics['nDTW']:.1f} %"
    assert "stops here" in page.locator("figcaption").inner_text()
    listed = page.locator(".rows [data-key='train/100_0'] .facts").text_content()
    assert f"NE {metric(page, 'NE')} · SPL {metric(page, 'SPL')}" in listed
    page.locator("canvas").focus()
    page.keyboard.press("[")
    assert page.locator("#step-text").inner_text().startswith(f"step {len(steps) - 2} ")
    page.locator(".marker.chosen").press("Enter")
    assert page.locator("#step-text").inner_text().startswith(f"step {len(steps) - 1} ")
    # Agents without a map or a language model have no panel for them.
    assert page.locator(".known-map").count() == 0
    assert not page.locator("#model-card").is_visible()
    page.locator("#step").press("Home")
    page.locator("#speed").select_option("4")
    page.locator("#play").click()
    assert page.locator("#play").inner_text() == "Pause"
    page.locator("#play", has_text="Play").wait_for()
    assert not page.locator("#next").is_enabled()


def test_the_step_table_lists_the_actions(page, url, traces, opened):
    opened(page, url)
    heads = page.locator(".steps th").all_inner_texts()
    assert heads == ["step", "heading", "action", "prob.", "value", "to goal"]
    for number, step in enumerate(traces[0].steps):
        row = page.locator(".steps tbody tr").nth(number).locator("td").all_inner_texts()
        chosen = step.candidates[step.action - 1] if step.action else step
        assert row == [
            f"{number}",
            f"{round(np.degrees(chosen.heading)) % 360}°",
            f"{chosen.distance:.1f} m" if step.action else "stop",
            "90 %",
            "0.50",
            f"{step.distance_to_goal:.1f} m",
        ]
    page.locator(".steps tbody tr").nth(2).click()
    assert page.locator("#step-text").inner_text().startswith("step 2 ")
    page.locator(".steps button").nth(1).press("Enter")
    page.locator("#steps tr[aria-current] button >> text=1").wait_for()
    assert page.locator("#step-text").inner_text().startswith("step 1 ")
    # The focus stays in the table.
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "Step 1"


def test_drag_wheel_and_keys_look_around(page, url, opened, drawn):
    opened(page, url)
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
    headings = []
    for key in ("Shift", "Control+0", "0"):  # Control+0 is a key of the browser
        page.keyboard.press(key)
        drawn(page)
        headings.append(page.locator("canvas").get_attribute("data-heading"))
    assert headings[0] == headings[1] != headings[2]


def test_links_name_agents_and_the_nearest_step(page, url, traces, opened):
    opened(page, url, b="wanderer", step=1)
    page.wait_for_selector(".view.two canvas[data-picture]")
    assert page.locator(".metrics thead th").all_inner_texts() == ["teacher", "wanderer"]
    shown = page.locator("[data-metric=TL]").all_inner_texts()
    lengths = [trace.steps[1].metrics["TL"] for trace in (traces[0], traces[14])]
    assert shown == [f"{length:.1f} m" for length in lengths]
    assert page.locator(".map .body").count() == 2
    # A link in the same tab is followed.
    page.goto(f"{url}#episode=train/101_0&a=wanderer&step=2")
    page.locator("#title", has_text="Episode 101_0").wait_for()
    page.locator("#step-text", has_text="step 2 of").wait_for()
    assert page.locator("#agent-a").input_value() == "wanderer"
    for step, number in (("one", 0), ("1.5", 1), ("-2", 0), ("1e9", 2)):
        page.goto(f"{url}#episode=train/100_0&a=teacher&step={step}")
        page.locator("#step-text", has_text=f"step {number} of 2").wait_for()


@pytest.mark.usefixtures("interception")
def test_late_and_lost_responses_change_nothing(page, url, traces, errors, opened, standing_at):
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
    page.route("**/api/*", lambda route: route.abort())
    page.locator("#walk").click()
    page.locator("#notice", has_text="does not answer").wait_for()
    page.evaluate("document.getElementById('notice').hidden = true")
    page.locator("#agent-b").select_option("wanderer")
    page.locator("#notice", has_text="does not answer").wait_for()
    page.wait_for_function("document.getElementById('agent-b').value === ''")
    assert page.locator("#title").inner_text() == "Episode 103_1 in attic"
    assert all("ERR_FAILED" in error for error in errors)
    errors.clear()


def test_an_unknown_episode_is_reported_and_the_list_leads_on(page, url, errors):
    page.goto(url + "#episode=train/no_such")
    page.locator("#notice", has_text="train/no_such").wait_for()
    assert page.locator("#walk").is_hidden()
    assert page.locator(".page").is_hidden()
    page.keyboard.press("]")
    page.keyboard.press("1")
    assert "404" in errors.pop()
    page.locator("#browse").click()
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
    assert page.locator("#notice").is_hidden()


def test_words_have_their_language_and_direction(page, url, traces, serve_traces, opened):
    opened(page, url, episode="rxr/val_unseen/2001")
    assert page.locator(".instruction .words").get_attribute("lang") == "hi-IN"
    languages = page.evaluate(
        """() => [".words .word", ".end, .note", ".visually-hidden"].map((kind) =>
          document.querySelector(`.instruction :is(${kind})`)?.closest("[lang]").lang ?? "en")"""
    )
    assert languages == ["hi-IN", "en", "en"]
    words = page.locator(".instruction .word").all_inner_texts()
    assert words == ["दरवाज़े", "के", "पास", "रुकें", "।"]
    text = "\u0639\u062f \u0625\u0644\u0649 \u0627\u0644\u0628\u0627\u0628!"
    steps = tuple(msgspec.structs.replace(s, word_attention=None) for s in traces[0].steps)
    changes = {"instr_id": "9_0", "instruction": text, "words": word_pieces(text)}
    with serve_traces(msgspec.structs.replace(traces[0], steps=steps, **changes)) as arabic:
        page.goto(arabic + "#episode=train/9_0")
        words = page.locator("#instructions .words")
        words.locator("text=!").wait_for()
        assert words.evaluate("one => getComputedStyle(one).direction") == "rtl"
        listed = page.locator("[data-key='train/9_0'] .text")
        assert listed.evaluate("one => getComputedStyle(one).direction") == "rtl"
        page.goto(arabic + "#episode=train/100_0")
        words.locator("text=!").wait_for(state="detached")
        assert words.evaluate("one => getComputedStyle(one).direction") == "ltr"


def test_long_lists_continue_and_the_map_shows_visits_in_turn(page, traces, serve_traces):
    first, second, *others = traces[0].steps
    back = next(k for k, c in enumerate(second.candidates, 1) if c.viewpoint == first.viewpoint)
    returning = msgspec.structs.replace(second, action=back)
    steps = (first, returning, first, second, *others)
    many = [msgspec.structs.replace(traces[0], instr_id=f"9_{k}") for k in range(160)]
    with serve_traces(
        msgspec.structs.replace(traces[0], agent="returning", steps=steps), *many
    ) as url:
        page.goto(f"{url}#episode=train/{traces[0].instr_id}&a=returning")
        node = page.locator(f"#map .node[data-viewpoint='{first.viewpoint}']")
        node.wait_for()
        shown = []
        for _ in range(3):
            node.dispatch_event("click")
            shown.append(page.locator("#step-text").inner_text().split()[1])
        assert shown == ["2", "0", "2"]
        page.keyboard.press("e")
        assert page.locator("#rows [data-key]").count() == 150
        page.locator("#rows button", has_text="Show more").press("Enter")
        rows = page.locator("#rows [data-key]")
        focused = page.evaluate("document.activeElement.dataset.key")
        assert focused == rows.nth(150).get_attribute("data-key")


def test_large_and_enlarged_views_get_finer_pictures(
    new_page, serve_traces, grey, tmp_path, opened
):
    pictures = DrawnPictures(grey, lambda scan: tmp_path / scan)  # none is on disk yet
    with serve_traces(pictures=pictures) as url:
        page = new_page(reduced_motion="reduce")
        widths, held = [], []
        page.on("request", lambda request: widths.extend(WIDTH.findall(request.url)))
        page.route("**/api/picture?*width=2048", lambda route: held.append(route))
        with page.expect_request("**/api/picture?*width=2048"):
            opened(page, url)
        # A step does not wait for a finer picture.
        page.keyboard.press("]")
        page.wait_for_selector("[data-state=still]")
        page.keyboard.press("[")
        page.wait_for_selector("[data-state=still]")
        assert page.locator("canvas").get_attribute("data-columns") == "1024"
        for route in held:
            route.continue_()
        page.wait_for_selector("canvas[data-columns='2048']")
        assert "4096" not in widths
        page.locator("canvas").focus()
        for _ in range(9):
            page.keyboard.press("+")
        page.wait_for_selector("canvas[data-columns='4096']")
        page = new_page(device_scale_factor=2, reduced_motion="reduce")
        opened(page, url)
        page.wait_for_selector("canvas[data-columns='4096']")
        # By now the finest picture is on disk, and comes first.
        widths.clear()
        page = new_page(device_scale_factor=2, reduced_motion="reduce")
        page.on("request", lambda request: widths.extend(WIDTH.findall(request.url)))
        opened(page, url)
        assert page.locator("canvas").get_attribute("data-columns") == "4096"
        assert set(widths) == {"1024"}
