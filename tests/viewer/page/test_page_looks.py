"""How the page looks: sizes, themes, contrast, keyboard."""

import re
from urllib.parse import quote

import msgspec
import numpy as np
import pytest

# Texts with their colours, and the colours of all that may lie behind them, from the inside out.
TEXTS = """() => {
  const seen = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    const text = walker.currentNode.textContent.trim();
    if (!text || element.closest("svg.markers, script, option, .visually-hidden")) continue;
    const box = element.getBoundingClientRect();
    if (!box.width || !element.checkVisibility({ visibilityProperty: true })) continue;
    const behind = [];
    for (let one = element; one; one = one.parentElement) {
      behind.push(getComputedStyle(one).backgroundColor);
    }
    const { color, fill, opacity } = getComputedStyle(element);
    if (opacity !== "1") continue;
    seen.push([text, element instanceof SVGElement ? fill : color, behind]);
  }
  const paint = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const rgba = (colour) => {
    paint.clearRect(0, 0, 1, 1);
    paint.fillStyle = colour;
    paint.fillRect(0, 0, 1, 1);
    return [...paint.getImageData(0, 0, 1, 1).data];
  };
  return seen.map(([text, colour, behind]) => [text, rgba(colour), behind.map(rgba)]);
}"""


LONG = 'follower with a very long name, <b>beam search</b> & "quotes" of run/number/0123456789'


def boxes(page, selector):
    return [one.bounding_box() for one in page.locator(selector).all()]


def test_long_names_fit_all_windows(page, traces, serve_traces, pictures, opened):
    last = traces[0].steps[-1]
    one_candidate = msgspec.structs.replace(last, candidates=last.candidates[:1])
    short = msgspec.structs.replace(traces[0], agent="short", steps=(one_candidate,))
    named = msgspec.structs.replace(traces[0], agent=LONG)
    with serve_traces(named, short, pictures=pictures) as url:
        opened(page, url, a="short")
        assert "1 candidate," in page.locator("#live").inner_text()
        opened(page, url, b=quote(LONG))
        for width, height in ((390, 844), (720, 450), (844, 390), (900, 844), (1280, 800)):
            page.set_viewport_size({"width": width, "height": height})
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            selects = boxes(page, ".agents select")
            assert all(box["x"] + box["width"] <= width for box in selects)
            # The legends of the two charts are whole.
            assert page.locator(".charts svg").count() == 2
            cut = page.evaluate(
                """() => [...document.querySelectorAll(".charts text")]
                  .filter((one) => one.getBoundingClientRect().right
                    > one.closest("svg").getBoundingClientRect().right)
                  .map((one) => one.textContent)"""
            )
            assert cut == []
            first, second = boxes(page, ".view")
            if width == 390:
                assert first["x"] == second["x"]
            elif height == 450:
                assert first["y"] == second["y"]
                assert first["height"] >= 200
        first, second = page.evaluate(
            """() => [...document.querySelectorAll(".metrics thead th")].map((head) => {
              const range = new Range();
              range.selectNodeContents(head);
              const { left, right } = range.getBoundingClientRect();
              return { left, right };
            })"""
        )
        assert second["left"] - first["right"] >= 8
        # Markers are above the scale of the attention.
        assert page.evaluate(
            """() => {
              const scale = document.querySelector(".scale");
              const order = scale.compareDocumentPosition(document.querySelector("svg.markers"));
              return (order & Node.DOCUMENT_POSITION_FOLLOWING) > 0;
            }"""
        )


def test_no_text_is_cut(page, traces, serve_traces):
    words = tuple(f"{word} " for word in "walk past the red sofa and then on".split() * 10)
    changes = {"agent": "me", "instruction": "".join(words), "words": words}
    with serve_traces(msgspec.structs.replace(traces[14], **changes)) as url:
        page.goto(url + "#episode=train/100_0&a=me")
        page.locator(".instruction .word").nth(79).wait_for()
        for width, height in ((1280, 800), (1920, 1080), (2560, 1440)):
            page.set_viewport_size({"width": width, "height": height})
            cut = page.evaluate(
                """() => [...document.querySelectorAll(".side *, #instructions, .bar *, .player *")]
                  .filter((one) => one instanceof HTMLElement && !one.closest(".visually-hidden"))
                  .filter((one) => getComputedStyle(one).display !== "inline")
                  .filter((one) => one.scrollHeight > one.clientHeight + 1
                    || one.scrollWidth > one.clientWidth + 1)
                  .map((one) => `${one.tagName} ${one.id} ${one.className}`)"""
            )
            assert cut == []
            sides = page.evaluate("[innerWidth, document.querySelector('.side').clientWidth]")
            assert sides[1] / sides[0] > 0.24


def test_long_words_and_the_list_fit_a_phone(page, traces, serve_traces):
    word = "word" * 100
    even = msgspec.structs.replace(traces[0].steps[0], word_attention=(1 / 3,) * 3, action=None)
    change = {"instruction": word, "words": (word,), "instr_id": "long", "steps": (even,)}
    page.set_viewport_size({"width": 390, "height": 844})
    with serve_traces(msgspec.structs.replace(traces[0], **change)) as url:
        page.goto(f"{url}#episode=train/long")
        page.locator(".instruction .word").wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        # All words have the same attention, so none has the most.
        assert page.locator(".instruction .most").count() == 0
        page.locator("#open-list").click()
        box = page.locator("#list").bounding_box()
        assert box["x"] == 0
        assert box["width"] <= 390
        assert page.locator("#sort").bounding_box()["width"] > 150


def test_phones_show_view_and_instruction_without_scrolling(page, url, opened):
    page.set_viewport_size({"width": 390, "height": 844})
    opened(page, url)
    (bar,), (view,) = boxes(page, ".bar"), boxes(page, ".view")
    (card,), (player,) = boxes(page, "#instruction-card"), boxes(page, ".player")
    assert bar["height"] <= 110
    assert view["y"] + view["height"] <= card["y"] + 1
    assert card["y"] + card["height"] <= min(844, player["y"] + 1)
    page.set_viewport_size({"width": 1280, "height": 800})
    page.locator(".side > .part > #instruction-card:first-child").wait_for()


def test_a_presentation_shows_view_instruction_and_map_alone(page, url, opened):
    opened(page, url)
    for key in ("f", "Escape"):
        page.keyboard.press("f")
        page.locator(".presenting #presented .instruction").wait_for()
        (view,) = boxes(page, ".view")
        assert view["width"] == page.viewport_size["width"]
        assert page.locator("#presented svg.map").is_visible()
        assert not any(page.locator(part).is_visible() for part in (".bar", ".side", ".charts"))
        words = page.locator("#presented .word").first.bounding_box()
        assert view["y"] < words["y"] < view["y"] + view["height"]
        page.keyboard.press(key)
        page.locator(".side #instructions .instruction").wait_for()
        assert page.locator(".side #map svg.map").is_visible()
        assert page.locator("#presented").inner_html() == ""


def test_leaving_the_full_screen_does_not_end_the_next_presentation(page, url, opened):
    opened(page, url)
    state = "[document.body.matches('.presenting'), Boolean(document.fullscreenElement)]"
    for presses, is_presenting in ((1, True), (2, True), (3, False)):
        for _ in range(presses):
            page.keyboard.press("f")
        seen = []
        while seen[-4:] != [[is_presenting] * 2] * 4 and len(seen) < 60:  # changes take a while
            page.wait_for_timeout(250)
            seen.append(page.evaluate(state))
        assert seen[-4:] == [[is_presenting] * 2] * 4


def focused(page):
    return page.evaluate("document.activeElement.getAttribute('aria-label')")


def test_the_keyboard_reaches_all_controls(page, url, traces, opened):
    opened(page, url)
    reached = set()
    for _ in range(30):
        page.keyboard.press("Tab")
        reached.add(
            page.evaluate(
                """() => {
                  const at = document.activeElement;
                  return at.id || at.dataset.candidate && "marker" || at.tagName.toLowerCase();
                }"""
            )
        )
    controls = "open-list agent-a agent-b walk custom play step canvas marker"
    assert set(controls.split()) <= reached
    nameless = page.evaluate(
        """() => [...document.querySelectorAll("button, input, select, textarea, [role]")]
          .filter((one) => !(one.getAttribute("aria-label") || one.textContent.trim()
            || one.labels?.length || ["status", "alert"].includes(one.role)))
          .map((one) => one.outerHTML.slice(0, 80))"""
    )
    assert nameless == []
    # The focus stays with the marks.
    page.locator(".marker.chosen").focus()
    for step in traces[0].steps[1:-1]:
        page.keyboard.press("Enter")
        page.wait_for_function(
            f"document.querySelector('canvas').ariaLabel.includes(' {step.viewpoint} ')"
        )
        assert focused(page).startswith(f"Candidate {step.action},")
        assert focused(page).endswith("chosen")
    page.locator(".marker[data-candidate='1']").focus()
    page.keyboard.press("[")
    assert focused(page).startswith("Candidate 1,")
    # All keys are listed.
    page.keyboard.press("e")
    page.locator("#help").focus()
    page.keyboard.press("?")
    assert page.locator("#help-dialog").is_visible()
    listed = set(page.locator("#help-dialog kbd").all_inner_texts())
    assert set("[]p<>ladef?sn") | {"1", "9", "Esc", "0", "+"} <= listed
    page.keyboard.press("Escape")
    page.locator("#help-dialog").wait_for(state="hidden")
    assert page.locator("#list").is_visible()


def luminance(colour):
    """Relative luminance of WCAG 2 of red, green and blue in 0..255."""
    shares = np.array(colour[:3]) / 255
    linear = np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)
    return float(np.dot([0.2126, 0.7152, 0.0722], linear))


def contrast(one, other):
    low, high = sorted([luminance(one) + 0.05, luminance(other) + 0.05])
    return high / low


def painted(layers):
    """The colour that layers of red, green, blue and opacity make, the uppermost first."""
    colour = np.array([255.0, 255.0, 255.0])
    for *layer, opacity in reversed(layers):
        colour += (np.array(layer) - colour) * opacity / 255
    return colour


def faint_texts(page):
    """Texts whose contrast is below that of WCAG AA."""
    texts = page.evaluate(TEXTS)
    assert len(texts) > 30
    ratios = [
        (text, round(contrast(painted([colour, *behind]), painted(behind)), 2))
        for text, colour, behind in texts
    ]
    return [found for found in ratios if found[1] < 4.5]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_all_text_can_be_read_in_both_themes(page, url, opened, theme):
    page.set_viewport_size({"width": 1600, "height": 900})
    page.emulate_media(color_scheme=theme)
    opened(page, url, b="wanderer", step=1)
    assert faint_texts(page) == []
    paper = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    assert (luminance(numbers(paper)) < 0.1) == (theme == "dark")
    page.keyboard.press("e")
    assert faint_texts(page) == []
    page.keyboard.press("Escape")
    page.locator("#list").wait_for(state="hidden")
    page.keyboard.press("?")
    assert faint_texts(page) == []
    page.keyboard.press("Escape")
    page.locator("#help-dialog").wait_for(state="hidden")
    page.locator("#walk").click()
    page.locator("figcaption", has_text="after 1 step").wait_for()
    assert faint_texts(page) == []
    page.locator("#stop").click()
    page.locator("#walk-status .badge").first.wait_for()
    assert faint_texts(page) == []


def numbers(colour):
    return [int(part) for part in re.findall(r"\d+", colour)]


def test_the_theme_follows_the_system_until_one_is_chosen(page, url, opened):
    def dark():
        paper = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
        return luminance(numbers(paper)) < 0.1

    opened(page, url)
    assert not dark()
    page.emulate_media(color_scheme="dark")
    assert dark()
    page.wait_for_selector("#theme[aria-pressed=true]")
    page.locator("#theme").click()
    assert not dark()
    page.reload()
    page.wait_for_selector("[data-state=still]")
    assert not dark()
    assert page.locator("#theme").get_attribute("aria-pressed") == "false"


def test_focus_and_attention_can_be_seen(page, url, opened):
    opened(page, url)
    style = "([kind, what]) => getComputedStyle(document.querySelector(kind))[what]"
    behind = [
        page.evaluate(style, [kind, "backgroundColor"]) for kind in (".bar", ":root", ".views")
    ]
    page.locator("#step").focus()
    page.keyboard.press("Tab")
    outline = numbers(page.evaluate(style, [":focus-visible", "outlineColor"]))
    assert min(contrast(outline, numbers(colour)) for colour in behind) >= 3
    page.evaluate("document.querySelector('.instruction .word').classList.add('unread')")
    assert contrast(numbers(page.evaluate(style, [".unread", "color"])), numbers(behind[0])) >= 4.5
    page.locator(".marker.chosen").focus()
    disc, ring = (
        numbers(page.evaluate(style, [".marker.chosen:focus-visible .disc", what]))
        for what in ("fill", "stroke")
    )
    assert contrast(disc, ring) >= 3
    rings = [
        numbers(page.evaluate(style, [f".marker.chosen:focus-visible .{name}", "stroke"]))
        for name in ("outer", "inner")
    ]
    # One of the two rings contrasts with any picture.
    assert contrast(*rings) >= 9
    # Forced colours show attention by lines below the words.
    page.emulate_media(forced_colors="active")
    opened(page, url, step=1)
    lines = page.evaluate(
        "[...document.querySelectorAll('.instruction .word')].map((word) => "
        "[getComputedStyle(word).backgroundImage, getComputedStyle(word).backgroundSize, "
        "word.style.getPropertyValue('--shade') || '0%'])"
    )
    assert {image.partition("(")[0] for image, _, _ in lines} == {"linear-gradient"}
    assert all(size == f"{shade} 3px" for _, size, shade in lines)
    assert {shade for *_, shade in lines} == {"0%", "100%"}
