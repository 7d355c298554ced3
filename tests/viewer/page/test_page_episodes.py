"""Episodes on the page: views, playback, and the list of episodes."""

import re

import msgspec
import numpy as np
import pytest

from clipnav.envs.pictures.panorama_files import NoPictures
from clipnav.viewer.trace.building import word_pieces

WIDTH = re.compile(r"width=(\d+)")


def test_a_step_shows_candidates_instruction_and_outcome(page, url, traces, opened):
    opened(page, url)
    first = traces[0].steps[0]
    assert page.locator(".marker").count() == len(first.candidates)
    chosen = page.locator(".marker.chosen")
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


def test_drag_wheel_and_keys_look_around(page, url, opened, drawn):
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
    headings = []
    for key in ("Shift", "Control+0", "0"):  # Control+0 is a key of the browser
        page.keyboard.press(key)
        drawn(page)
        headings.append(page.locator("canvas").get_attribute("data-heading"))
    assert headings[0] == headings[1] != headings[2]


def test_view_attention_can_be_shown_and_hidden(page, url, opened, drawn):
    opened(page, url)
    with_attention = drawn(page)
    page.locator("#view-attention").uncheck()
    assert drawn(page) != with_attention


def test_scrubbing_shows_each_step(page, url, traces, opened, metric):
    opened(page, url)
    steps = traces[0].steps
    assert metric(page, "NE") == f"{steps[0].metrics['NE']:.1f} m"
    page.locator("#step").focus()
    page.keyboard.press("End")
    assert page.locator("#step-text").inner_text() == f"step {len(steps) - 1} of {len(steps) - 1}"
    assert metric(page, "SR") == "yes"
    assert metric(page, "nDTW") == f"{100 * steps[-1].metrics['nDTW']:.1f} %"
    assert "stops here" in page.locator("figcaption").inner_text()
    page.locator("canvas").focus()
    page.keyboard.press("[")
    assert page.locator("#step-text").inner_text().startswith(f"step {len(steps) - 2} ")
    page.locator(".marker.chosen").press("Enter")
    assert page.locator("#step-text").inner_text().startswith(f"step {len(steps) - 1} ")


def test_playback_stops_at_the_last_step(page, url, opened):
    opened(page, url)
    page.locator("#speed").select_option("2")
    page.locator("#play").click()
    assert page.locator("#play").inner_text() == "Pause"
    page.locator("#play", has_text="Play").wait_for()
    assert not page.locator("#next").is_enabled()


def test_two_agents_side_by_side(page, url, traces, opened):
    opened(page, url, b="wanderer", step=1)
    page.wait_for_selector(".view.two canvas[data-picture]")
    assert page.locator(".metrics thead th").all_inner_texts() == ["teacher", "wanderer"]
    shown = page.locator("[data-metric=TL]").all_inner_texts()
    lengths = [trace.steps[1].metrics["TL"] for trace in (traces[0], traces[14])]
    assert shown == [f"{length:.1f} m" for length in lengths]
    assert page.locator(".map .body").count() == 2


@pytest.mark.usefixtures("interception")
def test_the_newest_request_is_shown(page, url, traces, opened, standing_at):
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


@pytest.mark.usefixtures("interception")
def test_a_server_that_does_not_answer_is_reported(page, url, errors, opened):
    opened(page, url)
    page.route("**/api/*", lambda route: route.abort())
    page.locator("#walk").click()
    page.locator("#notice", has_text="does not answer").wait_for()
    page.evaluate("document.getElementById('notice').hidden = true")
    page.locator("#agent-b").select_option("wanderer")
    page.locator("#notice", has_text="does not answer").wait_for()
    page.wait_for_function("document.getElementById('agent-b').value === ''")
    assert page.locator("#title").inner_text() == "Episode 100_0 in attic"
    assert all("ERR_FAILED" in error for error in errors)
    errors.clear()


def test_hindi_words_stay_whole(page, url, opened):
    opened(page, url, episode="rxr/val_unseen/2001")
    assert page.locator(".instruction .words").get_attribute("lang") == "hi-IN"
    languages = page.evaluate(
        """() => [".words .word", ".end, .note", ".visually-hidden"].map((kind) =>
          document.querySelector(`.instruction :is(${kind})`)?.closest("[lang]").lang ?? "en")"""
    )
    assert languages == ["hi-IN", "en", "en"]
    words = page.locator(".instruction .word").all_inner_texts()
    assert words == ["दरवाज़े", "के", "पास", "रुकें", "।"]


def test_the_list_searches_filters_and_sorts(page, url, opened):
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


def test_the_order_of_the_list_is_readable_on_a_phone(new_page, url, opened):
    page = opened(new_page(390, 844, reduced_motion="reduce"), url)
    page.keyboard.press("e")
    assert page.locator("#sort").bounding_box()["width"] > 150


def test_showing_more_episodes_leads_to_the_first_new_one(
    page, make_library, traces, serve, tmp_path
):
    library = make_library()
    library.add(msgspec.structs.replace(traces[0], instr_id=f"9_{k}") for k in range(160))
    with serve(library, NoPictures("none"), tmp_path) as url:
        page.goto(url)
        page.locator("#steps tr[aria-current]").wait_for()
        page.keyboard.press("e")
        page.locator("#rows button", has_text="Show more").press("Enter")
        focused = page.evaluate("document.activeElement.dataset.key")
    assert focused == library.keys()[150]


def test_texts_from_right_to_left_have_their_direction(page, make_library, traces, serve, tmp_path):
    text = "\u0639\u062f \u0625\u0644\u0649 \u0627\u0644\u0628\u0627\u0628!"
    mine = msgspec.structs.replace(
        traces[0],
        instr_id="9_0",
        instruction=text,
        words=word_pieces(text),
        steps=tuple(msgspec.structs.replace(s, word_attention=None) for s in traces[0].steps),
    )
    library = make_library()
    library.add([mine])
    with serve(library, NoPictures("none"), tmp_path) as url:
        page.goto(url + "#episode=train/9_0")
        words = page.locator("#instructions .words")
        words.locator("text=!").wait_for()
        assert words.evaluate("one => getComputedStyle(one).direction") == "rtl"
        listed = page.locator("[data-key='train/9_0'] .text")
        assert listed.evaluate("one => getComputedStyle(one).direction") == "rtl"
        page.goto(url + "#episode=train/100_0")
        words.locator("text=!").wait_for(state="detached")
        assert words.evaluate("one => getComputedStyle(one).direction") == "ltr"


def test_the_step_table_lists_the_actions(page, url, traces, opened):
    opened(page, url)
    heads = page.locator(".steps th").all_inner_texts()
    assert heads == ["step", "heading", "action", "prob.", "value", "to goal"]
    for number, step in enumerate(traces[0].steps):
        told = page.locator(".steps tbody tr").nth(number).locator("td").all_inner_texts()
        chosen = step.candidates[step.action - 1] if step.action else step
        assert told == [
            f"{number}",
            f"{round(np.degrees(chosen.heading)) % 360}°",
            f"{chosen.distance:.1f} m" if step.action else "stop",
            "90 %",
            "0.50",
            f"{step.distance_to_goal:.1f} m",
        ]
    page.locator(".steps tbody tr").nth(2).click()
    assert page.locator("#step-text").inner_text().startswith("step 2 ")
    assert page.locator(".steps [aria-current]").get_by_role("button").inner_text() == "2"
    page.locator(".steps button").nth(1).press("Enter")
    assert page.locator("#step-text").inner_text().startswith("step 1 ")


def test_list_and_panel_have_the_same_units(page, url, opened, metric):
    opened(page, url, episode="train/103_1")
    page.locator("#step").press("End")
    row = page.locator(".rows [data-key='train/103_1'] .facts").text_content()
    assert f"NE {metric(page, 'NE')} · nDTW {metric(page, 'nDTW')}" in row


def test_a_link_to_an_unknown_episode_is_reported(page, url, errors):
    page.goto(url + "#episode=train/no_such")
    page.locator("#notice", has_text="train/no_such").wait_for()
    assert page.locator("#walk").is_hidden()
    assert page.locator(".page").is_hidden()
    page.keyboard.press("]")
    page.keyboard.press("1")
    assert "404" in errors.pop()
    page.locator("#browse").click()
    page.locator(".rows button").first.click()
    page.locator("#title", has_text="100_0").wait_for()
    assert page.locator("#notice").is_hidden()


def test_large_screens_get_finer_pictures(new_page, url, opened):
    def asked(width, height, **options):
        page = new_page(width, height, reduced_motion="reduce", **options)
        widths = []
        page.on("request", lambda request: widths.extend(WIDTH.findall(request.url)))
        opened(page, url)
        return page, widths

    for width, height, scale, columns in (
        (1280, 800, 1, "2048"),
        (1920, 1080, 1, "4096"),
        (1280, 800, 2, "4096"),
    ):
        page, _ = asked(width, height, device_scale_factor=scale)
        page.wait_for_selector(f"canvas[data-columns='{columns}']")
    page, widths = asked(900, 560)
    page.wait_for_selector("canvas[data-columns='2048']")
    assert "4096" not in widths
    page.locator("canvas").focus()
    for _ in range(9):
        page.keyboard.press("+")  # what is enlarged needs a finer picture
    page.wait_for_selector("canvas[data-columns='4096']")


def test_a_step_does_not_wait_for_a_finer_picture(page, url, opened):
    held = []
    page.route("**/api/picture?*width=2048", lambda route: held.append(route))
    with page.expect_request("**/api/picture?*width=2048"):
        opened(page, url)
    page.keyboard.press("]")
    page.wait_for_selector("[data-state=still]")
    page.keyboard.press("[")
    page.wait_for_selector("[data-state=still]")
    assert page.locator("canvas").get_attribute("data-columns") == "1024"
    for route in held:
        route.continue_()


def test_a_link_in_the_same_tab_is_followed(page, url, opened):
    opened(page, url, episode="train/100_0", step=1)
    page.goto(f"{url}#episode=train/101_0&a=wanderer&step=2")
    page.locator("#title", has_text="Episode 101_0").wait_for()
    page.locator("#step-text", has_text="step 2 of").wait_for()
    assert page.locator("#agent-a").input_value() == "wanderer"


@pytest.mark.parametrize(("step", "shown"), [("one", 0), ("1.5", 1), ("-2", 0), ("1e9", 2)])
def test_a_link_to_no_step_shows_the_nearest_one(page, url, opened, step, shown):
    opened(page, url, episode="train/100_0", step=step)
    assert page.locator("#step-text").inner_text() == f"step {shown} of 2"


def test_clicks_on_the_map_show_the_visits_of_a_viewpoint_in_turn(
    page, make_library, traces, serve, tmp_path
):
    first, second, *others = traces[0].steps
    back = next(k for k, c in enumerate(second.candidates, 1) if c.viewpoint == first.viewpoint)
    returning = msgspec.structs.replace(second, action=back)
    steps = (first, returning, first, second, *others)
    library = make_library()
    library.add([msgspec.structs.replace(traces[0], agent="returning", steps=steps)])
    with serve(library, NoPictures("none"), tmp_path) as url:
        page.goto(f"{url}#episode=train/{traces[0].instr_id}&a=returning")
        node = page.locator(f"#map .node[data-viewpoint='{first.viewpoint}']")
        node.wait_for()
        shown = []
        for _ in range(3):
            node.dispatch_event("click")
            shown.append(page.locator("#step-text").inner_text().split()[1])
    assert shown == ["2", "0", "2"]
