"""Goals beyond places: objects over the panorama, turns of a dialog, and viewpoints of a goal."""

import dataclasses

import msgspec
import pytest

from clipnav.envs.goals.cvdn import Turn, dialog_text
from clipnav.envs.graphs.goal import Goal
from clipnav.viewer.trace.building import word_pieces
from clipnav.viewer.trace.format import VisibleObject


def box(name, heading, elevation=0.0, **marks):
    sides = ((-0.2, 0.1), (0.2, 0.1), (0.2, -0.1), (-0.2, -0.1))
    corners = tuple((heading + across, elevation + up) for across, up in sides)
    return VisibleObject(name, corners, **marks)


@pytest.fixture
def goal_trace(traces):
    """A walk that ends with the wrong object, with a dialog and a goal of two viewpoints."""
    trace = next(trace for trace in traces if trace.agent == "teacher" and len(trace.steps) > 2)
    objects = (
        box("lamp", 2.0),
        box("vase", 1.1, target=True),
        box("chair", 1.6, -0.3, pointed=True),
    )
    last = msgspec.structs.replace(trace.steps[-1], objects=objects)
    words = ("The ", "goal ", "room.\n", "Question", ": ", "left", "?\n", "Answer", ": ", "Yes.")
    steps = [msgspec.structs.replace(s, word_attention=None) for s in (*trace.steps[:-1], last)]
    return msgspec.structs.replace(
        trace,
        agent="seeker",
        instruction="".join(words),
        words=words,
        steps=tuple(steps),
        goal=Goal((trace.path[-1], trace.path[-2]), radius=0.0),
    )


def test_objects_are_outlined_where_they_are(
    page, goal_trace, serve_traces, pictures, opened, heading
):
    episode, last = f"train/{goal_trace.instr_id}", len(goal_trace.steps) - 1
    with serve_traces(goal_trace, pictures=pictures) as url:
        opened(page, url, episode=episode, a="seeker", step=0)
        assert page.locator(".object").count() == 0
        for _ in range(last):
            page.keyboard.press("]")
        page.wait_for_selector(".object")
        page.wait_for_selector("[data-state=still] canvas[data-picture]")
        # The camera faces the object that was pointed out.
        assert heading(page) == pytest.approx(1.6 * 180 / 3.14159, abs=0.2)
        pointed = page.locator(".object.pointed path").bounding_box()
        view = page.locator(".view canvas").bounding_box()
        assert pointed["x"] + pointed["width"] / 2 == pytest.approx(
            view["x"] + view["width"] / 2, abs=3
        )
        texts = page.locator(".object text").all_text_contents()
        assert texts == ["vase: target", "chair: pointed out"]
        target = page.locator(".object.target path").bounding_box()
        assert target["x"] < pointed["x"]
        assert target["y"] < pointed["y"]
        assert "points out: chair" in page.locator("figcaption").inner_text()
        assert page.locator("svg.objects").get_attribute("aria-label") == (
            "Objects: vase (target), chair (pointed out), lamp"
        )
        page.keyboard.press("o")
        assert page.locator(".object").count() == 0
        page.keyboard.press("o")
        assert page.locator(".object").count() == 3
        page.set_viewport_size({"width": 390, "height": 844})
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        # The outlines follow the size of the window in one of the next frames.
        page.evaluate(
            "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
        )
        for text in page.locator(".object text").all():
            inside = text.bounding_box()
            assert inside["x"] >= 0
            assert inside["x"] + inside["width"] <= 390
        opened(page, url, episode=episode)
        page.wait_for_selector("#overlay-objects", state="hidden")


@pytest.mark.parametrize("language", ["en", "hi-IN", "te-IN"])
def test_lines_of_a_dialog_are_turns(page, goal_trace, serve_traces, language):
    turns = (Turn("navigator", "left?"), Turn("oracle", "Yes."))
    text = dialog_text("vase", turns, language)
    trace = msgspec.structs.replace(
        goal_trace, instruction=text, words=word_pieces(text), language=language
    )
    with serve_traces(trace) as url:
        page.goto(f"{url}#episode=train/{goal_trace.instr_id}&a=seeker")
        turns = page.locator(".turn")
        turns.first.wait_for()
        assert turns.all_inner_texts() == text.split("\n")
        question, answer = (
            page.locator(f".turn.{one}").bounding_box() for one in ("question", "answer")
        )
        assert answer["y"] >= question["y"] + question["height"]
        assert answer["x"] > question["x"]


def test_the_map_shows_all_viewpoints_of_a_goal(page, goal_trace, serve_traces):
    wide = msgspec.structs.replace(
        goal_trace, agent="wide", goal=dataclasses.replace(goal_trace.goal, radius=None)
    )
    with serve_traces(goal_trace, wide) as url:
        for agent, radius, label in (
            ("seeker", "0.6", "viewpoints of the goal"),
            ("wide", "3", "3 m around the viewpoints of the goal"),
            ("teacher", "3", "3 m around the goal"),
        ):
            page.goto(f"{url}#episode=train/{goal_trace.instr_id}&a={agent}")
            page.locator("#legend", has_text=label).wait_for()
            goals = page.locator(".map .goal")
            assert goals.count() == (1 if agent == "teacher" else 2)
            assert goals.first.get_attribute("r") == radius
