"""Walks by hand on the page: steps, double clicks, reloads, and the outcome."""

import pytest

from clipnav.envs.metrics import score_path
from clipnav.viewer.trace import outcome


@pytest.fixture
def library(make_library):
    return make_library()


@pytest.fixture
def start_server(library, serve, pictures, tmp_path):
    """Starts a server that keeps walks in a folder of this test alone."""
    return lambda library=library: serve(library, pictures, tmp_path / "traces")


@pytest.fixture
def url(start_server):
    with start_server() as url:
        yield url


def after(page, steps):
    text = f"after {steps} step{'' if steps == 1 else 's'}"
    page.locator("[data-state=still] figcaption", has_text=text).wait_for()


def walk(page, opened, url, episode="train/103_1"):
    opened(page, url, episode=episode)
    page.locator("#walk").click()
    after(page, 0)


def test_a_person_clicks_three_candidates_and_stops(
    page, url, library, tiny_env, opened, standing_at, metric
):
    walk(page, opened, url)
    assert page.locator(".reference").count() == 0
    walked = ["a2"]
    for number in (1, 2):
        page.locator(f".marker[data-candidate='{number}']").click()
        after(page, len(walked))
        walked.append(standing_at(page))
    page.keyboard.press("1")
    after(page, 3)
    walked.append(standing_at(page))
    page.locator("#stop").click()
    page.wait_for_selector("[data-metric=NE]")
    graph = tiny_env.nav_world.graphs["attic"]
    scores = score_path(graph, walked, ["a2", "a1", "a0"])
    assert metric(page, "NE") == f"{scores['nav_error']:.1f} m"
    assert metric(page, "TL") == f"{scores['trajectory_length']:.1f} m"
    assert metric(page, "SR") == ("yes" if scores["success"] else "no")
    assert page.locator(".reference").count() == 1
    told = page.locator("#walk-status")
    told.locator(".file", has_text="103_1.json").wait_for()
    ending = outcome(library.trace("train/103_1", "you"))
    assert told.locator(".badge").first.inner_text() == ending
    assert f"NE {scores['nav_error']:.1f} m · SPL" in told.inner_text()
    # The agent's walk stands beside one's own.
    assert page.locator(".metrics thead th").all_inner_texts() == ["you", "teacher"]
    assert "teacher:" in told.inner_text()
    assert told.locator(".badge").nth(1).inner_text() == "success"
    row = page.locator(".rows [data-key='train/103_1']")
    page.locator("#leave").click()
    page.locator("#outcome", has_text=ending).wait_for()
    assert page.locator("#agent-a").input_value() == "you"
    page.keyboard.press("e")
    page.locator("#agent-a option", has_text="you").wait_for(state="attached")
    page.locator("#close-list").click()
    assert f"NE {scores['nav_error']:.1f} m" in row.text_content()


def test_a_person_who_looks_back_does_not_walk(page, url, traces, opened, standing_at):
    walk(page, opened, url)
    page.keyboard.press("1")
    after(page, 1)
    there = standing_at(page)
    assert page.locator(".marker").count() == 3
    orders = []
    page.on("request", lambda request: orders.append(request.url))
    page.locator("#back").click()
    assert page.locator(".marker").count() == 2
    page.locator(".marker[data-candidate='2']").press("Enter")
    page.keyboard.press("2")
    page.keyboard.press("3")
    page.locator("#step-text", has_text="step 0 of 1").wait_for()
    page.locator(f".node[data-viewpoint='{there}']").dispatch_event("click")
    page.locator("#step-text", has_text="step 1 of 1").wait_for()
    page.locator("#back").click()
    page.locator("#stop", has_text="Back to your last step").click()
    page.locator("#stop", has_text="Stop here").wait_for()
    assert standing_at(page) == there
    assert [order for order in orders if "/api/act" in order] == []
    # A person takes over where an agent stands.
    opened(page, url, step=1)
    page.locator("#walk", has_text="Take over here").click()
    after(page, 1)
    assert standing_at(page) == traces[0].walked[1]
    page.locator("#leave").click()
    page.locator("#walk", has_text="Continue your walk").wait_for()


def test_a_double_click_moves_once(page, url, opened):
    walk(page, opened, url)
    orders = []
    page.on("request", lambda request: orders.append(request.url))
    page.locator(".marker[data-candidate='1']").dblclick()
    after(page, 1)
    page.locator("#stop").dblclick()
    page.locator("#next-episode").wait_for()
    # The second half of the double click did not press the button that came there.
    page.locator("#walk-status", has_text="You have stopped.").wait_for()
    assert len([order for order in orders if "/api/act" in order]) == 2
    assert [order for order in orders if "/api/walk" in order] == []


def test_a_walk_outlives_reload_and_server(page, start_server, opened, standing_at, make_library):
    with start_server() as url:
        walk(page, opened, url)
        page.keyboard.press("1")
        after(page, 1)
        there = standing_at(page)
        page.reload()
        after(page, 1)
        assert standing_at(page) == there
        place = page.evaluate("location.hash")
    with start_server(make_library()) as url:
        page.goto(url + place)
        after(page, 1)
        assert standing_at(page) == there
        page.keyboard.press("1")
        after(page, 2)


def test_a_walk_is_resumed_and_compared_with_the_chosen_agent(page, url, opened):
    opened(page, url, episode="train/103_1", a="wanderer", b="teacher")
    page.locator("#walk").click()
    after(page, 0)
    page.keyboard.press("1")
    after(page, 1)
    page.locator("#leave").click()
    page.locator("#walk", has_text="Continue your walk").click()
    after(page, 1)
    page.locator("#restart", has_text="Start over").click()
    after(page, 0)
    assert page.locator("#restart").is_hidden()
    page.keyboard.press("1")
    after(page, 1)
    page.reload()
    after(page, 1)
    chosen = [page.locator(f"#agent-{name}").input_value() for name in "ab"]
    assert chosen == ["wanderer", "teacher"]
    page.keyboard.press("s")
    page.locator("#walk-status", has_text="wanderer:").wait_for()
    assert page.locator(".metrics thead th").all_inner_texts() == ["you", "wanderer"]


@pytest.mark.usefixtures("interception")
def test_late_steps_belong_to_their_walk(page, url, opened):
    walk(page, opened, url)
    held = []
    page.route("**/api/act", lambda route: held.append(route), times=2)
    with page.expect_request("**/api/act"):
        page.keyboard.press("1")
    # A path that is shown during a step does not hide the step.
    page.locator("#show-path").check()
    page.locator(".reference").wait_for(state="attached")
    held[0].continue_()
    after(page, 1)
    page.locator("#show-path").uncheck()
    assert page.locator(".reference").count() == 0
    with page.expect_request("**/api/act"):
        page.keyboard.press("1")
    page.goto(url + "#episode=train/101_0&a=teacher")
    page.locator("#title", has_text="101_0").wait_for()
    page.locator("#walk").click()
    page.locator("#walk-bar").wait_for()
    with page.expect_response("**/api/act"):
        held[1].continue_()
    page.keyboard.press("1")
    after(page, 1)
    assert page.locator("#title").inner_text() == "Episode 101_0 in attic"


@pytest.mark.usefixtures("interception")
def test_one_episode_follows_the_other_without_waiting_for_the_outcome(page, url, opened, library):
    first, second, third = library.keys()[-2:] + library.keys()[:1]
    walk(page, opened, url, episode=first)
    held = []
    page.route("**/api/episodes?*", lambda route: held.append(route), times=1)
    with page.expect_request("**/api/episodes?*"):
        page.keyboard.press("s")
    page.keyboard.press("n")
    page.locator("#title", has_text=second.split("/")[1]).wait_for()
    after(page, 0)
    page.keyboard.press("1")
    after(page, 1)
    with page.expect_response("**/api/episodes?*"):
        held[0].continue_()
    page.keyboard.press("1")
    after(page, 2)
    assert page.locator("#title").inner_text() == f"Episode {second.split('/')[1]} in attic"
    assert "You are walking." in page.locator("#walk-status").inner_text()
    page.keyboard.press("s")
    page.locator("#walk-status", has_text="You have stopped.").wait_for()
    page.locator("#next-episode").click()
    page.locator("#title", has_text=third.split("/")[1]).wait_for()
    after(page, 0)


def test_walks_that_cannot_be_saved_or_are_gone_are_reported(page, url, opened, tmp_path, errors):
    walk(page, opened, url)
    (tmp_path / "traces").write_text("a file where the folder should be")
    page.keyboard.press("1")
    page.locator("#notice", has_text="your walk cannot be saved").wait_for()
    assert page.locator("#notice").inner_text().startswith("Your walk")
    after(page, 0)
    (tmp_path / "traces").unlink()
    page.keyboard.press("1")
    after(page, 1)
    assert "507" in errors.pop()
    (path,) = (tmp_path / "traces").rglob("*.walking")
    path.unlink()
    page.keyboard.press("1")
    page.locator("#notice", has_text="this file is gone").wait_for()
    assert page.locator("#notice").inner_text().startswith(f"{path}: this file")
    assert "400" in errors.pop()
