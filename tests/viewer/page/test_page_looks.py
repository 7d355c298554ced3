"""How the page looks: sizes, themes, contrast, keyboard."""

import re

import msgspec
import numpy as np
import pytest

from clipnav.envs.pictures.panorama_files import NoPictures
from clipnav.viewer.scene.scenes import scene

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


def test_fits_a_phone(page, url, opened):
    page.set_viewport_size({"width": 390, "height": 844})
    opened(page, url)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.locator("#open-list").click()
    box = page.locator("#list").bounding_box()
    assert box["x"] == 0
    assert box["width"] <= 390


def test_a_long_word_fits_a_phone(page, make_library, traces, serve, tmp_path, opened):
    word = "word" * 100
    even = msgspec.structs.replace(traces[0].steps[0], word_attention=(1 / 3,) * 3, action=None)
    change = {"instruction": word, "words": (word,), "instr_id": "long", "steps": (even,)}
    library = make_library()
    library.add([msgspec.structs.replace(traces[0], **change)])
    page.set_viewport_size({"width": 390, "height": 844})
    with serve(library, NoPictures("none"), tmp_path) as url:
        page.goto(f"{url}#episode=train/long")
        page.locator(".instruction .word").wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        # All words have the same attention, so none has the most.
        assert page.locator(".instruction .most").count() == 0


def test_all_controls_can_be_reached_by_keyboard_and_have_names(page, url, opened):
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
    assert {
        "open-list",
        "agent-a",
        "agent-b",
        "walk",
        "custom",
        "play",
        "step",
        "canvas",
    } <= reached
    assert "marker" in reached
    nameless = page.evaluate(
        """() => [...document.querySelectorAll("button, input, select, textarea, [role]")]
          .filter((one) => !(one.getAttribute("aria-label") || one.textContent.trim()
            || one.labels?.length || ["status", "alert"].includes(one.role)))
          .map((one) => one.outerHTML.slice(0, 80))"""
    )
    assert nameless == []


def focused(page):
    return page.evaluate("document.activeElement.getAttribute('aria-label')")


def test_the_focus_stays_with_the_marks(page, url, traces, opened):
    opened(page, url)
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


def test_the_focus_stays_in_the_table_of_steps(page, url, opened):
    opened(page, url)
    for step in (2, 1):
        page.locator("#steps button").nth(step).press("Enter")
        page.locator(f"#steps tr[aria-current] button >> text={step}").wait_for()
        assert focused(page) == f"Step {step}"


def test_the_focus_stays_with_the_storeys(page, exported, monkeypatch):
    def two_storeys(graph, world):
        shown = scene(graph, world)
        for place in shown["viewpoints"].values():
            place[3] = int(place[0] > 2)
        return {**shown, "storeys": 2}

    monkeypatch.setattr("clipnav.viewer.site.export.scene", two_storeys)
    page.goto(exported("No skyboxes here."))
    for storey in "101":
        page.locator("#storeys button", has_text=storey).press("Enter")
        assert page.evaluate("document.activeElement.textContent") == storey
        assert page.locator("#storeys [aria-pressed=true]").inner_text() == storey


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
def test_all_text_can_be_read_in_both_themes(new_page, url, opened, theme):
    page = new_page(1600, 900, reduced_motion="reduce", color_scheme=theme)
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


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (1920, 1080), (2560, 1440)])
def test_no_text_is_cut(new_page, make_library, traces, serve, tmp_path, width, height):
    library = make_library()
    words = tuple(f"{word} " for word in "walk past the red sofa and then on".split() * 10)
    long = msgspec.structs.replace(traces[14], instruction="".join(words), words=words, agent="me")
    library.add([long])
    page = new_page(width, height, reduced_motion="reduce")
    with serve(library, NoPictures("No skyboxes here."), tmp_path) as url:
        page.goto(url + "#episode=train/100_0&a=me")
        page.locator(".instruction .word").nth(79).wait_for()
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


def test_wide_screens_show_all_of_an_episode_at_once(new_page, url, opened):
    page = new_page(1920, 1080, reduced_motion="reduce")
    opened(page, url)
    sizes = page.evaluate(
        "(({ scrollHeight, clientHeight }) => [scrollHeight, clientHeight])"
        "(document.querySelector('.side'))"
    )
    assert sizes[0] <= sizes[1]
    assert page.locator(".steps tbody tr").last.is_visible()


def test_forced_colours_show_attention_by_lines_below_the_words(page, url, opened):
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


def test_all_keys_are_listed(page, url, opened):
    opened(page, url)
    page.keyboard.press("e")
    page.locator("#help").focus()
    page.keyboard.press("?")
    assert page.locator("#help-dialog").is_visible()
    listed = set(page.locator("#help-dialog kbd").all_inner_texts())
    assert set("[]p<>lade?sn") | {"1", "9", "Esc", "0", "+"} <= listed
    page.keyboard.press("Escape")
    page.locator("#help-dialog").wait_for(state="hidden")
    assert page.locator("#list").is_visible()


def test_focus_outlines_and_markers_have_contrast(page, url, opened):
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
