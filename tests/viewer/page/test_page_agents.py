"""What agents add to an episode: typed instructions, the known map, and a model's words."""

import msgspec
import pytest

from clipnav.viewer.trace import KnownMap, KnownNode
from clipnav.viewer.trace.format import (
    ModelAnswer,
    ModelDecision,
    PromptPart,
    read_traces,
    write_trace,
)


def follow(page, text):
    page.locator("#custom").click()
    page.locator("#custom-text").fill(text)
    page.locator("#custom-start").click()


@pytest.mark.usefixtures("interception")
def test_a_typed_instruction_is_followed(page, url, traces, errors, opened):
    opened(page, url, episode="train/101_0", a="wanderer")
    follow(page, "   ")
    page.locator("#custom-error", has_text="1 to 4000 characters").wait_for()
    assert "400" in errors.pop()  # the browser's own message
    # Closing the dialog cancels the walk.
    held = []
    page.route("**/api/follow", lambda route: held.append(route), times=1)
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
    page.locator("#custom-cancel").click()
    # An episode that is opened while the walk's picture loads is not played.
    page.evaluate("() => { window.held = createImageBitmap; createImageBitmap = () => slow; }")
    page.evaluate("() => { window.slow = new Promise((resolve) => (window.release = resolve)); }")
    follow(page, "Go to the kitchen.")
    page.locator("#title", has_text="Your instruction").wait_for()
    assert page.locator(".marker").count() == len(traces[0].steps[0].candidates)
    page.locator("#open-list").click()
    page.locator("[data-key='train/100_1']").click()
    page.locator("#title", has_text="Episode 100_1").wait_for()
    page.evaluate("() => { createImageBitmap = held; release(new OffscreenCanvas(2, 1)); }")
    page.wait_for_selector("[data-state=still]")
    assert page.locator("#play").inner_text() == "Play"


def test_unknown_words_are_underlined(page, traces, serve_traces):
    words = ("Walk ", "past ", "the ", "purple ", "dragon", ".")
    steps = tuple(msgspec.structs.replace(s, word_attention=(0.0,) * 8) for s in traces[0].steps)
    changes = {"instruction": "".join(words), "words": words, "unknown_words": (3, 4)}
    mine = msgspec.structs.replace(traces[0], steps=steps, **changes)
    with serve_traces(follow=lambda _: mine) as url:
        page.goto(url)
        follow(page, "Walk past the purple dragon.")
        page.locator("#title", has_text="Your instruction").wait_for()
    unknown = page.locator(".instruction .unknown")
    assert unknown.all_inner_texts() == ["purple", "dragon"]
    assert "not in the agent's vocabulary" in unknown.first.get_attribute("title")
    assert "underline" in unknown.first.evaluate("one => getComputedStyle(one).textDecorationLine")
    note = page.locator(".instruction .note").inner_text()
    assert note == "Underlined words are not in the agent's vocabulary."


def with_maps(trace):
    """Return a trace with a node that is several steps away, a map without target, and an end."""
    first, *others = trace.steps
    here = KnownNode(first.viewpoint, True)
    seen = [KnownNode(c.viewpoint, False, 0.25, 1.5) for c in first.candidates]
    target = seen[0].viewpoint
    last = KnownMap((here, *seen), gate=0.4, target=None, ends=True)
    steps = [
        msgspec.structs.replace(first, known_map=KnownMap((here, *seen), 0.6, target)),
        *others,
    ]
    steps[-1] = msgspec.structs.replace(steps[-1], known_map=last)
    return msgspec.structs.replace(trace, agent="map agent", steps=tuple(steps))


def test_the_known_map_shows_nodes_scores_and_the_gate(page, traces, serve_traces):
    trace = with_maps(traces[0])
    alone = KnownMap((KnownNode(trace.steps[0].viewpoint, True),))
    steps = (msgspec.structs.replace(traces[0].steps[0], known_map=alone), *traces[0].steps[1:])
    staying = msgspec.structs.replace(traces[0], agent="staying", steps=steps)
    with serve_traces(trace, staying) as url:
        page.goto(f"{url}#episode=train/{trace.instr_id}&a=map agent")
        nodes = len(trace.steps[0].known_map.nodes)
        panel = page.locator(".known-map")
        panel.wait_for()
        assert f"{nodes} nodes known, 1 visited." in panel.inner_text()
        assert "Gate: 60 % map, 40 % view." in panel.inner_text()
        assert page.locator("#map .known.visited").count() == 1
        assert page.locator("#map .known.seen").count() == nodes - 1
        assert page.locator("#map .target").count() == 1
        panel.locator("summary").click()
        assert panel.locator("tr").count() == nodes + 1
        page.locator("#next").click()
        panel.get_by_text("On the way to").wait_for()
        assert panel.locator("details[open]").count() == 1
        for _ in trace.steps[2:]:
            page.locator("#next").click()
        panel.get_by_text("Stops here.").wait_for()
        page.goto(f"{url}#episode=train/{trace.instr_id}&a=staying&step=0")
        panel.get_by_text("1 node known, 1 visited. Stays here.").wait_for()
        page.locator("#next").click()
        panel.get_by_text("1 node known, 1 visited.", exact=True).wait_for()


def with_model(trace):
    """Return a trace of a model that was asked twice at its first decision."""
    viewpoint = trace.steps[0].viewpoint
    first = ModelDecision(
        prompt=(
            PromptPart("system", "You steer a robot."),
            PromptPart("user", "A: place 1"),
            PromptPart("user", viewpoint=viewpoint, heading=-3.0),
            PromptPart("user", "Choose."),
        ),
        answers=(
            ModelAnswer("left", "invalid", "the answer is not a JSON object"),
            ModelAnswer('{"action": "A"}', "valid", reasoning="hm"),
        ),
        thought="The sofa is on the <left>.",
        plan="pass the sofa",
    )
    second = ModelDecision((PromptPart("user", "Next?"),), (ModelAnswer("B", "valid"),))
    steps = list(trace.steps)
    steps[0] = msgspec.structs.replace(steps[0], model=first)
    steps[1] = msgspec.structs.replace(steps[1], model=second)
    return msgspec.structs.replace(trace, agent="model", steps=tuple(steps))


def test_the_words_of_a_model_are_shown_at_each_step(page, traces, serve_traces, pictures):
    trace = with_model(traces[0])
    with serve_traces(trace, pictures=pictures) as url:
        page.goto(f"{url}#episode=train/{trace.instr_id}&a=model")
        panel = page.locator(".model")
        panel.wait_for()
        assert panel.locator(".thought").inner_text() == "The sofa is on the <left>."
        assert panel.locator(".plan").inner_text() == "Plan: pass the sofa"
        assert panel.locator(".note").inner_text() == "invalid: the answer is not a JSON object"
        panel.locator("summary").click()
        panel.locator("canvas[data-picture]").wait_for()
        assert panel.locator("h3").all_inner_texts() == ["system", "user", "answer", "answer"]
        assert "Choose." in panel.locator("pre").all_inner_texts()
        assert panel.locator(".reasoning").inner_text() == "hm"
        pixel = "one => [...one.getContext('2d').getImageData(5, 84, 1, 1).data]"
        assert panel.locator("canvas").evaluate(pixel)[3] == 255
        page.locator("#next").click()
        panel.locator(".thought").get_by_text("B", exact=True).wait_for()
        assert panel.locator("details[open] pre").first.inner_text() == "Next?"
    with serve_traces(trace) as url:
        page.goto(f"{url}#episode=train/{trace.instr_id}&a=model")
        page.locator(".model summary").click()
        page.locator(".model details .note").wait_for()
        assert page.locator(".model canvas").count() == 0


def test_traces_keep_the_words_of_a_model(traces, tmp_path):
    trace = with_model(traces[0])
    assert read_traces(write_trace(trace, tmp_path)) == [trace]
