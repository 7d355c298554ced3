"""Movement from step to step, and the panorama at each step."""

import base64
import math

import numpy as np
import pytest

from tests.chromium import await_frame

# Notes in the page how its panorama looks while it moves.
WATCH = """() => {
  const view = document.querySelector(".view"), canvas = view.querySelector("canvas");
  window.seen = [];
  const note = () => {
    const { heading } = canvas.dataset;
    window.seen.push({ state: view.dataset.state, heading: Number(heading),
      body: document.querySelector(".agent").getAttribute("transform") });
    requestAnimationFrame(note);
  };
  note();
}"""


def inside(page, selector):
    """Whether the middle of something lies in the panorama, which must have come to rest."""
    page.wait_for_selector("[data-state=still]")
    spot = page.locator(selector).first.bounding_box()
    frame = page.locator("canvas").first.bounding_box()
    x, y = spot["x"] + spot["width"] / 2, spot["y"] + spot["height"] / 2
    return (
        frame["x"] < x < frame["x"] + frame["width"]
        and frame["y"] < y < frame["y"] + frame["height"]
    )


def apart(one, other):
    """Degrees between two headings."""
    return abs((one - other + 180) % 360 - 180)


def chosen_heading(step):
    return math.degrees(step.candidates[step.action - 1].heading if step.action else step.heading)


@pytest.mark.parametrize(
    ("agent", "motion"), [("teacher", "no-preference"), ("wanderer", "reduce")]
)
def test_the_chosen_mark_is_seen_at_every_step(page, url, traces, opened, heading, agent, motion):
    page.emulate_media(reduced_motion=motion)
    trace = next(t for t in traces if (t.agent, t.instr_id) == (agent, "100_0"))
    opened(page, url, a=agent)
    page.locator("#speed").select_option("4")
    page.evaluate(WATCH)
    for number, step in enumerate(trace.steps[:4]):
        page.locator("#step-text", has_text=f"step {number} of").wait_for()
        if step.action:
            assert inside(page, ".marker.chosen")
            assert page.locator(".marker.chosen").get_attribute("data-side") == ""
        page.wait_for_selector("[data-state=still]")
        assert apart(heading(page), chosen_heading(step)) < 1
        page.keyboard.press("]")
    headings = page.evaluate("new Set(window.seen.map((one) => one.heading)).size")
    if motion == "reduce":
        assert headings <= 5  # the four steps and the next one, with nothing in between


def test_a_move_turns_and_then_glides(moving_page, url, traces, opened, drawn, heading):
    page = opened(moving_page, url)
    steps = traces[0].steps
    page.locator("#speed").select_option("0.5")  # enough frames on a busy machine
    page.locator("canvas").press("ArrowLeft")
    page.locator("canvas").press("ArrowLeft")
    before = drawn(page)
    page.evaluate(WATCH)
    page.keyboard.press("]")
    # Between the two pictures there are others that are neither of them.
    page.wait_for_function(
        """() => new Set(window.seen.filter((one) => one.state === "moving")
          .map((one) => one.body)).size > 2"""
    )
    between = drawn(page)
    page.wait_for_selector(f"[data-state=still] [data-picture='attic/{steps[1].viewpoint}']")
    assert len({before, between, drawn(page)}) == 3
    assert apart(heading(page), chosen_heading(steps[1])) < 1
    # The body on the map stays until the view has turned to the chosen direction.
    moving = [frame for frame in page.evaluate("window.seen") if frame["state"] == "moving"]
    start = moving[0]["body"]
    left = next(frame for frame in moving if frame["body"] != start)
    assert apart(left["heading"], chosen_heading(steps[0])) < 1


def test_changes_during_a_move_last(new_page, url, opened):
    page = opened(new_page(), url, a="wanderer")  # its clock stays installed
    page.locator("#speed").select_option("4")
    for shown in (0, 1):
        page.evaluate(
            "for (const id of ['next', 'view-attention']) document.getElementById(id).click()"
        )
        page.wait_for_selector("[data-state=still]")
        assert page.locator("#view-attention").is_checked() == bool(shown)
    # A view that was replaced during its move moves no agent.
    page.clock.install()
    page.clock.pause_at("2030-01-01")
    page.locator("#next").click()
    page.locator("#agent-b").select_option("teacher")
    page.wait_for_selector(".view:not(.two)[data-state=still] + .view.two[data-state=still]")
    bodies = set()
    for _ in range(30):
        page.clock.run_for(100)
        bodies.add(page.locator(".agent").first.get_attribute("transform"))
    assert len(bodies) == 1


def test_speed_and_loop_are_remembered(new_page, url, opened):
    page = opened(new_page(reduced_motion="reduce"), url)
    page.keyboard.press(">")
    page.keyboard.press(">")
    assert page.locator("#speed").input_value() == "4"
    page.keyboard.press("l")
    page.reload()
    page.wait_for_selector("[data-state=still]")
    assert page.locator("#speed").input_value() == "4"
    assert page.locator("#loop").get_attribute("aria-pressed") == "true"
    # After the last step comes the first one, until somebody pauses.
    page.locator("#step").press("End")
    page.locator("#play").click()
    page.locator("#step-text", has_text="step 0 of").wait_for()
    page.locator("#step-text", has_text="step 1 of").wait_for()
    page.locator("#play").click()
    assert page.locator("#play").inner_text() == "Play"
    # Twice the speed takes half the time.
    page.clock.install()
    page.clock.pause_at("2030-01-01")
    for speed, time in (("1", 1100), ("2", 550), ("0.5", 2200)):
        page.locator("#step").press("Home")
        page.locator("#speed").select_option(speed)
        page.locator("#play").click()
        page.clock.run_for(time - 20)
        assert page.locator("#step-text").inner_text().startswith("step 0")
        page.clock.run_for(40)
        page.locator("#step-text", has_text="step 1 of").wait_for()
        page.locator("#play").click()


def pixels(page):
    """Red, green and blue of what stands on the canvas."""
    await_frame(page)
    data = page.evaluate(
        """() => {
          const canvas = document.querySelector("canvas");
          const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d");
          copy.drawImage(canvas, 0, 0);
          const { data } = copy.getImageData(0, 0, canvas.width, canvas.height);
          let text = "";
          for (const value of data) text += String.fromCharCode(value);
          return [canvas.width, canvas.height, btoa(text)];
        }"""
    )
    flat = np.frombuffer(base64.b64decode(data[2]), np.uint8)
    return flat.reshape(data[1], data[0], 4)[..., :3].astype(int)


def test_outlines_leave_the_colours_inside_them_unchanged(page, url, opened, traces, heading):
    opened(page, url)
    # The teacher looks at one view at a time, of which the first one lies to the north.
    assert traces[0].steps[0].view_attention[12] == 1
    page.wait_for_selector("canvas[data-columns='2048']")
    page.evaluate("document.querySelector('canvas').focus()")
    while apart(heading(page), 0) > 8:
        before = heading(page)
        page.keyboard.press("ArrowLeft")
        page.wait_for_function(
            "before => Number(document.querySelector('canvas').dataset.heading) !== before",
            arg=before,
        )
    outlined = pixels(page)
    page.locator("#view-attention").uncheck()
    plain = pixels(page)
    changed = (outlined != plain).any(-1)
    rows, columns = np.nonzero(changed)
    # It is a frame of some pixels round a view of 30 degrees, and not a filled one.
    inner = changed[rows.min() + 30 : rows.max() - 30, columns.min() + 30 : columns.max() - 30]
    assert min(inner.shape) > 100
    assert not inner.any()
    assert changed.sum() > 500
    assert page.locator(".scale").is_hidden()
    assert page.locator(".weight").count() == 0
    page.locator("#view-attention").check()
    assert page.locator(".scale").text_content() == "attention per view3 %100 %"
    assert page.locator(".weight").text_content() == "100 %"
