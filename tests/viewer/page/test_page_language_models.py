"""Thought, answers and prompt of a language model, on the page and in films."""

import msgspec

from clipnav.envs.pictures.panorama_files import DrawnPictures, NoPictures
from clipnav.viewer.trace.format import (
    ModelAnswer,
    ModelDecision,
    PromptPart,
    read_traces,
    write_trace,
)


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


def test_the_words_of_a_model_are_shown_at_each_step(
    page, make_library, traces, serve, tmp_path, grey
):
    trace = with_model(traces[0])
    library = make_library()
    library.add([trace])
    pictures = DrawnPictures(grey, lambda scan: tmp_path / scan)
    with serve(library, pictures, tmp_path) as url:
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


def test_pictures_of_a_prompt_are_named_where_the_world_has_none(
    page, make_library, traces, serve, tmp_path
):
    trace = with_model(traces[0])
    library = make_library()
    library.add([trace])
    with serve(library, NoPictures("none"), tmp_path) as url:
        page.goto(f"{url}#episode=train/{trace.instr_id}&a=model")
        page.locator(".model summary").click()
        page.locator(".model details .note").wait_for()
        assert page.locator(".model canvas").count() == 0


def test_agents_without_a_model_have_no_panel(page, url, opened):
    opened(page, url, episode="train/101_0")
    assert not page.locator("#model-card").is_visible()


def test_traces_keep_the_words_of_a_model(traces, tmp_path):
    trace = with_model(traces[0])
    assert read_traces(write_trace(trace, tmp_path)) == [trace]
